//! FETCH commands: the RFCs' examples, names in answers, what is refused, and round trips.

use proptest::prelude::*;

use super::super::section::{SectionForm, SectionText};
use super::*;

fn read(text: &str) -> Result<FetchCommand, ParseError> {
    FetchCommand::parse(Cursor::new(text.as_bytes()), false)
}

/// The name in the answer to the only item of a command.
fn answered(item: &str) -> String {
    let fetch = read(&format!(" 1 {item}")).expect(item);
    let mut name = Vec::new();
    fetch.items[0].write_name(&mut name);
    assert_eq!(fetch.items.len(), 1, "{item}");
    String::from_utf8(name).unwrap()
}

/// The command that asks for `items`.
fn written(set: &str, items: &[FetchItem]) -> String {
    let mut text = format!(" {set} (");
    for (at, item) in items.iter().enumerate() {
        let mut name = Vec::new();
        item.write_name(&mut name);
        let mut name = String::from_utf8(name).unwrap();
        if let FetchItem::Section(section) = item {
            if section.peek {
                name = name.replacen("BODY[", "BODY.PEEK[", 1);
            }
            if let Some((offset, length)) = section.partial {
                let tail = format!("<{offset}>");
                name.truncate(name.len() - tail.len());
                name += &format!("<{offset}.{length}>");
            }
        }
        text += if at == 0 { "" } else { " " };
        text += &name;
    }
    text + ")"
}

#[test]
fn commands_are_read() {
    let fetch = read(" 2:4 (FLAGS BODY[HEADER.FIELDS (DATE FROM)])").unwrap();
    assert_eq!(fetch.set.to_string(), "2:4");
    let names = vec![b"DATE".to_vec(), b"FROM".to_vec()];
    let section = Section {
        path: Vec::new(),
        text: SectionText::HeaderFields { names, not: false },
        peek: false,
        partial: None,
        form: SectionForm::Body,
    };
    assert_eq!(fetch.items, [FetchItem::Flags, FetchItem::Section(section)]);
    assert!((fetch.changed_since, fetch.vanished) == (None, false));
    let full = read(" 1 full").unwrap().items;
    assert_eq!(full.len(), 5);
    assert_eq!(read(" 1 ALL").unwrap().items, full[..4]);
    assert_eq!(read(" 1 FAST").unwrap().items, full[..3]);
    assert_eq!(read(" 1 (UID uid UID)").unwrap().items, [FetchItem::Uid]);
    let both = read(" 1 (BODY[] BODY.PEEK[] BODY[])").unwrap().items;
    assert!(both.len() == 2 && both[0].sets_seen() && !both[1].sets_seen());
    for (word, item) in &WORDS {
        let items = read(&format!(" 1 {word}")).unwrap().items;
        assert_eq!(items, std::slice::from_ref(item));
    }
    for (item, seen) in [
        ("RFC822", true),
        ("RFC822.HEADER", false),
        ("RFC822.TEXT", true),
        ("BODY", false),
        ("BINARY[1]", true),
        ("BINARY.PEEK[1]", false),
        ("BINARY.SIZE[1]", false),
    ] {
        assert_eq!(
            read(&format!(" 1 {item}")).unwrap().items[0].sets_seen(),
            seen,
            "{item}"
        );
    }
}

#[test]
fn modifiers_are_read() {
    let uid = |text: &str| FetchCommand::parse(Cursor::new(text.as_bytes()), true);
    let fetch = uid(" 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)").unwrap();
    assert_eq!((fetch.changed_since, fetch.vanished), (Some(12345), true));
    assert_eq!(fetch.items, [FetchItem::Flags, FetchItem::ModSeq]);
    assert_eq!(
        read(" 1 MODSEQ (CHANGEDSINCE 1)").unwrap().items,
        [FetchItem::ModSeq]
    );
    for text in [
        " 1 FLAGS (VANISHED)",
        " 1 FLAGS ()",
        " 1 FLAGS (CHANGEDSINCE)",
        " 1 FLAGS (CHANGEDSINCE x)",
        " 1 FLAGS (CHANGEDSINCE 1",
        " 1 FLAGS CHANGEDSINCE 1",
        " 1 FLAGS (CHANGEDSINCE 1 CHANGEDSINCE 2)",
        " 1 FLAGS (CHANGEDSINCE 9223372036854775808)",
        " 1 FLAGS (BOGUS)",
        " 1 FLAGS (CHANGEDSINCE 1) x",
    ] {
        assert!(uid(text).is_err(), "{text}");
    }
    assert!(
        read(" 1 FLAGS (CHANGEDSINCE 1 VANISHED)").is_err(),
        "only with UID FETCH"
    );
}

