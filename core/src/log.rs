//! The log: text or JSON on standard error, written off the shards.
