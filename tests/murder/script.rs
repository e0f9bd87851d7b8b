//! What clients do through the frontends, each with mailboxes of its own and with those that all share; and what the
//! answers promise.

use std::rc::Rc;
use std::time::Duration;

use ravenry_core::rt;

use crate::book::{Doubt, Mailbox, message};
use crate::client::{Client, Reply};
use crate::leg::Gone;
use crate::names::{FAR, SHARED, external, inbox, own, wanted};
use crate::parts::{ADMIN, BACKENDS_AT, FRONTENDS_AT, USERS};
use crate::site::Site;
use crate::{dice, mail, others};

pub(crate) const KINDS: [&str; 16] = [
    "done: commands",
    "done: mailboxes made",
    "done: mailboxes deleted",
    "done: mailboxes renamed",
    "done: ACLs changed",
    "done: messages appended",
    "done: messages copied",
    "done: messages moved",
    "done: messages expunged",
    "done: mailboxes read",
    "done: lists compared",
    "done: doubts resolved",
    "done: names wanted by several",
    "done: mailboxes of others looked at",
    "done: undecided answers",
    "done: connections lost",
];

/// As long as anybody may still be at work on a command whose answer was lost.
const IN_FLIGHT: Duration = Duration::from_secs(180);
/// Who the clients' friend is: somebody else of the site.
const FRIEND: &str = "friend";

/// Makes what all begin with, at the backends themselves.
pub(crate) async fn furnish(site: &Rc<Site>) {
    rt::sleep(Duration::from_secs(1)).await;
    for user in 0..USERS {
        let home = usize::try_from(user % 2).expect("small");
        let name = format!("u{user}");
        for (server, mailbox) in [
            (home, "INBOX".to_owned()),
            (1 - home, format!("INBOX.{FAR}")),
        ] {
            let mut client = Client::login(site, 90, (BACKENDS_AT[server], &name))
                .await
                .unwrap();
            if server != home {
                let made = client.command(&format!("CREATE {mailbox}")).await.unwrap();
                assert!(made.is_ok(), "CREATE {mailbox}: {}", made.text);
            }
        }
        site.book
            .borrow_mut()
            .mailboxes
            .push(Mailbox::new(None, inbox(user)));
        let far = format!("{}.{FAR}", inbox(user));
        site.book
            .borrow_mut()
            .mailboxes
            .push(Mailbox::new(None, far));
    }
    for (server, name) in SHARED.iter().enumerate() {
        let mut client = Client::login(site, 91, (BACKENDS_AT[server], ADMIN))
            .await
            .unwrap();
        for command in [
            format!("CREATE {name}"),
            format!("SETACL {name} anyone lrswipte"),
        ] {
            let done = client.command(&command).await.unwrap();
            assert!(done.is_ok(), "{command}: {}", done.text);
        }
        site.book
            .borrow_mut()
            .mailboxes
            .push(Mailbox::new(None, (*name).to_owned()));
    }
}

/// What a client does.
pub(crate) async fn play(site: Rc<Site>, number: u64) {
    let (mut client, mut made) = (None, 0);
    let think = Duration::from_millis(dice::one_of(&[10, 300, 3_000, 12_000]));
    for _ in 0..10 + dice::below(50) {
        rt::sleep(dice::time(think)).await;
        let mut one = match client.take() {
            Some(one) if !dice::percent(4) => one,
            _ => match again(&site, number).await {
                Some(one) => one,
                None => return,
            },
        };
        site.world.count("done: commands");
        match step(&mut one, &mut made).await {
            Ok(()) => client = Some(one),
            Err(gone) => one.lost(gone),
        }
    }
    if let Some(mut client) = client {
        drop(client.command("LOGOUT").await);
    }
}

/// A connection to any of the frontends.
async fn again(site: &Rc<Site>, number: u64) -> Option<Client> {
    let user = format!("u{}", number % USERS);
    for _ in 0..400 {
        let at = dice::one_of(&FRONTENDS_AT);
        match Client::login(site, number, (at, &user)).await {
            Ok(client) => return Some(client),
            Err(gone) if site.peace => site.fail(format!("client {number}: login: {gone:?}")),
            Err(_) => {}
        }
        rt::sleep(dice::time(Duration::from_secs(2))).await;
    }
    site.fail(format!("client {number} can't connect"));
    None
}

async fn step(client: &mut Client, made: &mut u64) -> Result<(), Gone> {
    match dice::below(100) {
        0..14 => create(client, made).await,
        14..20 => delete(client).await,
        20..29 => rename(client, made).await,
        29..36 => setacl(client).await,
        36..56 => mail::append(client).await,
        56..64 => mail::read(client).await,
        64..85 => mail::change(client).await,
        85..88 => others::peek(client).await,
        88..91 => list(client).await,
        91..94 => {
            others::want(client).await;
            Ok(())
        }
        _ => resolve(client).await,
    }
}

