//! TLS over real sockets, with certificates that openssl makes for the tests.

pub(crate) mod authority;
mod compressed;
mod legs;
