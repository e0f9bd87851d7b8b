//! The table of what this backend can do: a command's verb, the state it needs, the capabilities that it brings, its
//! handler.
//!
//! What isn't here isn't built: it answers BAD and is absent from CAPABILITY.

use ravenry_core::proto::imap::{Command, Verb};

use super::failure::Failure;
use super::session::{Done, Reply, Session};
use super::{
    acl, append, basic, compress, copy, create, delete, expunge, fetch, idle, list, login,
    metadata, namespace, quota, rename, replace, search, select, sort, starttls, status, store,
    subscribe, thread, unauthenticate,
};

/// The states of RFC 3501 section 3 that a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Any,
    Authenticated,
    Selected,
}

use State::{Any, Authenticated, Selected};

/// The table: each line is a verb, its state, whether EXPUNGE may be told before its reply (RFC 3501
/// section 7.4.1), the capabilities, and the handler.
macro_rules! commands {
    ($($verb:ident $state:ident $expunges:literal [$($capability:literal)*] $handler:expr;)*) => {
        /// What a verb needs.
        fn entry(verb: Verb) -> Option<(State, bool)> {
            match verb {
                $(Verb::$verb => Some(($state, $expunges)),)*
                _ => None,
            }
        }

        /// The capabilities that commands bring.
        const OF_COMMANDS: &[&str] = &[$($($capability,)*)*];

        async fn handle(session: &mut Session, command: &Command<'_>) -> Reply {
            match command.verb {
                $(Verb::$verb => call!($state $handler, session, command),)*
                _ => Err(Failure::bad("Unrecognized command")),
            }
        }
    };
}

/// A handler of the selected state has the selected mailbox in its hands. Each has memory of its own for as long as it runs: in an
/// IDLE, which lasts, a session takes as much as that needs, and not what the largest does.
macro_rules! call {
    (Selected $handler:expr, $session:ident, $command:ident) => {{
        let Some(mut selected) = $session.selected.take() else {
            return Err(Failure::State("Select a mailbox first"));
        };
        let done = Box::pin($handler($session, &mut selected, $command)).await;
        $session.selected = Some(selected);
        done
    }};
    ($state:ident $handler:expr, $session:ident, $command:ident) => {
        Box::pin($handler($session, $command)).await
    };
}

commands! {
    Capability Any true [] basic::capability;
    Noop Any true [] basic::noop;
    Logout Any false [] basic::logout;
    Id Any true ["ID"] basic::id;
    StartTls Any false [] starttls::starttls;
    Login Any false [] login::login;
    Authenticate Any false [] login::authenticate;
    Enable Authenticated true ["ENABLE" "CONDSTORE" "QRESYNC" "UTF8=ACCEPT"] basic::enable;
    Compress Authenticated false ["COMPRESS=DEFLATE"] compress::compress;
    Unauthenticate Authenticated false ["UNAUTHENTICATE"] unauthenticate::unauthenticate;
    Select Authenticated false [] select::select;
    Examine Authenticated false [] select::select;
    List Authenticated true ["CHILDREN" "LIST-EXTENDED" "LIST-STATUS" "LIST-MYRIGHTS" "LIST-METADATA" "SPECIAL-USE"] list::list;
    Xlist Authenticated true [] list::list;
    Lsub Authenticated true [] subscribe::lsub;
    Subscribe Authenticated true [] subscribe::subscribe;
    Unsubscribe Authenticated true [] subscribe::subscribe;
    Status Authenticated true ["STATUS=SIZE"] status::status;
    Create Authenticated true ["CREATE-SPECIAL-USE"] create::create;
    Delete Authenticated true [] delete::delete;
    Rename Authenticated true [] rename::rename;
    Namespace Authenticated true ["NAMESPACE"] namespace::namespace;
    MyRights Authenticated true ["ACL" "RIGHTS=kxten"] acl::myrights;
    GetAcl Authenticated true [] acl::getacl;
    ListRights Authenticated true [] acl::listrights;
    SetAcl Authenticated true [] acl::change;
    DeleteAcl Authenticated true [] acl::change;
    GetQuota Authenticated true ["QUOTA" "QUOTA=RES-STORAGE" "QUOTA=RES-MESSAGE" "QUOTA=RES-MAILBOX"] quota::get;
    GetQuotaRoot Authenticated true [] quota::get_root;
    SetQuota Authenticated true ["QUOTASET"] quota::set;
    GetMetadata Authenticated true ["METADATA"] metadata::get;
    GetAnnotation Authenticated true [] metadata::get;
    SetMetadata Authenticated true [] metadata::set;
    Idle Authenticated true ["IDLE"] idle::idle;
    Close Authenticated false [] select::close;
    Unselect Authenticated false ["UNSELECT"] select::unselect;
    Append Authenticated true ["UIDPLUS" "MULTIAPPEND" "CATENATE"] append::without_literal;
    LocalAppend Authenticated true [] append::without_literal;
    Replace Selected true ["REPLACE"] replace::without_literal;
    Check Selected true [] basic::check;
    Fetch Selected false ["OBJECTID" "SAVEDATE" "BINARY" "PREVIEW"] fetch::fetch;
    Search Selected false ["ESEARCH" "SEARCHRES" "WITHIN"] search::search;
    Sort Selected false ["SORT" "SORT=DISPLAY" "ESORT" "I18NLEVEL=1"] sort::sort;
    Thread Selected false ["THREAD=ORDEREDSUBJECT" "THREAD=REFERENCES"] thread::thread;
    Store Selected false [] store::store;
    Copy Selected true [] copy::copy;
    Move Selected true ["MOVE"] copy::copy;
    Expunge Selected true [] expunge::expunge;
}

