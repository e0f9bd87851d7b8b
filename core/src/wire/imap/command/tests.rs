//! Commands: what clients send, what they shouldn't, and that the split doesn't matter.

use proptest::prelude::*;

use super::*;
use crate::wire::replay::{self, Seen, Verdict, bad_line};

const LIMITS: CommandLimits = CommandLimits {
    line_bytes_max: 64,
    command_bytes_max: 200,
    discard_bytes_max: 1000,
};

/// What comes out, whatever the pieces.
fn play(input: &[u8], verdict: Verdict) -> Vec<Seen> {
    let whole = replay::commands(&[input], LIMITS, verdict);
    for cut in 0..=input.len() {
        let (left, right) = input.split_at(cut);
        let pieces = [left, right];
        assert_eq!(
            replay::commands(&pieces, LIMITS, verdict),
            whole,
            "cut at {cut}"
        );
    }
    let bytes: Vec<&[u8]> = input.chunks(1).collect();
    assert_eq!(
        replay::commands(&bytes, LIMITS, verdict),
        whole,
        "byte by byte"
    );
    whole
}

fn commands(input: impl AsRef<[u8]>) -> Vec<Seen> {
    play(input.as_ref(), Verdict::Resume)
}

fn complete(text: &str) -> Seen {
    Seen::Complete(text.as_bytes().to_vec())
}

fn stream(text: &str, size: u64, non_sync: bool) -> Seen {
    Seen::Stream(
        text.as_bytes().to_vec(),
        Literal {
            size,
            non_sync,
            binary: text.contains('~'),
        },
    )
}

fn too_large(tag: Option<&str>, skip: u64, fatal: bool) -> Seen {
    Seen::Bad(
        tag.map(|tag| tag.as_bytes().to_vec()),
        CommandError::TooLarge,
        skip,
        fatal,
    )
}

#[test]
fn pipelined_commands_are_told_apart() {
    let seen = commands("a1 NOOP\r\na2 STATUS {5+}\r\nINBOX (MESSAGES)\r\na3 NOOP\r\n");
    let status = "a2 STATUS {5+}\r\nINBOX (MESSAGES)\r\n";
    assert_eq!(
        seen,
        [
            complete("a1 NOOP\r\n"),
            complete(status),
            complete("a3 NOOP\r\n")
        ]
    );
}

#[test]
fn a_synchronizing_literal_is_asked_for_once() {
    let setacl = "a5 SETACL {10}\r\nINBOX.Sent {3}\r\nbob {3+}\r\nlrs\r\n";
    let seen = commands(setacl);
    assert_eq!(seen, [Seen::Continue, Seen::Continue, complete(setacl)]);
}

#[test]
fn an_append_is_streamed() {
    let seen = commands("a2 APPEND INBOX (\\Seen) {10}\r\n0123456789\r\na3 NOOP\r\n");
    let head = stream("a2 APPEND INBOX (\\Seen) {10}\r\n", 10, false);
    assert_eq!(
        seen,
        [
            head,
            Seen::Literal(10),
            complete("\r\n"),
            complete("a3 NOOP\r\n")
        ]
    );
}

#[test]
fn an_appends_mailbox_is_gathered() {
    let head = "a append {5}\r\nINBOX () {3+}\r\n";
    let seen = commands(format!("{head}abc\r\n"));
    assert_eq!(
        seen,
        [
            Seen::Continue,
            stream(head, 3, true),
            Seen::Literal(3),
            complete("\r\n")
        ]
    );
    // Only the first argument is.
    let head = "a APPEND {5+}\r\nINBOX {3+}\r\n";
    let seen = commands(format!("{head}abc {{2+}}\r\nde\r\n"));
    assert_eq!(seen[0], stream(head, 3, true));
    assert_eq!(seen[2], stream(" {2+}\r\n", 2, true));
    assert_eq!(seen[4], complete("\r\n"));
}

