//! Passwords from standard input, and hashes for the passwd file.

use std::io::{self, Write};

use ravenry_core::auth;
use ravenry_core::proto::sasl::Secret;
use ravenry_core::rt;

use crate::password;

/// The hash of a password: on a terminal it is asked for, twice, and not shown; else it is a line.
pub(super) fn hash(user: &str) -> Result<Secret, String> {
    let hash = auth::hash_argon2id(&given(user)?).map_err(|error| error.to_string())?;
    Ok(Secret::from(hash.as_str()))
}

fn given(user: &str) -> Result<Secret, String> {
    let Some(first) = asked(&format!("Password for {user}: "))? else {
        return password::line();
    };
    let second = asked("The same again: ")?;
    if second.as_ref().map(Secret::expose) != Some(first.expose()) {
        return Err("the two differ; nothing has been changed".to_owned());
    }
    password::usable(first)
}

/// From a terminal, if there is one.
#[expect(clippy::print_stderr, reason = "asks who sits there")]
fn asked(prompt: &str) -> Result<Option<Secret>, String> {
    let failed = |error: io::Error| format!("the terminal: {error}");
    let ask = || {
        eprint!("{prompt}");
        // Where nobody sees the prompt the password is as good.
        let _ = io::stderr().flush();
    };
    let line = rt::read_unseen(&io::stdin(), ask).map_err(failed)?;
    if line.is_some() {
        eprintln!();
    }
    Ok(line.map(|line| Secret::from(line.trim_end_matches(['\r', '\n']))))
}
