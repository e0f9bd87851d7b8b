//! Counters a shard publishes.
