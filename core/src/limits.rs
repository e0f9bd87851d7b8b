//! Every limit of the system, in one place.
