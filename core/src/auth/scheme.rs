//! The schemes of the passwd file: how a password is compared with what the file has.
//!
//! A hash is checked when it is read, so that verifying can only say yes or no; what a line may
//! cost in memory and time has a limit. The bytes of a stored password or hash are compared in
//! time that does not depend on where they differ.

use std::fmt::Write;
use std::hint::black_box;
use std::io::{self, Read};

use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, Version};
use sha_crypt::{PasswordHashRef, PasswordVerifier, ShaCrypt};

use crate::limits;
use crate::proto::sasl::Secret;

/// What the file has for a user.
#[derive(Debug)]
pub(super) enum Scheme {
    /// The password itself: for tests.
    Plain(Secret),
    /// A PHC string, `$argon2id$v=19$m=…,t=…,p=…$salt$hash` (RFC 9106).
    Argon2id(Secret),
    /// `$6$[rounds=…$]salt$hash`, as crypt(3) writes it.
    Sha512Crypt(Secret),
}

impl Scheme {
    /// From `{SCHEME}rest`. The error never shows the rest.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let wants = || "wants user:{SCHEME}hash".to_owned();
        let (name, rest) = text
            .strip_prefix('{')
            .and_then(|t| t.split_once('}'))
            .ok_or_else(wants)?;
        if rest.is_empty() {
            return Err(format!("nothing follows {{{name}}}"));
        }
        match name.to_ascii_uppercase().as_str() {
            "PLAIN" if rest.len() > limits::PASSWORD_BYTES_MAX => Err(format!(
                "a password longer than {} bytes",
                limits::PASSWORD_BYTES_MAX
            )),
            "PLAIN" => Ok(Self::Plain(Secret::from(rest))),
            "ARGON2ID" => check_argon2id(rest).map(|()| Self::Argon2id(Secret::from(rest))),
            "SHA512-CRYPT" => check_sha512(rest).map(|()| Self::Sha512Crypt(Secret::from(rest))),
            "SCRAM-SHA-256" => Err("not built yet: {SCRAM-SHA-256}".to_owned()),
            _ => Err("unknown scheme: {PLAIN}, {ARGON2ID} and {SHA512-CRYPT} are known".to_owned()),
        }
    }

    /// Whether [`Self::verify`] takes microseconds at most.
    pub(super) fn is_cheap(&self) -> bool {
        matches!(self, Self::Plain(_))
    }

    /// Whether this is the password.
    pub(super) fn verify(&self, password: &Secret) -> bool {
        let password = password.expose();
        match self {
            Self::Plain(stored) => same(stored.expose(), password),
            Self::Argon2id(stored) => {
                let hash = std::str::from_utf8(stored.expose()).map(PasswordHash::new);
                matches!(hash, Ok(Ok(hash)) if Argon2::default().verify_password(password, &hash).is_ok())
            }
            Self::Sha512Crypt(stored) => {
                let hash = std::str::from_utf8(stored.expose()).map(PasswordHashRef::new);
                matches!(hash, Ok(Ok(hash)) if ShaCrypt::SHA512.verify_password(password, hash).is_ok())
            }
        }
    }
}

/// An `{ARGON2ID}` entry for the passwd file, with a fresh salt: 19 MiB, two passes, one lane, as
/// OWASP advises.
pub fn hash_argon2id(password: &Secret) -> io::Result<String> {
    let mut salt = [0; 16];
    std::fs::File::open("/dev/urandom")?.read_exact(&mut salt)?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::DEFAULT);
    let hash = argon2::PasswordHasher::hash_password_with_salt(&argon2, password.expose(), &salt);
    let hash: PasswordHash = hash.map_err(io::Error::other)?;
    let mut entry = String::from("{ARGON2ID}");
    write!(entry, "{hash}").map_err(io::Error::other)?;
    Ok(entry)
}

fn check_argon2id(text: &str) -> Result<(), String> {
    const WANTS: &str = "{ARGON2ID} wants $argon2id$v=19$m=…,t=…,p=…$salt$hash";
    let hash = PasswordHash::new(text).map_err(|_| WANTS)?;
    let version = hash.version.map_or(Ok(Version::V0x10), Version::try_from);
    let whole = hash.algorithm.as_str() == "argon2id" && hash.salt.is_some() && hash.hash.is_some();
    if !whole || version.is_err() {
        return Err(WANTS.to_owned());
    }
    let params = Params::try_from(&hash).map_err(|_| WANTS)?;
    let (memory, passes) = (limits::ARGON2_KIB_MAX, limits::ARGON2_PASSES_MAX);
    if params.m_cost() > memory || params.t_cost() > passes || params.p_cost() > 64 {
        return Err(format!(
            "{{ARGON2ID}} may ask for m={memory}, t={passes}, p=64 at most"
        ));
    }
    Ok(())
}

