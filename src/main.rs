//! The composition root: command line, configuration, start the roles.

fn main() {}
