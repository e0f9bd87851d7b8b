//! What the Date field says, for SENTBEFORE, SENTON and SENTSINCE (RFC 3501 section 6.4.4), SORT and THREAD (RFC 5256 section 2.2);
//! RFC 5322 sections 3.3 and 4.3.

use ravenry_core::proto::imap;

use super::header::field_values;

/// A day of the calendar. Earlier days are less.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day {
    /// With its century.
    pub year: u16,
    /// 1 to 12.
    pub month: u8,
    /// 1 to 31.
    pub day: u8,
}

/// When a message was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The day as it is written, whatever its time and zone.
    pub day: imap::Day,
    /// Seconds since 1970, UTC. A zone that can't be read is UTC, a time that can't be read midnight.
    pub seconds: i64,
}

pub(super) const DAY_SECONDS: i64 = 86_400;

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Zones that have names, and their hours; all others count as UTC (RFC 5322 section 4.3).
const ZONES: [(&str, i64); 8] = [
    ("EST", -5),
    ("EDT", -4),
    ("CST", -6),
    ("CDT", -5),
    ("MST", -7),
    ("MDT", -6),
    ("PST", -8),
    ("PDT", -7),
];

/// Longer values are no date.
const VALUE_BYTES_MAX: usize = 1024;

/// The day that a header's Date names, as it is written: its time and its zone don't count.
#[must_use]
pub fn sent_date(header: &[u8]) -> Option<Day> {
    day(&mut Words(&value(header)?))
}

/// When a message was sent, by its header's Date.
#[must_use]
pub fn sent(header: &[u8]) -> Option<Sent> {
    let value = value(header)?;
    let mut words = Words(&value);
    let day = day(&mut words)?;
    let day = imap::Day::of(day.year.into(), day.month.into(), day.day.into())?;
    let time = time(&mut words);
    let zone = time.map_or(0, |_| zone(words.0).unwrap_or(0));
    Some(Sent {
        day,
        seconds: day.0 * DAY_SECONDS + time.unwrap_or(0) - zone,
    })
}

/// The last Date field, without comments.
fn value(header: &[u8]) -> Option<String> {
    let value = field_values(header, "Date").last()?;
    (value.len() <= VALUE_BYTES_MAX).then(|| without_comments(&value))
}

/// What is still to be read of a value, word by word: letters and digits.
struct Words<'a>(&'a str);

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        let other = |c: char| !c.is_ascii_alphanumeric();
        let text = self.0.trim_start_matches(other);
        let (word, rest) = text.split_at(text.find(other).unwrap_or(text.len()));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

fn day(words: &mut Words<'_>) -> Option<Day> {
    let first = words.find(|word| !word.starts_with(|c: char| c.is_ascii_alphabetic()))?;
    let day = first.parse().ok().filter(|day| *day <= 31)?;
    let month = words.next()?.get(..3)?.to_ascii_lowercase();
    let month = (1..).zip(MONTHS).find(|(_, name)| *name == month)?.0;
    let year = words.next()?;
    let number: u16 = year.parse().ok()?;
    // RFC 5322 section 4.3.
    let year = match (year.len(), number) {
        (..=2, ..50) => number + 2000,
        (..=3, _) => number + 1900,
        _ => number,
    };
    let plausible = (1..=31).contains(&day) && (1900..=9999).contains(&year);
    plausible.then_some(Day { year, month, day })
}

/// `02:44:25`, the seconds of the day; a leap second counts as the one before it.
fn time(words: &mut Words<'_>) -> Option<i64> {
    let mut ahead = Words(words.0);
    let mut part = |max: i64| {
        let word = ahead.next().filter(|word| word.len() <= 2)?;
        word.parse().ok().filter(|value| (0..=max).contains(value))
    };
    let (hours, minutes) = (part(23)?, part(59)?);
    let mut seconds = 0;
    if ahead.0.trim_start().starts_with(':') {
        let word = ahead.next().filter(|word| word.len() <= 2)?;
        seconds = word.parse::<i64>().ok().filter(|seconds| *seconds <= 60)?;
    }
    *words = ahead;
    Some(hours * 3600 + minutes * 60 + seconds.min(59))
}

/// `-0700`, in seconds.
fn zone(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let east = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => {
            let name = Words(text).next()?;
            let mut known = ZONES.iter();
            let (_, hours) = known.find(|(zone, _)| zone.eq_ignore_ascii_case(name))?;
            return Some(hours * 3600);
        }
    };
    let digits = Words(text).next().filter(|word| word.len() == 4)?;
    let number: i64 = digits.parse().ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    (hours <= 23 && minutes <= 59).then_some(east * (hours * 3600 + minutes * 60))
}

fn without_comments(value: &[u8]) -> String {
    let mut depth = 0_usize;
    let mut text = String::with_capacity(value.len());
    for byte in value {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth == 0 => text.push(char::from(*byte)),
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_utc() {
        for (value, expected) in [
            // RFC 5256 section 2.2 has this one.
            ("01 Jan 2000 16:01:33 -0800", Some("02 Jan 2000 00:01:33")),
            (
                "Fri, 21 Nov 1997 09:55:06 -0600",
                Some("21 Nov 1997 15:55:06"),
            ),
            ("1 Apr 16 23:59 +2359 (x)", Some("1 Apr 2016 00:00:00")),
            ("1 Apr 2016 23 : 59 : 60 PDT", Some("2 Apr 2016 06:59:59")),
            ("1 Apr 2016 01:02:03 +0260", Some("1 Apr 2016 01:02:03")),
            ("1 Apr 2016 01:02:03 GMT", Some("1 Apr 2016 01:02:03")),
            ("1 Apr 2016 01:02:61 -0800", Some("1 Apr 2016")),
            ("1 Apr 2016 24:02:03 -0800", Some("1 Apr 2016")),
            ("1 Apr 2016", Some("1 Apr 2016")),
            ("31 Apr 2016 01:02:03 -0800", None),
            ("soon", None),
        ] {
            let seconds = |value: &str| {
                sent(format!("Date: {value}\r\n\r\n").as_bytes()).map(|sent| sent.seconds)
            };
            assert_eq!(seconds(value), expected.and_then(seconds), "{value}");
        }
        let sent = sent(b"Date: 1 Jan 1970 00:00:01 +0100\n\n").unwrap();
        assert_eq!((sent.day.0, sent.seconds), (0, -3599));
    }
}
