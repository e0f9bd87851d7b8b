//! Commands as clients send them, and as they shouldn't.

use proptest::prelude::*;

use super::{Address, Command, Mail, Path, command};

fn address(local: &str, domain: &str) -> Path {
    Path::Address(Address {
        local: local.into(),
        domain: (!domain.is_empty()).then(|| domain.into()),
    })
}

fn refused(line: &str) -> String {
    command(line.as_bytes()).unwrap_err().to_string()
}

fn mail(from: Path, size: Option<u64>) -> Command<'static> {
    Command::Mail(Mail { from, size })
}

#[test]
fn commands_are_read() {
    for (line, expected) in [
        ("LHLO mx.example.org", Command::Lhlo("mx.example.org")),
        ("lhlo [192.0.2.1]", Command::Lhlo("[192.0.2.1]")),
        ("MAIL FROM:<>", mail(Path::Null, None)),
        (
            "MAIL FROM:<a@b.example> SIZE=12 BODY=8BITMIME",
            mail(address("a", "b.example"), Some(12)),
        ),
        (
            "mail from: <a@b> body=7bit AUTH=<>",
            mail(address("a", "b"), None),
        ),
        ("RCPT TO:<bob>", Command::Rcpt(address("bob", ""))),
        (
            "RCPT TO:<bob+a.b@example.org>",
            Command::Rcpt(address("bob+a.b", "example.org")),
        ),
        (
            "RCPT TO:<+shared.x>",
            Command::Rcpt(address("+shared.x", "")),
        ),
        (
            "RCPT TO:<@one,@two:bob@example.org>",
            Command::Rcpt(address("bob", "example.org")),
        ),
        (
            "RCPT TO:<\"b o\\\"b\"@example.org>",
            Command::Rcpt(address("b o\"b", "example.org")),
        ),
        (
            "RCPT TO:<bob@[IPv6:::1]>",
            Command::Rcpt(address("bob", "[IPv6:::1]")),
        ),
    ] {
        assert_eq!(command(line.as_bytes()), Ok(expected), "{line}");
    }
}

#[test]
fn commands_about_no_address_are_read() {
    for (line, expected) in [
        ("DATA ", Command::Data),
        (
            "BDAT 0 LAST",
            Command::Bdat {
                size: 0,
                last: true,
            },
        ),
        (
            "bdat 77",
            Command::Bdat {
                size: 77,
                last: false,
            },
        ),
        ("NOOP whatever", Command::Noop),
        ("VRFY bob", Command::Vrfy),
        ("rset", Command::Rset),
        ("QUIT", Command::Quit),
        ("STARTTLS", Command::StartTls),
        (
            "AUTH PLAIN",
            Command::Auth {
                mechanism: b"PLAIN",
                initial: None,
            },
        ),
        (
            "AUTH PLAIN AGE=",
            Command::Auth {
                mechanism: b"PLAIN",
                initial: Some(b"AGE="),
            },
        ),
        (
            "AUTH LOGIN =",
            Command::Auth {
                mechanism: b"LOGIN",
                initial: Some(b""),
            },
        ),
    ] {
        assert_eq!(command(line.as_bytes()), Ok(expected), "{line}");
    }
}

#[test]
fn what_is_wrong_is_refused_by_its_own_code() {
    for (line, begins) in [
        ("", "500 5.5.2"),
        ("EHLO x", "500 5.5.1"),
        ("LHLO", "501 5.5.4"),
        ("LHLO a b", "501 5.5.4"),
        ("LHLO x;(y)", "501 5.5.4"),
        ("MAIL TO:<a@b>", "501 5.5.2"),
        ("MAIL FROM:a@b", "501 5.1.7"),
        ("MAIL FROM:<a@b", "501 5.1.7"),
        ("MAIL FROM:<a@b>SIZE=1", "501 5.1.7"),
        ("MAIL FROM:<\u{e4}@b>", "501 5.1.7"),
        ("MAIL FROM:<a@b> SIZE=", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=-1", "501 5.5.4"),
        ("MAIL FROM:<a@b> SIZE=99999999999999999999", "501 5.5.4"),
        ("MAIL FROM:<a@b> BODY=BINARYMIME", "501 5.5.4"),
        ("MAIL FROM:<a@b> SMTPUTF8", "555 5.5.4"),
        ("RCPT TO:<>", "501 5.1.3"),
        ("RCPT TO:<@b>", "501 5.1.3"),
        ("RCPT TO:<a@>", "501 5.1.3"),
        ("RCPT TO:<a b@c>", "501 5.1.3"),
        ("RCPT TO:<\"a@c>", "501 5.1.3"),
        ("RCPT TO:<a@b> NOTIFY=NEVER", "555 5.5.4"),
        ("DATA x", "501 5.5.4"),
        ("BDAT", "501 5.5.4"),
        ("BDAT x", "501 5.5.4"),
        ("BDAT 1 FIRST", "501 5.5.4"),
        ("BDAT 1 LAST x", "501 5.5.4"),
        ("AUTH", "501 5.5.4"),
        ("AUTH PLAIN a b", "501 5.5.4"),
        ("GET / HTTP/1.1", "500 5.5.2"),
    ] {
        let reply = refused(line);
        assert!(reply.starts_with(begins), "{line}: {reply}");
    }
}

proptest! {
    #[test]
    fn an_address_that_is_written_is_read(local in "[ -~]{1,40}", domain in "([a-z0-9.-]{1,20})?") {
        let path = address(&local, &domain);
        let line = format!("RCPT TO:{path}");
        prop_assert_eq!(command(line.as_bytes()), Ok(Command::Rcpt(path)));
    }

    #[test]
    fn any_bytes_give_an_answer(line in proptest::collection::vec(any::<u8>(), 0..80), verb in 0..4usize) {
        let verb = ["", "MAIL FROM:<", "RCPT TO:<\"", "BDAT "][verb];
        let line = [verb.as_bytes(), &line].concat();
        match command(&line) {
            Err(reply) => prop_assert!(reply.is_refusal()),
            Ok(Command::Rcpt(path)) => prop_assert!(path.to_string().bytes().all(|byte| (0x20..=0x7e).contains(&byte))),
            Ok(_) => {}
        }
    }
}
