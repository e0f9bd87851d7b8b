//! Whether a data file is whole, found with ordinary reads before it is mapped.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Checks the file; the inner error says what is wrong with it.
pub(super) fn file(file: &File) -> io::Result<Result<(), String>> {
    let bytes = file.metadata()?.len();
    let mut head = [0; META_END];
    match file.read_exact_at(&mut head, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(Err(format!("it ends after {bytes} bytes")));
        }
        read => read?,
    }
    let Some(first) = MetaPage::decode(&head) else {
        return Ok(Err("its first page is none of LMDB's".to_owned()));
    };
    match file.read_exact_at(&mut head, u64::from(first.page_bytes)) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Ok(Err(format!("it ends after {bytes} bytes")));
        }
        read => read?,
    }
    let Some(second) = MetaPage::decode(&head).filter(|p| p.page_bytes == first.page_bytes) else {
        return Ok(Err("its second page is none of LMDB's".to_owned()));
    };
    let newest = if second.transaction > first.transaction {
        second
    } else {
        first
    };
    let needed = (newest.last_page + 1).saturating_mul(u64::from(newest.page_bytes));
    Ok(if bytes < needed {
        Err(format!("it has {bytes} bytes of {needed}"))
    } else {
        Ok(())
    })
}

/// What a meta page says (`MDB_page`, then `MDB_meta`, of LMDB's 64-bit layout).
#[derive(Clone, Copy)]
struct MetaPage {
    page_bytes: u32,
    last_page: u64,
    transaction: u64,
}

impl MetaPage {
    fn decode(page: &[u8; META_END]) -> Option<Self> {
        let u16_at = |at: usize| u16::from_ne_bytes([page[at], page[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let page_bytes = u32_at(40);
        let good = u16_at(10) & FLAG_META != 0
            && u32_at(16) == 0xBEEF_C0DE
            && u32_at(20) == 1
            && page_bytes.is_power_of_two()
            && (512..=65536).contains(&page_bytes);
        good.then(|| Self {
            page_bytes,
            last_page: u64_at(136),
            transaction: u64_at(144),
        })
    }
}

const FLAG_META: u16 = 0x08;
const META_END: usize = 152;
