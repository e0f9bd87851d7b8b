//! From a command's verb to its handler: the table of what this frontend can do.
//!
//! What isn't here isn't built: it answers BAD and is absent from CAPABILITY.

use ravenry_core::proto::imap::{Command, Verb};

use super::session::Session;
use super::{
    acl, append, basic, compress, create, enable, esearch, idle, list, login, mailbox, metadata,
    quota, rename, select, selected, starttls, subscribe, unauthenticate,
};
use crate::failure::Failure;

/// Carries a command out. The handler has put the tagged reply into the client's output when it
/// returns `Ok`, and none when it fails.
pub(crate) async fn run(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    count(session, command.verb);
    let mut again = true;
    loop {
        match handle(session, command).await {
            Err(Failure::Moved) if again => again = false,
            done => return done,
        }
    }
}

async fn handle(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
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
    let metrics = &session.fe.desk.metrics;
    let counter = match verb {
        Verb::Capability
        | Verb::Noop
        | Verb::Id
        | Verb::Enable
        | Verb::Compress
        | Verb::Logout
        | Verb::Namespace
        | Verb::StartTls => &metrics.commands_session,
        Verb::Login | Verb::Authenticate | Verb::Unauthenticate => &metrics.commands_login,
        Verb::Select | Verb::Examine | Verb::Close | Verb::Unselect => &metrics.commands_select,
        Verb::Append => &metrics.commands_append,
        Verb::Idle => &metrics.commands_idle,
        Verb::List | Verb::Xlist | Verb::Rlist | Verb::Lsub | Verb::Rlsub | Verb::Status => {
            &metrics.commands_list
        }
        Verb::Check | Verb::Esearch => &metrics.commands_message,
        verb if verb.has_uid_form() => &metrics.commands_message,
        _ => &metrics.commands_mailbox,
    };
    counter.add(1);
}

async fn authenticated(session: &mut Session, command: &Command<'_>) -> Result<(), Failure> {
    match command.verb {
        Verb::Enable => enable::enable(session, command).await,
        Verb::Compress => compress::compress(session, command).await,
        Verb::Unauthenticate => unauthenticate::unauthenticate(session, command).await,
        Verb::Namespace => list::namespace(session, command),
        Verb::List | Verb::Xlist | Verb::Rlist => list::list(session, command).await,
        Verb::MyRights => acl::myrights(session, command).await,
        Verb::GetAcl => acl::getacl(session, command).await,
        Verb::ListRights => acl::listrights(session, command).await,
        Verb::SetAcl | Verb::DeleteAcl => acl::change_acl(session, command).await,
        Verb::Select | Verb::Examine => select::select(session, command).await,
        Verb::Status => mailbox::status(session, command).await,
        Verb::Esearch => esearch::esearch(session, command).await,
        Verb::Create => create::create(session, command).await,
        Verb::Delete => mailbox::delete(session, command).await,
        Verb::Rename | Verb::Xrename => rename::rename(session, command).await,
        Verb::Xfer => rename::xfer(session, command).await,
        Verb::GetMetadata | Verb::SetMetadata => metadata::metadata(session, command).await,
        Verb::GetAnnotation | Verb::SetAnnotation => metadata::annotation(session, command).await,
        Verb::GetQuotaRoot => quota::get_root(session, command).await,
        Verb::GetQuota | Verb::SetQuota => quota::quota(session, command).await,
        Verb::Lsub | Verb::Rlsub => subscribe::lsub(session, command).await,
        Verb::Subscribe => subscribe::subscribe(session, command).await,
        Verb::Unsubscribe => subscribe::unsubscribe(session, command).await,
        Verb::Append | Verb::Replace => append::without_literal(session, command).await,
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
