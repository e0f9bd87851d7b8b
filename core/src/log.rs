//! The log: one line an event on standard error, written off the shards.
//!
//! For people or for programs ([`LogFormat`]; `json`). A panic is a line as well.
//!
//! A shard hands its line to a queue and goes on; a thread writes. If the queue is full (nobody
//! reads standard error) lines are dropped and counted, see [`LogGuard::dropped`]. A line is one
//! line whatever a client sent: control characters of messages and fields are escaped.
//!
//! # Levels
//! * `error`: somebody has to act, and some users are without service until then: the list file
//!   can't be written, a panic, a listener that can't be bound.
//! * `warn`: something isn't as it should be and the service goes on: the master or a backend can't
//!   be reached, the log's own losses, a configuration that may not be meant so.
//! * `info`: what an operator counts on: start, stop, one line a session, the list complete.
//! * `debug`: for whoever looks for a fault: logins that failed, each upstream connection, each
//!   resync.
//! * `trace`: each command and each barrier; never what is in messages, never credentials.

mod json;

use std::fmt;
use std::io;
use std::time::{SystemTime, UNIX_EPOCH};

use tracing::{Event, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogFormat, LogLevel};
use crate::limits;
use crate::rt;

/// Keeps the writer going; what is in the queue is written when this is dropped.
pub struct LogGuard {
    _thread: WorkerGuard,
    dropped: ErrorCounter,
}

impl LogGuard {
    /// Lines that were dropped because the queue was full.
    pub fn dropped(&self) -> u64 {
        self.dropped.dropped_lines() as u64
    }
}

/// Why there is no log.
#[derive(Debug)]
pub struct LogError(String);

/// Starts the log of this process, once. `RAVENRY_LOG` overrides the level, also a part at a time
/// (`info,ravenry_proxy=debug`).
pub fn init(format: LogFormat, level: LogLevel) -> Result<LogGuard, LogError> {
    init_to(format, level, io::stderr())
}

/// The same, written elsewhere.
pub fn init_to(
    format: LogFormat,
    level: LogLevel,
    writer: impl io::Write + Send + 'static,
) -> Result<LogGuard, LogError> {
    let filter = match std::env::var("RAVENRY_LOG") {
        Ok(text) => filter(&text)?,
        Err(std::env::VarError::NotPresent) => filter(level_name(level))?,
        Err(error) => return Err(LogError(format!("RAVENRY_LOG: {error}"))),
    };
    let (subscriber, guard) = subscriber(format, filter, writer, rt::wall_clock);
    subscriber
        .try_init()
        .map_err(|_| LogError("the log was started already".to_owned()))?;
    std::panic::set_hook(Box::new(|panic| {
        let at = panic.location().map(ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("(no text)");
        tracing::error!(at, "panic: {text}");
    }));
    Ok(guard)
}

/// Lines to `writer`, by way of a queue and a thread.
fn subscriber(
    format: LogFormat,
    filter: EnvFilter,
    writer: impl io::Write + Send + 'static,
    clock: fn() -> SystemTime,
) -> (impl Subscriber + Send + Sync, LogGuard) {
    let builder = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(limits::LOG_QUEUE_LINES_MAX)
        .thread_name("log");
    let (queue, thread) = builder.finish(writer);
    let guard = LogGuard {
        dropped: queue.error_counter(),
        _thread: thread,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        // They would be written to standard error by the shard itself, which might block.
        .log_internal_errors(false)
        .event_format(Line { format, clock })
        .with_writer(queue)
        .finish();
    (subscriber, guard)
}

fn filter(directives: &str) -> Result<EnvFilter, LogError> {
    EnvFilter::try_new(directives).map_err(|error| {
        LogError(format!(
            "RAVENRY_LOG={directives:?}: {error}; such as info,ravenry_proxy=debug"
        ))
    })
}

fn level_name(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    }
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for LogError {}

/// `2026-11-23T14:50:46.123Z INFO  proxy: message key=value`, or the same as a JSON object. Where a process runs
/// several servers, the one's label stands before `proxy`.
struct Line {
    format: LogFormat,
    clock: fn() -> SystemTime,
}

impl<S, N> FormatEvent<S, N> for Line
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let since = (self.clock)()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let metadata = event.metadata();
        if self.format == LogFormat::Json {
            let mut time = String::new();
            write_time(&mut time, since.as_secs(), since.subsec_millis())?;
            return json::write(&mut writer, &time, event);
        }
        write_time(&mut writer, since.as_secs(), since.subsec_millis())?;
        write!(
            writer,
            " {:5} {}{}{}: ",
            metadata.level().as_str(),
            rt::label().unwrap_or_default(),
            rt::label().map_or("", |_| " "),
            short_target(metadata.target())
        )?;
        let mut text = String::new();
        context
            .field_format()
            .format_fields(Writer::new(&mut text), event)?;
        write_escaped(&mut writer, &text)?;
        writer.write_char('\n')
    }
}

