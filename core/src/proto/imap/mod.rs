//! IMAP as far as a frontend and a backend have to understand it (RFC 3501, RFC 9051), and nothing more.
//!
//! A command is split into tag, verb and arguments ([`command()`]); the arguments are read with a
//! [`Cursor`] by whoever routes the command. What is sent on is built by [`encode`]: strings are
//! encoded anew, never pasted. Responses of backends are read where the frontend acts on them:
//! [`status`], [`list`], [`Fetch`] and [`Capabilities`]. What a backend carries out is read whole:
//! [`FetchCommand`], [`StoreCommand`], [`SearchCommand`], [`SortCommand`], [`ThreadCommand`], [`SelectCommand`],
//! [`StatusCommand`], [`AppendOptions`], [`AppendText`], [`MessageUrl`], [`GetMetadata`], [`SetMetadata`].

mod append;
mod append_options;
mod append_text;
mod capability;
mod chars;
mod command;
mod cursor;
mod date;
pub mod encode;
mod fetch;
mod fetch_command;
pub mod flags;
mod id_command;
mod list_command;
mod marker;
mod metadata_command;
mod response;
mod search;
mod section;
mod select_command;
mod sequence;
mod sort_command;
mod status_items;
mod store_command;
mod uids;
mod url;
mod utf8;
mod verb;

pub use append::{AppendHead, Follows, Part, append_follows, replaced_message};
pub use append_options::AppendOptions;
pub use append_text::{AppendStep, AppendText};
pub use capability::{Capabilities, Literals};
pub use command::{Authenticate, BadCommand, Command, command};
pub use cursor::{Cursor, ParseError};
pub use date::{DateTime, Day};
pub use fetch::{Fetch, is_body};
pub use fetch_command::{FetchCommand, FetchItem};
pub use flags::{FlagList, SYSTEM_FLAGS};
pub use id_command::id;
pub use list_command::{ListCommand, Returns, Selection};
pub use metadata_command::{Depth, GetMetadata, MetadataEntry, SetMetadata};
pub use response::{List, Status, StatusKind, list, status};
pub use search::{Charset, DateOf, SearchCommand, SearchError, SearchKey, SearchReturns, When};
pub use section::{BinarySection, Section, SectionForm, SectionText};
pub use select_command::{Resync, SelectCommand};
pub use sequence::{Ranges, SequenceSet};
pub use sort_command::{SortCommand, SortCriterion, SortKey, ThreadAlgorithm, ThreadCommand};
pub use status_items::{StatusCommand, StatusItem};
pub use store_command::{StoreCommand, StoreMode};
pub use uids::Uids;
pub use url::{MessageUrl, UrlServer, url_in_code};
pub use utf8::lines_are_utf8;
pub use verb::Verb;

#[cfg(test)]
mod tests;
