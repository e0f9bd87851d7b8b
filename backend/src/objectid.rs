//! EMAILID (RFC 8474 section 5.1): the name of a message's bytes, the same wherever a copy of them is.

use std::fmt::Write as _;

/// What it begins with: a MAILBOXID is never one.
const PREFIX: &str = "M";

/// The EMAILID of a message whose bytes have this SHA-256.
#[must_use]
pub fn email_id(digest: &[u8; 32]) -> String {
    let mut id = String::with_capacity(PREFIX.len() + 2 * digest.len());
    id.push_str(PREFIX);
    for byte in digest {
        write!(id, "{byte:02x}").expect("invariant: a string takes what is written to it");
    }
    id
}

/// What an EMAILID was made of; `None` if it never was one. Case matters (RFC 8474 section 4).
#[must_use]
pub fn digest_of(email_id: &[u8]) -> Option<[u8; 32]> {
    let digits = email_id.strip_prefix(PREFIX.as_bytes())?;
    let mut digest = [0; 32];
    if digits.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(digest)
}

fn nibble(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back() {
        let digest: [u8; 32] = std::array::from_fn(|at| u8::try_from(at * 8).unwrap_or(255));
        let id = email_id(&digest);
        assert!(id.starts_with("M00081018") && id.len() == 65, "{id}");
        assert_eq!(digest_of(id.as_bytes()), Some(digest));
        for text in [
            "",
            "M",
            &id[1..],
            &id[..64],
            &id.to_uppercase(),
            &format!("{id}0"),
            &id.replace('8', "g"),
        ] {
            assert_eq!(digest_of(text.as_bytes()), None, "{text}");
        }
    }
}
