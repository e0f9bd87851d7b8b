//! The runtime: a pinned shard per core on io_uring.
