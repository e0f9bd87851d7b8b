//! The base subject of a message (RFC 5256 section 2.1): what is left when "Re:", "(fwd)" and the like are gone.
//!
//! It takes folded text as well as any other. Nothing here takes more than linear time.

/// More of a subject isn't looked at.
const SUBJECT_BYTES_MAX: usize = 4 << 10;

/// A subject without what replying and forwarding add to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseSubject {
    /// What is left.
    pub text: Box<[u8]>,
    /// The message is a reply or forward: something that says so is gone.
    pub reply: bool,
}

impl BaseSubject {
    /// Takes a subject whose encoded words are decoded apart.
    #[must_use]
    pub fn of(subject: &[u8]) -> Self {
        let line = on_one_line(&subject[..subject.len().min(SUBJECT_BYTES_MAX)]);
        let (mut text, mut reply) = (&line[..], false);
        loop {
            text = without_trailers(text, &mut reply);
            text = without_leaders(text, &mut reply);
            let forwarded = strip_prefix(text, b"[fwd:").and_then(|text| text.strip_suffix(b"]"));
            match forwarded {
                Some(inner) => (text, reply) = (inner, true),
                None => break,
            }
        }
        Self {
            text: text.into(),
            reply,
        }
    }
}

/// Tabs and the like become spaces, spaces in a row one.
fn on_one_line(subject: &[u8]) -> Vec<u8> {
    let mut line = Vec::with_capacity(subject.len());
    for byte in subject {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if line.last() == Some(&b' ') => {}
            b'\t' | b'\r' | b'\n' => line.push(b' '),
            _ => line.push(*byte),
        }
    }
    line
}

/// Step 2: `(fwd)` and spaces at the end.
fn without_trailers<'a>(mut text: &'a [u8], reply: &mut bool) -> &'a [u8] {
    loop {
        text = text.trim_ascii_end();
        let Some((before, last)) = text.split_last_chunk::<5>() else {
            return text;
        };
        if !last.eq_ignore_ascii_case(b"(fwd)") {
            return text;
        }
        (text, *reply) = (before, true);
    }
}

/// Steps 3 to 5: spaces, `Re:` and `Fwd:` with blobs before them, and blobs that something stands behind.
fn without_leaders<'a>(mut text: &'a [u8], reply: &mut bool) -> &'a [u8] {
    loop {
        text = text.trim_ascii_start();
        let mut behind = text;
        while let Some(rest) = without_blob(behind) {
            behind = rest;
        }
        if let Some(rest) = without_refwd(behind) {
            (text, *reply) = (rest, true);
            continue;
        }
        // No refwd comes of it when only some of the blobs are gone: they all go now.
        while let Some(rest) = without_blob(text).filter(|rest| !rest.is_empty()) {
            text = rest;
        }
        return text;
    }
}

/// Takes `[blob] ` away.
fn without_blob(text: &[u8]) -> Option<&[u8]> {
    let inside = text.strip_prefix(b"[")?;
    let end = memchr::memchr2(b'[', b']', inside)?;
    (inside[end] == b']').then(|| inside[end + 1..].trim_ascii_start())
}

/// Takes `Re: `, `Fw[blob]:` or `fwd :` away.
fn without_refwd(text: &[u8]) -> Option<&[u8]> {
    let names: [&[u8]; 3] = [b"re", b"fwd", b"fw"];
    let behind = names.iter().find_map(|name| strip_prefix(text, name))?;
    let behind = behind.trim_ascii_start();
    let behind = without_blob(behind).unwrap_or(behind);
    behind.strip_prefix(b":")
}

