//! A message on its way into the store: its bytes as they come, in pieces to a thread that may wait for the disk.

use std::time::UNIX_EPOCH;

use ravenry_core::proto::imap::DateTime;
use ravenry_core::rt::{self, PoolError};

use crate::message;
use crate::shard::Parts;
use crate::store::{Ready, Staged, Store, StoreError};

/// So much is gathered before it is written.
const PIECE_BYTES: usize = 256 * 1024;

/// Why a message can't be stored.
#[derive(Debug)]
pub(crate) enum NotStored {
    /// The disk refuses.
    Store(StoreError),
    /// Too much waits for it.
    Pool(PoolError),
    /// It has a NUL in it, which no literal can carry (RFC 3501 section 9, CHAR8), where it can't be encoded.
    Nul,
}

impl From<StoreError> for NotStored {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<PoolError> for NotStored {
    fn from(error: PoolError) -> Self {
        Self::Pool(error)
    }
}

/// A message that is coming.
pub(crate) struct Message {
    parts: Parts,
    partition: String,
    /// There once something has been written.
    staged: Option<Staged>,
    /// What is kept of it for SEARCH, made when the first bytes are written.
    record: Vec<u8>,
    gathered: Vec<u8>,
    size: u64,
    has_nul: bool,
}

impl Message {
    pub(crate) fn begin(parts: &Parts, partition: &str) -> Self {
        Self {
            parts: parts.clone(),
            partition: partition.to_owned(),
            staged: None,
            record: Vec::new(),
            gathered: Vec::new(),
            size: 0,
            has_nul: false,
        }
    }

    /// Adds to it.
    pub(crate) async fn write(&mut self, bytes: Vec<u8>) -> Result<(), NotStored> {
        self.has_nul |= memchr::memchr(0, &bytes).is_some();
        self.size += bytes.len() as u64;
        if self.gathered.is_empty() {
            self.gathered = bytes;
        } else {
            self.gathered.extend_from_slice(&bytes);
        }
        if self.gathered.len() >= PIECE_BYTES {
            self.write_gathered().await?;
        }
        Ok(())
    }

    async fn write_gathered(&mut self) -> Result<(), NotStored> {
        let bytes = std::mem::take(&mut self.gathered);
        let (staged, store, partition) = (
            self.staged.take(),
            self.parts.store.clone(),
            self.partition.clone(),
        );
        let written = self.parts.disk.run(move || {
            let record = match &staged {
                None => Some(message::record_of_beginning(&bytes)),
                Some(_) => None,
            };
            let mut staged = staged.map_or_else(|| store.stage(&partition), Ok)?;
            staged.write(&bytes)?;
            Ok::<_, StoreError>((staged, record))
        });
        let (staged, record) = written.await??;
        self.staged = Some(staged);
        if let Some(record) = record {
            self.record = record;
        }
        Ok(())
    }

    /// All of it has come: it is on the disk when this returns.
    pub(crate) async fn finish(mut self) -> Result<Ready, NotStored> {
        if self.has_nul {
            return Err(NotStored::Nul);
        }
        let bytes = std::mem::take(&mut self.gathered);
        let (staged, store, partition) =
            (self.staged.take(), self.parts.store.clone(), self.partition);
        let record = self.record;
        let finished = self.parts.disk.run(move || match staged {
            // A message that came in pieces has its structure made when it is first asked for.
            Some(mut staged) => {
                staged.write(&bytes)?;
                let mut ready = staged.finish()?;
                ready.structure = record;
                Ok(ready)
            }
            None => whole(&store, &partition, &bytes),
        });
        Ok(finished.await??)
    }

    /// The same where NULs may be in parts of the encoding "binary" (RFC 3516): what is stored has these parts in base64.
    pub(crate) async fn finish_binary(mut self) -> Result<Ready, NotStored> {
        if !self.has_nul {
            return self.finish().await;
        }
        let mut bytes = std::mem::take(&mut self.gathered);
        let (staged, store, partition) =
            (self.staged.take(), self.parts.store.clone(), self.partition);
        let finished = self.parts.read_whole(self.size, move || {
            if let Some(mut staged) = staged {
                staged.write(&bytes)?;
                bytes = staged.read_back()?;
            }
            let encoded = message::without_nuls(&bytes).ok_or(NotStored::Nul)?;
            Ok(whole(&store, &partition, &encoded)?)
        });
        finished.await?
    }
}

/// Stores a message that is here as a whole.
fn whole(store: &Store, partition: &str, bytes: &[u8]) -> Result<Ready, StoreError> {
    let mut staged = store.stage(partition)?;
    staged.write(bytes)?;
    let mut ready = staged.finish()?;
    ready.structure = message::record(bytes);
    Ok(ready)
}

/// The date of a message that comes without one.
pub(crate) fn now() -> DateTime {
    let since = rt::wall_clock().duration_since(UNIX_EPOCH);
    let seconds = since.map_or(0, |since| since.as_secs());
    DateTime {
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        zone: 0,
    }
}
