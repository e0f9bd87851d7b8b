//! Sending a piece of a file to a connection, and how much room there is for files.
//!
//! From 64 KiB up the bytes go through a pipe by splice(2) and never enter user memory. What is in the page cache the
//! shard puts into the pipe itself; where that might wait for the disk, a thread of a pool does. Below that, without a
//! pipe, and in a simulation, they are copied.

use std::{
    error,
    ffi::CString,
    fmt,
    fs::File,
    io,
    os::{
        fd::AsFd,
        unix::{ffi::OsStrExt, fs::FileExt},
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use super::{
    Pool, PoolError, Relayed, Stream,
    pipes::Lease,
    relay::{Patience, SPLICE_MIN, count_copied},
    shard, sim,
    stream::{is_would_block, uninterrupted},
    sys,
};

/// What is free for whoever isn't root, and all there is, of the file system that `path` is on: bytes. It may wait for the disk;
/// in a simulation both are a tebibyte.
///
/// # Errors
/// The system's.
pub fn space(path: &Path) -> io::Result<(u64, u64)> {
    if sim::is_on() {
        return Ok((1 << 40, 1 << 40));
    }
    sys::space(&CString::new(path.as_os_str().as_bytes())?)
}

/// What is copied at once.
const COPY_BYTES_MAX: u64 = 256 << 10;

/// What failed. Some of the bytes may have been sent.
#[derive(Debug)]
pub enum SendFileError {
    /// The file can't be read, or ends too early (`UnexpectedEof`).
    File(io::Error),
    /// Nobody reads it: the pool has too much to do.
    Pool(PoolError),
    /// The connection; `TimedOut` if it stalled.
    To(io::Error),
}

impl fmt::Display for SendFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => write!(f, "a file can't be read: {error}"),
            Self::Pool(error) => write!(f, "a file can't be read: {error}"),
            Self::To(error) => write!(f, "what a file is sent to failed: {error}"),
        }
    }
}

impl error::Error for SendFileError {}

/// Sends exactly `bytes` of a file, from `offset` on. Whenever nothing has moved for `stall`, it fails.
///
/// # Errors
/// What failed.
pub async fn send_file(
    (file, disk): (&Arc<File>, &Pool),
    offset: u64,
    bytes: u64,
    to: &Stream,
    stall: Duration,
) -> Result<Relayed, SendFileError> {
    let mut sent = Relayed::default();
    while sent.copied + sent.spliced < bytes {
        let done = sent.copied + sent.spliced;
        let (offset, left) = (offset + done, bytes - done);
        let lease = if left >= SPLICE_MIN {
            Lease::take()
        } else {
            None
        };
        let writing = lease.as_ref().and_then(|lease| lease.pipe().writing());
        match (lease, writing) {
            (Some(mut lease), Some(pipe)) => {
                let capacity = lease.pipe().capacity as u64;
                let most = usize::try_from(left.min(capacity)).unwrap_or(usize::MAX);
                // The thread may go on with it when this task is gone.
                lease.set_dirty(true);
                let in_memory = sys::is_in_memory(file.as_fd(), offset, most);
                let file = Arc::clone(file);
                let fill = move || {
                    uninterrupted(|| sys::splice_file(file.as_fd(), offset, pipe.as_fd(), most))
                };
                let filled = filled(if in_memory {
                    Ok(fill())
                } else {
                    disk.run(fill).await
                })?;
                drain(&lease, filled, to, stall).await?;
                lease.set_dirty(false);
                sent.spliced += filled as u64;
            }
            _ => {
                let most = left.min(COPY_BYTES_MAX);
                let bytes = read_file((file, disk), offset, most).await?;
                let written = super::timeout(stall, to.write_all(&bytes)).await;
                let written =
                    written.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()));
                written.map_err(SendFileError::To)?;
                count_copied(bytes.len());
                sent.copied += most;
            }
        }
    }
    Ok(sent)
}

/// Reads exactly `bytes` of a file, from `offset` on, on the pool's threads.
///
/// # Errors
/// What failed.
pub async fn read_file(
    (file, disk): (&Arc<File>, &Pool),
    offset: u64,
    bytes: u64,
) -> Result<Vec<u8>, SendFileError> {
    let file = Arc::clone(file);
    let read = move || {
        let mut buffer = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
        file.read_exact_at(&mut buffer, offset).map(|()| buffer)
    };
    let read = disk.run(read).await.map_err(SendFileError::Pool)?;
    read.map_err(SendFileError::File)
}

