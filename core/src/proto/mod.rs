//! Protocols: parsed commands and responses. No I/O, no clock.
