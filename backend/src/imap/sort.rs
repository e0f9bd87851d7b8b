//! SORT (RFC 5256) with RETURN (ESORT, RFC 5267 section 3.1), SAVE (RFC 5182), MODSEQ (RFC 7162) and what clients show of addresses
//! (SORT=DISPLAY, RFC 5957).
//!
//! The messages are found as by SEARCH; what they are compared by comes from what is kept of their headers. They are put in order on
//! a thread of the pool.

use ravenry_core::proto::imap::{Command, SortCommand, SortCriterion, Uids};

use super::failure::Failure;
use super::search::{
    ModSeqs, Needed, Walk, Want, completed, counted, extended, plain, program, refused, to_save,
};
use super::select::Selected;
use super::session::{Reply, Session};
use crate::message::Summary;
use crate::sorting::{Key, Sorter, TooLarge, keys, need_header};
use crate::store::Message;

/// SORT.
pub(super) async fn sort(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    let given = SortCommand::parse(command.args).map_err(|error| refused(selected, error))?;
    let by_modseq = given.key.has_modseq();
    let saving = given.returns.filter(|returns| returns.save);
    let program = program(session, selected, given.key, saving.is_some())?;
    let wanted = By(given.criteria.clone());
    let mut walk = Walk::new((session, selected), command.tag, program, wanted);
    let mut sorter = Sorter::new(given.criteria);
    while let Some(found) = walk.next(session).await? {
        for found in found {
            let pushed = sorter.push(found.uid, found.modseq, found.item);
            pushed.map_err(too_large)?;
        }
    }
    let disk = &session.backend.parts.disk;
    let sorted = disk.run(move || sorter.sorted()).await?;
    let (mut uids, mut modseqs) = (Uids::default(), ModSeqs::default());
    for (uid, modseq) in sorted {
        uids.push(uid);
        modseqs.push(modseq);
    }
    if let Some(returns) = saving {
        selected.saved = to_save(returns, &uids)?;
    }
    let found = counted(command, &selected.numbers, uids);
    let modseq = modseqs.of(given.returns).filter(|_| by_modseq);
    let answer = match given.returns {
        None => plain("SORT", &found, modseq),
        Some(returns) if returns.saves_only() => Vec::new(),
        Some(returns) => extended(command, returns, &found, modseq),
    };
    session.client.send(&answer).await?;
    completed(&walk)
}

/// So many messages, or so long headers, aren't held in memory.
pub(super) fn too_large(TooLarge: TooLarge) -> Failure {
    Failure::coded("LIMIT", "Too much to be put in order: narrow the search")
}

/// What messages are compared by.
struct By(Vec<SortCriterion>);

impl Want for By {
    type Item = Vec<Key>;

    fn needs_header(&self) -> bool {
        need_header(&self.0)
    }

    fn take(&self, message: &Message, kept: Option<Summary<'_>>) -> Result<Vec<Key>, Needed> {
        keys(&self.0, message, kept).ok_or(Needed)
    }
}
