//! `ravenry hash-password`: a line for the passwd file.

use std::io::{self, BufRead};

use ravenry_core::auth;
use ravenry_core::proto::sasl::Secret;

/// Reads one line and prints its hash. The terminal shows what is typed: scripts pipe it in.
pub(crate) fn hash() -> Result<(), String> {
    let mut line = String::new();
    let read = io::stdin().lock().read_line(&mut line);
    read.map_err(|error| format!("standard input: {error}"))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() {
        return Err("an empty password lets nobody in; give one on standard input".to_owned());
    }
    let hash = auth::hash_argon2id(&Secret::new(password.as_bytes().to_vec()));
    crate::answer(&hash.map_err(|error| error.to_string())?);
    Ok(())
}
