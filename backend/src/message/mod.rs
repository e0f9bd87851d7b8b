//! What FETCH and SEARCH say of a message: bytes in, bytes out.
//!
//! [`Structure`] is made once, when a message is stored, and kept in the index: ENVELOPE, BODY, BODYSTRUCTURE and
//! where each part lies in the file. So is a [`Summary`] of its header, for SEARCH, SORT and THREAD. [`header_fields`] cuts a header to
//! what was asked for; [`texts`], [`decoded`] and [`sent`] are what SEARCH looks at in a file.
//!
//! Any bytes are a message. What can't be understood, or is past a limit, is shown as a part without parts. Nothing here
//! recurses, and nothing takes more than about linear time. No answer holds a NUL.
//!
//! RFC 3501 sections 6.4.5 and 7.4.2, RFC 9051; RFC 5322, RFC 2045 to 2047, RFC 2231.

mod address;
mod binary;
mod body;
mod content;
mod date;
mod encoding;
mod envelope;
mod header;
mod preview;
mod record;
mod structure;
mod summary;
mod text;
mod tree;
mod value;

#[cfg(test)]
mod tests;

pub use binary::without_nuls;
pub use content::transfer_encoding;
pub use date::{Day, Sent, sent, sent_date};
pub use encoding::Decoder;
pub use header::{decoded, field_values, header_fields, header_length};
pub use preview::preview;
pub use record::{record, record_of_beginning, record_of_header};
pub use structure::{Part, Structure};
pub use summary::{Address, Field, Summary, Value};
pub use text::{Source, texts};

/// Parts that a message may have. A part past it belongs to the one before.
pub const PARTS_MAX: usize = 10_000;
/// How deep parts may lie in each other. What lies deeper is shown as one part.
pub const DEPTH_MAX: usize = 100;
/// How many bytes of a message's headers are read for their fields, those of its parts included.
pub const HEADER_BYTES_MAX: usize = 1 << 20;
/// Parameters of a Content-Type or Content-Disposition that are shown.
pub const PARAMETERS_MAX: usize = 100;
/// Addresses of a field that are shown.
pub const ADDRESSES_MAX: usize = 10_000;
/// A boundary longer than this is none. RFC 2046 allows 70 bytes.
pub const BOUNDARY_BYTES_MAX: usize = 1024;
/// A longer record isn't kept: what is in it is made from the file then.
pub const RECORD_BYTES_MAX: usize = 32 << 10;
