//! What is said of messages: by example, and lawful whatever they are.

mod examples;
mod lawful;
mod random;
mod summary;

use super::Structure;

/// The value of BODYSTRUCTURE, as text.
fn bodystructure(message: &str) -> String {
    String::from_utf8(Structure::of(message.as_bytes()).bodystructure().to_vec()).unwrap()
}

/// The value of BODY, as text.
fn body(message: &str) -> String {
    String::from_utf8(Structure::of(message.as_bytes()).body()).unwrap()
}

/// The value of ENVELOPE, as text.
fn envelope(message: &str) -> String {
    String::from_utf8(Structure::of(message.as_bytes()).envelope().to_vec()).unwrap()
}
