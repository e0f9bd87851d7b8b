//! LMTP against the backend as shipped, on one shard: what a client is answered, and what is stored then.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "tests end where something is not as it should be"
)]

mod site;

use std::time::Duration;

use ravenry_core::rt;
use site::{Client, Site, play};

const MESSAGE: &str = "From: a@x.example\r\nMessage-ID: <1@x>\r\n\r\n.dot\r\nbare\nLF\r\n";
/// As DATA carries it.
const DOTTED: &str = "From: a@x.example\r\nMessage-ID: <1@x>\r\n\r\n..dot\r\nbare\nLF\r\n.\r\n";

/// A message to Bob, up to its bytes.
const TO_BOB: &str = "MAIL FROM:<a@x.example>\r\nRCPT TO:<bob@here.example>\r\nDATA\r\n";

async fn hello(site: &Site) -> Client {
    let mut client = Client::connect(site).await;
    client.expect("220 ").await;
    client.say("LHLO mx.example\r\n").await;
    client.expect("250 ").await;
    client
}

#[test]
fn any_split_of_a_conversation_gives_the_same() {
    play(|site| async move {
        let all = format!("LHLO mx.example\r\n{TO_BOB}{DOTTED}QUIT\r\n");
        for size in [1, 2, 3, 7, all.len()] {
            let mut client = Client::connect(&site).await;
            for piece in all.as_bytes().chunks(size) {
                client.send(piece).await;
                rt::yield_now().await;
            }
            for begins in [
                "220 ",
                "250 ",
                "250 2.1.0",
                "250 2.1.5",
                "354 ",
                "250 2.1.5 Ok SESSIONID=<",
                "221 ",
            ] {
                client.expect(begins).await;
            }
        }
        let stored = site.messages("user.bob");
        assert_eq!(stored.len(), 5);
        for text in stored {
            let (trace, message) = text.split_once("From: ").unwrap();
            assert!(
                trace.starts_with("Return-Path: <a@x.example>\r\nReceived: from mx.example ("),
                "{trace}"
            );
            assert!(trace.contains("with LMTP id "), "{trace}");
            assert_eq!(format!("From: {message}"), MESSAGE);
        }
    });
}

#[test]
fn each_recipient_has_a_reply_in_order() {
    play(|site| async move {
        let mut client = hello(&site).await;
        client.ask("MAIL FROM:<>\r\n", "250 2.1.0").await;
        client.ask("RCPT TO:<bob>\r\n", "250 2.1.5").await;
        client.ask("RCPT TO:<nobody>\r\n", "550 5.1.1").await;
        client.ask("RCPT TO:<carol+Sent@x>\r\n", "250 2.1.5").await;
        client.ask("RCPT TO:<carol+Open>\r\n", "250 2.1.5").await;
        client.ask("RCPT TO:<carol+nosuch>\r\n", "250 2.1.5").await;
        client.ask("RCPT TO:<+shared>\r\n", "250 2.1.5").await;
        client.ask("RCPT TO:<+closed>\r\n", "550 5.1.1").await;
        client.ask("RCPT TO:<+known>\r\n", "550 5.7.1").await;
        client.ask("RCPT TO:<bob>\r\n", "250 2.1.5").await;
        client.ask("DATA\r\n", "354").await;
        // Carol deletes a folder meanwhile.
        site.delete("user.carol.Open").await;
        client.say(DOTTED).await;
        for begins in [
            "250 2.1.5",
            "250 2.1.5",
            "550 5.1.1",
            "250 2.1.5",
            "250 2.1.5",
            "250 2.1.5",
        ] {
            client.expect(begins).await;
        }
        // Nobody may post to Sent, so it is INBOX; and a mailbox has one copy.
        for (mailbox, count) in [
            ("user.bob", 1),
            ("user.carol", 1),
            ("user.carol.Sent", 0),
            ("shared", 1),
            ("closed", 0),
        ] {
            assert_eq!(site.messages(mailbox).len(), count, "{mailbox}");
        }
        client.ask("NOOP\r\n", "250").await;
    });
}

