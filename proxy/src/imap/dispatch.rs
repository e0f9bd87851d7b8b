//! From a command's verb to its handler: the table of what this frontend can do.
//!
//! What isn't here isn't built: it answers BAD and is absent from CAPABILITY.

use ravenry_core::proto::imap::{Command, Verb};

use super::session::Session;
use super::{
    acl, append, basic, idle, list, login, mailbox, select, selected, starttls, subscribe,
};
use crate::failure::Failure;

/// Carries a command out. The handler has put the tagged reply into the client's output when it
/// returns `Ok`, and none when it fails.
pub(crate) async fn run(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    count(session, command.verb);
    match command.verb {
        Verb::Capability => basic::capability(session, command).await,
        Verb::Noop => basic::noop(session, command).await,
        Verb::Id => basic::id(session, command),
        Verb::Logout => {
            command.no_args()?;
            Err(session.farewell(command.tag).await)
        }
        Verb::StartTls => starttls::starttls(session, command).await,
        Verb::Login => login::login(session, command).await,
        Verb::Authenticate => login::authenticate(session, command).await,
        Verb::Unknown => Err(Failure::bad("Unrecognized command")),
        _ => {
            session.logged_in()?;
            authenticated(session, command).await
        }
    }
}

fn count(session: &Session, verb: Verb) {
    let metrics = &session.fe.metrics;
    let counter = match verb {
        Verb::Capability
        | Verb::Noop
        | Verb::Id
        | Verb::Logout
        | Verb::Namespace
        | Verb::StartTls => &metrics.commands_session,
        Verb::Login | Verb::Authenticate => &metrics.commands_login,
        Verb::Select | Verb::Examine | Verb::Close | Verb::Unselect => &metrics.commands_select,
        Verb::Append => &metrics.commands_append,
        Verb::Idle => &metrics.commands_idle,
        Verb::List | Verb::Lsub | Verb::Status => &metrics.commands_list,
        Verb::Check => &metrics.commands_message,
        verb if verb.has_uid_form() => &metrics.commands_message,
        _ => &metrics.commands_mailbox,
    };
    counter.add(1);
}

async fn authenticated(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    match command.verb {
        Verb::Namespace => list::namespace(session, command),
        Verb::List => list::list(session, command).await,
        Verb::MyRights => acl::myrights(session, command).await,
        Verb::GetAcl => acl::getacl(session, command).await,
        Verb::ListRights => acl::listrights(session, command).await,
        Verb::SetAcl | Verb::DeleteAcl => acl::change_acl(session, command).await,
        Verb::Select | Verb::Examine => select::select(session, command).await,
        Verb::Status => mailbox::status(session, command).await,
        Verb::Create => mailbox::create(session, command).await,
        Verb::Delete => mailbox::delete(session, command).await,
        Verb::Rename => mailbox::rename(session, command).await,
        Verb::Lsub => subscribe::lsub(session, command).await,
        Verb::Subscribe => subscribe::subscribe(session, command).await,
        Verb::Unsubscribe => subscribe::unsubscribe(session, command).await,
        Verb::Append => append::without_message(command),
        Verb::Idle => idle::idle(session, command).await,
        Verb::Close | Verb::Unselect => selected::leave(session, command).await,
        Verb::Copy | Verb::Move => selected::copy(session, command).await,
        Verb::Fetch
        | Verb::Store
        | Verb::Search
        | Verb::Sort
        | Verb::Thread
        | Verb::Expunge
        | Verb::Check => selected::pass(session, command).await,
        _ => Err(Failure::bad("Unrecognized command")),
    }
}