impl Client {
    /// The user that this client is.
    pub(crate) fn user(&self) -> u64 {
        self.number % USERS
    }

    /// One of its own mailboxes that is there for sure.
    pub(crate) fn a_mailbox(&self) -> Option<usize> {
        let book = self.site.book.borrow();
        let all = book.mailboxes.iter().enumerate();
        let own =
            all.filter(|(_, mailbox)| mailbox.owner == Some(self.number) && mailbox.is_sure());
        let own: Vec<usize> = own.map(|(at, _)| at).collect();
        (!own.is_empty()).then(|| dice::one_of(&own))
    }

    /// One of those that all share, or the user's INBOX.
    pub(crate) fn a_common_one(&self) -> usize {
        let book = self.site.book.borrow();
        let sure = |name: &str| {
            let mut all = book.mailboxes.iter();
            all.position(|mailbox| mailbox.names[0] == name && mailbox.is_sure())
        };
        let found = match dice::below(4) {
            0 => sure(&wanted(self.user())),
            1 => sure(SHARED[0]),
            2 => sure(SHARED[1]),
            _ => None,
        };
        found
            .or_else(|| sure(&inbox(self.user())))
            .expect("furnished")
    }

    /// How it calls a mailbox.
    pub(crate) fn name_of(&self, mailbox: usize) -> String {
        external(&self.site.book.borrow().mailboxes[mailbox].names[0])
    }

    /// A refusal: true if it decides nothing, which is no fault where something went wrong; any other is one.
    pub(crate) fn undecided(&self, what: &str, reply: &Reply) -> bool {
        let (number, text) = (self.number, &reply.text);
        if self.site.peace || !reply.is_undecided() {
            self.site
                .fail(format!("client {number}: {what}: {} {text}", reply.status));
        } else {
            self.site.world.count("done: undecided answers");
        }
        reply.is_undecided()
    }

    /// The connection is of no use any more.
    fn lost(&self, gone: Gone) {
        self.site.world.count("done: connections lost");
        let number = self.number;
        if self.site.peace {
            self.site.fail(format!(
                "client {number}: a connection is {gone:?}, and nothing went wrong"
            ));
        }
        if gone == Gone::Late && !self.is_harmed() {
            self.site
                .fail(format!("client {number}: an answer never came"));
        }
    }
}

/// Marks a mailbox until its answer is there: whatever comes, it is in doubt till then.
fn in_doubt(client: &Client, mailbox: usize, doubt: Doubt) {
    client.site.book.borrow_mut().mailboxes[mailbox].doubts(doubt);
}

/// The answer has decided, or was none.
fn decide(client: &Client, mailbox: usize, decided: bool) {
    if decided {
        client.site.book.borrow_mut().mailboxes[mailbox].doubt = None;
    }
}

async fn create(client: &mut Client, made: &mut u64) -> Result<(), Gone> {
    *made += 1;
    let name = own(client.user(), client.number, *made, dice::percent(50));
    let mailbox = {
        let mut book = client.site.book.borrow_mut();
        book.mailboxes
            .push(Mailbox::new(Some(client.number), name.clone()));
        book.mailboxes.len() - 1
    };
    in_doubt(client, mailbox, Doubt::Made);
    let reply = client
        .command(&format!("CREATE {}", external(&name)))
        .await?;
    if reply.is_ok() {
        client.site.world.count("done: mailboxes made");
    } else {
        client.undecided(&format!("CREATE {name}"), &reply);
    }
    decide(client, mailbox, reply.is_ok());
    Ok(())
}

async fn delete(client: &mut Client) -> Result<(), Gone> {
    let Some(mailbox) = client.a_mailbox() else {
        return Ok(());
    };
    client.site.book.borrow_mut().may_die(mailbox);
    in_doubt(client, mailbox, Doubt::Deleted);
    if client.selected == Some(mailbox) {
        client.selected = None;
    }
    let name = client.name_of(mailbox);
    let reply = client.command(&format!("DELETE {name}")).await?;
    deleted(client, mailbox, &reply);
    Ok(())
}

fn deleted(client: &Client, mailbox: usize, reply: &Reply) {
    if reply.is_ok() {
        client.site.world.count("done: mailboxes deleted");
        client.site.book.borrow_mut().mailboxes[mailbox].gone = true;
    } else {
        client.undecided("DELETE", reply);
    }
    decide(client, mailbox, reply.is_ok());
}

