//! From a TOML value to a typed one: durations, sizes, choices. Pure; an error is what to say
//! about the value, without its key and its place, which the reader adds.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use toml::de::DeValue;

use super::Endpoint;
use crate::limits;
use crate::mailboxes::UserId;
use crate::proto::sasl::Secret;
use crate::rt::Address;

type Parsed<T> = Result<T, String>;

pub(super) fn string(value: &DeValue<'_>) -> Parsed<String> {
    match value {
        DeValue::String(s) if s.is_empty() => Err("is empty".to_owned()),
        DeValue::String(s) => Ok(s.clone().into_owned()),
        other => Err(format!("wants a string in quotes, not {}", kind(other))),
    }
}

pub(super) fn boolean(value: &DeValue<'_>) -> Parsed<bool> {
    match value {
        DeValue::Boolean(b) => Ok(*b),
        other => Err(format!(
            "wants true or false (without quotes), not {}",
            kind(other)
        )),
    }
}

pub(super) fn integer(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Parsed<u64> {
    move |value| {
        let n = match value {
            DeValue::Integer(n) => u64::from_str_radix(n.as_str(), n.radix()).ok(),
            other => return Err(format!("wants a whole number, not {}", kind(other))),
        };
        n.filter(|n| range.contains(n))
            .ok_or_else(|| format!("wants a number from {} to {}", range.start(), range.end()))
    }
}

pub(super) fn port(value: &DeValue<'_>) -> Parsed<u16> {
    let n = integer(1..=u64::from(u16::MAX))(value)?;
    u16::try_from(n).map_err(|_| "wants a port, 1 to 65535".to_owned())
}

/// One of the words, given with what each stands for.
pub(super) fn choice<T: Copy>(
    words: &'static [(&'static str, T)],
) -> impl Fn(&DeValue<'_>) -> Parsed<T> {
    move |value| {
        let given = string(value)?;
        let found = words.iter().find(|(word, _)| *word == given);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| format!("{word:?}")).collect();
            format!("wants {}, not {given:?}", all.join(" or "))
        })
    }
}

pub(super) fn path(value: &DeValue<'_>) -> Parsed<PathBuf> {
    let text = string(value)?;
    if text.contains('\0') {
        return Err("has a NUL character in it".to_owned());
    }
    Ok(PathBuf::from(text))
}

pub(super) fn address(value: &DeValue<'_>) -> Parsed<Address> {
    listen_address(&string(value)?)
}

/// `IP:PORT` or the absolute path of a unix socket; never a name, which might be two addresses.
pub(super) fn listen_address(text: &str) -> Parsed<Address> {
    if text.starts_with('/') {
        return match text.len() {
            ..=limits::UNIX_PATH_BYTES_MAX => Ok(Address::Unix(PathBuf::from(text))),
            _ => Err(format!(
                "has a path longer than {} bytes",
                limits::UNIX_PATH_BYTES_MAX
            )),
        };
    }
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() > 0 => Ok(Address::Tcp(address)),
        Ok(_) => Err(format!("wants a port from 1 to 65535, not {text:?}")),
        Err(_) => Err(format!(
            "wants ADDRESS:PORT, such as \"127.0.0.1:143\" or \"[::1]:143\" (an address, not a \
             name), or the path of a unix socket, not {text:?}"
        )),
    }
}

pub(super) fn from_str<T: FromStr<Err: ToString>>(text: &str) -> Parsed<T> {
    text.parse().map_err(|why: T::Err| why.to_string())
}

pub(super) fn endpoint(value: &DeValue<'_>) -> Parsed<Endpoint> {
    from_str(&string(value)?)
}

/// An account name: what SASL PLAIN and a mailbox list can carry.
pub(super) fn name(value: &DeValue<'_>) -> Parsed<String> {
    let name = string(value)?;
    match UserId::parse(name.as_bytes()) {
        Ok(_) => Ok(name),
        Err(why) => Err(format!("is no user name: {why}")),
    }
}

/// A capability's name (RFC 3501 section 9: an atom).
pub(super) fn capability(value: &DeValue<'_>) -> Parsed<String> {
    let name = string(value)?;
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("is no capability, such as \"IDLE\"".to_owned());
    }
    Ok(name)
}

/// A user as logins know them: in lower case.
pub(super) fn user(value: &DeValue<'_>) -> Parsed<String> {
    let user = UserId::parse(string(value)?.as_bytes());
    let user = user.map_err(|why| format!("is no user name: {why}"))?;
    Ok(user.as_str().to_owned())
}

/// A password. The error never shows the value.
pub(super) fn secret(value: &DeValue<'_>) -> Parsed<Secret> {
    match value {
        DeValue::String(s) => check_secret(s.as_bytes()),
        _ => Err("wants a string in quotes".to_owned()),
    }
}

/// A password that can be sent by SASL PLAIN (RFC 4616: no NUL).
pub(super) fn check_secret(bytes: &[u8]) -> Parsed<Secret> {
    if bytes.is_empty() {
        return Err("is empty".to_owned());
    }
    if bytes.len() > limits::PASSWORD_BYTES_MAX {
        return Err(format!(
            "is longer than {} bytes",
            limits::PASSWORD_BYTES_MAX
        ));
    }
    if bytes.iter().any(|b| matches!(b, 0 | b'\r' | b'\n')) {
        return Err("has a NUL or a line break in it".to_owned());
    }
    Ok(Secret::new(bytes.to_vec()))
}

