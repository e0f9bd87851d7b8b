//! Walks the parsed TOML: takes the keys that are known, notes every mistake with its place, and
//! names what is left over. Nothing stops at the first mistake.
//!
//! ```text
//! let mut table = doc.root();
//! let shards = table.get("shards", value::integer(0..=512)).unwrap_or(0);
//! table.finish();                        // what nobody took is unknown
//! doc.into_error()?;                     // every mistake, in the order of the file
//! ```

use std::cell::RefCell;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{ConfigError, Problem};
use super::value;

/// The text and what was found wrong in it.
pub(super) struct Document<'t> {
    source: &'t str,
    problems: RefCell<Vec<(usize, Problem)>>,
    unbuilt: RefCell<Vec<(Range<usize>, String)>>,
}

/// One table, and the keys of it that were asked for.
pub(super) struct Table<'t> {
    doc: &'t Document<'t>,
    /// `proxy.upstream`, empty at the root.
    path: String,
    span: Range<usize>,
    entries: &'t DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Document<'t> {
    pub(super) fn new(source: &'t str) -> Self {
        Self {
            source,
            problems: RefCell::default(),
            unbuilt: RefCell::default(),
        }
    }

    pub(super) fn root(&'t self, entries: &'t DeTable<'t>) -> Table<'t> {
        Table {
            doc: self,
            path: String::new(),
            span: 0..0,
            entries,
            known: Vec::new(),
        }
    }

    /// A mistake in no one place.
    pub(super) fn fail(&self, text: String) {
        self.problems
            .borrow_mut()
            .push((usize::MAX, Problem::nowhere(text)));
    }

    fn fail_at(&self, span: Range<usize>, text: String) {
        let start = span.start;
        self.problems
            .borrow_mut()
            .push((start, Problem::at(self.source, span, text)));
    }

    /// The mistakes, in the order of the file; what isn't built yet is one of them.
    pub(super) fn into_result(self) -> Result<(), ConfigError> {
        let mut problems = self.problems.into_inner();
        let mut unbuilt = self.unbuilt.into_inner();
        unbuilt.sort_by_key(|(span, _)| span.start);
        if let Some((first, _)) = unbuilt.first() {
            let keys: Vec<_> = unbuilt.iter().map(|(_, key)| key.as_str()).collect();
            let text = format!("not built yet: {}", keys.join(", "));
            problems.push((first.start, Problem::at(self.source, first.clone(), text)));
        }
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort_by_key(|(start, _)| *start);
        Err(ConfigError::new(
            problems.into_iter().map(|(_, problem)| problem).collect(),
        ))
    }
}

impl<'t> Table<'t> {
    /// The value of a key, parsed. `None`: not there, or wrong and noted.
    pub(super) fn get<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.entry(key)?;
        self.note(key, value, parse(value.get_ref()))
    }

    /// As [`Self::get`]; a key that is not there is a mistake.
    pub(super) fn require<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<T> {
        if !self.has(key) {
            self.fail(format!("{} is missing", self.name(key)));
        }
        self.get(key, parse)
    }

    /// An array, each item parsed. An item that is wrong is noted at its own place.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        items_max: usize,
        parse: impl Fn(&DeValue<'t>) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let value = self.entry(key)?;
        let DeValue::Array(items) = value.get_ref() else {
            let found = value::kind(value.get_ref());
            return self.note(
                key,
                value,
                Err(format!("wants an array, [\"…\"], not {found}")),
            );
        };
        if items.len() > items_max {
            return self.note(key, value, Err(format!("has more than {items_max} items")));
        }
        let parsed = items
            .iter()
            .map(|item| self.note(key, item, parse(item.get_ref())));
        all_noted(parsed)
    }

    /// A table whose keys are the site's own (host names), each value parsed.
    pub(super) fn map<T>(
        &mut self,
        key: &'static str,
        items_max: usize,
        parse: impl Fn(&str, &DeValue<'t>) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let table = self.table(key)?;
        if table.entries.len() > items_max {
            table.fail(format!("{} has more than {items_max} entries", table.path));
        }
        let entries = table.entries.iter().take(items_max);
        let parsed = entries.map(|(name, value)| {
            let name = name.get_ref();
            table.note(name, value, parse(name, value.get_ref()))
        });
        all_noted(parsed)
    }

    /// An array of tables, `[[key]]`, each to be read and finished on its own.
    pub(super) fn tables(&mut self, key: &'static str, items_max: usize) -> Vec<Self> {
        let entries = self
            .list(key, items_max, |_| Ok(()))
            .and_then(|_| self.entry(key));
        let Some(DeValue::Array(items)) = entries.map(Spanned::get_ref) else {
            return Vec::new();
        };
        let table = |item: &'t Spanned<DeValue<'t>>| match item.get_ref() {
            DeValue::Table(entries) => Some(Table {
                doc: self.doc,
                path: self.name(key),
                span: item.span(),
                entries,
                known: Vec::new(),
            }),
            other => {
                let found = value::kind(other);
                self.note(
                    key,
                    item,
                    Err(format!("wants tables, [[{key}]], not {found}")),
                )
            }
        };
        items.iter().filter_map(table).collect()
    }

    /// A table within. `None`: not there, or no table, which is noted.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Self> {
        let value = self.entry(key)?;
        let DeValue::Table(entries) = value.get_ref() else {
            let found = value::kind(value.get_ref());
            return self.note(key, value, Err(format!("is a table, [{key}], not {found}")));
        };
        let span = self.key_span(key);
        Some(Table {
            doc: self.doc,
            path: self.name(key),
            span,
            entries,
            known: Vec::new(),
        })
    }

    /// Keys whose part isn't built yet.
    pub(super) fn unbuilt(&mut self, keys: &[&'static str]) {
        for key in keys {
            if self.entry(key).is_some() {
                self.not_built(key, self.name(key));
            }
        }
    }

    fn not_built(&self, key: &str, shown: String) {
        self.doc
            .unbuilt
            .borrow_mut()
            .push((self.key_span(key), shown));
    }

    /// Whether the key is there, right or wrong.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// The table's own name.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// A mistake in the table as a whole.
    pub(super) fn fail(&self, text: String) {
        if self.path.is_empty() {
            self.doc.fail(text);
        } else {
            self.doc.fail_at(self.span.clone(), text);
        }
    }

    /// A mistake in the value of a key that is there.
    pub(super) fn fail_key(&self, key: &'static str, text: &str) {
        self.doc
            .fail_at(self.key_span(key), format!("{} {text}", self.name(key)));
    }

    /// The keys that nobody asked for are unknown.
    pub(super) fn finish(self) {
        for (key, _) in self.entries.iter() {
            let name = key.get_ref().as_ref();
            if !self.known.contains(&name) {
                let known = self.known.join(", ");
                let text = format!("unknown key `{}`; known here: {known}", self.name(name));
                self.doc.fail_at(key.span(), text);
            }
        }
    }

    fn entry(&mut self, key: &'static str) -> Option<&'t Spanned<DeValue<'t>>> {
        if !self.known.contains(&key) {
            self.known.push(key);
        }
        self.entries.get(key)
    }

    fn note<T>(
        &self,
        key: &str,
        value: &Spanned<DeValue<'t>>,
        parsed: Result<T, String>,
    ) -> Option<T> {
        match parsed {
            Ok(parsed) => Some(parsed),
            Err(why) => {
                self.doc
                    .fail_at(value.span(), format!("{} {why}", self.name(key)));
                None
            }
        }
    }

    fn key_span(&self, key: &str) -> Range<usize> {
        let entry = self.entries.get_key_value(key);
        entry.map_or_else(|| self.span.clone(), |(key, _)| key.span())
    }

    fn name(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }
}

/// All or nothing, but only after each one was looked at.
fn all_noted<T>(parsed: impl Iterator<Item = Option<T>>) -> Option<Vec<T>> {
    parsed.collect::<Vec<_>>().into_iter().collect()
}
