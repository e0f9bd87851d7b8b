//! Mailbox referrals (RFC 2193): the URL of a mailbox at its backend (RFC 5092).

use std::fmt::Write;

/// `imap://user;AUTH=*@server/mailbox`. The mailbox's name is the client's view of it; modified
/// UTF-7 in it stays as it is, as clients that follow referrals of Cyrus expect.
pub(crate) fn url(user: &str, server: &str, mailbox: &[u8]) -> String {
    let mut url = server_url(user, server);
    encode(&mut url, mailbox, b"/&,+");
    url
}

/// `imap://user;AUTH=*@server/`.
pub(crate) fn server_url(user: &str, server: &str) -> String {
    let mut url = String::from("imap://");
    encode(&mut url, user.as_bytes(), b"");
    url.push_str(";AUTH=*@");
    encode(&mut url, server.as_bytes(), b":[]");
    url.push('/');
    url
}

/// Percent-encodes what isn't unreserved (RFC 3986 section 2.3) nor in `also`.
fn encode(url: &mut String, bytes: &[u8], also: &[u8]) {
    for byte in bytes {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) || also.contains(byte) {
            url.push(char::from(*byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_leave_the_url() {
        assert_eq!(
            url("cyrus", "backend1.murder.test", b"user.alice"),
            "imap://cyrus;AUTH=*@backend1.murder.test/user.alice"
        );
        assert_eq!(
            url("a@b", "h", b"x] y\"z"),
            "imap://a%40b;AUTH=*@h/x%5D%20y%22z"
        );
    }
}
