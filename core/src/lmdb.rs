//! Opening an LMDB environment: the one place outside `rt` with unsafe code.
//!
//! Whoever calls [`open`] has checked the file first (`mailboxes::file` does) and holds the
//! lock that keeps a second Ravenry out.

use std::path::Path;

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};

/// Opens (or begins) the environment in the directory `path`.
///
/// Read transactions aren't tied to threads (NOTLS), so that a thread may have several. A `durable`
/// environment's commits are on the disk when they return. Another's aren't synced: what it keeps can
/// be rebuilt, and the caller's mark tells after a crash of the machine that it has to be.
pub(crate) fn open(
    path: &Path,
    map_bytes: usize,
    (databases_max, readers_max): (u32, u32),
    durable: bool,
) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options
        .map_size(map_bytes)
        .max_dbs(databases_max)
        .max_readers(readers_max);
    let flags = if durable {
        EnvFlags::empty()
    } else {
        EnvFlags::NO_SYNC | EnvFlags::NO_META_SYNC
    };
    #[expect(
        unsafe_code,
        reason = "heed's open is an unsafe fn; obligations argued above"
    )]
    // SAFETY: `open` maps the file, and a map is sound only while nobody changes the file
    // behind LMDB's back and while what it holds is what LMDB wrote:
    // 1. The directory is ours alone: the caller holds an exclusive flock there for as long as
    //    the environment lives, and a second `open` of one path in this process is refused by heed.
    // 2. The file isn't cut short or damaged: the caller read and checked every page with
    //    ordinary reads before this call, and moved a file aside that failed.
    // 3. NO_SYNC without WRITE_MAP changes durability alone: pages reach the file by write(2), so
    //    a crash of this process leaves a whole file, and after a crash of the machine the
    //    caller's mark (boot id, clean) keeps the file from being mapped at all. Without NO_SYNC
    //    pages are synced before the meta page that leads to them is written.
    // 4. NO_LOCK isn't set: readers and the writer are kept apart by LMDB's own lock file.
    unsafe {
        options.flags(flags).open(path)
    }
}
