//! CATENATE (RFC 4469): parts of a message that is put together from what URLs of this server name (RFC 5092).
//!
//! A URL's bytes are what FETCH gives as the BODY of the same section; they go to the new message's file in pieces. No flag changes. The
//! user needs the right to read there. What can't be had ends the command with BADURL.

use ravenry_core::mailboxes::{Rights, utf7_of};
use ravenry_core::proto::imap::{FetchItem, MessageUrl, Section, UrlServer, url_in_code};
use ravenry_core::rt::Address;

use super::failure::Failure;
use super::fetch::content::{self, Wanted};
use super::fetch::section::{self, Found};
use super::receive::Receiving;
use super::session::Session;
use crate::shard::PIECE_BYTES;
use crate::store::{Mailbox, MailboxId, Message};

impl Receiving<'_> {
    /// Adds what a URL names to the message.
    pub(super) async fn url(&mut self, session: &Session, url: &[u8]) -> Result<(), Failure> {
        let bad = |why| Failure::coded(format!("BADURL {}", url_in_code(url)), why);
        let (mailbox, message, section) =
            named(session, self.target.selected, url).map_err(|why| match why {
                Unknown::Url(why) => bad(why),
                Unknown::Failed(failure) => failure,
            })?;
        let wanted = Wanted::of(&[FetchItem::Section(section.clone())]).with_rev2(session.rev2);
        let of = std::slice::from_ref(&message);
        let (contents, _) = content::load(&session.backend.parts, &mailbox, of, wanted).await?;
        let content = match contents.into_iter().next() {
            Some(Ok(content)) => content,
            Some(Err(error)) => {
                let path = session.backend.parts.store.path(&mailbox, message.uid);
                tracing::error!(session = %session.id, "{}: {error}", path.display());
                return Err(Failure::unavailable(
                    "The message that a URL names can't be read",
                ));
            }
            None => return Err(bad("There is no such message")),
        };
        let found = section::find(session, &section, &message, &content).await;
        let range = match found.map_err(unread)? {
            None => return Err(bad("There is no such part")),
            Some(Found::Bytes(bytes)) => {
                self.copy(session, bytes.len() as u64)?;
                return self.write(bytes).await;
            }
            Some(Found::At(range)) => range,
        };
        self.copy(session, range.end - range.start)?;
        let mut at = range.start;
        while at < range.end {
            let end = range.end.min(at + PIECE_BYTES);
            let piece = section::read(session, &content, at..end).await;
            self.write(piece.map_err(unread)?).await?;
            at = end;
        }
        Ok(())
    }

    /// Takes note of bytes that come from URLs. They cost the client nothing, so a command has no more of them than a message may have.
    fn copy(&mut self, session: &Session, bytes: u64) -> Result<(), Failure> {
        self.grow(session, bytes)?;
        self.copied = self.copied.saturating_add(bytes);
        if self.copied > session.backend.parts.backend.message_size {
            return Err(Failure::coded(
                "LIMIT",
                "The URLs of a command name too much",
            ));
        }
        Ok(())
    }
}

/// No response has begun here: what can't be read is refused.
fn unread(failure: Failure) -> Failure {
    match failure {
        Failure::Torn(why) => {
            tracing::error!("CATENATE: {why}");
            Failure::unavailable("The message that a URL names can't be read")
        }
        other => other,
    }
}

/// Why a URL names nothing.
enum Unknown {
    Url(&'static str),
    Failed(Failure),
}

impl From<Failure> for Unknown {
    fn from(failure: Failure) -> Self {
        match failure {
            // Whether there is one can't be told.
            Failure::No(code, text) if code == "UNAVAILABLE" => {
                Self::Failed(Failure::No(code, text))
            }
            // It isn't there, or isn't this user's to know of, or has no name that one may have.
            Failure::No(..) | Failure::Bad(_) => Self::Url("There is no such mailbox"),
            other => Self::Failed(other),
        }
    }
}

/// The message that a URL names, and what of it.
fn named(
    session: &Session,
    selected: Option<MailboxId>,
    url: &[u8],
) -> Result<(Mailbox, Message, Section), Unknown> {
    let url = MessageUrl::parse(url).map_err(|_| Unknown::Url("It isn't the URL of a message"))?;
    if let Some(server) = &url.server
        && !is_here(session, server)?
    {
        return Err(Unknown::Url("Not this user's at this server"));
    }
    let store = &session.backend.parts.store;
    let (mailbox, rights) = match (&url.mailbox, selected) {
        (Some(name), _) => {
            let name = utf7_of(name).map_err(|_| Unknown::Url("The name isn't UTF-8"))?;
            // UTF-8 in a URL, whatever the client writes names in elsewhere.
            session.mailbox_named(&session.internal_of(&name)?)?
        }
        (None, Some(selected)) => {
            let mailbox = store.mailbox_by_id(selected).map_err(Failure::from)?;
            let mailbox = mailbox.ok_or(Unknown::Url("There is no such mailbox"))?;
            let rights = mailbox.acl.rights_on(&mailbox.name, session.who()?);
            (mailbox, rights)
        }
        (None, None) => return Err(Unknown::Url("No mailbox is selected")),
    };
    if !rights.contains(Rights::READ) {
        return Err(Unknown::Url("Permission denied"));
    }
    if url
        .uidvalidity
        .is_some_and(|given| given != mailbox.uidvalidity)
    {
        return Err(Unknown::Url("The mailbox has another UIDVALIDITY"));
    }
    let message = store.message(mailbox.id, url.uid).map_err(Failure::from)?;
    let message = message.ok_or(Unknown::Url("There is no such message"))?;
    Ok((mailbox, message, url.section))
}

/// Whether a URL is of this server and this user.
fn is_here(session: &Session, server: &UrlServer) -> Result<bool, Failure> {
    let user = session.who()?.user.as_str().as_bytes();
    let parts = &session.backend.parts;
    let listeners = parts.backend.imap.iter().chain(&parts.backend.imaps);
    let mut ports = listeners.filter_map(|address| match address {
        Address::Tcp(address) => Some(address.port()),
        Address::Unix(_) => None,
    });
    let name = session.backend.desk.parts.servername.as_bytes();
    Ok(server.host.eq_ignore_ascii_case(name)
        && server.user.as_deref().is_none_or(|given| given == user)
        && server
            .port
            .is_none_or(|given| ports.any(|port| port == given)))
}
