//! Dates as IMAP writes them (RFC 3501 section 9, `date-time` and `date`), in both directions; and as header fields have
//! them (RFC 5322 section 3.3), in one.
//!
//! Days are counted in the Gregorian calendar, forwards and backwards from 1970.

use std::fmt;

use super::cursor::{Cursor, ParseError};

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// 1 January 1970 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];
const DAY_SECONDS: i64 = 86_400;
/// 1 January of the year 0 and 31 December 9999: what four digits can say.
const FIRST_DAY: i64 = -719_528;
const LAST_DAY: i64 = 2_932_896;

/// A day of the calendar: how many days it lies behind 1 January 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(pub i64);

/// A time with its zone: INTERNALDATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DateTime {
    /// Seconds since 1970, UTC.
    pub seconds: i64,
    /// Minutes east of UTC.
    pub zone: i16,
}

impl Day {
    /// The day of a year (0 to 9999), a month and a day in it; `None` if there is no such day.
    #[must_use]
    pub fn of(year: u32, month: u32, day: u32) -> Option<Self> {
        if year > 9999 || !(1..=12).contains(&month) || day == 0 || day > days(year, month) {
            return None;
        }
        // Years begin in March here, so that the day which may be missing is the last one.
        let (year, month) = if month > 2 {
            (i64::from(year), i64::from(month) - 3)
        } else {
            (i64::from(year) - 1, i64::from(month) + 9)
        };
        let leap = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        let in_year = (153 * month + 2) / 5 + i64::from(day) - 1;
        Some(Self(365 * year + leap + in_year - MARCH_DAYS))
    }

    /// Year, month and day; years outside of 0 to 9999 become the nearest of those.
    fn civil(self) -> (i64, i64, i64) {
        let days = self.0.clamp(FIRST_DAY, LAST_DAY) + MARCH_DAYS;
        let era = days.div_euclid(ERA_DAYS);
        let in_era = days.rem_euclid(ERA_DAYS);
        let year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / (ERA_DAYS - 1)) / 365;
        let in_year = in_era - (365 * year + year / 4 - year / 100);
        let month = (5 * in_year + 2) / 153;
        let day = in_year - (153 * month + 2) / 5 + 1;
        let (next, month) = if month < 10 {
            (0, month + 3)
        } else {
            (1, month - 9)
        };
        (era * 400 + year + next, month, day)
    }

    /// Reads a `date`, quoted or not: `1-Feb-1994`.
    ///
    /// # Errors
    /// If it is none, or there is no such day.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        let text = cursor.astring().map_err(|_| NO_DATE)?;
        Self::parse(&text).ok_or(NO_DATE)
    }

    /// Reads `1-Feb-1994`; `None` if it is no date.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let mut parts = text.split(|byte| *byte == b'-');
        let day = parts.next().filter(|day| matches!(day.len(), 1 | 2))?;
        let (month, year) = (parts.next()?, parts.next().filter(|year| year.len() == 4)?);
        let date = Self::of(digits(year)?, month_of(month)?, digits(day)?);
        date.filter(|_| parts.next().is_none())
    }
}

/// As a `date`.
impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.civil();
        write!(f, "{day}-{}-{year:04}", name(month))
    }
}

impl DateTime {
    /// The day it is at its own zone.
    #[must_use]
    pub fn day(self) -> Day {
        Day(self.local().div_euclid(DAY_SECONDS))
    }

    fn local(self) -> i64 {
        self.seconds.saturating_add(i64::from(self.zone) * 60)
    }

    /// As a header field has it: `Tue, 1 Feb 1994 02:44:25 -0700`.
    #[must_use]
    pub fn in_header(self) -> String {
        let at = usize::try_from((self.day().0 + 4).rem_euclid(7)).unwrap_or_default();
        let weekday = WEEKDAYS.get(at).copied().unwrap_or("Sun");
        let text = self.to_string();
        // The first two hyphens are the day's; the third may be the zone's.
        let text = text.trim_start().replacen('-', " ", 2);
        format!("{weekday}, {text}")
    }

