//! The day of the Date field, for SENTBEFORE, SENTON and SENTSINCE (RFC 3501 section 6.4.4, RFC 5322 section 3.3).

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

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// Longer values are no date.
const VALUE_BYTES_MAX: usize = 1024;

/// The day that a header's Date names, as it is written: its time and its zone don't count.
#[must_use]
pub fn sent_date(header: &[u8]) -> Option<Day> {
    let value = field_values(header, "Date").last()?;
    if value.len() > VALUE_BYTES_MAX {
        return None;
    }
    let value = without_comments(&value);
    let mut words = value
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .skip_while(|word| word.starts_with(|c: char| c.is_ascii_alphabetic()));
    let day = words.next()?.parse().ok().filter(|day| *day <= 31)?;
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
