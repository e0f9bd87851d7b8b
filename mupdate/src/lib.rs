//! MUPDATE (RFC 3656): the client and the follower.