/// Whatever the case of either.
fn strip_prefix<'a>(text: &'a [u8], prefix: &[u8]) -> Option<&'a [u8]> {
    let (begins, rest) = text.split_at_checked(prefix.len())?;
    begins.eq_ignore_ascii_case(prefix).then_some(rest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use ravenry_core::rt;

    use super::*;
    use crate::collation::folded;

    fn base(subject: &str) -> (String, bool) {
        let base = BaseSubject::of(subject.as_bytes());
        (String::from_utf8(base.text.to_vec()).unwrap(), base.reply)
    }

    #[test]
    fn what_replies_and_forwards_add_goes() {
        for (subject, text, reply) in [
            ("", "", false),
            (" \t ", "", false),
            ("Hello  \t World ", "Hello World", false),
            ("Re: Hello", "Hello", true),
            ("RE : re: fW:FWD[2]: Hello", "Hello", true),
            ("Re [list] : Hello", "Hello", true),
            ("[list] Re: [list] Hello", "Hello", true),
            ("[a][b] [c] Hello", "Hello", false),
            ("[a] [b]", "[b]", false),
            ("[only]", "[only]", false),
            ("Re: [only]", "[only]", true),
            ("Hello (fwd) (FWD)", "Hello", true),
            ("(fwd)", "", true),
            ("[Fwd: Hello]", "Hello", true),
            ("[fwd: Re: [fwd: [x] Hello (fwd)]] (fwd)", "Hello", true),
            ("[Fwd: Hello", "[Fwd: Hello", false),
            ("[Fwd:]", "", true),
            ("Regarding: Hello", "Regarding: Hello", false),
            ("re Hello", "re Hello", false),
            ("Re", "Re", false),
            ("Re:", "", true),
            ("fwdx: a", "fwdx: a", false),
            ("[a[b] Re: c", "[a[b] Re: c", false),
            ("[a] Re[b[c]: d", "Re[b[c]: d", false),
            ("Hello [Re: there]", "Hello [Re: there]", false),
        ] {
            assert_eq!(base(subject), (text.to_owned(), reply), "{subject}");
        }
    }

    /// The steps of RFC 5256, one after the other, each as it stands there.
    fn plain(subject: &str) -> (String, bool) {
        let blob = |text: &str| {
            let end = text.strip_prefix('[')?.find(['[', ']'])? + 1;
            text[end..]
                .starts_with(']')
                .then(|| text[end + 1..].trim_start().to_owned())
        };
        let refwd = |text: &str| {
            let small = text.to_ascii_lowercase();
            let names = ["fwd", "fw", "re"]
                .into_iter()
                .filter(|name| small.starts_with(name));
            names.into_iter().find_map(|name| {
                let rest = text[name.len()..].trim_start();
                let rest = blob(rest).unwrap_or_else(|| rest.to_owned());
                rest.strip_prefix(':').map(str::to_owned)
            })
        };
        let mut text = subject
            .split_ascii_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        let mut reply = false;
        loop {
            while text.to_ascii_lowercase().ends_with("(fwd)") {
                text = text[..text.len() - 5].trim_end().to_owned();
                reply = true;
            }
            text = text.trim().to_owned();
            loop {
                text = text.trim_start().to_owned();
                let (mut behind, mut found) = (text.clone(), None);
                loop {
                    found = found.or_else(|| refwd(&behind));
                    let Some(rest) = blob(&behind) else { break };
                    behind = rest;
                }
                if let Some(found) = found {
                    (text, reply) = (found, true);
                } else if let Some(rest) = blob(&text).filter(|rest| !rest.is_empty()) {
                    text = rest;
                } else {
                    break;
                }
            }
            if text.to_ascii_lowercase().starts_with("[fwd:") && text.ends_with(']') {
                text = text[5..text.len() - 1].trim().to_owned();
                reply = true;
            } else {
                return (text, reply);
            }
        }
    }

    proptest! {
        #[test]
        fn as_the_steps_give_it(words in prop::collection::vec(prop::sample::select(vec![
            "Re", "re:", "FWD", "fw", ":", "[", "]", "[fwd:", "(fwd)", " ", "\t", "a", "b c", "[x]",
        ]), 0..12)) {
            let subject = words.concat();
            prop_assert_eq!(base(&subject), plain(&subject));
            let small = BaseSubject::of(&folded(&subject));
            let (text, reply) = plain(&subject);
            prop_assert_eq!((small.text.to_vec(), small.reply), (folded(&text), reply));
        }
    }

    #[test]
    fn hostile_subjects_are_done_in_time() {
        let begin = rt::wall_clock();
        for odd in ["[a]", "[fwd:", "re:", "(fwd)", "[", "re[a]", "]", " "] {
            let subject = format!("{}x{}", odd.repeat(1000), "]".repeat(1000));
            for _ in 0..100 {
                let _ = BaseSubject::of(subject.as_bytes());
                let _ = BaseSubject::of(odd.repeat(1000).as_bytes());
            }
        }
        assert!(begin.elapsed().unwrap().as_secs() < 5);
    }
}
