//! Days and times as mail and certificates write them, all in UTC.

use ravenry_core::rt::SystemTime;

pub(super) const DAY_SECONDS: i64 = 86_400;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// 1 January 1970 was the first of them.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment {
    /// Since 1970.
    pub(super) seconds: i64,
}

/// The same, taken apart.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    weekday: &'static str,
}

impl Moment {
    pub(super) fn of(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH);
        let seconds = since.map_or(0, |since| since.as_secs());
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        Self { seconds }
    }

    /// RFC 5322 section 3.3.
    pub(super) fn date(self) -> String {
        let c = self.civil();
        let (month, weekday) = (c.month_name(), c.weekday);
        format!(
            "{weekday}, {} {month} {} {:02}:{:02}:{:02} +0000",
            c.day, c.year, c.hour, c.minute, c.second
        )
    }

    /// IMAP's date-time (RFC 3501 section 9).
    pub(super) fn internal_date(self) -> String {
        let c = self.civil();
        let month = c.month_name();
        format!(
            "{:2}-{month}-{} {:02}:{:02}:{:02} +0000",
            c.day, c.year, c.hour, c.minute, c.second
        )
    }

    /// `20260901T093000Z` (RFC 5545 section 3.3.5).
    pub(super) fn calendar(self) -> String {
        let c = self.civil();
        format!(
            "{}{:02}{:02}T{:02}{:02}{:02}Z",
            c.year, c.month, c.day, c.hour, c.minute, c.second
        )
    }

    /// UTCTime (RFC 5280 section 4.1.2.5.1).
    pub(super) fn utc_time(self) -> String {
        let c = self.civil();
        format!(
            "{:02}{:02}{:02}{:02}{:02}{:02}Z",
            c.year % 100,
            c.month,
            c.day,
            c.hour,
            c.minute,
            c.second
        )
    }

    /// By Howard Hinnant's `civil_from_days`.
    fn civil(self) -> Civil {
        let days = self.seconds.div_euclid(DAY_SECONDS);
        let second = self.seconds.rem_euclid(DAY_SECONDS);
        let shifted = days + 719_468;
        let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
        let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year + year / 4 - year / 100);
        let march = (5 * of_year + 2) / 153;
        let month = if march < 10 { march + 3 } else { march - 9 };
        let weekday = usize::try_from(days.rem_euclid(7)).unwrap_or(0);
        Civil {
            year: era * 400 + year + i64::from(month <= 2),
            month,
            day: of_year - (153 * march + 2) / 5 + 1,
            hour: second / 3600,
            minute: second / 60 % 60,
            second: second % 60,
            weekday: WEEKDAYS[weekday],
        }
    }
}

impl Civil {
    fn month_name(&self) -> &'static str {
        MONTHS[usize::try_from(self.month - 1).unwrap_or(0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_times() {
        let moment = Moment {
            seconds: 951_782_399,
        };
        assert_eq!(moment.date(), "Mon, 28 Feb 2000 23:59:59 +0000");
        assert_eq!(moment.internal_date(), "28-Feb-2000 23:59:59 +0000");
        assert_eq!(moment.calendar(), "20000228T235959Z");
        assert_eq!(moment.utc_time(), "000228235959Z");
        let moment = Moment {
            seconds: 1_796_083_260,
        };
        assert_eq!(moment.date(), "Tue, 1 Dec 2026 00:01:00 +0000");
        assert_eq!(moment.internal_date(), " 1-Dec-2026 00:01:00 +0000");
    }
}