#[test]
fn a_part_alone_can_be_decoded() {
    for item in [
        "BINARY",
        "BINARY.PEEK",
        "BINARY.SIZE",
        "BINARY[",
        "BINARY[1.]",
        "BINARY[0]",
        "BINARY[TEXT]",
        "BINARY[1.MIME]",
        "BINARY[1]<0>",
        "BINARY.SIZE[1]<0.1>",
        "BINARY.PEEK.SIZE[1]",
    ] {
        assert!(read(&format!(" 1 {item}")).is_err(), "{item}");
    }
    let item = &read(" 1 BINARY.PEEK[1.2]<3.4>").unwrap().items[0];
    let section = BinarySection {
        path: vec![1, 2],
        peek: true,
        partial: Some((3, 4)),
    };
    assert_eq!(*item, FetchItem::Binary(section));
}

#[test]
fn a_preview_may_be_lazy() {
    for text in [
        " 1 PREVIEW",
        " 1 preview (lazy)",
        " 1 (PREVIEW)",
        " 1 (PREVIEW (LAZY))",
    ] {
        assert_eq!(
            read(text).expect(text).items,
            [FetchItem::Preview],
            "{text}"
        );
    }
    let both = [FetchItem::Preview, FetchItem::Uid];
    assert_eq!(read(" 1 (PREVIEW (LAZY) UID)").unwrap().items, both);
    for text in [
        " 1 PREVIEW (LAZY) (CHANGEDSINCE 5)",
        " 1 PREVIEW (CHANGEDSINCE 5)",
    ] {
        let fetch = read(text).expect(text);
        assert_eq!(
            fetch.items,
            [FetchItem::Preview, FetchItem::ModSeq],
            "{text}"
        );
        assert_eq!(fetch.changed_since, Some(5), "{text}");
    }
    for text in [
        " 1 PREVIEW ()",
        " 1 PREVIEW (FUZZY)",
        " 1 PREVIEW (LAZY LAZY)",
        " 1 PREVIEW(LAZY)",
        " 1 (PREVIEW (LAZY)",
        " 1 (PREVIEW (BOGUS))",
        " 1 (PREVIEW () UID)",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn answers_have_the_names_that_were_asked() {
    for (item, name) in [
        ("flags", "FLAGS"),
        ("rfc822.size", "RFC822.SIZE"),
        ("body", "BODY"),
        ("body[]", "BODY[]"),
        ("BODY.PEEK[]<0.2048>", "BODY[]<0>"),
        ("body.peek[1.2.mime]", "BODY[1.2.MIME]"),
        ("BODY[4.2.2.1]", "BODY[4.2.2.1]"),
        ("BODY[4.1.HEADER]", "BODY[4.1.HEADER]"),
        ("BODY[text]<7.1>", "BODY[TEXT]<7>"),
        (
            "BODY.PEEK[header.fields (From \"subject\")]<0.9>",
            "BODY[HEADER.FIELDS (From subject)]<0>",
        ),
        (
            "BODY[3.HEADER.FIELDS.NOT (\"a b\" {3}\r\nX\ny)]",
            "BODY[3.HEADER.FIELDS.NOT (\"a b\" {3}\r\nX\ny)]",
        ),
        ("BODY[HEADER.FIELDS (a])]", "BODY[HEADER.FIELDS (a])]"),
        ("binary[1.2]", "BINARY[1.2]"),
        ("BINARY.PEEK[]<0.9>", "BINARY[]<0>"),
        ("binary.size[3]", "BINARY.SIZE[3]"),
        ("rfc822", "RFC822"),
        ("rfc822.header", "RFC822.HEADER"),
        ("rfc822.text", "RFC822.TEXT"),
    ] {
        assert_eq!(answered(item), name, "{item}");
    }
}

#[test]
fn what_is_wrong_is_refused() {
    for item in [
        "",
        "(",
        "()",
        "(FLAGS",
        "(FLAGS )",
        "( FLAGS)",
        "(FLAGS  UID)",
        "(ALL)",
        "(FLAGS ALL)",
        "BOGUS",
        "FLAGS UID",
        "BODY[",
        "BODY[]x",
        "BODY.PEEK",
        "BODY.PEEK[",
        "BODY[BOGUS]",
        "BODY[MIME]",
        "BODY[0]",
        "BODY[1.]",
        "BODY[.1]",
        "BODY[1..2]",
        "BODY[1.0]",
        "BODY[1.2MIME]",
        "BODY[HEADER",
        "BODY[HEADER.]",
        "BODY[HEADER.FIELDS]",
        "BODY[HEADER.FIELDS ()]",
        "BODY[HEADER.FIELDS (a]",
        "BODY[HEADER.FIELDS (a) ]",
        "BODY[HEADER.FIELDS(a)]",
        "BODY[4294967296]",
        "BODY[]<0>",
        "BODY[]<0.0>",
        "BODY[]<1.2",
        "BODY[]<-1.2>",
        "BODY[]<4294967296.1>",
        "BODY[]<>",
        "RFC822[]",
        "RFC822.PEEK[]",
        "RFC822.PEEKS",
        "BODYSTRUCTURE[]",
        "FLAGS[]",
        "BODY[HEADER.FIELDS ({3}\r\na\0b)]",
        "BODY[ ]",
        "BODY[1 ]",
        "BODY []",
    ] {
        assert!(read(&format!(" 1 {item}")).is_err(), "{item}");
    }
    for text in [
        "",
        " ",
        " 1",
        " 1 ",
        " FLAGS",
        " 0 FLAGS",
        "1 FLAGS",
        " 1  FLAGS",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}

#[test]
fn one_command_asks_for_so_much_and_no_more() {
    let many = |count: usize| {
        let items: Vec<String> = (1..=count).map(|at| format!("BODY[{at}]")).collect();
        format!(" 1 ({})", items.join(" "))
    };
    assert_eq!(read(&many(ITEMS_MAX)).unwrap().items.len(), ITEMS_MAX);
    assert!(read(&many(ITEMS_MAX + 1)).is_err());
    for item in [
        format!("BODY[{}1]", "1.".repeat(500_000)),
        format!("BODY[HEADER.FIELDS ({}a)]", "a ".repeat(500_000)),
        format!("BODY[{}]", "(".repeat(1_000_000)),
    ] {
        assert!(read(&format!(" 1 {item}")).is_err());
    }
}

fn a_section() -> impl Strategy<Value = Section> {
    let names = proptest::collection::vec("[A-Za-z \"\\\\-]{0,6}", 1..4);
    let names = names.prop_map(|names| names.into_iter().map(String::into_bytes).collect());
    let fields = (names, any::<bool>());
    let text = prop_oneof![
        Just(SectionText::All),
        Just(SectionText::Header),
        Just(SectionText::Text),
        Just(SectionText::Mime),
        fields.prop_map(|(names, not)| SectionText::HeaderFields { names, not }),
    ];
    let path = proptest::collection::vec(1_u32.., 0..4);
    let partial = proptest::option::of((any::<u32>(), 1_u32..));
    (path, text, any::<bool>(), partial).prop_map(|(mut path, text, peek, partial)| {
        if text == SectionText::Mime && path.is_empty() {
            path.push(1);
        }
        Section {
            path,
            text,
            peek,
            partial,
            form: SectionForm::Body,
        }
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_the_same(
        sections in proptest::collection::vec(a_section(), 1..5),
        words in proptest::collection::vec(0..WORDS.len(), 0..4),
    ) {
        let mut items: Vec<FetchItem> = sections.into_iter().map(FetchItem::Section).collect();
        items.extend(words.into_iter().map(|at| WORDS[at].1.clone()));
        let fetch = read(&written("3:*", &items)).expect("it is a FETCH");
        let mut once = Vec::new();
        for item in items {
            if !once.contains(&item) {
                once.push(item);
            }
        }
        prop_assert_eq!(fetch.items, once);
    }

    #[test]
    fn no_text_makes_it_panic(
        text in "( |1|\\*|BODY|\\[|\\]|HEADER\\.FIELDS|\\(|\\)|<|>|\\.|[0-9]{1,11}|FLAGS|\"|x|\\{1\\}\r\n|RFC822){0,24}",
    ) {
        let _ = read(&format!(" 1 {text}"));
    }
}
