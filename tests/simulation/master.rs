//! The MUPDATE master (RFC 3656), as the traces show Cyrus': banner, AUTHENTICATE, UPDATE with the
//! whole list, then changes as they come, and NOOP, answered behind every change there was.
//!
//! It tells changes as late as it may: only a NOOP makes it hurry.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt::{self, Address, Listener};

use crate::dice;
use crate::leg::{Gone, Leg};
use crate::site::{BACKENDS, Site};

pub(crate) const MISDEEDS: [&str; 7] = [
    "master: down for a while",
    "master: refuses the login",
    "master: says BYE",
    "master: closes within the list",
    "master: hangs within the list",
    "master: closes the stream",
    "master: hangs in the stream",
];

const BANNER: &str = "* AUTH \"PLAIN\" \"LOGIN\"\r\n* COMPRESS \"DEFLATE\"\r\n* PARTIAL-UPDATE\r\n\
    * OK MUPDATE \"mupdate.test\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n";
const PATIENCE: Duration = Duration::from_secs(600);
const LAG: Duration = Duration::from_millis(300);

pub(crate) async fn serve(site: Rc<Site>, address: Address) {
    loop {
        let listener = Listener::bind(&address).unwrap();
        let up = dice::time(Duration::from_secs(240));
        let accepting = async {
            loop {
                if let Ok((stream, _)) = listener.accept().await {
                    rt::spawn(connection(Rc::clone(&site), Leg::new(stream, PATIENCE)));
                }
            }
        };
        if !dice::percent(site.master_errs) {
            return accepting.await;
        }
        let _ = rt::timeout(up, accepting).await;
        drop(listener);
        site.misdeed(MISDEEDS[0]);
        rt::sleep(dice::time(Duration::from_secs(30))).await;
    }
}

async fn connection(site: Rc<Site>, mut leg: Leg) {
    let _ = converse(&site, &mut leg).await;
}

/// What goes wrong on a connection, if something does: its place in MISDEEDS.
fn fate(site: &Site) -> Option<usize> {
    let errs = dice::percent(site.master_errs);
    errs.then(|| usize::try_from(1 + dice::below(6)).expect("small"))
}

async fn converse(site: &Site, leg: &mut Leg) -> Result<(), Gone> {
    let fate = fate(site);
    leg.send(BANNER.as_bytes()).await?;
    let command = leg.line().await?;
    assert!(
        command.starts_with(b"A01 AUTHENTICATE \"PLAIN\" {"),
        "{}",
        command.escape_ascii()
    );
    leg.line().await?;
    if fate == Some(1) {
        site.misdeed(MISDEEDS[1]);
        return leg.send(b"A01 NO \"authentication failed\"\r\n").await;
    }
    leg.send(b"A01 OK \"Authenticated\"\r\n").await?;
    assert_eq!(leg.line().await?, b"U01 UPDATE\r\n");
    if fate == Some(2) {
        site.misdeed(MISDEEDS[2]);
        return leg.send(b"* BYE \"no more connections\"\r\n").await;
    }
    let mut told = site.changes.borrow().len();
    let names: Vec<String> = site.mailboxes.borrow().keys().cloned().collect();
    let list: Vec<u8> = names.iter().flat_map(|name| entry(site, name)).collect();
    if let Some(3 | 4) = fate {
        let part = usize::try_from(dice::below(list.len() as u64)).expect("small");
        leg.send(&list[..part]).await?;
        site.misdeed(MISDEEDS[fate.unwrap_or(0)]);
        if fate == Some(4) {
            leg.until_closed().await;
        }
        return Ok(());
    }
    leg.send(&list).await?;
    leg.send(b"U01 OK \"streaming starts\"\r\n").await?;
    let ends_after = dice::below(40);
    let mut noops = 0;
    loop {
        match rt::timeout(dice::time(LAG), leg.line()).await {
            Err(_) => told = tell(site, leg, told).await?,
            Ok(line) => {
                let line = line?;
                noops += 1;
                if let (Some(5 | 6), true) = (fate, noops >= ends_after) {
                    site.misdeed(MISDEEDS[fate.unwrap_or(0)]);
                    if fate == Some(6) {
                        leg.until_closed().await;
                    }
                    return Ok(());
                }
                told = tell(site, leg, told).await?;
                if dice::percent(70) {
                    // What changes meanwhile isn't told: the NOOP came before it.
                    rt::sleep(dice::time(LAG)).await;
                }
                let tag = line.strip_suffix(b" NOOP\r\n").expect("only NOOP is known");
                leg.send(&[tag, b" OK \"Noop done\"\r\n"].concat()).await?;
            }
        }
    }
}

/// Tells what has changed since.
async fn tell(site: &Site, leg: &mut Leg, told: usize) -> Result<usize, Gone> {
    let news: Vec<String> = site.changes.borrow()[told..].to_vec();
    for name in &news {
        leg.send(&entry(site, name)).await?;
    }
    Ok(told + news.len())
}

/// What the stream says of a name.
fn entry(site: &Site, name: &str) -> Vec<u8> {
    let mailboxes = site.mailboxes.borrow();
    let Some(mailbox) = mailboxes.get(name) else {
        return format!("U01 DELETE {{{}+}}\r\n{name}\r\n", name.len()).into_bytes();
    };
    let location = format!("{}!default", BACKENDS[mailbox.server]);
    let owner = name.split('.').nth(1).unwrap_or("anyone");
    let acl = format!("{owner}\tlrswipkxtecdan\tanyone\tlrswipkxtecdan\t");
    let (n, l, a) = (name.len(), location.len(), acl.len());
    format!("U01 MAILBOX {{{n}+}}\r\n{name} {{{l}+}}\r\n{location} {{{a}+}}\r\n{acl}\r\n")
        .into_bytes()
}
