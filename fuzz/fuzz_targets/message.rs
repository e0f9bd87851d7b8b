//! Any bytes as a message: no panic; its record reads back the same; its answers hold no NUL.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_backend::message::{
    Part, Structure, header_fields, preview, sent_date, texts, without_nuls,
};

fuzz_target!(|bytes: &[u8]| {
    let structure = Structure::of(bytes);
    let record = structure.encode();
    if record.len() > 1 {
        assert_eq!(Structure::decode(&record).as_ref(), Some(&structure));
    }
    let answers = [
        structure.envelope(),
        structure.bodystructure(),
        &structure.body(),
        &header_fields(bytes, &["To"], true),
    ]
    .concat();
    assert!(!answers.contains(&0));
    for path in [&[][..], &[1], &[1, 1], &[2]] {
        for what in [Part::Whole, Part::Header, Part::Text, Part::Mime] {
            if let Some(range) = structure.locate(path, what) {
                assert!(range.start <= range.end && range.end <= bytes.len() as u64);
            }
        }
    }
    let _ = (sent_date(bytes), Structure::decode(bytes));
    texts(bytes, |_, _| true);
    let text = preview(bytes);
    assert!(text.chars().count() <= 200 && !text.chars().any(char::is_control));
    assert!(without_nuls(bytes).is_none_or(|made| !made.contains(&0)));
});