fn check_sha512(text: &str) -> Result<(), String> {
    const WANTS: &str = "{SHA512-CRYPT} wants $6$[rounds=N$]salt$hash";
    let mut fields = text.strip_prefix("$6$").ok_or(WANTS)?.split('$').peekable();
    let rounds = fields.next_if(|field| field.starts_with("rounds="));
    if let Some(rounds) = rounds.and_then(|field| field.strip_prefix("rounds=")) {
        let (least, most) = (
            sha_crypt::Params::ROUNDS_MIN,
            limits::SHA512_CRYPT_ROUNDS_MAX,
        );
        if !rounds
            .parse()
            .is_ok_and(|rounds: u32| (least..=most).contains(&rounds))
        {
            return Err(format!("{{SHA512-CRYPT}} takes {least} to {most} rounds"));
        }
    }
    let in_alphabet = |s: &str| {
        s.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"./".contains(&b))
    };
    match (fields.next(), fields.next(), fields.next()) {
        (Some(salt), Some(hash), None)
            if salt.len() <= 16 && hash.len() == 86 && in_alphabet(salt) && in_alphabet(hash) =>
        {
            PasswordHashRef::new(text)
                .map(|_| ())
                .map_err(|_| WANTS.to_owned())
        }
        _ => Err(WANTS.to_owned()),
    }
}

/// Whether they are the same, in time that depends on the length of `given` alone.
fn same(stored: &[u8], given: &[u8]) -> bool {
    let mut differ = u8::from(stored.len() != given.len());
    for (i, byte) in given.iter().enumerate() {
        let other = stored
            .get(i % stored.len().max(1))
            .copied()
            .unwrap_or_default();
        differ |= black_box(byte ^ other);
    }
    black_box(differ) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    // Drepper's "Unix crypt using SHA-256 and SHA-512", its test vectors.
    const SHA512: &str = "{SHA512-CRYPT}$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1";
    const SHA512_ROUNDS: &str = "{SHA512-CRYPT}$6$rounds=10000$saltstringsaltst$OW1/O6BYHV6BcXZu8QVeXbDWra3Oeqh0sbHbbMCVNSnCM/UrjmM0Dp8vOuZeHBy/YTBmSK6H9qs/y3RnOaw5v.";
    // The reference implementation: echo -n password | argon2 somesalt -id -t 2 -m 16 -p 1 (its test.c).
    const ARGON2ID: &str = "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";

    fn verify(entry: &str, password: &str) -> bool {
        Scheme::parse(entry)
            .unwrap()
            .verify(&Secret::from(password))
    }

    #[test]
    fn known_answers() {
        assert!(verify(SHA512, "Hello world!"));
        assert!(!verify(SHA512, "Hello world"));
        assert!(verify(SHA512_ROUNDS, "Hello world!"));
        assert!(verify(ARGON2ID, "password"));
        assert!(!verify(ARGON2ID, "Password"));
        assert!(verify("{PLAIN}x", "x"));
        assert!(verify("{plain}a:b}c", "a:b}c"));
    }

    #[test]
    fn plain_is_equal_or_not() {
        for given in [
            "",
            "x",
            "secre",
            "secrett",
            "secretsecret",
            "Secret",
            "secreT",
        ] {
            assert!(!verify("{PLAIN}secret", given), "{given}");
        }
        assert!(!same(b"", b"x") && !same(b"x", b"") && same(b"", b""));
    }

    #[test]
    fn what_was_hashed_verifies() {
        let one = hash_argon2id(&Secret::from("pässword")).unwrap();
        let two = hash_argon2id(&Secret::from("pässword")).unwrap();
        assert_ne!(one, two, "fresh salts");
        assert!(
            one.starts_with("{ARGON2ID}$argon2id$v=19$m=19456,t=2,p=1$"),
            "{one}"
        );
        assert!(verify(&one, "pässword") && !verify(&one, "password"));
    }

    #[test]
    fn bad_entries_are_refused_and_not_shown() {
        for bad in [
            "",
            "hunter2",
            "{PLAIN}",
            "{PLAIN",
            "{MD5}hunter2",
            "{ARGON2ID}hunter2",
            "{ARGON2ID}$argon2i$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ",
            "{ARGON2ID}$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "{ARGON2ID}$argon2id$v=18$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "{ARGON2ID}$argon2id$v=19$m=65536,t=9999,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
            "{SHA512-CRYPT}hunter2",
            "{SHA512-CRYPT}$5$saltstring$5B8vYYiY.CVt1RlTTf8KbXBH3hsxY/GNooZaBBGWEc8",
            "{SHA512-CRYPT}$6$saltstring",
            "{SHA512-CRYPT}$6$saltstring$hunter2",
            "{SHA512-CRYPT}$6$rounds=999999999$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
            "{SHA512-CRYPT}$6$rounds=x$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1",
        ] {
            let why = Scheme::parse(bad).unwrap_err();
            assert!(!why.contains("hunter2"), "{bad}: {why}");
        }
        let why = Scheme::parse("{SCRAM-SHA-256}4096,x,y,z").unwrap_err();
        assert!(why.contains("not built yet"), "{why}");
    }
}
