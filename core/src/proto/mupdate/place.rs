//! Where a list is: which list, the epoch of its changes, the number of its last commit. One Ravenry's
//! banner says it, and another asks what has changed since.

/// A list's place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Which list; 0: none.
    pub identity: u64,
    /// The epoch of its changes.
    pub epoch: u64,
    /// The commit.
    pub sequence: u64,
}

impl Place {
    /// Reads its three strings: hexadecimal, and two decimal numbers.
    pub(super) fn parse(identity: &[u8], epoch: &[u8], sequence: &[u8]) -> Option<Self> {
        let identity = std::str::from_utf8(identity).ok()?;
        let is_hex = identity.len() == 16 && identity.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self {
            identity: u64::from_str_radix(identity, 16).ok().filter(|_| is_hex)?,
            epoch: Self::number(epoch)?,
            sequence: Self::number(sequence)?,
        })
    }

    /// A decimal number.
    pub(super) fn number(text: &[u8]) -> Option<u64> {
        let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
        std::str::from_utf8(text)
            .ok()
            .filter(|_| digits)?
            .parse()
            .ok()
    }

    /// The strings.
    #[must_use]
    pub fn strings(&self) -> [String; 3] {
        [
            format!("{:016x}", self.identity),
            self.epoch.to_string(),
            self.sequence.to_string(),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::Place;
    use crate::proto::mupdate::{Command, Response, Verb, request, response};

    const PLACE: Place = Place {
        identity: 0xabc,
        epoch: 2,
        sequence: u64::MAX,
    };

    #[test]
    fn what_is_written_is_read() {
        let mut out = Vec::new();
        Command::UpdateSince(PLACE).encode("U01", &mut out);
        assert_eq!(
            out,
            b"U01 X-UPDATE \"0000000000000abc\" \"2\" \"18446744073709551615\"\r\n"
        );
        assert!(request(&out).unwrap().verb == Verb::UpdateSince(PLACE));
        let banner = b"* X-DELTA \"0000000000000abc\" \"2\" \"18446744073709551615\"\r\n";
        assert_eq!(response(banner), Ok(Response::Delta(PLACE)));
        let Ok(Response::Sequence { sequence, .. }) = response(b"U X-SEQUENCE \"17\"\r\n") else {
            panic!("a sequence")
        };
        assert_eq!(sequence, 17);
    }

    #[test]
    fn what_is_no_place_is_refused() {
        for (identity, epoch, sequence) in [
            ("abc", "1", "1"),
            ("+000000000000abc", "1", "1"),
            ("0000000000000abc", "", "1"),
            ("0000000000000abc", "-1", "1"),
            ("0000000000000abc", "1", "18446744073709551616"),
        ] {
            let parts = [identity, epoch, sequence].map(str::as_bytes);
            assert_eq!(Place::parse(parts[0], parts[1], parts[2]), None);
        }
    }
}
