//! What `$` becomes (RFC 5182), and where it ends.

use ravenry_core::proto::imap::{Cursor, SearchCommand};

use super::*;

fn returns(of: &str) -> SearchReturns {
    let text = format!(" RETURN ({of}) ALL");
    let given = SearchCommand::parse(Cursor::new(text.as_bytes()));
    given.unwrap().returns.unwrap()
}

/// Every second UID, so many of them.
fn scattered(count: usize) -> Uids {
    let uids = (1..).step_by(2).take(count);
    uids.collect()
}

#[test]
fn what_is_too_large_is_not_saved() {
    let most = scattered(SAVED_RANGES_MAX);
    assert_eq!(to_save(returns("SAVE"), &most).unwrap(), most);
    let more = scattered(SAVED_RANGES_MAX + 1);
    let refused = to_save(returns("SAVE ALL"), &more).unwrap_err();
    assert!(matches!(refused, Failure::No(code, _) if code == "NOTSAVED"));
    let mut whole = Uids::default();
    whole.push_range(1, u32::MAX);
    assert_eq!(to_save(returns("SAVE"), &whole).unwrap(), whole);
}

#[test]
fn min_and_max_alone_are_saved_alone() {
    let found: Uids = [2, 3, 5, 7].into_iter().collect();
    for (of, saved) in [
        ("SAVE MIN", "2"),
        ("SAVE MAX", "7"),
        ("SAVE MIN MAX", "2,7"),
        ("SAVE MIN COUNT", "2:3,5,7"),
    ] {
        assert_eq!(to_save(returns(of), &found).unwrap().to_string(), saved);
    }
    assert!(
        to_save(returns("SAVE MIN"), &Uids::default())
            .unwrap()
            .is_empty()
    );
}
