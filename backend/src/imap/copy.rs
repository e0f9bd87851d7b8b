//! COPY (RFC 3501 section 6.4.7), MOVE (RFC 6851), with COPYUID (RFC 4315). A copy has the flags that the user may set where
//! it is (RFC 4314 section 4).

use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::{Command, SequenceSet, Verb};

use super::append::{target, to_target};
use super::failure::Failure;
use super::flags::settable;
use super::select::Selected;
use super::session::{Reply, Session, ok};
use crate::store::{Order, Outcome};

/// COPY and MOVE: all of the messages or none.
pub(super) async fn copy(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let set = SequenceSet::read(&mut args)?;
    args.sp()?;
    let given = args.astring()?;
    args.end()?;
    let uids = selected.among(&set, command.uid)?;
    let moves = command.verb == Verb::Move;
    if moves {
        session.may(selected, Rights::EXPUNGE)?;
        session.may(selected, Rights::DELETE_MESSAGES)?;
    }
    let (mailbox, rights) = target(session, &given)?;
    if uids.is_empty() {
        return ok("OK Completed");
    }
    let order = Order::Copy {
        from: selected.mailbox.id,
        uids,
        to: mailbox.id,
        moves,
        keep: settable(rights),
    };
    let outcome = session.backend.carry_out(order).await;
    let Outcome::Copied { from, to } = outcome.map_err(|refused| to_target(refused.into()))? else {
        return Err(Failure::unavailable("The store gave no answer"));
    };
    if from.is_empty() || !rights.contains(Rights::READ) {
        return ok("OK Completed");
    }
    let code = format!("[COPYUID {} {from} {}]", to.uidvalidity, to.uids);
    if moves {
        // Before the EXPUNGE responses (RFC 6851 section 4.3).
        session.client.push_line(&format!("* OK {code} Completed"));
        return session.completed_at(selected).await;
    }
    ok(format!("OK {code} Completed"))
}
