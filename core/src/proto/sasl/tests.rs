//! SASL: known answers, limits, secrets.

use proptest::prelude::*;

use super::*;

fn plain(authzid: &str, authcid: &str, password: &str) -> Plain {
    Plain {
        authzid: authzid.into(),
        authcid: authcid.into(),
        password: password.into(),
    }
}

#[test]
fn plain_is_read_and_written() {
    for (text, message) in [
        (
            "YWxpY2UAbWFpbHByb3h5AHByb3h5cHc=",
            plain("alice", "mailproxy", "proxypw"),
        ),
        ("AGFsaWNlAGFsaWNlcHc=", plain("", "alice", "alicepw")),
        (
            "ZnJvbnRlbmQAZnJvbnRlbmQAbXVwZGF0ZXB3",
            plain("frontend", "frontend", "mupdatepw"),
        ),
    ] {
        let decoded = response(text.as_bytes()).unwrap();
        assert_eq!(Plain::decode(decoded.expose()), Ok(message.clone()));
        assert_eq!(message.encode().unwrap().expose(), text.as_bytes());
    }
}

#[test]
fn malformed_messages_are_refused() {
    let long = format!("\0{}\0b", "a".repeat(1025));
    for (message, error) in [
        ("", SaslError::Malformed),
        ("alice", SaslError::Malformed),
        ("\0alice", SaslError::Malformed),
        ("a\0b\0c\0d", SaslError::Malformed),
        ("a\0\0c", SaslError::Malformed),
        ("a\0b\0", SaslError::Malformed),
        (&long, SaslError::TooLong),
    ] {
        assert_eq!(Plain::decode(message.as_bytes()), Err(error), "{message:?}");
    }
    assert_eq!(plain("", "a\0b", "c").encode(), Err(SaslError::Malformed));
    assert_eq!(plain("", "a", "").encode(), Err(SaslError::Malformed));
}

#[test]
fn base64_is_limited_and_strict() {
    assert_eq!(decode(b"", 0).unwrap().expose(), b"");
    assert_eq!(decode(b"YWJj", 3).unwrap().expose(), b"abc");
    assert_eq!(decode(b"YWJj", 2), Err(SaslError::TooLong));
    assert_eq!(decode(b"YWJjZA==", 3), Err(SaslError::TooLong));
    for text in [
        "YWJ", "YW Jj", "YWJj\r\n", "YWJjZA", "YR==", "====", "\u{e4}",
    ] {
        assert_eq!(
            decode(text.as_bytes(), 100),
            Err(SaslError::Base64),
            "{text:?}"
        );
    }
    assert_eq!(response(b"*"), Err(SaslError::Cancelled));
    assert_eq!(response(&[b'A'; 8192]), Err(SaslError::TooLong));
}

#[test]
fn login_asks_for_two_things() {
    assert_eq!(
        decode(Login::User.challenge().as_bytes(), 99)
            .unwrap()
            .expose(),
        b"Username:"
    );
    let LoginStep::Ask(next) = Login::User.answer(&"alice".into()).unwrap() else {
        panic!("the password is asked for")
    };
    assert_eq!(
        decode(next.challenge().as_bytes(), 99).unwrap().expose(),
        b"Password:"
    );
    let done = next.clone().answer(&"alicepw".into());
    assert_eq!(done, Ok(LoginStep::Done(plain("", "alice", "alicepw"))));
    assert_eq!(next.clone().answer(&"".into()), Err(SaslError::Malformed));
    assert_eq!(next.answer(&"a\0b".into()), Err(SaslError::Malformed));
    let long = Secret::new(vec![b'x'; 1025]);
    assert_eq!(Login::User.answer(&long), Err(SaslError::TooLong));
}

#[test]
fn secrets_are_never_shown() {
    let shown = format!(
        "{:?} {:?}",
        Secret::from("sesame"),
        plain("", "alice", "sesame")
    );
    assert!(shown.starts_with("*** Plain"), "{shown}");
    assert!(
        !shown.contains("sesame") && !shown.contains("115"),
        "{shown}"
    );
}

#[test]
fn secrets_are_compared() {
    assert_eq!(Secret::from("abc"), Secret::from("abc"));
    assert_ne!(Secret::from("abc"), Secret::from("abd"));
    assert_ne!(Secret::from("abc"), Secret::from("ab"));
    assert_ne!(Secret::from(""), Secret::from("a"));
}

proptest! {
    #[test]
    fn base64_is_read_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let text = encode(&bytes);
        let decoded = decode(text.expose(), bytes.len()).unwrap();
        prop_assert_eq!(decoded.expose(), &bytes[..]);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        let _ = response(&bytes);
        if let Ok(message) = Plain::decode(&bytes) {
            let text = message.encode().unwrap();
            let again = response(text.expose()).unwrap();
            prop_assert_eq!(again.expose(), &bytes[..]);
        }
    }
}