async fn rename(client: &mut Client, made: &mut u64) -> Result<(), Gone> {
    let Some(mailbox) = client.a_mailbox() else {
        return Ok(());
    };
    *made += 1;
    let new = own(client.user(), client.number, *made, dice::percent(50));
    let old = client.name_of(mailbox);
    client.site.book.borrow_mut().mailboxes[mailbox]
        .names
        .push(new.clone());
    in_doubt(client, mailbox, Doubt::Renamed);
    let reply = client
        .command(&format!("RENAME {old} {}", external(&new)))
        .await?;
    if reply.is_ok() {
        client.site.world.count("done: mailboxes renamed");
        is_called(client, mailbox, 1);
    } else {
        client.undecided(&format!("RENAME {old} {new}"), &reply);
    }
    Ok(())
}

/// Of the names that it may have it has this one.
fn is_called(client: &Client, mailbox: usize, which: usize) {
    let mut book = client.site.book.borrow_mut();
    let mailbox = &mut book.mailboxes[mailbox];
    mailbox.names = vec![mailbox.names[which].clone()];
    mailbox.doubt = None;
}

async fn setacl(client: &mut Client) -> Result<(), Gone> {
    let Some(mailbox) = client.a_mailbox() else {
        return Ok(());
    };
    let rights = dice::one_of(&["lrs", "lrswi", ""]);
    let name = client.name_of(mailbox);
    client.site.book.borrow_mut().mailboxes[mailbox]
        .rights
        .insert(rights.to_owned());
    let command = match rights {
        "" => format!("DELETEACL {name} {FRIEND}"),
        rights => format!("SETACL {name} {FRIEND} {rights}"),
    };
    let reply = client.command(&command).await?;
    if reply.is_ok() {
        client.site.world.count("done: ACLs changed");
        client.site.book.borrow_mut().mailboxes[mailbox].rights = [rights.to_owned()].into();
    } else {
        client.undecided(&command, &reply);
    }
    Ok(())
}

/// What is there for sure is listed, what isn't is not: where nothing goes wrong, at any frontend.
async fn list(client: &mut Client) -> Result<(), Gone> {
    let reply = client.command("LIST \"\" INBOX*").await?;
    if !reply.is_ok() {
        client.undecided("LIST", &reply);
        return Ok(());
    }
    if !client.site.peace {
        return Ok(());
    }
    client.site.world.count("done: lists compared");
    let lines: Vec<_> = reply
        .untagged
        .iter()
        .map(|line| String::from_utf8_lossy(line))
        .collect();
    let book = client.site.book.borrow();
    for mailbox in book
        .mailboxes
        .iter()
        .filter(|one| one.owner == Some(client.number))
    {
        let name = external(&mailbox.names[0]);
        let ends = format!(" {name}\r\n");
        let listed = lines.iter().any(|line| line.ends_with(&ends));
        if listed == mailbox.gone {
            client.site.fail(format!(
                "client {}: LIST shows {name}: {listed}",
                client.number
            ));
        }
    }
    Ok(())
}

/// Asks again for what had no answer, once nobody is at work on it any more.
async fn resolve(client: &mut Client) -> Result<(), Gone> {
    let found = {
        let book = client.site.book.borrow();
        let mut all = book.mailboxes.iter().enumerate();
        all.find_map(|(at, mailbox)| {
            let (doubt, since) = mailbox.doubt?;
            let old = mailbox.owner == Some(client.number) && rt::now() > since + IN_FLIGHT;
            old.then_some((at, doubt))
        })
    };
    let Some((mailbox, doubt)) = found else {
        return Ok(());
    };
    in_doubt(client, mailbox, doubt);
    let name = client.name_of(mailbox);
    match doubt {
        Doubt::Made => {
            let reply = client.command(&format!("CREATE {name}")).await?;
            decide(client, mailbox, reply.is_ok());
        }
        Doubt::Deleted => {
            let reply = client.command(&format!("DELETE {name}")).await?;
            if reply.is_ok() || reply.is_undecided() {
                deleted(client, mailbox, &reply);
            }
        }
        Doubt::Renamed => return renamed(client, mailbox).await,
    }
    client.site.world.count("done: doubts resolved");
    Ok(())
}

/// A mailbox that was to be renamed has one of its names, at every moment.
async fn renamed(client: &mut Client, mailbox: usize) -> Result<(), Gone> {
    let names = client.site.book.borrow().mailboxes[mailbox].names.clone();
    let mut nowhere = 0;
    for which in [1, 0] {
        let name = external(&names[which]);
        client.selected = None;
        let reply = client.command(&format!("EXAMINE {name}")).await?;
        if reply.is_ok() {
            is_called(client, mailbox, which);
            client.site.world.count("done: doubts resolved");
            return Ok(());
        }
        nowhere += usize::from(reply.code() == "NONEXISTENT");
    }
    if nowhere == 2 {
        client.site.fail(format!(
            "{names:?}: neither of a renamed mailbox' names leads to it"
        ));
    }
    Ok(())
}

/// What all messages of a client are.
pub(crate) fn new_message(client: &Client) -> (u64, Vec<u8>) {
    let key = client.site.key();
    (key, message(key))
}
