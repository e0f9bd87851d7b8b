//! `ravenry hash-password`: a line for the passwd file.

use std::io::{self, BufRead};

use ravenry_core::auth;
use ravenry_core::proto::sasl::Secret;

/// Reads one line and prints its hash. The terminal shows what is typed: scripts pipe it in.
pub(crate) fn hash() -> Result<(), String> {
    let hash = auth::hash_argon2id(&line()?);
    crate::answer(&hash.map_err(|error| error.to_string())?);
    Ok(())
}

/// A password: a line of standard input.
pub(crate) fn line() -> Result<Secret, String> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| format!("standard input: {error}"))?;
    usable(Secret::from(line.trim_end_matches(['\r', '\n'])))
}

/// A password, if it can let somebody in.
pub(crate) fn usable(password: Secret) -> Result<Secret, String> {
    match password.expose() {
        [] => Err("an empty password lets nobody in; give one on standard input".to_owned()),
        bytes if bytes.contains(&0) => Err("a password with a NUL in it lets nobody in".to_owned()),
        _ => Ok(password),
    }
}
