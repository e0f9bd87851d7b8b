//! SEARCH (RFC 3501 section 6.4.4) with RETURN (ESEARCH, RFC 4731), WITHIN (RFC 5032), SAVEDATE (RFC 8514), OBJECTID (RFC 8474),
//! MODSEQ (RFC 7162) and SAVE (RFC 5182).
//!
//! SORT and THREAD, which have the same keys, share the [`walk`] over the messages, and the [`answer`].

mod answer;
mod letter;
mod walk;

use std::borrow::Cow;

use ravenry_core::proto::imap::{
    Command, SearchCommand, SearchError, SearchKey, SearchReturns, Uids,
};

pub(super) use self::answer::{ModSeqs, counted, extended, plain, to_save};
pub(super) use self::letter::Needed;
pub(super) use self::walk::{Walk, Want};
use super::failure::Failure;
use super::select::Selected;
use super::session::{COMPLETED, Reply, Session, ok};
use crate::delivery;
use crate::message::Summary;
use crate::search::{Context, Program};
use crate::store::Message;

/// With UTF8=ACCEPT strings are in UTF-8 (RFC 6855 section 3).
const ONE_CHARSET: Failure =
    Failure::Bad(Cow::Borrowed("No charset with UTF8=ACCEPT: it is UTF-8"));

/// SEARCH.
pub(super) async fn search(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    let mut given = SearchCommand::parse(command.args).map_err(|error| match error {
        SearchError::Charset { .. } if session.has_one_charset() => ONE_CHARSET,
        error => refused(selected, error),
    })?;
    if given.charset.is_some() && session.has_one_charset() {
        return Err(ONE_CHARSET);
    }
    if session.rev2 {
        // RFC 9051 section 6.4.4: the answer is an ESEARCH.
        given.returns.get_or_insert_with(|| SearchReturns {
            all: true,
            ..SearchReturns::default()
        });
    }
    let by_modseq = given.key.has_modseq();
    let saving = given.returns.filter(|returns| returns.save);
    let program = program(session, selected, given.key, saving.is_some())?;
    let mut walk = Walk::new((session, selected), command.tag, program, NoMore);
    let (mut uids, mut modseqs) = (Uids::default(), ModSeqs::default());
    while let Some(found) = walk.next(session).await? {
        for found in found {
            uids.push(found.uid);
            modseqs.push(found.modseq);
        }
    }
    if let Some(returns) = saving {
        selected.saved = to_save(returns, &uids)?;
    }
    let found = counted(command, &selected.numbers, uids);
    let modseq = modseqs.of(given.returns).filter(|_| by_modseq);
    let answer = match given.returns {
        None => plain("SEARCH", &found, modseq),
        Some(returns) if returns.saves_only() => Vec::new(),
        Some(returns) => extended(command, returns, &found, modseq),
    };
    session.client.send(&answer).await?;
    completed(&walk)
}

/// The reply to a walk that is done.
pub(super) fn completed<W: Want>(walk: &Walk<W>) -> Reply {
    if walk.missed() {
        return ok("OK [EXPUNGEISSUED] Some of the messages are gone");
    }
    COMPLETED
}

/// The answer to arguments that can't be read.
pub(super) fn refused(selected: &mut Selected, error: SearchError) -> Failure {
    match error {
        SearchError::Parse(error) => error.into(),
        SearchError::Charset { saves } => {
            if saves {
                selected.saved = Uids::default();
            }
            Failure::coded("BADCHARSET (US-ASCII UTF-8)", "The charset isn't known")
        }
    }
}

/// Makes keys ready for the selected mailbox. If the result is to be saved, `$` is empty from here on, whatever ends in NO
/// (RFC 5182 section 2.1).
pub(super) fn program(
    session: &mut Session,
    selected: &mut Selected,
    key: SearchKey,
    saves: bool,
) -> Result<Program, Failure> {
    if key.has_modseq() {
        session.hears_modseqs(Some(selected));
    }
    let context = Context {
        exists: selected.numbers.count(),
        highest_uid: selected.numbers.last_uid(),
        saved: &selected.saved,
        keywords: &selected.mailbox.keywords,
        now: delivery::now().seconds,
    };
    let program = Program::new(key, &context);
    if saves {
        selected.saved = Uids::default();
    }
    program.map_err(|error| Failure::coded("LIMIT", error.to_string()))
}

/// Nothing is wanted but which messages match.
struct NoMore;

impl Want for NoMore {
    type Item = ();

    fn needs_header(&self) -> bool {
        false
    }

    fn take(&self, _: &Message, _: Option<Summary<'_>>) -> Result<(), Needed> {
        Ok(())
    }
}
