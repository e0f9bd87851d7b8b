//! Right answers in any split, and each way in which one can be wrong.

use super::*;

const BODY: &[u8] = b"Subject: x\r\n\r\nbody \xff\r\n";
const ANSWER: &[u8] =
    b"* 1 FETCH (UID 7 BODY[] {22}\r\nSubject: x\r\n\r\nbody \xff\r\n)\r\na2 OK done\r\n";

fn checker(tag: &str, body: Option<&[u8]>) -> Checker {
    let mut checker = Checker::default();
    assert_eq!(checker.next(b"* OK ready\r\n"), Ok((12, Step::Done)));
    checker.expect(tag, body.map(Rc::from).as_ref());
    checker
}

/// Feeds the bytes in pieces of `size`.
fn fed(checker: &mut Checker, bytes: &[u8], size: usize) -> Result<Step, Wrong> {
    let (mut buffer, mut step) = (Vec::new(), Step::NeedMore);
    for piece in bytes.chunks(size) {
        assert_eq!(step, Step::NeedMore, "over before all is read");
        buffer.extend_from_slice(piece);
        let (taken, now) = checker.next(&buffer)?;
        buffer.drain(..taken);
        step = now;
    }
    Ok(step)
}

fn wrong(bytes: &[u8], body: Option<&[u8]>) -> Wrong {
    fed(&mut checker("a2", body), bytes, 9).unwrap_err()
}

#[test]
fn a_right_answer_is_right_in_any_split() {
    assert_eq!(BODY.len(), 22);
    for size in 1..=ANSWER.len() {
        let mut checker = checker("a2", Some(BODY));
        assert_eq!(fed(&mut checker, ANSWER, size), Ok(Step::Done), "{size}");
        assert!(checker.data().starts_with(b"* 1 FETCH (UID 7"));
    }
}

#[test]
fn every_byte_of_a_body_counts() {
    let start = ANSWER.len() - b")\r\na2 OK done\r\n".len() - BODY.len();
    for at in 0..BODY.len() {
        let mut answer = ANSWER.to_vec();
        answer[start + at] ^= 1;
        assert!(
            matches!(wrong(&answer, Some(BODY)), Wrong::Bytes { .. }),
            "{at}"
        );
    }
}

#[test]
fn a_body_of_another_size_is_wrong() {
    let answer = b"* 1 FETCH (BODY[] {23}\r\n";
    assert_eq!(wrong(answer, Some(BODY)), Wrong::Size { due: 22, came: 23 });
}

#[test]
fn a_body_that_is_missing_or_comes_twice_is_wrong() {
    assert_eq!(wrong(b"a2 OK done\r\n", Some(BODY)), Wrong::Bodies(0));
    let once = &ANSWER[..ANSWER.len() - b"a2 OK done\r\n".len()];
    assert_eq!(
        wrong(&[once, ANSWER].concat(), Some(BODY)),
        Wrong::Bodies(2)
    );
}

#[test]
fn another_tag_is_wrong() {
    let (due, came) = ("a2".to_owned(), "a1".to_owned());
    assert_eq!(wrong(b"a1 OK done\r\n", None), Wrong::Tag { due, came });
}

#[test]
fn no_and_bad_and_bye_are_wrong() {
    for (answer, text) in [
        ("a2 NO [LIMIT] x\r\n", "a2 NO [LIMIT] x"),
        ("a2 BAD y\r\n", "a2 BAD y"),
    ] {
        assert_eq!(
            wrong(answer.as_bytes(), None),
            Wrong::Refused(text.to_owned())
        );
    }
    assert_eq!(
        wrong(b"* BYE gone\r\n", None),
        Wrong::Bye("* BYE gone".to_owned())
    );
}

#[test]
fn what_is_no_imap_is_wrong() {
    assert!(matches!(
        wrong(b"HTTP/1.1 200 OK\r\n", None),
        Wrong::Malformed(_)
    ));
}

#[test]
fn a_second_reply_is_wrong_when_the_next_command_is_under_way() {
    let mut checker = checker("a2", None);
    let bytes = b"a2 OK done\r\na2 OK done\r\n";
    assert_eq!(checker.next(bytes), Ok((12, Step::Done)));
    checker.expect("a3", None);
    assert!(matches!(checker.next(&bytes[12..]), Err(Wrong::Tag { .. })));
}

#[test]
fn a_bye_belongs_to_a_logout() {
    let mut checker = checker("a2", None);
    checker.expect_farewell("a2");
    assert_eq!(
        fed(&mut checker, b"* BYE see you\r\na2 OK done\r\n", 5),
        Ok(Step::Done)
    );
}

#[test]
fn a_greeting_that_is_no_ok_is_wrong() {
    let said = Checker::default().next(b"* BYE full\r\n");
    assert_eq!(said, Err(Wrong::Greeting("* BYE full".to_owned())));
}