#[test]
fn a_local_append_is_streamed_behind_two_names() {
    for head in [
        "a Localappend {5+}\r\nINBOX \"\" {3+}\r\n",
        "a LOCALAPPEND x \"\" (\\Seen) {3+}\r\n",
        "a LOCALAPPEND \"x \\\" y\" z () {3+}\r\n",
        "a LOCALAPPEND {5+}\r\nx\r\n z {5+}\r\n\"y\r\nz (\\Seen) {3+}\r\n",
        "a LOCALAPPEND x {0+}\r\n {3+}\r\n",
        // None of these is well-formed: the message passes, and the command is refused.
        "a LOCALAPPEND \"x y {3+}\r\n",
        "a LOCALAPPEND x \"y {3+}\r\n",
    ] {
        let seen = commands(format!("{head}abc\r\nb NOOP\r\n"));
        let unended = head.starts_with("a LOCALAPPEND \"x y {");
        if unended {
            assert_eq!(seen.last(), Some(&complete("b NOOP\r\n")));
            continue;
        }
        assert_eq!(seen[0], stream(head, 3, true), "{head}");
        assert_eq!(seen[2], complete("\r\n"));
    }
    let waits = "a LOCALAPPEND {1}\r\nx {1}\r\ny {3+}\r\n";
    let seen = commands(format!("{waits}abc\r\n"));
    assert_eq!(
        seen[..3],
        [Seen::Continue, Seen::Continue, stream(waits, 3, true)]
    );
}

#[test]
fn a_replace_is_streamed_behind_its_numbers() {
    for head in [
        "a REPLACE 4 x",
        "a uid replace * \"x y\" (\\Seen)",
        "a UID REPLACE 4 {1+}\r\nx",
    ] {
        let head = format!("{head} {{3+}}\r\n");
        let seen = commands(format!("{head}abc\r\n"));
        assert_eq!(seen[0], stream(&head, 3, true));
        assert_eq!(seen[2], complete("\r\n"));
    }
}

#[test]
fn an_append_may_go_on_after_a_message() {
    let seen = commands("a APPEND x (\\Seen) ~{3+}\r\n\0\0\0 () {2}\r\nde)\r\nb NOOP\r\n");
    let expected = [
        stream("a APPEND x (\\Seen) ~{3+}\r\n", 3, true),
        Seen::Literal(3),
        stream(" () {2}\r\n", 2, false),
        Seen::Literal(2),
        complete(")\r\n"),
        complete("b NOOP\r\n"),
    ];
    assert_eq!(seen, expected);
    let catenate = "a APPEND x CATENATE (URL \"/y;UID=1\" TEXT {3+}\r\n";
    let seen = commands(format!("{catenate}abc)\r\n"));
    assert_eq!(
        seen,
        [
            stream(catenate, 3, true),
            Seen::Literal(3),
            complete(")\r\n")
        ]
    );
}

#[test]
fn a_refused_append_leaves_the_client_in_step() {
    // Who waits for leave sends nothing more of the command.
    let seen = play(b"a APPEND x {9}\r\nb NOOP\r\n", Verdict::Refuse);
    assert_eq!(
        seen,
        [
            stream("a APPEND x {9}\r\n", 9, false),
            complete("b NOOP\r\n")
        ]
    );
    // Who doesn't sends all of it.
    let seen = play(
        b"a APPEND x {3+}\r\nabc {2+}\r\nde\r\nb NOOP\r\n",
        Verdict::Refuse,
    );
    let head = stream("a APPEND x {3+}\r\n", 3, true);
    assert_eq!(seen, [head, Seen::Discarded(9), complete("b NOOP\r\n")]);
}

#[test]
fn other_verbs_with_append_in_them_are_gathered() {
    for name in [
        "APPENDX",
        "XAPPEND",
        "UID APPEND",
        "LOCALAPPENDX",
        "REPLACES 1",
        "UID UID REPLACE 1",
        "REPLACE",
    ] {
        let text = format!("a {name} x {{3+}}\r\nabc\r\n");
        assert_eq!(commands(&text), [complete(&text)]);
    }
}

