//! Opening an LMDB environment: the one place outside `rt` with unsafe code.
//!
//! A directory is one process' alone (`own`), and a file is mapped only when it has been checked
//! (`check`): `open` argues why that makes it sound. [`Durable`] does all of it for a store whose every
//! commit is synced; the mailbox list, which may be begun anew, has its own order (`mailboxes::file`).

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use heed::{Env, EnvFlags, EnvOpenOptions, WithoutTls};

pub use self::durable::{Durable, DurableError};

pub(crate) mod check;
mod durable;
mod tree;

/// Why a directory can't be had.
#[derive(Debug)]
pub(crate) enum OwnError {
    /// Another process has it.
    InUse { path: PathBuf },
    /// The operating system refused: what was tried, and its answer.
    Io { what: String, error: io::Error },
}

impl OwnError {
    fn io(what: &str, path: &Path, error: io::Error) -> Self {
        let what = format!("{what} {}", path.display());
        Self::Io { what, error }
    }
}

/// Takes the directory for this process, as long as the file that is given back lives.
pub(crate) fn own(directory: &Path) -> Result<File, OwnError> {
    let path = directory.join("owner.lock");
    let lock = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| OwnError::io("open", &path, error))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OwnError::InUse { path }),
        Err(TryLockError::Error(error)) => Err(OwnError::io("lock", &path, error)),
    }
}

/// That the directory and those above it are there has to be on the disk, too.
pub(crate) fn sync_names_of(directory: &Path) -> Result<(), OwnError> {
    for above in directory.ancestors().take(3) {
        // The last of a relative path is the empty one.
        let above = if above.as_os_str().is_empty() {
            Path::new(".")
        } else {
            above
        };
        let synced = File::open(above).and_then(|directory| directory.sync_all());
        synced.map_err(|error| OwnError::io("sync", above, error))?;
    }
    Ok(())
}

/// LMDB writes its lock file through a map, where a full disk is no error but a SIGBUS: the file
/// gets its blocks before. Nobody else has it open, and LMDB begins it anew.
pub(crate) fn take_room_for_lock(directory: &Path) -> Result<(), OwnError> {
    let path = directory.join("lock.mdb");
    let room = vec![0; LOCK_BYTES];
    fs::write(&path, room).map_err(|error| OwnError::io("write", &path, error))
}

/// More than the shards and pools of a machine ever read at once.
const READERS_MAX: u32 = 1024;
/// A reader takes 64 bytes, LMDB's head some hundred.
const LOCK_BYTES: usize = (READERS_MAX as usize + 16) * 64;

/// Opens (or begins) the environment in the directory `path`.
///
/// Read transactions aren't tied to threads (NOTLS), so that a thread may have several. A `durable`
/// environment's commits are on the disk when they return. Another's aren't synced: what it keeps can
/// be rebuilt, and the caller's mark tells after a crash of the machine that it has to be.
pub(crate) fn open(
    path: &Path,
    map_bytes: usize,
    databases_max: u32,
    durable: bool,
) -> heed::Result<Env<WithoutTls>> {
    let mut options = EnvOpenOptions::new().read_txn_without_tls();
    options
        .map_size(map_bytes)
        .max_dbs(databases_max)
        .max_readers(READERS_MAX);
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