/// `"2s"`, `"500ms"`, `"5min"`, `"1h"`, or a number of seconds.
pub(super) fn duration(value: &DeValue<'_>) -> Parsed<Duration> {
    let duration = any_duration(value)?;
    if !(limits::DURATION_LEAST..=limits::DURATION_MOST).contains(&duration) {
        return Err("wants a duration from 100ms to 24h".to_owned());
    }
    Ok(duration)
}

/// How long something is kept: up to ten years.
pub(super) fn long_duration(value: &DeValue<'_>) -> Parsed<Duration> {
    let duration = any_duration(value)?;
    if duration > limits::KEPT_MOST {
        return Err("wants a duration up to 87600h (ten years)".to_owned());
    }
    Ok(duration)
}

/// How often something is done: from a second to ten years; zero is never.
pub(super) fn interval_or_never(value: &DeValue<'_>) -> Parsed<Duration> {
    let duration = long_duration(value)?;
    if !duration.is_zero() && duration < Duration::from_secs(1) {
        return Err("wants a duration of 1s or more, or 0".to_owned());
    }
    Ok(duration)
}

fn any_duration(value: &DeValue<'_>) -> Parsed<Duration> {
    const HOW: &str = "wants a duration such as \"2s\", \"500ms\", \"5min\" or \"1h\"";
    let parsed = match value {
        DeValue::String(s) => parse_duration(s),
        DeValue::Integer(n) => n.as_str().parse().ok().map(Duration::from_secs),
        DeValue::Float(x) => {
            let seconds = x.as_str().parse().ok();
            seconds.and_then(|s| Duration::try_from_secs_f64(s).ok())
        }
        other => return Err(format!("{HOW}, not {}", kind(other))),
    };
    parsed.ok_or_else(|| HOW.to_owned())
}

fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let ms: u64 = match unit {
        "ms" => 1,
        "s" | "" => 1000,
        "min" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return None,
    };
    number.checked_mul(ms).map(Duration::from_millis)
}

/// `"64 GiB"`, or a number of bytes.
pub(super) fn size(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Parsed<u64> {
    const HOW: &str = "wants a size such as \"64 KiB\", \"8 GiB\" or a number of bytes";
    move |value| {
        let parsed = match value {
            DeValue::String(s) => parse_size(s),
            DeValue::Integer(n) => u64::from_str_radix(n.as_str(), n.radix()).ok(),
            other => return Err(format!("{HOW}, not {}", kind(other))),
        };
        let bytes = parsed.ok_or_else(|| HOW.to_owned())?;
        if range.contains(&bytes) {
            return Ok(bytes);
        }
        Err(format!(
            "wants a size from {} to {}",
            show(*range.start()),
            show(*range.end())
        ))
    }
}

fn parse_size(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let shift = match unit {
        "B" | "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        "TiB" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    Some((
        text[..end].parse().ok()?,
        text[end..].trim_start_matches(' '),
    ))
}

fn show(bytes: u64) -> String {
    let units = [(40, "TiB"), (30, "GiB"), (20, "MiB"), (10, "KiB")];
    let fits = units
        .iter()
        .find(|(shift, _)| bytes >> shift > 0 && bytes.is_multiple_of(1 << shift));
    fits.map_or_else(
        || format!("{bytes} bytes"),
        |(shift, u)| format!("{} {u}", bytes >> shift),
    )
}

/// A value's kind, with an article.
pub(super) fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(s: &str) -> DeValue<'_> {
        DeValue::String(s.into())
    }

    #[test]
    fn durations() {
        let ms = |s| duration(&text(s)).map(|d| d.as_millis());
        assert_eq!(ms("2s"), Ok(2000));
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("5min"), Ok(300_000));
        assert_eq!(ms("5 min"), Ok(300_000));
        assert_eq!(ms("1h"), Ok(3_600_000));
        for bad in [
            "",
            "s",
            "2 parsecs",
            "2m",
            "-1s",
            "1.5s",
            "99999999999999999999s",
            "25h",
        ] {
            assert!(ms(bad).is_err(), "{bad}");
        }
        assert!(ms("0s").is_err() && ms("99ms").is_err() && ms("100ms").is_ok());
        assert!(ms("18446744073709551615h").is_err(), "no overflow");
    }

    #[test]
    fn sizes() {
        let bytes = |s| size(1..=1 << 50)(&text(s));
        assert_eq!(bytes("64 GiB"), Ok(64 << 30));
        assert_eq!(bytes("1KiB"), Ok(1024));
        assert_eq!(bytes("17"), Ok(17));
        for bad in [
            "64 GB",
            "x",
            "",
            "GiB",
            "-1 KiB",
            "18446744073709551615 TiB",
            "0",
        ] {
            assert!(bytes(bad).is_err(), "{bad}");
        }
        let why = size(16 << 20..=1 << 40)(&text("1 KiB")).unwrap_err();
        assert_eq!(why, "wants a size from 16 MiB to 1 TiB");
    }

    #[test]
    fn secrets_stay_out_of_errors() {
        let long = "hunter2".repeat(1000);
        for bad in ["hunter2\n", "hunter2\0", &long] {
            assert!(!secret(&text(bad)).unwrap_err().contains("hunter2"));
        }
    }
}
