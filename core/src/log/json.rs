//! A line of the log as a JSON object (RFC 8259), for programs.
//!
//! `time` (RFC 3339, UTC), `level`, `label` where a process runs several servers, `part`, `message`, and then the event's own fields by their names;
//! docs/guide/operation.md lists them. Numbers and booleans are such, all else is a string. An object is whole
//! and on one line whatever is in the values: long ones are cut off, never the object.

use std::fmt::{self, Debug, Write};

use tracing::Event;
use tracing::field::{Field, Visit};

use super::{is_hidden, short_target};
use crate::{limits, rt};

/// The names that a line has of itself; a field of the same name gets a `_` behind it.
const OWN: [&str; 4] = ["time", "level", "label", "part"];

/// Writes an event.
pub(super) fn write(writer: &mut dyn Write, time: &str, event: &Event<'_>) -> fmt::Result {
    let metadata = event.metadata();
    let mut object = Object {
        text: String::from("{"),
        room: limits::LOG_LINE_BYTES_MAX,
    };
    object.string("time", time);
    object.string("level", &metadata.level().as_str().to_ascii_lowercase());
    if let Some(label) = rt::label() {
        object.string("label", label);
    }
    object.string("part", short_target(metadata.target()));
    event.record(&mut object);
    object.text.push('}');
    writer.write_str(&object.text)?;
    writer.write_char('\n')
}

/// An object that is being written.
struct Object {
    text: String,
    /// How many bytes the values that are still to come may have.
    room: usize,
}

impl Object {
    fn name(&mut self, name: &str) {
        if self.text.len() > 1 {
            self.text.push(',');
        }
        self.quoted(name);
        self.text.push(':');
    }

    fn string(&mut self, name: &str, value: &str) {
        self.name(name);
        let cut = value.floor_char_boundary(self.room);
        self.room -= cut;
        if cut < value.len() {
            self.quoted(&format!("{}…", &value[..cut]));
        } else {
            self.quoted(value);
        }
    }

    /// A number, or what else needs no quotes.
    fn bare(&mut self, field: &Field, value: impl fmt::Display) {
        self.field_name(field);
        self.push(format_args!("{value}"));
    }

    fn field(&mut self, field: &Field, value: &str) {
        let name = field.name();
        if OWN.contains(&name) {
            self.string(&format!("{name}_"), value);
        } else {
            self.string(name, value);
        }
    }

    fn field_name(&mut self, field: &Field) {
        let name = field.name();
        if OWN.contains(&name) {
            self.name(&format!("{name}_"));
        } else {
            self.name(name);
        }
    }

    fn quoted(&mut self, value: &str) {
        self.text.push('"');
        for c in value.chars() {
            match c {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                // All of them are in the plane of four digits.
                c if is_hidden(c) => self.push(format_args!("\\u{:04x}", u32::from(c))),
                c => self.text.push(c),
            }
        }
        self.text.push('"');
    }

    fn push(&mut self, text: fmt::Arguments<'_>) {
        self.text
            .write_fmt(text)
            .expect("invariant: writing to a String can't fail");
    }
}

impl Visit for Object {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.field(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.bare(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.bare(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.bare(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if value.is_finite() {
            self.bare(field, value);
        } else {
            self.field(field, &value.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::tests::written_as;
    use crate::config::LogFormat;
    use crate::limits;

    /// The lines that these events are, each read as JSON.
    fn objects(events: impl FnOnce()) -> Vec<Value> {
        let lines = written_as(LogFormat::Json, events);
        let parsed = lines.iter().map(|line| {
            assert_eq!(line.matches('\n').count(), 1, "{line:?}");
            assert!(line.ends_with("}\n"), "{line:?}");
            serde_json::from_str(line).unwrap_or_else(|why| panic!("{why}: {line}"))
        });
        parsed.collect()
    }

    #[test]
    fn values_have_their_types() {
        let lines = objects(|| {
            tracing::info!(
                user = "eve", client = %"192.0.2.1:4711", commands = 7, down = -7i64, tls = true,
                seconds = 0.25, never = f64::NAN, time = 1, part = "x",
                "a \"session\"\r\n{}", 'ä'
            );
        });
        let want = serde_json::json!({
            "time": "1970-01-01T00:00:01.500Z", "level": "info", "part": "log",
            "message": "a \"session\"\r\nä", "user": "eve", "client": "192.0.2.1:4711",
            "commands": 7, "down": -7, "tls": true, "seconds": 0.25, "never": "NaN",
            "time_": 1, "part_": "x",
        });
        assert_eq!(lines, [want]);
    }

    #[test]
    fn a_line_has_a_limit_and_stays_an_object() {
        let long = "\u{1}ä".repeat(limits::LOG_LINE_BYTES_MAX);
        let lines = objects(|| tracing::error!(a = %long, b = %long, c = 3, "{long}"));
        let object = lines[0].as_object().unwrap();
        assert_eq!(object["c"], 3);
        let lengths = ["message", "a", "b"].map(|name| object[name].as_str().unwrap().len());
        let most = limits::LOG_LINE_BYTES_MAX + 3 * '…'.len_utf8();
        assert!(lengths.iter().sum::<usize>() <= most, "{lengths:?}");
        assert!(object["message"].as_str().unwrap().ends_with('…'));
    }

    proptest! {
        #[test]
        fn every_line_parses(bytes: Vec<u8>, text: String, controls in "[\\x00-\\x1f\"\\\\\u{7f}-\u{9f}\u{2028}\u{202e}😀]*") {
            let lossy = String::from_utf8_lossy(&bytes);
            let lines = objects(|| {
                tracing::info!(user = &*lossy, shown = %text, debug = ?bytes, odd = controls, "{text}{lossy}");
            });
            let object = lines[0].as_object().unwrap();
            prop_assert_eq!(object["message"].as_str().unwrap(), format!("{text}{lossy}"));
            prop_assert_eq!(object["user"].as_str().unwrap(), &*lossy);
            prop_assert_eq!(object["odd"].as_str().unwrap(), &controls);
        }
    }
}
