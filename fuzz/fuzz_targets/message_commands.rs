//! FETCH, STORE, SEARCH, STATUS, METADATA and APPEND's options on any bytes: no panic; what is written is read
//! back the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ravenry_core::proto::imap::{
    AppendOptions, AppendStep, AppendText, Cursor, DateTime, Day, FetchCommand, FetchItem, FlagList, GetMetadata,
    MessageUrl, SearchCommand, SectionForm, SequenceSet, SetMetadata, SortCommand, StatusCommand, StoreCommand,
    ThreadCommand, url_in_code,
};

fuzz_target!(|bytes: &[u8]| {
    let args = Cursor::new(bytes);
    let _ = (StatusCommand::parse(args), SearchCommand::parse(args));
    let _ = (GetMetadata::parse(args), SetMetadata::parse(args));
    let _ = (SortCommand::parse(args), ThreadCommand::parse(args));
    if let Ok(fetch) = FetchCommand::parse(args, true) {
        sets(&fetch.set);
        fetch.items.iter().for_each(item);
    }
    if let Ok(store) = StoreCommand::parse(args) {
        sets(&store.set);
        flags(&store.flags);
    }
    if let Ok(options) = AppendOptions::read(&mut Cursor::new(bytes)) {
        flags(&options.flags);
        options.date.iter().for_each(date);
    }
    append(bytes);
    let _ = MessageUrl::parse(bytes);
    assert!(
        url_in_code(bytes)
            .bytes()
            .all(|byte| matches!(byte, b'!'..=b'~') && byte != b']')
    );
    if let Ok(set) = SequenceSet::parse(bytes) {
        sets(&set);
    }
    if let Some(read) = DateTime::parse(bytes) {
        date(&read);
    }
    if let Some(day) = Day::parse(bytes) {
        assert_eq!(Day::parse(day.to_string().as_bytes()), Some(day));
    }
});

/// An APPEND's texts, with a literal at each line's end: a message ends before the next one begins.
fn append(bytes: &[u8]) {
    let mut text = AppendText::default();
    let mut lines = bytes.split(|byte| *byte == b'\n').peekable();
    let mut open = false;
    while let Some(line) = lines.next() {
        let Ok(steps) = text.read(line, lines.peek().is_some()) else {
            return;
        };
        for step in steps {
            let begins = matches!(step, AppendStep::Begin(_));
            assert_ne!(begins, open);
            open = step != AppendStep::End;
        }
    }
    assert!(!open, "the command ends within a message");
}

/// A set is read back, and what it stands for is in order.
fn sets(set: &SequenceSet) {
    assert_eq!(
        SequenceSet::parse(set.to_string().as_bytes()),
        Ok(set.clone())
    );
    for max in [0, 1, 7, u32::MAX] {
        let uids = set.resolve(max);
        let ranges = uids.as_ranges();
        assert!(ranges.iter().all(|(first, last)| first <= last));
        assert!(ranges.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
        assert!(
            ranges
                .iter()
                .all(|(first, last)| uids.has(*first) && uids.has(*last))
        );
    }
}

fn flags(list: &FlagList) {
    let text = list.to_string();
    let mut cursor = Cursor::new(text.as_bytes());
    assert_eq!(FlagList::read(&mut cursor).as_ref(), Ok(list));
    assert!(cursor.is_done());
}

fn date(date: &DateTime) {
    assert_eq!(DateTime::parse(date.to_string().as_bytes()), Some(*date));
}

/// The name in an answer is what one may ask for.
fn item(item: &FetchItem) {
    let mut wanted = item.clone();
    match &mut wanted {
        FetchItem::Section(section) => {
            section.partial = None;
            section.peek &= section.form != SectionForm::Body;
        }
        FetchItem::Binary(section) => {
            section.partial = None;
            section.peek = false;
        }
        _ => {}
    }
    let mut command = b" 1 (".to_vec();
    wanted.write_name(&mut command);
    command.push(b')');
    let again = FetchCommand::parse(Cursor::new(&command), true).expect("it is a FETCH");
    assert_eq!(again.items, [wanted]);
}
