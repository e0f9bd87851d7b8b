//! SASL: PLAIN (RFC 4616), LOGIN (draft-murchison-sasl-login), base64 with limits, and secrets.
//!
//! Whatever holds a password is a [`Secret`]: never printed, overwritten when dropped.

use std::fmt;
use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// Each of a PLAIN message's three fields, and what LOGIN asks for, may have so many bytes.
const FIELD_BYTES_MAX: usize = 1024;
/// Three fields and two NULs.
const MESSAGE_BYTES_MAX: usize = 3 * FIELD_BYTES_MAX + 2;

/// Bytes that are never printed, and overwritten when dropped.
#[derive(Clone, Default)]
pub struct Secret(Vec<u8>);

impl Secret {
    /// Takes the bytes over.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for whoever has to send or check them.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Takes the same time wherever two of one length differ.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.iter().zip(&other.0);
        let differing = pairs.fold(0, |bits, (one, two)| black_box(bits | (one ^ two)));
        self.0.len() == other.0.len() && differing == 0
    }
}

impl Eq for Secret {}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // Seen as a use: the writes above aren't optimized away.
        black_box(&self.0);
    }
}

/// Why a client's SASL message can't be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SaslError {
    /// Not base64 (RFC 4648 section 4, with padding).
    Base64,
    /// More bytes than a message may have.
    TooLong,
    /// The client sent `*` (RFC 3501 section 6.2.2).
    Cancelled,
    /// Not what the mechanism prescribes.
    Malformed,
}

impl fmt::Display for SaslError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Base64 => "Invalid base64",
            Self::TooLong => "SASL response too long",
            Self::Cancelled => "Authentication cancelled",
            Self::Malformed => "Malformed SASL response",
        })
    }
}

impl std::error::Error for SaslError {}

/// Decodes base64 of at most `max` bytes (decoded).
///
/// # Errors
/// If it is longer, or not base64.
pub fn decode(text: &[u8], max: usize) -> Result<Secret, SaslError> {
    if text.len() > max.div_ceil(3).saturating_mul(4) {
        return Err(SaslError::TooLong);
    }
    // Of full size at once: growing would leave copies behind.
    let mut bytes = Secret(vec![0; text.len().div_ceil(4) * 3]);
    let len = STANDARD
        .decode_slice(text, &mut bytes.0)
        .map_err(|_| SaslError::Base64)?;
    if len > max {
        return Err(SaslError::TooLong);
    }
    bytes.0.truncate(len);
    Ok(bytes)
}

/// Encodes as base64.
#[must_use]
pub fn encode(bytes: &[u8]) -> Secret {
    let mut text = Secret(vec![0; bytes.len().div_ceil(3) * 4]);
    let len = STANDARD
        .encode_slice(bytes, &mut text.0)
        .expect("invariant: 4 bytes for each 3");
    text.0.truncate(len);
    text
}

/// A line that answers a server's challenge: base64, or `*` to cancel.
///
/// # Errors
/// If it is neither or too long, or if it cancels.
pub fn response(line: &[u8]) -> Result<Secret, SaslError> {
    match line {
        b"*" => Err(SaslError::Cancelled),
        text => decode(text, MESSAGE_BYTES_MAX),
    }
}

/// Who logs in, by PLAIN or LOGIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plain {
    /// Who to act for; empty for oneself.
    pub authzid: Vec<u8>,
    /// Whose password it is.
    pub authcid: Vec<u8>,
    /// The password.
    pub password: Secret,
}

impl Plain {
    /// Reads PLAIN's message (decoded): `authzid NUL authcid NUL password`.
    ///
    /// # Errors
    /// If there aren't three fields, or one is empty that can't be, or too long.
    pub fn decode(message: &[u8]) -> Result<Self, SaslError> {
        let mut fields = message.split(|byte| *byte == 0);
        let (Some(authzid), Some(authcid), Some(password), None) =
            (fields.next(), fields.next(), fields.next(), fields.next())
        else {
            return Err(SaslError::Malformed);
        };
        if authcid.is_empty() || password.is_empty() {
            return Err(SaslError::Malformed);
        }
        if [authzid, authcid, password]
            .iter()
            .any(|field| field.len() > FIELD_BYTES_MAX)
        {
            return Err(SaslError::TooLong);
        }
        let password = Secret(password.to_vec());
        Ok(Self {
            authzid: authzid.to_vec(),
            authcid: authcid.to_vec(),
            password,
        })
    }

    /// PLAIN's message in base64, as a client sends it.
    ///
    /// # Errors
    /// If a field holds a NUL, or one is empty that can't be, or too long.
    pub fn encode(&self) -> Result<Secret, SaslError> {
        let fields = [&self.authzid[..], &self.authcid, self.password.expose()];
        let size = fields.iter().map(|field| field.len()).sum::<usize>() + 2;
        let mut message = Secret(Vec::with_capacity(size));
        for (index, field) in fields.iter().enumerate() {
            if index > 0 {
                message.0.push(0);
            }
            message.0.extend_from_slice(field);
        }
        Self::decode(message.expose())?;
        Ok(encode(message.expose()))
    }
}

/// The server's side of LOGIN: it asks for the user, then for the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Login {
    /// The user is asked for.
    User,
    /// The password of this user is asked for.
    Password {
        /// As the client gave it.
        user: Vec<u8>,
    },
}

/// What follows a client's response in LOGIN.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginStep {
    /// Ask on.
    Ask(Login),
    /// All is known; the authorization identity is empty.
    Done(Plain),
}

impl Login {
    /// The challenge in base64: `Username:`, `Password:`.
    #[must_use]
    pub fn challenge(&self) -> &'static str {
        match self {
            Self::User => "VXNlcm5hbWU6",
            Self::Password { .. } => "UGFzc3dvcmQ6",
        }
    }

    /// Takes the client's response (decoded). An initial response is the user.
    ///
    /// # Errors
    /// If it is empty, too long, or holds a NUL.
    pub fn answer(self, response: &Secret) -> Result<LoginStep, SaslError> {
        let bytes = response.expose();
        if bytes.is_empty() || memchr::memchr(0, bytes).is_some() {
            return Err(SaslError::Malformed);
        }
        if bytes.len() > FIELD_BYTES_MAX {
            return Err(SaslError::TooLong);
        }
        Ok(match self {
            Self::User => LoginStep::Ask(Self::Password {
                user: bytes.to_vec(),
            }),
            Self::Password { user } => LoginStep::Done(Plain {
                authzid: Vec::new(),
                authcid: user,
                password: response.clone(),
            }),
        })
    }
}

#[cfg(test)]
mod tests;
