//! What a backend's answer looks like to who asked: rows with TABs for scripts, columns on a terminal, or JSON.
//!
//! Lines come as `ravenry_backend::Operator` makes them. Results go to standard output, progress and errors to
//! standard error, and one error makes the command fail.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};

use ravenry_backend::ANSWER_ENDS;
use serde_json::{Map, Value};

/// How results are printed.
#[derive(clap::Args, Clone, Copy)]
pub(crate) struct Format {
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// An answer, read to its end.
#[derive(Default)]
pub(crate) struct Answer {
    columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
    facts: Vec<(String, String)>,
    errors: Vec<String>,
}

impl Answer {
    /// One that was made here.
    pub(crate) fn table(columns: &[&str], rows: Vec<Vec<String>>) -> Self {
        Self {
            columns: columns.iter().map(|&name| name.to_owned()).collect(),
            rows,
            ..Self::default()
        }
    }

    /// Reads it; text and progress are passed on as they come.
    pub(crate) fn read(stream: impl io::Read) -> io::Result<Self> {
        let mut answer = Self::default();
        let mut complete = false;
        for line in BufReader::new(stream).lines() {
            let line = line?;
            complete = line == ANSWER_ENDS.trim_end();
            if !complete {
                answer.take(&line)?;
            }
        }
        match complete {
            true => Ok(answer),
            false => Err(io::Error::other(
                "the answer is cut off: the server has ended, or is another version",
            )),
        }
    }

    /// Takes a line of it.
    pub(crate) fn take(&mut self, line: &str) -> io::Result<()> {
        let fields = |rest: &str| rest.split('\t').map(str::to_owned).collect();
        match line.split_at_checked(1) {
            Some(("#", rest)) => self.columns = fields(rest),
            Some(("-", rest)) => self.rows.push(fields(rest)),
            Some(("=", rest)) => {
                let (name, value) = rest.split_once('\t').unwrap_or((rest, ""));
                self.facts.push((name.to_owned(), value.to_owned()));
            }
            Some((".", rest)) => say(rest),
            Some(("!", rest)) => self.errors.push(rest.to_owned()),
            Some((_, rest)) => print(rest)?,
            None => {}
        }
        Ok(())
    }

    /// Prints tables and facts.
    pub(crate) fn show(&self, format: Format) -> Result<(), String> {
        let text = match (format.json, self.facts.is_empty()) {
            (true, true) if self.columns.is_empty() => String::new(),
            (true, true) => self.json_rows(),
            (true, false) => json(&object(self.facts.iter().map(|(n, v)| (&**n, &**v)))),
            (false, true) => self.rows_text(io::stdout().is_terminal()),
            (false, false) => self.facts_text(),
        };
        print_all(&text).map_err(|error| format!("standard output: {error}"))?;
        let Some((last, others)) = self.errors.split_last() else {
            return Ok(());
        };
        others.iter().for_each(|why| crate::complain(why));
        Err(last.clone())
    }

    fn facts_text(&self) -> String {
        let line = |(name, value): &(String, String)| format!("{}: {value}\n", plain(name));
        self.facts.iter().map(line).collect()
    }

    fn json_rows(&self) -> String {
        let row = |row: &Vec<String>| {
            let fields = row.iter().map(String::as_str);
            object(self.columns.iter().map(String::as_str).zip(fields))
        };
        json(&Value::Array(self.rows.iter().map(row).collect()))
    }

    /// For people with a heading and in columns; for scripts, rows with TABs.
    fn rows_text(&self, for_people: bool) -> String {
        if !for_people {
            return self.rows.iter().map(|row| row.join("\t") + "\n").collect();
        }
        let head: Vec<String> = self
            .columns
            .iter()
            .map(|name| plain(name).to_owned())
            .collect();
        let all = || std::iter::once(&head).chain(&self.rows);
        let wide = |field: &String| field.chars().count();
        let width = |at: usize| all().filter_map(|row| row.get(at)).map(wide).max();
        let widths: Vec<usize> = (0..head.len()).filter_map(width).collect();
        let mut text = String::new();
        for row in all() {
            let mut line = String::new();
            for (at, field) in row.iter().enumerate() {
                let width = widths.get(at).copied().unwrap_or(0);
                let number = self.columns.get(at).is_some_and(|name| is_number(name));
                line += &match number {
                    true => format!("{field:>width$}  "),
                    false => format!("{field:width$}  "),
                };
            }
            text += line.trim_end();
            text.push('\n');
        }
        text
    }
}

fn is_number(name: &str) -> bool {
    name.ends_with(":n")
}

fn plain(name: &str) -> &str {
    name.strip_suffix(":n").unwrap_or(name)
}

/// A number that isn't there is null.
fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a str)>) -> Value {
    let value = |name: &str, value: &str| match value.parse::<i64>() {
        Ok(number) if is_number(name) => Value::from(number),
        Err(_) if is_number(name) => Value::Null,
        _ => Value::from(value),
    };
    let fields = fields.map(|(name, text)| (plain(name).to_owned(), value(name, text)));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn json(value: &Value) -> String {
    format!("{value:#}\n")
}

/// A line of standard output, at once.
pub(crate) fn print(line: &str) -> io::Result<()> {
    print_all(&format!("{line}\n"))
}

fn print_all(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // `… | head`: who reads has had enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(1),
        written => written,
    }
}

/// How far it is.
#[expect(clippy::print_stderr, reason = "the command line's own voice")]
pub(crate) fn say(line: &str) {
    eprintln!("{line}");
}