#[test]
fn copies_go_to_every_partition() {
    play(|site| async move {
        let mut client = hello(&site).await;
        client
            .say("MAIL FROM:<a@b>\r\nRCPT TO:<bob>\r\nRCPT TO:<dave>\r\nDATA\r\n")
            .await;
        for begins in ["250", "250", "250", "354"] {
            client.expect(begins).await;
        }
        let body = "x".repeat(998) + "\r\n";
        let body = body.repeat(900);
        client.say(&format!("{body}.\r\n")).await;
        client.expect("250 2.1.5").await;
        client.expect("250 2.1.5").await;
        for mailbox in ["user.bob", "user.dave"] {
            let stored = site.messages(mailbox);
            assert!(stored[0].ends_with(&body), "{mailbox}");
        }
        assert_eq!(site.staged(), 0);
    });
}

#[test]
fn a_message_that_never_ends_is_not_stored() {
    play(|site| async move {
        let ends = ["half a li", "a\n.\n", "a\r\n.\n", "a\n.\r\n", "a\r\n."];
        for end in ends {
            let mut client = hello(&site).await;
            client.say(TO_BOB).await;
            client.say(&"y".repeat(300_000)).await;
            client.say(end).await;
            for begins in ["250", "250", "354"] {
                client.expect(begins).await;
            }
            drop(client);
        }
        site.settles().await;
        assert_eq!(site.messages("user.bob").len(), 0);
        assert_eq!(site.staged(), 0);
    });
}

#[test]
fn sizes_are_looked_at_before_and_after() {
    play(|site| async move {
        let mut client = hello(&site).await;
        client
            .ask("MAIL FROM:<> SIZE=1048577\r\n", "552 5.3.4")
            .await;
        client.ask("RCPT TO:<bob>\r\n", "503").await;
        client.ask("MAIL FROM:<> SIZE=1048576\r\n", "250").await;
        client.ask("RCPT TO:<bob>\r\n", "250").await;
        client.ask("DATA\r\n", "354").await;
        client
            .ask(
                &format!("{}\r\n.\r\n", "z".repeat((1 << 20) - 1)),
                "552 5.3.4",
            )
            .await;
        // In step, and it may be as large as it says.
        client.say(TO_BOB).await;
        for begins in ["250", "250", "354"] {
            client.expect(begins).await;
        }
        client
            .ask(
                &format!("{}\r\n.\r\n", "z".repeat((1 << 20) - 2)),
                "250 2.1.5",
            )
            .await;
        client.say(TO_BOB).await;
        for begins in ["250", "250", "354"] {
            client.expect(begins).await;
        }
        client.ask("a\0b\r\n.\r\n", "554 5.6.0").await;
        assert_eq!(site.messages("user.bob").len(), 1);
        assert_eq!(site.staged(), 0);
    });
}

#[test]
fn a_message_may_come_in_pieces() {
    play(|site| async move {
        let mut client = hello(&site).await;
        client.ask("BDAT 3\r\nxyz", "503").await;
        client
            .say("MAIL FROM:<>\r\nRCPT TO:<bob>\r\nRCPT TO:<carol>\r\nBDAT 6\r\nA: b\r\n")
            .await;
        for begins in ["250", "250", "250", "250 2.0.0"] {
            client.expect(begins).await;
        }
        client.ask("RCPT TO:<dave>\r\n", "503").await;
        client.ask("DATA\r\n", "503").await;
        client.say("BDAT 7 LAST\r\n\r\n.\r\n\r\n").await;
        client.expect("250 2.1.5").await;
        client.expect("250 2.1.5").await;
        for mailbox in ["user.bob", "user.carol"] {
            assert!(site.messages(mailbox)[0].ends_with("A: b\r\n\r\n.\r\n\r\n"));
        }
        client.ask("BDAT 0 LAST\r\n", "503").await;
        client
            .say("MAIL FROM:<>\r\nRCPT TO:<bob>\r\nBDAT 2\r\nab")
            .await;
        for begins in ["250", "250", "250"] {
            client.expect(begins).await;
        }
        client.ask("RSET\r\n", "250").await;
        client.ask("BDAT 2 LAST\r\nab", "503").await;
        client.say("MAIL FROM:<>\r\nRCPT TO:<bob>\r\n").await;
        client.expect("250").await;
        client.expect("250").await;
        client
            .ask(
                &format!("BDAT 1048577\r\n{}", "a".repeat((1 << 20) + 1)),
                "552",
            )
            .await;
        client.ask("BDAT 1 LAST\r\na", "503").await;
        assert_eq!(site.messages("user.bob").len(), 1);
        assert_eq!(site.staged(), 0);
    });
}