/// `ravenry_proxy::session::login` is `proxy`, `ravenry_core::rt::shard` is `rt`: the part of the
/// system, which is what one reads by.
fn short_target(target: &str) -> &str {
    let mut parts = target.split("::");
    let first = parts.next().unwrap_or(target);
    match first.strip_prefix("ravenry_") {
        Some("core") => parts.next().unwrap_or("core"),
        Some(part) => part,
        None => first,
    }
}

/// One line, whatever is in it: controls as `\n`, `\u{1b}`, the rest as it is; a limit.
fn write_escaped(writer: &mut impl fmt::Write, text: &str) -> fmt::Result {
    let end = text.floor_char_boundary(limits::LOG_LINE_BYTES_MAX);
    for piece in text[..end].split_inclusive(is_hidden) {
        let control = piece.chars().next_back().filter(|c| is_hidden(*c));
        let Some(control) = control else {
            writer.write_str(piece)?;
            continue;
        };
        writer.write_str(&piece[..piece.len() - control.len_utf8()])?;
        write!(writer, "{}", control.escape_default())?;
    }
    if end < text.len() {
        writer.write_str(" …")?;
    }
    Ok(())
}

/// Controls, and the marks that turn a line's direction around.
fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// RFC 3339 in UTC with milliseconds; the days by Howard Hinnant's `civil_from_days`.
fn write_time(writer: &mut impl fmt::Write, seconds: u64, ms: u32) -> fmt::Result {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on, so that the leap day is the last of a year.
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 {
        shifted + 3
    } else {
        shifted - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    write!(
        writer,
        "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{ms:03}Z"
    )
}

/// A peer's line for the log: without its end, cut, and with nothing that could forge a line.
#[must_use]
pub fn printable(line: &[u8]) -> String {
    let cut = &line[..line.len().min(200)];
    cut.trim_ascii_end().escape_ascii().to_string()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    fn time(seconds: u64, ms: u32) -> String {
        let mut text = String::new();
        write_time(&mut text, seconds, ms).unwrap();
        text
    }

    #[test]
    fn times() {
        assert_eq!(time(0, 0), "1970-01-01T00:00:00.000Z");
        assert_eq!(time(951_782_399, 999), "2000-02-28T23:59:59.999Z");
        assert_eq!(time(951_782_400, 1), "2000-02-29T00:00:00.001Z");
        assert_eq!(time(951_868_800, 0), "2000-03-01T00:00:00.000Z");
        assert_eq!(time(1_735_689_599, 0), "2024-12-31T23:59:59.000Z");
        assert_eq!(time(4_107_542_400, 0), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn targets() {
        assert_eq!(short_target("ravenry_proxy::session::login"), "proxy");
        assert_eq!(short_target("ravenry_core::rt::shard"), "rt");
        assert_eq!(short_target("ravenry_core"), "core");
        assert_eq!(short_target("ravenry"), "ravenry");
        assert_eq!(short_target("heed::env"), "heed");
    }

    struct Lines(mpsc::Sender<Vec<u8>>);

    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.send(line.to_vec()).map_err(io::Error::other)?;
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn clock() -> SystemTime {
        UNIX_EPOCH + Duration::from_millis(1_500)
    }

    fn written(events: impl FnOnce()) -> Vec<String> {
        written_as(LogFormat::Text, events)
    }

    pub(super) fn written_as(format: LogFormat, events: impl FnOnce()) -> Vec<String> {
        let (sender, lines) = mpsc::channel();
        let info = filter("info").unwrap();
        let (subscriber, guard) = subscriber(format, info, Lines(sender), clock);
        tracing::subscriber::with_default(subscriber, events);
        assert_eq!(guard.dropped(), 0);
        drop(guard);
        lines
            .iter()
            .map(|line| String::from_utf8(line).unwrap())
            .collect()
    }

    /// A writer that waits until it is let go, as standard error does when nobody reads it.
    struct Stuck(mpsc::Receiver<()>);

    impl io::Write for Stuck {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _gone = self.0.recv();
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn nobody_waits_for_a_writer_that_is_stuck() {
        let (let_go, wait) = mpsc::channel();
        let info = filter("info").unwrap();
        let (subscriber, guard) = subscriber(LogFormat::Text, info, Stuck(wait), clock);
        tracing::subscriber::with_default(subscriber, || {
            for i in 0..limits::LOG_QUEUE_LINES_MAX + 100 {
                tracing::info!(i, "line");
            }
        });
        // The writer has one in its hands.
        assert!((99..=100).contains(&guard.dropped()), "{}", guard.dropped());
        drop(let_go);
    }

    #[test]
    fn a_line_is_one_line() {
        let user = "eve\r\n1970-01-01T00:00:00.000Z INFO  proxy: forged \u{1b}[31m\u{202e}";
        let lines = written(|| {
            tracing::info!(%user, name = user, "{user}");
            tracing::debug!("not written");
            tracing::warn!(target: "ravenry_proxy::session", bytes = 7, "ended");
        });
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[1],
            "1970-01-01T00:00:01.500Z WARN  proxy: ended bytes=7\n"
        );
        assert_eq!(
            lines[0].matches(|c: char| c.is_control()).count(),
            1,
            "{:?}",
            lines[0]
        );
        assert!(lines[0].contains("user=eve\\r\\n1970"), "{}", lines[0]);
        assert!(!lines[0].contains('\u{202e}'));
    }

    #[test]
    fn a_label_says_whose_line_it_is() {
        let both = || {
            rt::set_label(Some("backend1"));
            tracing::info!(target: "ravenry_backend::shard", "one");
            rt::set_label(None);
            tracing::info!(target: "ravenry_backend::shard", "two");
        };
        let lines = written(both);
        assert!(
            lines[0].ends_with(" INFO  backend1 backend: one\n"),
            "{lines:?}"
        );
        assert!(lines[1].ends_with(" INFO  backend: two\n"), "{lines:?}");
        let lines = written_as(LogFormat::Json, both);
        assert!(lines[0].contains("\"label\":\"backend1\""), "{lines:?}");
        assert!(!lines[1].contains("label"), "{lines:?}");
    }

    #[test]
    fn a_line_has_a_limit() {
        let long = "ä".repeat(limits::LOG_LINE_BYTES_MAX);
        let lines = written(|| tracing::error!("{long}"));
        assert!(
            lines[0].len() < limits::LOG_LINE_BYTES_MAX + 100,
            "{}",
            lines[0].len()
        );
        assert!(lines[0].ends_with("ä …\n"));
    }

    #[test]
    fn filters() {
        assert!(filter("info,ravenry_proxy=debug").is_ok());
        let error = filter("proxy=loud").unwrap_err().to_string();
        assert!(
            error.contains("RAVENRY_LOG") && error.contains("such as"),
            "{error}"
        );
    }
}
