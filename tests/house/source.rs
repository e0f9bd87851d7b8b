//! The files of the repository, and Rust source with everything blanked that isn't code.

use std::fs;
use std::path::Path;

/// A text file, its path relative to the repository.
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) text: String,
    /// The text with comments, strings and character literals blanked; lines stay where they are.
    pub(crate) code: String,
}

impl File {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        let code = if path.ends_with(".rs") {
            code_of(text)
        } else {
            String::new()
        };
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
            code,
        }
    }
}

/// What a checkout doesn't hold, or what isn't ours.
const SKIPPED: [&str; 7] = [
    ".git",
    "target",
    "corpus",
    "artifacts",
    "coverage",
    "proptest-regressions",
    "Cargo.lock",
];

/// Every text file below `root`, in order of their paths.
pub(crate) fn walk(root: &Path) -> Vec<File> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory can be read") {
            let entry = entry.expect("a directory can be read");
            let name = entry.file_name().into_string().expect("names are UTF-8");
            let kind = entry.file_type().expect("a file has a type");
            if SKIPPED.contains(&name.as_str()) || name.ends_with(".log") {
                continue;
            } else if kind.is_dir() {
                directories.push(entry.path());
            } else if kind.is_file()
                && let Ok(text) = fs::read_to_string(entry.path())
            {
                let path = entry.path();
                let path = path
                    .strip_prefix(root)
                    .expect("below the root")
                    .display()
                    .to_string();
                files.push(File::new(&path, &text));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Blanks comments, strings and character literals. Knows nested comments, raw strings and the
/// difference between `'a'` and a lifetime.
pub(crate) fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let after_word = code.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let not_code = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !after_word => prefixed_string(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if not_code == 0 {
            code.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            code.extend(
                rest[..not_code]
                    .chars()
                    .map(|c| if c == '\n' { '\n' } else { ' ' }),
            );
            rest = &rest[not_code..];
        }
    }
    code
}

/// The length of a block comment at the beginning of `text`.
fn comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let here = &text[at..];
        if here.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if here.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += here.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a string in quotes at the beginning of `text`.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (i, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return i + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `b"…"`, `c"…"`, `r"…"`, `br#"…"#`, `b'…'` at the beginning of `text`, or 0.
fn prefixed_string(text: &str) -> usize {
    let prefix = text.find(|c| !"rbc".contains(c)).unwrap_or(text.len());
    let (prefix_text, rest) = text.split_at(prefix);
    if prefix > 2 {
        return 0;
    }
    if !prefix_text.contains('r') {
        return match rest.chars().next() {
            Some('"') => prefix + string(rest),
            Some('\'') if prefix_text == "b" => prefix + character(rest),
            _ => 0,
        };
    }
    let hashes = rest.find(|c| c != '#').unwrap_or(rest.len());
    let Some(body) = rest[hashes..].strip_prefix('"') else {
        return 0;
    };
    let end = format!("\"{}", "#".repeat(hashes));
    let body_length = body.find(&end).map_or(body.len(), |i| i + end.len());
    prefix + hashes + 1 + body_length
}

/// The length of a character literal at the beginning of `text`; 0 if it is a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(i, _)| i + 1)
        }
        Some(_) => chars
            .next()
            .filter(|(_, c)| *c == '\'')
            .map_or(0, |(i, _)| i + 1),
        None => 0,
    }
}

#[test]
fn what_is_not_code_is_blanked() {
    for (text, code) in [
        ("a // b\nc", "a\nc"),
        ("a /* b /* c */ d */ e", "a e"),
        ("f(\"a \\\" b\") g", "f( ) g"),
        ("r#\"a \" b\"# c", "c"),
        ("b\"x\" br\"y\" c\"z\" d", "d"),
        ("'a' '\\'' '\\u{1b}' &'a x '\"' y", "&'a x y"),
        ("b'\"' r#type barb \"x\" '€' z", "r#type barb z"),
        ("\"a\nb\" c", "\n c"),
    ] {
        let blanked = code_of(text);
        let words = |text: &str| {
            text.split(' ')
                .filter(|w| !w.is_empty())
                .collect::<String>()
        };
        assert_eq!(words(&blanked), words(code), "{text}");
    }
}
