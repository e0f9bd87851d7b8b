//! The demo's mail: conversations, newsletters, invoices, invitations, pictures, as a mailbox has them after some months. The
//! same in each demo but for its days, which are the last ones.

mod compose;
mod conversations;
mod texts;

use fastrand::Rng;

use self::compose::{Letter, Part};
use self::texts::{NEWS, PEOPLE, TOPICS};
use super::calendar::{DAY_SECONDS, Moment};

/// How far back it goes.
const DAYS: i64 = 90;

/// A message.
pub(super) struct Message {
    pub(super) sent: Moment,
    pub(super) flags: &'static str,
    pub(super) text: String,
}

impl Message {
    /// When it came, as APPEND wants it.
    pub(super) fn internal_date(&self) -> String {
        self.sent.internal_date()
    }
}

/// Somebody who writes, or is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Person {
    name: &'static str,
    address: &'static str,
}

/// Writes the mail of a site.
pub(super) struct Writer {
    rng: Rng,
    now: Moment,
    /// Messages so far, for their ids.
    count: u32,
}

impl Writer {
    pub(super) fn new(now: Moment) -> Self {
        let rng = Rng::with_seed(0x0052_6176_656e);
        Self { rng, now, count: 0 }
    }

    /// So many messages to an address, the oldest first.
    pub(super) fn mailbox(&mut self, to: &'static str, count: usize) -> Vec<Message> {
        let to = person(to);
        let mut messages = Vec::new();
        let mut topics: Vec<usize> = (0..TOPICS.len()).collect();
        self.rng.shuffle(&mut topics);
        let mut topics = topics.into_iter().cycle();
        while messages.len() < count {
            if self.rng.bool() {
                messages.push(self.single(to));
            } else {
                let topic = topics.next().expect("invariant: there are topics");
                let room = count - messages.len();
                messages.extend(self.conversation(to, topic, room));
            }
        }
        messages.sort_by_key(|message| message.sent);
        self.flag(&mut messages);
        messages
    }

    /// A message as `text` is one, from one user to another, now.
    pub(super) fn note(&mut self, from: &'static str, to: &'static str, subject: &str) -> Message {
        let letter = Letter {
            from: person(from),
            to: person(to),
            subject: subject.to_owned(),
            sent: self.now,
            id: self.id(),
            references: Vec::new(),
            part: Part::text(&format!("{subject}\n\nThe demo has written this.\n")),
        };
        self.message(letter)
    }

    /// What nobody answers.
    fn single(&mut self, to: Person) -> Message {
        let sent = self.some_time();
        let (subject, part) = match self.rng.u8(..5) {
            0 => self.newsletter(),
            1 => self.invoice(),
            2 => self.picture(),
            3 => self.invitation(sent),
            _ => self.report(),
        };
        let letter = Letter {
            from: self.somebody_but(&[to]),
            to,
            subject,
            sent,
            id: self.id(),
            references: Vec::new(),
            part,
        };
        self.message(letter)
    }

    fn newsletter(&mut self) -> (String, Part) {
        let issue = self.rng.u16(40..160);
        let mut news: Vec<&str> = NEWS.to_vec();
        self.rng.shuffle(&mut news);
        let items = &news[..4];
        let text = items.iter().map(|item| format!("* {item}\n")).collect();
        let html: String = items
            .iter()
            .map(|item| format!("<li>{item}</li>\n"))
            .collect();
        let html =
            format!("<html><body><h1>Feather &amp; Beak</h1>\n<ul>\n{html}</ul></body></html>\n");
        (
            format!("Feather & Beak, issue {issue}"),
            Part::Alternative(text, html),
        )
    }

    fn invoice(&mut self) -> (String, Part) {
        let (number, amount) = (self.rng.u32(4000..9000), self.rng.u32(20..900));
        let text = format!(
            "Please find attached invoice {number} over {amount}.00 EUR.\nIt is due within 14 days.\n"
        );
        let pdf = format!("%PDF-1.4\n% invoice {number}: {amount}.00 EUR\n%%EOF\n");
        let file = format!("invoice-{number}.pdf");
        (
            format!("Invoice {number}"),
            Part::attached(&text, "application/pdf", &file, pdf.as_bytes()),
        )
    }

    /// A bitmap (of random colours) of some kilobytes.
    fn picture(&mut self) -> (String, Part) {
        let side = self.rng.u8(24..64);
        let row = (usize::from(side) * 3).next_multiple_of(4);
        let mut pixels = vec![0; row * usize::from(side)];
        self.rng.fill(&mut pixels);
        let bitmap = compose::bitmap(side, &pixels);
        let number = self.rng.u16(100..9999);
        let text = "The nest behind the mill, this morning.\n";
        let file = format!("IMG_{number:04}.bmp");
        (
            "A picture of the nest".to_owned(),
            Part::attached(text, "image/bmp", &file, &bitmap),
        )
    }

