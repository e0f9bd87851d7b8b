//! What is wrong with a configuration, said so that the operator can mend it.
//!
//! A message never shows a secret: the excerpt ends where the mistake ends, a line that speaks of
//! a password is not shown, and errors of the TOML grammar show no line at all (they may stand
//! within a string that has no end).

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// Why there is no [`super::Config`].
#[derive(Debug)]
pub struct ConfigError {
    file: Option<PathBuf>,
    problems: Vec<Problem>,
}

/// One mistake, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Counted from 1; `None` if the mistake is in no one place (a key that is missing).
    pub line: Option<usize>,
    /// Counted from 1, in characters.
    pub column: Option<usize>,
    /// What is wrong and what to write instead.
    pub text: String,
    /// The line up to the end of the mistake, and how many characters of its end are the mistake.
    excerpt: Option<(String, usize)>,
}

impl ConfigError {
    pub(super) fn new(problems: Vec<Problem>) -> Self {
        Self {
            file: None,
            problems,
        }
    }

    pub(super) fn unreadable(path: &Path, why: &str) -> Self {
        Self {
            file: Some(path.to_path_buf()),
            problems: vec![Problem::nowhere(why.to_owned())],
        }
    }

    pub(super) fn in_file(mut self, path: &Path) -> Self {
        self.file = Some(path.to_path_buf());
        self
    }

    /// Every mistake found, in the order of the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            match &self.file {
                Some(file) => write!(f, "{}: {problem}", file.display())?,
                None => write!(f, "{problem}")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

impl Problem {
    pub(super) fn nowhere(text: String) -> Self {
        Self {
            line: None,
            column: None,
            text,
            excerpt: None,
        }
    }

    /// A mistake of the TOML grammar: a place, no excerpt.
    pub(super) fn grammar(source: &str, span: Option<Range<usize>>, text: &str) -> Self {
        let place = span.map(|span| position(source, span.start));
        Self {
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            text: text.to_owned(),
            excerpt: None,
        }
    }

    /// A mistake in a key or a value that was parsed.
    pub(super) fn at(source: &str, span: Range<usize>, text: String) -> Self {
        let (line, column) = position(source, span.start);
        Self {
            line: Some(line),
            column: Some(column),
            text,
            excerpt: excerpt(source, span),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Some(line), Some(column)) = (self.line, self.column) else {
            return f.write_str(&self.text);
        };
        write!(f, "line {line}, column {column}: {}", self.text)?;
        if let Some((shown, width)) = &self.excerpt {
            let indent = shown.chars().count() - width;
            write!(f, "\n  {line} | {shown}")?;
            write!(
                f,
                "\n  {:w$} | {:indent$}{:^<width$}",
                "",
                "",
                "",
                w = digits(line)
            )?;
        }
        Ok(())
    }
}

fn digits(n: usize) -> usize {
    n.to_string().len()
}

/// Line and column, from 1, of a byte offset.
fn position(source: &str, offset: usize) -> (usize, usize) {
    let before = source.get(..offset).unwrap_or(source);
    let line_start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

/// The line of a mistake, cut off at its end; `None` where it might show a secret.
fn excerpt(source: &str, span: Range<usize>) -> Option<(String, usize)> {
    let line_start = source.get(..span.start)?.rfind('\n').map_or(0, |i| i + 1);
    let line_end = source[span.start..]
        .find('\n')
        .map_or(source.len(), |i| span.start + i);
    let end = span.end.min(line_end);
    let shown = source
        .get(line_start..end)?
        .trim_end_matches('\r')
        .replace('\t', " ");
    let width = source
        .get(span.start..end)?
        .trim_end_matches('\r')
        .chars()
        .count();
    let secret = shown.to_ascii_lowercase().contains("pass");
    (!secret && width > 0 && shown.chars().count() <= 160).then_some((shown, width))
}