    /// Reads a `date-time` in its quotes.
    ///
    /// # Errors
    /// If it is none, or there is no such time.
    pub fn read(cursor: &mut Cursor<'_>) -> Result<Self, ParseError> {
        if cursor.peek() != Some(b'"') {
            return Err(NO_DATE_TIME);
        }
        let text = cursor.string()?;
        Self::parse(&text).ok_or(NO_DATE_TIME)
    }

    /// Reads `17-Jul-1996 02:44:25 -0700`; a space may stand for the first digit. `None` if it is
    /// no time.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(b" ").unwrap_or(text);
        let mut words = text.split(|byte| *byte == b' ');
        let day = Day::parse(words.next()?)?;
        let time = seconds_of(words.next()?)?;
        let zone = zone_of(words.next()?)?;
        let seconds = day.0 * DAY_SECONDS + time - i64::from(zone) * 60;
        words.next().is_none().then_some(Self { seconds, zone })
    }
}

/// As a `date-time`, without the quotes.
impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = self.day().civil();
        let time = self.local().rem_euclid(DAY_SECONDS);
        let (hour, minute, second) = (time / 3600, time / 60 % 60, time % 60);
        let sign = if self.zone < 0 { '-' } else { '+' };
        let zone = self.zone.unsigned_abs();
        write!(
            f,
            "{day:2}-{}-{year:04} {hour:02}:{minute:02}:{second:02} {sign}{:02}{:02}",
            name(month),
            zone / 60,
            zone % 60
        )
    }
}

const NO_DATE: ParseError = ParseError::Expected("a date such as 1-Feb-1994");
const NO_DATE_TIME: ParseError =
    ParseError::Expected("a date and time such as \"17-Jul-1996 02:44:25 -0700\"");
/// From 1 March of the year 0 to 1970.
const MARCH_DAYS: i64 = 719_468;
/// 400 years.
const ERA_DAYS: i64 = 146_097;

fn days(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn name(month: i64) -> &'static str {
    let at = usize::try_from(month - 1).unwrap_or_default();
    MONTHS.get(at).copied().unwrap_or("Jan")
}

fn month_of(name: &[u8]) -> Option<u32> {
    let named = |known: &str| known.as_bytes().eq_ignore_ascii_case(name);
    let at = MONTHS.iter().position(|known| named(known))?;
    u32::try_from(at + 1).ok()
}

/// A few digits, and nothing else.
fn digits(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 4 && text.iter().all(u8::is_ascii_digit);
    let value = |sum, digit: &u8| 10 * sum + u32::from(digit - b'0');
    digits.then(|| text.iter().fold(0, value))
}

/// `02:44:25`; a leap second counts as the one before it.
fn seconds_of(time: &[u8]) -> Option<i64> {
    let mut parts = time.split(|byte| *byte == b':');
    let mut part = |max: u32| {
        let two = parts.next().filter(|part| part.len() == 2)?;
        digits(two).filter(|value| *value <= max).map(i64::from)
    };
    let seconds = part(23)? * 3600 + part(59)? * 60 + part(60)?.min(59);
    parts.next().is_none().then_some(seconds)
}

