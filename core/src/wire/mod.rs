//! Framing: lines and literals in any split. No I/O, no clock.
