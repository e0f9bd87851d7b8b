//! How much room a backend has: the entry of the server by which frontends, Cyrus' and ours, choose one of several for a new
//! mailbox. It is what Cyrus calls it, and is asked for by GETMETADATA "".

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use ravenry_core::rt;

use crate::shard::Parts;

/// The entry's name.
pub(super) const ENTRY: &str = "/shared/vendor/cmu/cyrus-imapd/freespace/total";

/// Its value: what is free in all partitions, and what there is, in KiB. Where that can't be told there is none.
pub(super) async fn value(parts: &Parts) -> Option<Vec<u8>> {
    let folders: Vec<PathBuf> = parts.backend.partitions.values().cloned().collect();
    match parts.disk.run(move || sum(folders)).await {
        Ok(Ok((free, all))) => Some(format!("{};{}", free / 1024, all / 1024).into_bytes()),
        Ok(Err(error)) => {
            tracing::warn!("how much room there is for mail can't be seen: {error}");
            None
        }
        Err(busy) => {
            tracing::warn!("how much room there is for mail can't be seen: {busy}");
            None
        }
    }
}

/// Free and all bytes; what several partitions share counts once.
fn sum(folders: Vec<PathBuf>) -> io::Result<(u64, u64)> {
    let (mut devices, mut free, mut all) = (BTreeSet::new(), 0_u64, 0_u64);
    for folder in folders {
        if devices.insert(fs::metadata(&folder)?.dev()) {
            let (here, whole) = rt::space(&folder)?;
            free = free.saturating_add(here);
            all = all.saturating_add(whole);
        }
    }
    Ok((free, all))
}

#[cfg(test)]
mod tests {
    use super::sum;

    #[test]
    fn what_is_shared_counts_once() {
        let folder = tempfile::tempdir().unwrap();
        let here = || folder.path().to_owned();
        let (free, all) = sum(vec![here()]).unwrap();
        assert!(free <= all && all > 0);
        assert_eq!(sum(vec![here(), here()]).unwrap().1, all);
        assert!(sum(vec![folder.path().join("nosuch")]).is_err());
        assert_eq!(sum(Vec::new()).unwrap(), (0, 0));
    }
}