/// `-0700`
fn zone_of(zone: &[u8]) -> Option<i16> {
    let (sign, zone) = zone.split_first().filter(|(_, zone)| zone.len() == 4)?;
    let number = i16::try_from(digits(zone)?).ok()?;
    let (hours, minutes) = (number / 100, number % 100);
    let east = (hours <= 23 && minutes <= 59).then_some(hours * 60 + minutes)?;
    match sign {
        b'+' => Some(east),
        b'-' => Some(-east),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn header_fields_have_the_day_of_the_week() {
        for (seconds, zone, expected) in [
            (0, 0, "Thu, 1 Jan 1970 00:00:00 +0000"),
            (-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"),
            (-1, 60, "Thu, 1 Jan 1970 00:59:59 +0100"),
            (1_795_725_467, -480, "Thu, 26 Nov 2026 12:37:47 -0800"),
        ] {
            assert_eq!(DateTime { seconds, zone }.in_header(), expected);
        }
    }

    #[test]
    fn days_are_counted() {
        // Day by day through every year there is, by a calendar that only adds one.
        let (mut at, mut year, mut month, mut day) = (FIRST_DAY, 0, 1, 1);
        while year <= 9999 {
            assert_eq!(
                Day::of(year, month, day),
                Some(Day(at)),
                "{year}-{month}-{day}"
            );
            let civil = (i64::from(year), i64::from(month), i64::from(day));
            assert_eq!(Day(at).civil(), civil);
            (at, day) = (at + 1, day + 1);
            if day > days(year, month) {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        assert_eq!(at, LAST_DAY + 1);
        assert_eq!(Day::of(1970, 1, 1), Some(Day(0)));
        assert_eq!(Day::of(2000, 2, 29), Some(Day(11_016)));
        for (year, month, day) in [(1900, 2, 29), (1, 0, 1), (1, 13, 1), (1, 1, 0), (1, 4, 31)] {
            assert_eq!(Day::of(year, month, day), None);
        }
    }

    #[test]
    fn times_are_read_and_written() {
        for (text, seconds, zone) in [
            ("17-Jul-1996 02:44:25 -0700", 837_596_665, -420),
            (" 1-Jan-1970 00:00:00 +0000", 0, 0),
            (" 7-Feb-1994 21:52:25 -0800", 760_686_745, -480),
            ("31-Dec-1969 23:59:59 +0000", -1, 0),
            (" 1-Jan-0000 00:00:00 +0000", FIRST_DAY * DAY_SECONDS, 0),
        ] {
            let time = DateTime { seconds, zone };
            assert_eq!(DateTime::parse(text.as_bytes()), Some(time), "{text}");
            assert_eq!(time.to_string(), text);
        }
        let plain = DateTime::parse(b"7-feb-1994 21:52:25 -0800").unwrap();
        assert_eq!(plain.day().to_string(), "7-Feb-1994");
        let zero = DateTime::parse(b"01-Jan-2016 00:00:60 -0000").unwrap();
        assert_eq!(zero.to_string(), " 1-Jan-2016 00:00:59 +0000");
        let last = DateTime::parse(b"31-Dec-9999 23:59:60 -2359").unwrap();
        assert_eq!(last.to_string(), "31-Dec-9999 23:59:59 -2359");
        for seconds in [i64::MIN, i64::MAX] {
            let text = DateTime {
                seconds,
                zone: -720,
            }
            .to_string();
            assert!(DateTime::parse(text.as_bytes()).is_some(), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for text in [
            "",
            "1-Feb",
            "1-Feb-94",
            "001-Feb-1994",
            "32-Jan-1994",
            "0-Jan-1994",
            "1-Foo-1994",
            "1-Feb-1994-",
            "1--1994",
            "+1-Feb-1994",
            "1-Feb-19944",
            " 1-Feb-1994",
            "29-Feb-1995",
        ] {
            assert_eq!(Day::parse(text.as_bytes()), None, "{text}");
        }
        let day = "17-Jul-1996";
        for rest in [
            "",
            " ",
            " 02:44:25",
            " 24:00:00 +0000",
            " 02:60:00 +0000",
            " 02:44:61 +0000",
            " 2:44:25 +0000",
            " 02:44 +0000",
            " 02:44:25 0000",
            " 02:44:25 +000",
            " 02:44:25 +2400",
            " 02:44:25 +0060",
            " 02:44:25 +0000 ",
            "  02:44:25 +0000",
            " 02:44:25:00 +0000",
            " 02:44:25 UTC",
        ] {
            assert_eq!(
                DateTime::parse(format!("{day}{rest}").as_bytes()),
                None,
                "{rest}"
            );
        }
    }

    proptest! {
        #[test]
        fn times_survive(seconds in -60_000_000_000_i64..250_000_000_000, zone in -1439_i16..1440) {
            let time = DateTime { seconds, zone };
            prop_assert_eq!(DateTime::parse(time.to_string().as_bytes()), Some(time));
            prop_assert_eq!(Day::parse(time.day().to_string().as_bytes()), Some(time.day()));
        }
    }
}
