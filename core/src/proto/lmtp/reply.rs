//! Replies: a code of RFC 5321 section 4.2, and an enhanced one (RFC 3463, RFC 2034).

use std::borrow::Cow;
use std::fmt;

/// A reply of one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// `250`
    pub code: u16,
    /// `2.1.5`
    pub status: &'static str,
    /// For people.
    pub text: Cow<'static, str>,
}

impl Reply {
    /// A reply whose text is always the same.
    #[must_use]
    pub const fn new(code: u16, status: &'static str, text: &'static str) -> Self {
        Self {
            code,
            status,
            text: Cow::Borrowed(text),
        }
    }

    /// The client has erred, or has to wait.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.code >= 400
    }
}

/// The line, without its CRLF.
impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.code, self.status, self.text)
    }
}