fn filled(outcome: Result<io::Result<usize>, PoolError>) -> Result<usize, SendFileError> {
    match outcome.map_err(SendFileError::Pool)? {
        Ok(0) => Err(SendFileError::File(io::ErrorKind::UnexpectedEof.into())),
        Ok(filled) => Ok(filled),
        Err(error) => Err(SendFileError::File(error)),
    }
}

async fn drain(
    lease: &Lease,
    mut left: usize,
    to: &Stream,
    stall: Duration,
) -> Result<(), SendFileError> {
    let mut patience = Patience::new(stall);
    while left > 0 {
        match uninterrupted(|| lease.pipe().drain(to, left)) {
            Ok(count) => {
                left -= count;
                patience.renew();
                shard::with(|shard| {
                    shard.stats.bytes_spliced.add(count as u64);
                    shard.spend_bytes(count);
                });
            }
            Err(error) if is_would_block(&error) => {
                let ready = patience.wait(to.writable()).await;
                ready.map_err(SendFileError::To)?;
            }
            Err(error) => return Err(SendFileError::To(error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::rt::channel::oneshot;
    use crate::rt::{Address, Listener, ShardConfig, block_on, spawn};

    const STALL: Duration = Duration::from_secs(10);

    /// What arrives of a file's piece, and how it went.
    fn sent(contents: &[u8], offset: u64, bytes: u64) -> (Vec<u8>, Result<Relayed, String>) {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(contents).unwrap();
        let file = Arc::new(file);
        block_on(ShardConfig::default(), async move {
            let disk = Pool::new("disk", 2, 16).unwrap();
            let listener = Listener::bind(&"127.0.0.1:0".parse::<Address>().unwrap()).unwrap();
            let address = listener.local_address().unwrap();
            let (tell, told) = oneshot();
            spawn(async move {
                let (to, _) = listener.accept().await.unwrap();
                let sent = send_file((&file, &disk), offset, bytes, &to, STALL).await;
                let _ = tell.send(sent.map_err(|error| error.to_string()));
            });
            let from = Stream::connect(&address, STALL).await.unwrap();
            let mut got = Vec::new();
            while from.read_into(&mut got, 100_000).await.unwrap() > 0 {}
            (got, told.await.unwrap())
        })
        .unwrap()
    }

    #[test]
    fn every_piece_arrives_whole() {
        let contents: Vec<u8> = (0..700_000_u32).flat_map(u32::to_le_bytes).collect();
        for (offset, bytes) in [
            (0, 0),
            (5, 1000),
            (1, SPLICE_MIN),
            (4097, 1_500_001),
            (0, contents.len() as u64),
        ] {
            let (got, how) = sent(&contents, offset, bytes);
            let wanted =
                &contents[usize::try_from(offset).unwrap()..][..usize::try_from(bytes).unwrap()];
            assert!(got == wanted, "{offset} {bytes}");
            let how = how.unwrap();
            assert_eq!(how.copied + how.spliced, bytes);
            assert_eq!(how.spliced > 0, bytes >= SPLICE_MIN);
        }
    }

    #[test]
    fn what_is_on_the_disk_alone_is_not_in_memory() {
        let mut file = tempfile::tempfile_in(".").unwrap();
        file.write_all(&[7; 100_000]).unwrap();
        file.sync_all().unwrap();
        // Wherever the kernel can say so.
        let can_say = sys::is_in_memory(file.as_fd(), 0, 1);
        assert_eq!(sys::is_in_memory(file.as_fd(), 5, 99_995), can_say);
        assert!(
            !sys::is_in_memory(file.as_fd(), 5, 99_996),
            "more than there is"
        );
        sys::forget_cached(file.as_fd());
        assert!(!sys::is_in_memory(file.as_fd(), 5, 50_000));
    }

    #[test]
    fn a_file_that_ends_too_early_is_an_error() {
        for bytes in [2000, 200_000] {
            let (got, how) = sent(&[7; 1000], 10, bytes);
            assert!(got.len() <= 990 && how.is_err(), "{how:?}");
        }
    }
}