/// Capabilities that no single command brings.
const OF_ALL: &[&str] = &["IMAP4rev1", "IMAP4rev2", "LITERAL+"];

/// The capabilities in the session's present state.
pub(super) fn capabilities(session: &Session) -> String {
    let mut names: Vec<&str> = OF_ALL.to_vec();
    names.extend(session.backend.parts.member.capability());
    if session.user.is_some() {
        names.extend(OF_COMMANDS);
        if session.client.stream.is_compressed() {
            names.retain(|name| *name != "COMPRESS=DEFLATE");
        }
        let limit = session.backend.parts.backend.message_size;
        return format!("{} APPENDLIMIT={limit}", names.join(" "));
    }
    names.extend(["ID", "ENABLE", "SASL-IR"]);
    let (desk, leg) = (&session.backend.desk, &session.client.stream);
    if desk.parts.acceptor.is_some() && !leg.is_tls() {
        names.push("STARTTLS");
    }
    if desk.takes_logins(leg) {
        names.extend(["AUTH=PLAIN", "AUTH=LOGIN"]);
    } else {
        names.push("LOGINDISABLED");
    }
    names.join(" ")
}

/// Carries a command out, and says before its reply what has happened to the selected mailbox.
pub(super) async fn run(session: &mut Session, command: &Command<'_>) -> Reply {
    count(session, command.verb);
    let Some((state, expunges)) = entry(command.verb) else {
        return Err(Failure::bad("Unrecognized command"));
    };
    if state != Any {
        session.who()?;
    }
    let done = handle(session, command).await;
    if let Ok(Done::Tagged(_)) | Err(Failure::No(..)) = done {
        #[cfg(bug_14)] // Numbers change while they are in use.
        let expunges = expunges || command.verb == Verb::Search;
        // With UIDs, sequence numbers aren't used, so they may change.
        session.tell_news(expunges || command.uid).await?;
    }
    done
}

fn count(session: &Session, verb: Verb) {
    let metrics = &session.backend.desk.metrics;
    let counter = match verb {
        Verb::Capability
        | Verb::Noop
        | Verb::Id
        | Verb::Enable
        | Verb::Logout
        | Verb::Namespace
        | Verb::StartTls
        | Verb::Compress
        | Verb::Unauthenticate => &metrics.commands_session,
        Verb::Login | Verb::Authenticate => &metrics.commands_login,
        Verb::Select | Verb::Examine | Verb::Close | Verb::Unselect => &metrics.commands_select,
        Verb::Append | Verb::LocalAppend | Verb::Replace => &metrics.commands_append,
        Verb::Idle => &metrics.commands_idle,
        Verb::List | Verb::Xlist | Verb::Lsub | Verb::Status => &metrics.commands_list,
        Verb::Check => &metrics.commands_message,
        verb if verb.has_uid_form() => &metrics.commands_message,
        _ => &metrics.commands_mailbox,
    };
    counter.add(1);
}
