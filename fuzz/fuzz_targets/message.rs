//! Any bytes as a message: no panic; its record reads back the same; its answers hold no NUL.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_backend::message::{
    Field, Part, Structure, Summary, header_fields, preview, record, record_of_beginning, record_of_header,
    sent_date, texts, without_nuls,
};

fuzz_target!(|bytes: &[u8]| {
    let structure = Structure::of(bytes);
    let record = record(bytes);
    if let Some(read) = Structure::decode(&record) {
        assert_eq!(read, structure);
    }
    let (beginning, header) = (record_of_beginning(bytes), record_of_header(bytes));
    for record in [&record[..], &beginning, &header, bytes] {
        if let Some(summary) = Summary::of(record) {
            let _ = (
                summary.sent(),
                summary.last(Field::References),
                summary.first_address(Field::Cc),
            );
        }
    }
    let answers = [
        structure.envelope(),
        structure.bodystructure(),
        &structure.body(),
        &Structure::with_global(bytes).body(),
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
