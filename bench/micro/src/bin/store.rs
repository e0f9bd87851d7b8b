//! The backend's store: what an APPEND and a STORE cost, alone and in groups of sixteen, in time and in bytes that
//! reach the disk. usage: store DIRECTORY GROUPS SIZE; one line of JSON.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::{Duration, Instant};

use ravenry_backend::store::{
    FlagChange, Flags, Incoming, MailboxId, Mode, Order, Outcome, Settings, SpecialUse, Store,
    Writer,
};
use ravenry_core::mailboxes::{Acl, Name};
use ravenry_core::proto::imap::{DateTime, Uids};
use serde_json::{Value, json};

const STRUCTURE_BYTES: usize = 600;

type Failed = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, groups, size] = &arguments[..] else {
        return Err("usage: store DIRECTORY GROUPS SIZE".into());
    };
    let (groups, size) = (groups.parse()?, size.parse()?);
    let mut lines = Vec::new();
    for together in [1, 16] {
        let root = Path::new(directory).join(together.to_string());
        lines.push(measure(&root, groups, together, size)?);
    }
    println!(
        "{}",
        json!({ "size": size, "groups": groups, "rows": lines })
    );
    Ok(())
}

/// Bytes that this process has had written to a disk.
fn written() -> Result<u64, Failed> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("write_bytes: "));
    Ok(line.ok_or("no write_bytes")?.parse()?)
}

fn measure(root: &Path, groups: usize, together: usize, size: usize) -> Result<Value, Failed> {
    let settings = Settings {
        directory: root.join("state"),
        partitions: BTreeMap::from([("default".to_owned(), root.join("spool"))]),
        index_size: 1 << 30,
    };
    let (mut writer, store, _) = Store::open(&settings)?;
    let name = Name::parse(b"user.alice").map_err(|error| error.to_string())?;
    let create = Order::Create {
        name,
        partition: "default".to_owned(),
        acl: Acl::default(),
        special_use: SpecialUse::NONE,
    };
    let Ok(Outcome::Created { mailbox, .. }) = writer.carry_out(&[create]).outcomes.remove(0)
    else {
        return Err("no mailbox".into());
    };
    let text = [b"Subject: x\r\n\r\n".to_vec(), vec![b'x'; size - 14]].concat();
    let append = timed(groups, || {
        let staged: Vec<Incoming> = std::thread::scope(|scope| {
            let jobs = (0..together).map(|_| scope.spawn(|| incoming(&store, &text)));
            let jobs: Vec<_> = jobs.collect();
            jobs.into_iter()
                .map(|job| job.join().expect("no panic"))
                .collect::<Result<_, _>>()
        })?;
        let orders: Vec<Order> = staged
            .into_iter()
            .map(|message| Order::Append {
                mailbox,
                messages: vec![message],
            })
            .collect();
        all_done(&mut writer, &orders)
    })?;
    let mut next = 0;
    let flag = timed(groups, || {
        let orders: Vec<Order> = (0..together)
            .map(|_| {
                next = next % (groups * together) + 1;
                seen(mailbox, next)
            })
            .collect();
        all_done(&mut writer, &orders)
    })?;
    let each = (groups * together) as u64;
    let row = |(took, bytes): (Duration, u64)| {
        json!({
            "per_second": each as f64 / took.as_secs_f64(),
            "bytes_written": bytes / each,
        })
    };
    Ok(json!({ "together": together, "append": row(append), "store": row(flag) }))
}

fn timed(
    groups: usize,
    mut group: impl FnMut() -> Result<(), Failed>,
) -> Result<(Duration, u64), Failed> {
    let (began, before) = (Instant::now(), written()?);
    for _ in 0..groups {
        group()?;
    }
    Ok((began.elapsed(), written()? - before))
}

fn incoming(store: &Store, text: &[u8]) -> Result<Incoming, Failed> {
    let mut staged = store.stage("default")?;
    staged.write(text)?;
    let mut message = staged.finish()?;
    // As long as the header cache's records mostly are.
    message.structure = vec![b'x'; STRUCTURE_BYTES];
    let date = DateTime {
        seconds: 1_700_000_000,
        zone: 0,
    };
    Ok(Incoming {
        message,
        date,
        system: 0,
        keywords: Vec::new(),
    })
}

fn seen(mailbox: MailboxId, uid: usize) -> Order {
    let uid = u32::try_from(uid).expect("few messages");
    let change = FlagChange {
        mode: Mode::Add,
        system: Flags::SEEN,
        keywords: Vec::new(),
        unchanged_since: None,
    };
    Order::Flags {
        mailbox,
        uids: Uids::from_iter([uid]),
        change,
    }
}

fn all_done(writer: &mut Writer, orders: &[Order]) -> Result<(), Failed> {
    for outcome in writer.carry_out(orders).outcomes {
        outcome.map_err(|refused| format!("{refused:?}"))?;
    }
    Ok(())
}
