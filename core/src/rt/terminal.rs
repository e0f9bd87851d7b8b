//! A terminal that doesn't show what is typed, for passwords.

use std::io::{self, IsTerminal, Stdin};
use std::os::fd::AsFd;

use super::sys;

/// Reads a line from a terminal that doesn't show it; `None`: standard input is no terminal. `ask` is called when it
/// doesn't any more: what was typed before is dropped. The terminal's keys for interrupting do nothing meanwhile, so that
/// it isn't left silent.
///
/// # Errors
/// If the terminal can't be set or read.
pub fn read_unseen(input: &Stdin, ask: impl FnOnce()) -> io::Result<Option<String>> {
    if !input.is_terminal() {
        return Ok(None);
    }
    let terminal = input.as_fd();
    let shown = sys::terminal_unseen(terminal)?;
    ask();
    let mut line = String::new();
    let read = input.read_line(&mut line);
    sys::terminal_again(terminal, &shown)?;
    read.map(|_| Some(line))
}