#[test]
fn commands_have_their_order() {
    play(|site| async move {
        let mut client = Client::connect(&site).await;
        client.expect("220 ").await;
        client.ask("MAIL FROM:<>\r\n", "503 5.5.1").await;
        client.ask("EHLO x\r\n", "500").await;
        client.ask("LHLO x\r\n", "250 ").await;
        client.ask("RCPT TO:<bob>\r\n", "503").await;
        client.ask("DATA\r\n", "503").await;
        client.ask("MAIL FROM:<>\r\n", "250").await;
        client.ask("MAIL FROM:<>\r\n", "503").await;
        client.ask("RCPT TO:<nobody>\r\n", "550").await;
        client.ask("DATA\r\n", "503").await;
        client.ask("LHLO x\r\n", "250 ").await;
        client.ask("RCPT TO:<bob>\r\n", "503").await;
        client.ask("STARTTLS\r\n", "502").await;
        client.ask("VRFY bob\r\n", "252").await;
        client
            .ask(&format!("NOOP {}\r\n", "x".repeat(20_000)), "500")
            .await;
        client.ask("NOOP\n", "500").await;
        client.ask("NOOP\r\n", "250").await;
        for _ in 0..9 {
            client.ask("NONSENSE\r\n", "500").await;
        }
        client.ask("NONSENSE\r\n", "500").await;
        client.expect("421 4.7.0").await;
        client.expect_end().await;
    });
}

#[test]
fn a_stranger_logs_in_first() {
    play(|site| async move {
        let mut client = Client::stranger(&site).await;
        client.expect("220 ").await;
        client.ask("LHLO mx\r\n", "250 ").await;
        client.ask("MAIL FROM:<>\r\n", "530 5.7.0").await;
        client.ask("RCPT TO:<bob>\r\n", "503").await;
        client.ask("AUTH CRAM-MD5\r\n", "504").await;
        client.ask("AUTH PLAIN AGJvYgBwdw==\r\n", "535 5.7.1").await;
        client.ask("AUTH PLAIN AHByb3h5AHg=\r\n", "535 5.7.8").await;
        client.ask("AUTH LOGIN\r\n", "334 ").await;
        client.ask("*\r\n", "501").await;
        client.ask("AUTH PLAIN\r\n", "334 ").await;
        client.ask("AHByb3h5AHB3\r\n", "235").await;
        client.ask("AUTH PLAIN AHByb3h5AHB3\r\n", "503").await;
        client.say(TO_BOB).await;
        for begins in ["250", "250", "354"] {
            client.expect(begins).await;
        }
        client.ask(DOTTED, "250 2.1.5").await;
        assert!(site.messages("user.bob")[0].contains("with LMTPA id "));
        let mut client = Client::stranger(&site).await;
        client.expect("220 ").await;
        // Nothing that large is read from whom we don't know.
        client.ask("BDAT 99999999999\r\n", "503").await;
        client.expect_end().await;
    });
}

#[test]
fn a_client_of_another_protocol_is_sent_away() {
    play(|site| async move {
        let mut client = Client::connect(&site).await;
        client.expect("220 ").await;
        client.ask("POST / HTTP/1.1\r\nLHLO x\r\n", "421").await;
        client.expect_end().await;
    });
}

#[test]
fn many_recipients_are_too_many() {
    play(|site| async move {
        let mut client = hello(&site).await;
        client.ask("MAIL FROM:<>\r\n", "250").await;
        let most = ravenry_core::limits::RECIPIENTS_MAX;
        client.say(&"RCPT TO:<bob>\r\n".repeat(most)).await;
        for _ in 0..most {
            client.expect("250").await;
        }
        client.ask("RCPT TO:<bob>\r\n", "452 4.5.3").await;
        client.ask("DATA\r\n", "354").await;
        client.say(DOTTED).await;
        for _ in 0..most {
            client.expect("250").await;
        }
        assert_eq!(site.messages("user.bob").len(), 1);
        rt::timeout(Duration::from_secs(5), client.ask("NOOP\r\n", "250"))
            .await
            .unwrap();
    });
}
