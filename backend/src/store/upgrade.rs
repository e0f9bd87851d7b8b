//! An index of an older layout gets what it has not, in one commit, when it is opened.

use std::ops::Bound;

use heed::{Env, RwTxn, WithoutTls};
use ravenry_core::mailboxes::replace_access;

use super::tables::{SCHEMA, Table, Tables, decode_message_key, due_key};
use super::{Expunged, MailboxId, StoreError};

/// Records that are read before what comes of them is written.
const PIECE: usize = 10_000;

impl Tables {
    /// Brings the index to this layout. What it has of UIDVALIDITYs is complete as it is read ([`super::tables::Meta`]).
    pub(super) fn upgrade(&self, env: &Env<WithoutTls>) -> Result<(), StoreError> {
        let mut writing = env.write_txn()?;
        // One that has none has never had a mailbox.
        let layout = self.layout(&writing)?.unwrap_or(SCHEMA);
        if layout == SCHEMA {
            return Ok(());
        }
        tracing::info!("the index has layout {layout}: it is brought to {SCHEMA}");
        if layout < 2 {
            self.fill_access(&mut writing)?;
        }
        if layout < 4 {
            self.fill_due(&mut writing)?;
        }
        let meta = self.meta(&writing)?;
        self.put_meta(&mut writing, meta)?;
        Ok(writing.commit()?)
    }

    fn fill_access(&self, writing: &mut RwTxn<'_>) -> Result<(), StoreError> {
        in_pieces(writing, self.names, |writing, piece| {
            let mut keys = Vec::new();
            for (_, id) in piece {
                let mailbox = self.mailbox(writing, MailboxId::decode(id)?)?;
                let mailbox = mailbox.ok_or(StoreError::Damaged("a name without its mailbox"))?;
                keys.extend(mailbox.access_keys());
            }
            keys.sort_unstable();
            Ok(replace_access(self.access, writing, &[], &keys)?)
        })
    }

    fn fill_due(&self, writing: &mut RwTxn<'_>) -> Result<(), StoreError> {
        in_pieces(writing, self.expunged, |writing, piece| {
            for (key, record) in piece {
                let (id, uid) = decode_message_key(key)?;
                let due = due_key(Expunged::decode(key, record)?.at, id, uid);
                self.due.put(writing, &due, &[])?;
            }
            Ok(())
        })
    }
}

/// Keys and their records.
type Piece = [(Vec<u8>, Vec<u8>)];

/// Goes through a table that doesn't change meanwhile.
fn in_pieces<'t>(
    writing: &mut RwTxn<'t>,
    table: Table,
    mut take: impl FnMut(&mut RwTxn<'t>, &Piece) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let from = after.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut piece = Vec::new();
        for entry in table.range(writing, &(from, Bound::Unbounded))?.take(PIECE) {
            let (key, record) = entry?;
            piece.push((key.to_vec(), record.to_vec()));
        }
        let Some((last, _)) = piece.last() else {
            return Ok(());
        };
        after = Some(last.clone());
        take(writing, &piece)?;
    }
}