    fn invitation(&mut self, sent: Moment) -> (String, Part) {
        let topic = &TOPICS[self.rng.usize(..TOPICS.len())];
        let seconds = sent.seconds + self.rng.i64(2..9) * DAY_SECONDS;
        let begins = Moment { seconds };
        let uid = self.id();
        let event = format!(
            "BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//ravenry//demo//EN\nMETHOD:REQUEST\nBEGIN:VEVENT\nUID:{uid}\nDTSTAMP:{}\nDTSTART:{}\n\
             DURATION:PT1H\nSUMMARY:{}\nEND:VEVENT\nEND:VCALENDAR\n",
            sent.calendar(),
            begins.calendar(),
            topic.subject
        );
        let text = format!("An hour for: {}\n{}\n", topic.subject, begins.date());
        (
            format!("Invitation: {}", topic.subject),
            Part::Invitation(text, event),
        )
    }

    fn report(&mut self) -> (String, Part) {
        let mut table = "day;seen;heard\n".to_owned();
        for day in 1..=self.rng.u8(10..28) {
            table += &format!("{day};{};{}\n", self.rng.u8(..30), self.rng.u8(..90));
        }
        let text = "The count of last month is attached.\n";
        (
            "Monthly count".to_owned(),
            Part::attached(text, "text/csv", "count.csv", table.as_bytes()),
        )
    }

    /// The older ones have been read, some are answered or marked.
    fn flag(&mut self, messages: &mut [Message]) {
        let old = messages.len() - messages.len() / 5;
        for message in &mut messages[..old] {
            message.flags = match self.rng.u8(..12) {
                0..=6 => "\\Seen",
                7..=9 => "\\Seen \\Answered",
                10 => "\\Seen \\Flagged",
                _ => "\\Seen $Forwarded",
            };
        }
    }

    fn message(&mut self, letter: Letter) -> Message {
        Message {
            sent: letter.sent,
            flags: "",
            text: letter.text(self.rng.u64(..)),
        }
    }

    fn id(&mut self) -> String {
        self.count += 1;
        format!("{}.{:08x}@demo.test", self.count, self.rng.u32(..))
    }

    fn some_time(&mut self) -> Moment {
        let ago = self.rng.i64(3600..DAYS * DAY_SECONDS);
        Moment {
            seconds: self.now.seconds - ago,
        }
    }

    fn somebody_but(&mut self, not: &[Person]) -> Person {
        let others: Vec<&Person> = PEOPLE.iter().filter(|p| !not.contains(p)).collect();
        *others[self.rng.usize(..others.len())]
    }
}

/// Who has this address here, or a list of that name.
fn person(user: &'static str) -> Person {
    let all = PEOPLE.iter().chain(&texts::LISTS);
    let mut found = all.filter(|person| person.address.split('@').next() == Some(user));
    *found.next().expect("invariant: mail is for who is there")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Moment {
        Moment {
            seconds: 1_796_000_000,
        }
    }

    #[test]
    fn the_same_each_time_and_as_many_as_wanted() {
        let texts = || {
            let mut writer = Writer::new(now());
            let mut messages = writer.mailbox("alice", 100);
            messages.extend(writer.mailbox("two", 37));
            messages
        };
        let (one, two) = (texts(), texts());
        assert_eq!(one.len(), 137);
        assert!(one.iter().zip(&two).all(|(a, b)| a.text == b.text));
        assert!(one[..100].is_sorted_by_key(|message| message.sent));
        let newest = one.iter().map(|message| message.sent).max().unwrap();
        assert!(newest <= now());
    }

    #[test]
    fn lines_are_as_mail_wants_them() {
        for message in Writer::new(now()).mailbox("bob", 200) {
            let text = &message.text;
            assert!(text.is_ascii() && text.ends_with("\r\n"), "{text}");
            for line in text.split_terminator("\r\n") {
                assert!(
                    line.len() <= 998 && !line.contains(['\r', '\n']),
                    "{line:?}"
                );
            }
            let (head, _) = text.split_once("\r\n\r\n").unwrap();
            for field in ["From: ", "To: ", "Subject: ", "Date: ", "Message-ID: <"] {
                let lines = head.split("\r\n").filter(|line| line.starts_with(field));
                assert_eq!(lines.count(), 1, "{field} {head}");
            }
        }
    }

    #[test]
    fn there_are_threads_attachments_and_other_charsets() {
        let messages = Writer::new(now()).mailbox("alice", 120);
        let with = |word: &str| messages.iter().filter(|m| m.text.contains(word)).count();
        for (word, least) in [
            ("In-Reply-To: <", 40),
            ("multipart/mixed", 5),
            ("multipart/alternative", 2),
            ("=?utf-8?", 5),
            ("quoted-printable", 10),
            ("text/calendar", 1),
        ] {
            assert!(with(word) >= least, "{word}: {}", with(word));
        }
    }
}
