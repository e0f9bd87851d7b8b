//! EXPUNGE (RFC 3501 section 6.4.3) and UID EXPUNGE (RFC 4315 section 2.1; HIGHESTMODSEQ: RFC 7162 section 3.2.7).

use ravenry_core::mailboxes::Rights;
use ravenry_core::proto::imap::{Command, SequenceSet};

use super::select::Selected;
use super::session::{Reply, Session};
use crate::store::Order;

/// EXPUNGE; the EXPUNGE responses are news like those of others.
pub(super) async fn expunge(
    session: &mut Session,
    selected: &mut Selected,
    command: &Command<'_>,
) -> Reply {
    let uids = if command.uid {
        let mut args = command.args;
        args.sp()?;
        let set = SequenceSet::read(&mut args)?;
        args.end()?;
        Some(selected.among(&set, true)?)
    } else {
        command.no_args()?;
        // What this session doesn't know of yet stays.
        Some(selected.numbers.all())
    };
    session.may(selected, Rights::EXPUNGE)?;
    let order = Order::Expunge {
        mailbox: selected.mailbox.id,
        uids,
    };
    session.backend.carry_out(order).await?;
    session.completed_at(selected).await
}
