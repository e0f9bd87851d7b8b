//! Points at which a test has the process die, as if it were killed there: `RAVENRY_DIE_AT=NAME`, or `NAME:N` for the
//! N-th time that it is reached.
//!
//! They stand behind the numbered steps of CREATE, DELETE, RENAME and SETACL in backend, master and frontend;
//! `./dev test crash` goes through all of them. Without the variable a point is a load and a comparison.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const VARIABLE: &str = "RAVENRY_DIE_AT";

struct Wanted {
    name: String,
    /// How often it is passed before that.
    passes: AtomicU64,
}

static WANTED: OnceLock<Option<Wanted>> = OnceLock::new();

/// The step of this name is done: the process ends here, at once, if that was asked for.
pub fn reached(name: &str) {
    let wanted = WANTED.get_or_init(|| wanted(&std::env::var(VARIABLE).ok()?));
    if let Some(wanted) = wanted
        && wanted.name == name
        && wanted.passes.fetch_sub(1, Ordering::Relaxed) == 0
    {
        std::process::abort();
    }
}

fn wanted(text: &str) -> Option<Wanted> {
    let (name, times) = match text.rsplit_once(':') {
        Some((name, times)) => (name, times.parse::<u64>().ok()?),
        None => (text, 1),
    };
    let passes = AtomicU64::new(times.checked_sub(1)?);
    let name = name.to_owned();
    Some(Wanted { name, passes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variable_says_where_and_the_how_manieth_time() {
        let read = |text| wanted(text).map(|w| (w.name, w.passes.into_inner()));
        assert_eq!(read("a.b"), Some(("a.b".to_owned(), 0)));
        assert_eq!(read("a.b:3"), Some(("a.b".to_owned(), 2)));
        assert_eq!(read("a.b:0"), None);
        assert_eq!(read("a:b"), None);
    }
}
