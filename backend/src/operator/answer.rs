//! What an answer to the operator looks like on its way: lines, whose first byte says what they are.
//!
//! `#` names the columns of a table (`name:n` holds numbers) and `-` is a row of it, with TABs between; `=` is a fact, its
//! name and its value; a space begins text; `.` says how far it is; `!` says what went wrong. `$` is the last line of a whole
//! answer. The first byte keeps a
//! mailbox whose name looks like an error from being one.

use std::fmt::Display;

/// An answer that is being made.
#[derive(Debug, Default)]
pub(crate) struct Answer(String);

impl Answer {
    /// Nothing but an error.
    pub(crate) fn failed(why: &str) -> Self {
        let mut answer = Self::default();
        answer.error(why);
        answer
    }

    /// A line of text alone.
    pub(crate) fn said(text: &str) -> Self {
        let mut answer = Self::default();
        answer.text(text);
        answer
    }

    /// A table, with nothing in it yet.
    pub(crate) fn table(columns: &[&str]) -> Self {
        let mut answer = Self::default();
        answer.fields('#', columns);
        answer
    }

    pub(crate) fn row(&mut self, fields: &[&str]) {
        self.fields('-', fields);
    }

    pub(crate) fn fact(&mut self, name: &str, value: impl Display) {
        self.fields('=', &[name, &value.to_string()]);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.fields(' ', &[text]);
    }

    pub(crate) fn error(&mut self, why: &str) {
        self.fields('!', &[why]);
    }

    /// How far it is.
    pub(crate) fn progress(&mut self, text: &str) {
        self.fields('.', &[text]);
    }

    /// As it is sent.
    pub(crate) fn into_string(self) -> String {
        self.0
    }

    fn fields(&mut self, kind: char, fields: &[&str]) {
        self.0.push(kind);
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                self.0.push('\t');
            }
            // Whatever a name has in it, a line stays one line and a field one field.
            let plain = |c: char| if c.is_control() { '?' } else { c };
            self.0.extend(field.chars().map(plain));
        }
        self.0.push('\n');
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}
