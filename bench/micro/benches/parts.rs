//! Framing, rights, lookup and LIST by time, with criterion: `./dev bench micro`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ravenry_bench::parts;
use ravenry_bench::site::Site;

const SITE: Site = Site { names: 100_000 };

fn framing(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("framing");
    group.throughput(Throughput::Bytes(parts::COMMANDS.len() as u64));
    group.bench_function("commands", |bencher| {
        bencher.iter(|| parts::commands(parts::COMMANDS));
    });
    group.throughput(Throughput::Bytes(parts::RESPONSES.len() as u64));
    group.bench_function("responses", |bencher| {
        bencher.iter(|| parts::responses(parts::RESPONSES));
    });
    group.finish();
}

fn rights(criterion: &mut Criterion) {
    let (acl, identity) = parts::acl();
    criterion.bench_function("rights of an ACL of fifteen", |bencher| {
        bencher.iter(|| parts::rights(&acl, &identity));
    });
}

fn list(criterion: &mut Criterion) {
    let directory = tempfile::tempdir().expect("a directory");
    let (_writer, reader) = parts::list(directory.path(), SITE);
    let names = parts::names(SITE);
    let mut turn = 0;
    criterion.bench_function("lookup among 100 thousand", |bencher| {
        bencher.iter(|| {
            turn += 1;
            parts::lookup(&reader, &names[turn % names.len()]);
        });
    });
    let mut user = 0;
    criterion.bench_function("LIST of 20 among 100 thousand", |bencher| {
        bencher.iter(|| {
            user += 97;
            parts::list_all(&reader, SITE, user)
        });
    });
}

criterion_group!(benches, framing, rights, list);
criterion_main!(benches);
