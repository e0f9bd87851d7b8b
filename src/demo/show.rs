//! What the demo says on the terminal.

use std::fmt::Write as _;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use super::fill::FOLDERS;
use super::home::Home;
use super::murder::{ADMIN, Murder, USERS, password};
use super::ports::{HOST, Ports};

/// A line, at once. Whoever doesn't read it doesn't keep it from going on.
pub(super) fn line(text: &str) {
    let mut out = io::stdout().lock();
    drop(writeln!(out, "{text}").and_then(|()| out.flush()));
}

/// It runs: what there is, and what to type.
pub(super) fn ready(murder: &Murder, home: &Home, took: Duration) {
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let ink = Ink(io::stdout().is_terminal() && !is_plain);
    line(&text(murder, home, took, ink));
}

/// Colours, where there is a terminal.
#[derive(Clone, Copy)]
struct Ink(bool);

impl Ink {
    fn bold(self, text: &str) -> String {
        self.in_colour("1", text)
    }

    fn command(self, text: &str) -> String {
        self.in_colour("32", text)
    }

    fn in_colour(self, colour: &str, text: &str) -> String {
        match self.0 {
            true => format!("\u{1b}[{colour}m{text}\u{1b}[0m"),
            false => text.to_owned(),
        }
    }
}

fn text(murder: &Murder, home: &Home, took: Duration, ink: Ink) -> String {
    let mut text = String::new();
    let took = took.as_secs_f64();
    let title = format!("A murder of four servers in this process, ready after {took:.1} s");
    add(&mut text, &ink.bold(&title));
    add(&mut text, "");
    servers(&mut text, murder.ports, ink);
    let users = USERS.map(|user| format!("{user} ({})", password(user)));
    let [alice, bob, admin] = users;
    add(
        &mut text,
        &format!("Users and passwords: {alice}, {bob}; the admin: {admin}."),
    );
    let mail: usize = FOLDERS.iter().map(|folder| folder.messages).sum();
    add(
        &mut text,
        &format!("{mail} messages. The frontend has all of it, wherever it lives."),
    );
    add(&mut text, "");
    add(&mut text, &ink.bold("Try, in another terminal"));
    for (command, what) in commands(murder) {
        add(&mut text, &format!("  # {what}"));
        add(&mut text, &format!("  {}", ink.command(&command)));
    }
    add(&mut text, "");
    add(
        &mut text,
        &format!("The log of all four: {}", home.log_path().display()),
    );
    add(
        &mut text,
        &format!(
            "Their configurations, and all they store: {}{}",
            home.path().display(),
            match home.stays() {
                true => ", which stays",
                false => ", gone at the end",
            }
        ),
    );
    text += &ink.bold("Ctrl-C ends it.");
    text
}

fn servers(text: &mut String, ports: Ports, ink: Ink) {
    let Ports {
        imap,
        imaps,
        lmtp: [lmtp1, lmtp2],
        backends: [backend1, backend2],
        mupdate,
    } = ports;
    let mut server = |name: &str, where_: String, what: &str| {
        add(
            text,
            &format!("  {} {where_:<48} {what}", ink.bold(&format!("{name:8}"))),
        );
    };
    server(
        "frontend",
        format!("{HOST}: IMAP {imap}, IMAPS {imaps}"),
        "where clients go",
    );
    server(
        "backend1",
        format!("{HOST}: IMAP {backend1}, LMTP {lmtp1}"),
        "alice's mail, shared.one",
    );
    server(
        "backend2",
        format!("{HOST}: IMAP {backend2}, LMTP {lmtp2}"),
        "bob's mail, shared.two",
    );
    server(
        "master",
        format!("{HOST}: MUPDATE {mupdate}"),
        "which mailbox is where",
    );
    add(text, "");
    add(
        text,
        "Mail is delivered to the backend that has the mailbox: alice's there, bob's here. The frontend doesn't take LMTP yet.",
    );
}

/// What to type, and what it shows.
fn commands(murder: &Murder) -> Vec<(String, &'static str)> {
    let Ports {
        imap,
        imaps,
        lmtp: [lmtp1, lmtp2],
        ..
    } = murder.ports;
    let certificate = quoted(&murder.certificate);
    let [master, .., frontend] = &murder.servers;
    let (master, frontend) = (quoted(&master.file), quoted(&frontend.file));
    let program =
        std::env::current_exe().map_or_else(|_| "ravenry".to_owned(), |path| quoted(&path));
    let url = |user: &str, rest: &str| {
        format!(
            "curl -s -u {user}:{} 'imap://{HOST}:{imap}/{rest}'",
            password(user)
        )
    };
    let deliver = |port: u16, to: &str, from: &str| {
        format!(
            "swaks --protocol LMTP --server {HOST}:{port} --from {from}@demo.test --to {to}@demo.test --header 'Subject: Lunch?' --body 'Soup again?'"
        )
    };
    vec![
        (
            url("alice", ""),
            "alice's mailboxes: hers are at backend1, shared.two is at backend2",
        ),
        (url("alice", "INBOX;MAILINDEX=1"), "her oldest message"),
        (
            url("alice", "shared.two;UID=3"),
            "one that lives at backend2",
        ),
        (
            url("bob", "INBOX?SUBJECT%20Lunch"),
            "what bob has about lunch",
        ),
        (
            format!("{} -X 'COPY 1 shared.two'", url("alice", "INBOX")),
            "from backend1 to backend2",
        ),
        (
            format!(
                "curl -s --cacert {certificate} -u bob:{} 'imaps://localhost:{imaps}/INBOX;MAILINDEX=80;SECTION=HEADER.FIELDS%20(FROM%20SUBJECT)'",
                password("bob")
            ),
            "by TLS",
        ),
        (
            format!(
                "printf '%s\\r\\n' 'a LOGIN alice {}' 'b SELECT shared.one' 'c THREAD REFERENCES UTF-8 ALL' 'd LOGOUT' | openssl s_client -quiet -verify_return_error -CAfile {certificate} -connect localhost:{imaps}",
                password("alice")
            ),
            "IMAP by hand; without the printf, type",
        ),
        (
            deliver(lmtp1, "alice", "bob"),
            "mail for alice, at her backend (swaks is a package of its own)",
        ),
        (deliver(lmtp2, "bob", "alice"), "and for bob, at his"),
        (url(ADMIN, ""), "the admin sees everybody's mailboxes"),
        (
            format!("{program} ctl mupdate list --config {master}"),
            "which mailbox is where: the master's list",
        ),
        (
            format!("{program} ctl stats --config {frontend}"),
            "what the frontend has counted",
        ),
    ]
}

/// A path as a shell takes it.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-+".contains(&byte);
    match text.bytes().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

fn add(text: &mut String, line: &str) {
    // Into a string: it can't fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(quoted(Path::new("/tmp/a-1/cert.pem")), "/tmp/a-1/cert.pem");
        assert_eq!(quoted(Path::new("/tmp/a b'c")), "'/tmp/a b'\\''c'");
    }
}
