//! SASL on any bytes: no panic, and PLAIN and base64 are read back as they were written.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_core::proto::sasl::{Login, LoginStep, Plain, Secret, decode, encode, response};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(decoded) = response(bytes) {
        assert_eq!(encode(decoded.expose()).expose(), bytes);
    }
    let text = encode(bytes);
    let decoded = decode(text.expose(), bytes.len()).expect("what is encoded can be read");
    assert_eq!(decoded.expose(), bytes);
    if let Ok(plain) = Plain::decode(bytes) {
        let text = plain.encode().expect("what is read can be written");
        assert_eq!(
            response(text.expose()).expect("within the limits").expose(),
            bytes
        );
    }
    if let Ok(LoginStep::Ask(next)) = Login::User.answer(&Secret::new(bytes.to_vec())) {
        let _ = next.answer(&Secret::new(bytes.to_vec()));
    }
});
