//! A mail server that delivers (RFC 2033), as far as the demo needs one.

use super::dialogue::Dialogue;

/// Delivers a message to a user.
pub(super) fn deliver(port: u16, user: &str, text: &str) -> Result<(), String> {
    let mut dialogue = Dialogue::connect(port)?;
    reply(&mut dialogue, "the greeting", '2')?;
    for (line, code) in [
        ("LHLO demo.test".to_owned(), '2'),
        ("MAIL FROM:<rook@demo.test>".to_owned(), '2'),
        (format!("RCPT TO:<{user}@demo.test>"), '2'),
        ("DATA".to_owned(), '3'),
        (format!("{text}."), '2'),
        ("QUIT".to_owned(), '2'),
    ] {
        dialogue.send(format!("{line}\r\n").as_bytes())?;
        reply(&mut dialogue, &line, code)?;
    }
    Ok(())
}

/// Reads a reply, whose code has to begin with this.
fn reply(dialogue: &mut Dialogue, to: &str, code: char) -> Result<(), String> {
    loop {
        let line = dialogue.line()?;
        if !line.starts_with(code) {
            let to = to.lines().next().unwrap_or_default();
            return Err(format!("LMTP, {to}: {line}"));
        }
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(());
        }
    }
}
