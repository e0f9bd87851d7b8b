//! A client's connection, whatever role serves it: from accept to login, and to the good-bye of a shard that drains.
//!
//! [`accept()`] takes connections and gives each its place; a session reads and writes through its [`Client`];
//! [`Desk::admit`] decides a login. What the sessions of a shard share of this is its [`Desk`].

mod accept;
mod departures;
mod desk;
mod foreign;
mod leg;
mod login;
mod message;
mod throttle;

pub use self::accept::{Listening, accept, bind, imap_turned_away};
pub use self::departures::Departures;
pub use self::desk::{Desk, DeskParts, HandshakeFailed};
pub use self::foreign::is_foreign;
pub use self::leg::{Client, Here, Input, Lost, PROGRESS_EVERY};
pub use self::login::{Admitted, NotAdmitted, Powers, plain_login};
pub use self::message::{Left, MALFORMED};
pub use self::throttle::Throttle;