#[test]
fn a_literal_beyond_64_bits_is_bad() {
    let why = LineError::LiteralTooLarge { non_sync: false };
    let seen = commands("a LOGIN {99999999999999999999}\r\nb NOOP\r\n");
    assert_eq!(seen, [bad_line(Some("a"), why), complete("b NOOP\r\n")]);
    let why = CommandError::Line(LineError::LiteralTooLarge { non_sync: true });
    let seen = commands("a LOGIN {99999999999999999999+}\r\nb NOOP\r\n");
    assert_eq!(seen, [Seen::Bad(Some(b"a".to_vec()), why, 0, true)]);
    let seen = commands("a APPEND x {99999999999999999999}\r\nb NOOP\r\n");
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_negative_literal_is_text() {
    let text = "a LOGIN {-1}\r\n";
    assert_eq!(commands(format!("{text}b NOOP\r\n"))[0], complete(text));
}

#[test]
fn bad_lines_leave_the_client_in_step() {
    for (line, why) in [
        ("a NO\0OP\r\n", LineError::Nul),
        ("a NOOP\n", LineError::BareLf),
        ("a NO\rOP\r\n", LineError::BareCr),
        ("a NOOP\r\r\n", LineError::BareCr),
        (&format!("a {}\r\n", "x".repeat(63)), LineError::TooLong),
        (&format!("a {}\r\n", "x".repeat(5000)), LineError::TooLong),
    ] {
        let seen = commands(format!("{line}b NOOP\r\n"));
        let fatal = line.len() > 1000;
        let expected = if fatal {
            vec![bad_line(Some("a"), why), too_large(None, 0, true)]
        } else {
            vec![bad_line(Some("a"), why), complete("b NOOP\r\n")]
        };
        let seen: Vec<Seen> = seen
            .into_iter()
            .filter(|seen| !matches!(seen, Seen::Discarded(_)))
            .collect();
        assert_eq!(seen, expected, "{line:?}");
    }
}

#[test]
fn a_bad_lines_literal_is_dropped_with_it() {
    let seen = commands("a \0 {9+}\r\nb NOOP\r\n {3+}\r\nabc\r\nc NOOP\r\n");
    let dropped = " {9+}\r\n".len() + "{3+}\r\n".len() + "\r\n".len();
    let expected = [
        bad_line(Some("a"), LineError::Nul),
        Seen::Discarded(dropped),
        complete("c NOOP\r\n"),
    ];
    assert_eq!(seen, expected);
    // More zeros than are kept: text, whatever the split.
    let zeros = "0".repeat(40);
    let seen = commands(format!("a \0 {{{zeros}3+}}\r\nb NOOP\r\n"));
    assert_eq!(seen[2], complete("b NOOP\r\n"));
    // A synchronizing one never comes.
    let seen = commands("a \0 {9}\r\nc NOOP\r\n");
    assert_eq!(seen[2], complete("c NOOP\r\n"));
}

#[test]
fn a_literal_over_the_limit_is_refused() {
    let seen = commands("a LOGIN {300}\r\nb NOOP\r\n");
    assert_eq!(
        seen,
        [too_large(Some("a"), 0, false), complete("b NOOP\r\n")]
    );
    let body = "x".repeat(300);
    let seen = commands(format!(
        "a LOGIN {{300+}}\r\n{body} {{3+}}\r\nabc\r\nb NOOP\r\n"
    ));
    let expected = [
        too_large(Some("a"), 300, false),
        Seen::Discarded(9),
        complete("b NOOP\r\n"),
    ];
    assert_eq!(seen, expected);
    let seen = commands("a LOGIN {1001+}\r\nxxx");
    assert_eq!(seen, [too_large(Some("a"), 0, true)]);
}

#[test]
fn what_is_gathered_is_limited_in_all() {
    let part = " {50+}\r\n".to_owned() + &"x".repeat(50);
    let seen = commands(format!("a X{}\r\nb NOOP\r\n", part.repeat(4)));
    assert_eq!(seen[0], too_large(Some("a"), 50, false));
    assert_eq!(seen.last(), Some(&complete("b NOOP\r\n")));
    // The line behind the literals counts too.
    let part = " {60+}\r\n".to_owned() + &"x".repeat(60);
    let seen = commands(format!(
        "a X{}{}\r\nb NOOP\r\n",
        part.repeat(2),
        "y".repeat(61)
    ));
    assert_eq!(seen[0], bad_line(Some("a"), LineError::TooLong));
    assert_eq!(seen.last(), Some(&complete("b NOOP\r\n")));
}

#[test]
fn tags_that_cannot_be_given_back_are_none() {
    for line in [
        "",
        " NOOP",
        "NOOP",
        "a+ NOOP",
        "\x7f NOOP",
        "\u{e4} NOOP",
        "* NOOP",
        "(a NOOP",
    ] {
        let seen = commands(format!("{line}\0\r\n"));
        assert_eq!(seen[0], bad_line(None, LineError::Nul), "{line:?}");
    }
}

#[test]
fn a_bad_line_behind_a_streamed_message_has_no_tag() {
    let seen = commands("a APPEND x {3+}\r\nabcb \0\r\nc NOOP\r\n");
    assert_eq!(seen[2], bad_line(None, LineError::Nul));
    assert_eq!(seen.last(), Some(&complete("c NOOP\r\n")));
}

#[test]
fn other_lines_are_read_by_the_same_framer() {
    let mut framer = CommandFramer::new(LIMITS);
    assert_eq!(framer.next_line(b"DONE"), CommandEvent::NeedMore);
    assert_eq!(
        framer.next_line(b"DONE\r\n"),
        CommandEvent::Complete { len: 6 }
    );
    assert_eq!(
        framer.next_line(b"ab {5}\r\n"),
        CommandEvent::Complete { len: 8 }
    );
    let CommandEvent::Bad(bad) = framer.next_line(b"secret \0x\r\n") else {
        panic!("a NUL")
    };
    assert_eq!((bad.tag, bad.consume, bad.fatal), (None, 8, false));
    // What is left of the line isn't taken for a command.
    assert_eq!(
        framer.next(b"x\r\na NOOP\r\n"),
        CommandEvent::Discard {
            consume: 3,
            skip: 0
        }
    );
    assert_eq!(
        framer.next(b"a NOOP\r\n"),
        CommandEvent::Complete { len: 8 }
    );
}

/// A command as its parts: text and literals in turn.
fn any_command() -> impl Strategy<Value = (Vec<u8>, usize)> {
    let part = (
        "[a-z]{0,4}",
        proptest::collection::vec(any::<u8>(), 0..12),
        any::<bool>(),
    );
    proptest::collection::vec(part, 0..4).prop_map(|parts| {
        let mut bytes = b"t CMD".to_vec();
        let mut asked = 0;
        for (text, literal, non_sync) in parts {
            let plus = if non_sync { "+" } else { "" };
            asked += usize::from(!non_sync);
            bytes.extend(format!(" {text}{{{}{plus}}}\r\n", literal.len()).bytes());
            bytes.extend(literal);
        }
        bytes.extend(b"\r\n");
        (bytes, asked)
    })
}

/// Bytes that are often almost a command.
fn any_input() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => "[a-c]{1,3} (NOOP|APPEND|append x|LOCALAPPEND|localappend x|STATUS)".prop_map(String::into_bytes),
        4 => "~?\\{[0-9]{1,3}\\+?\\}".prop_map(String::into_bytes),
        6 => Just(b"\r\n".to_vec()),
        1 => Just(b"{99999999999999999999}".to_vec()),
        1 => prop_oneof![Just(b'\n'), Just(b'\r'), Just(0)].prop_map(|byte| vec![byte]),
        2 => proptest::collection::vec(any::<u8>(), 0..80),
        2 => "[ ()\"x]{0,90}".prop_map(String::into_bytes),
    ];
    proptest::collection::vec(token, 0..24).prop_map(|tokens| tokens.concat())
}

proptest! {
    #[test]
    fn commands_come_out_as_they_went_in(list in proptest::collection::vec(any_command(), 0..6)) {
        let input: Vec<u8> = list.iter().flat_map(|(bytes, _)| bytes.clone()).collect();
        let limits = CommandLimits { line_bytes_max: 100, command_bytes_max: 500, ..LIMITS };
        let seen = replay::commands(&[&input], limits, Verdict::Resume);
        let mut expected = Vec::new();
        for (bytes, asked) in list {
            expected.extend(std::iter::repeat_n(Seen::Continue, asked));
            expected.push(Seen::Complete(bytes));
        }
        prop_assert_eq!(seen, expected);
    }

    #[test]
    fn any_split_gives_the_same(
        input in any_input(),
        cuts in proptest::collection::vec(any::<usize>(), 0..12),
        refuse in any::<bool>(),
    ) {
        let verdict = if refuse { Verdict::Refuse } else { Verdict::Resume };
        let whole = replay::commands(&[&input], LIMITS, verdict);
        let pieces = replay::split(&input, &cuts);
        prop_assert_eq!(&replay::commands(&pieces, LIMITS, verdict), &whole);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        prop_assert_eq!(replay::commands(&bytes, LIMITS, verdict), whole);
    }
}
