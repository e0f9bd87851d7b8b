//! What is put before a message: `Return-Path` and `Received` (RFC 5321 section 4.4), and what the log says of it.

use ravenry_core::proto::imap::DateTime;
use ravenry_core::proto::lmtp::Path;
use ravenry_core::rt::Address;

use super::session::Session;

/// So much of a message is looked at for its Message-ID.
pub(super) const HEAD_BYTES_MAX: usize = 8 * 1024;

/// The two fields, for a message that comes now.
pub(super) fn fields(session: &Session, from: &Path, now: DateTime) -> Vec<u8> {
    let with = match (session.client.stream.is_tls(), session.user.is_some()) {
        (false, false) => "LMTP",
        (false, true) => "LMTPA",
        (true, false) => "LMTPS",
        (true, true) => "LMTPSA",
    };
    let (name, id) = (session.name.as_deref().unwrap_or("unknown"), &session.id);
    let own = &session.backend.desk.parts.servername;
    let (peer, date) = (literal(&session.client.peer), now.in_header());
    format!(
        "Return-Path: {from}\r\n\
         Received: from {name} ({peer})\r\n\
         \tby {own} (Ravenry) with {with} id {id};\r\n\
         \t{date}\r\n"
    )
    .into_bytes()
}

/// An address literal (RFC 5321 section 4.1.3).
fn literal(peer: &Address) -> String {
    match peer {
        Address::Unix(_) => "localhost".to_owned(),
        Address::Tcp(peer) => match peer.ip().to_canonical() {
            std::net::IpAddr::V4(ip) => format!("[{ip}]"),
            std::net::IpAddr::V6(ip) => format!("[IPv6:{ip}]"),
        },
    }
}

/// The Message-ID in the first bytes of a message.
pub(super) fn message_id(head: &[u8]) -> Option<&[u8]> {
    head.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii_end)
        .take_while(|line| !line.is_empty())
        .find_map(|line| {
            let (name, value) = line.split_at_checked(NAME.len())?;
            name.eq_ignore_ascii_case(NAME).then(|| value.trim_ascii())
        })
}

const NAME: &[u8] = b"Message-ID:";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_id_is_found_in_the_header_alone() {
        let found = |text: &str| message_id(text.as_bytes()).map(<[u8]>::to_vec);
        let id = Some(b"<a@b>".to_vec());
        assert_eq!(found("To: x\r\nmessage-id: <a@b>\r\n\r\n"), id);
        assert_eq!(found("Message-ID:<a@b>"), id);
        assert_eq!(found("To: x\r\n\r\nMessage-ID: <a@b>\r\n"), None);
        assert_eq!(found("X-Message-ID: <a@b>\r\n"), None);
        assert_eq!(found(""), None);
    }

    #[test]
    fn peers_are_named_by_their_address() {
        for (peer, expected) in [
            ("192.0.2.1:77", "[192.0.2.1]"),
            ("[2001:db8::1]:77", "[IPv6:2001:db8::1]"),
            ("[::ffff:192.0.2.1]:77", "[192.0.2.1]"),
            ("/run/x", "localhost"),
        ] {
            assert_eq!(literal(&peer.parse().unwrap()), expected);
        }
    }
}
