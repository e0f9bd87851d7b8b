//! Passwords: the passwd file, saslauthd.
