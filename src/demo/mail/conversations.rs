//! Conversations: a first message, and answers that quote the one before.

use super::compose::{Letter, Part};
use super::texts::{TOPICS, Topic};
use super::{Message, Person, Writer};
use crate::demo::calendar::Moment;

/// How long an answer takes.
const ANSWER_SECONDS: std::ops::Range<i64> = 240..30 * 3600;
/// Lines that are quoted.
const QUOTED_LINES_MAX: usize = 6;

impl Writer {
    /// A conversation that somebody begins with `to`, of `room` messages at most: those of it that others wrote.
    pub(super) fn conversation(&mut self, to: Person, topic: usize, room: usize) -> Vec<Message> {
        let topic = &TOPICS[topic];
        let first = self.somebody_but(&[to]);
        let third = self.somebody_but(&[to, first]);
        let mut letter = self.opening(topic, (first, to));
        let mut messages = Vec::new();
        for (number, answer) in topic.answers.iter().enumerate() {
            if messages.len() + 1 >= room {
                break;
            }
            let from = [third, first][number % 2];
            let next = self.answer(&letter, answer, from);
            let Some(next) = next else { break };
            messages.push(self.message(letter));
            letter = next;
        }
        messages.push(self.message(letter));
        messages
    }

    fn opening(&mut self, topic: &Topic, (from, to): (Person, Person)) -> Letter {
        let text = format!("{}\n\n-- \n{}\n", topic.opening, from.name);
        Letter {
            from,
            to,
            subject: topic.subject.to_owned(),
            sent: self.some_time(),
            id: self.id(),
            references: Vec::new(),
            part: Part::text(&text),
        }
    }

    /// An answer to everybody; none, if it would still be on its way.
    fn answer(&mut self, before: &Letter, answer: &str, from: Person) -> Option<Letter> {
        let seconds = before.sent.seconds + self.rng.i64(ANSWER_SECONDS);
        if seconds > self.now.seconds {
            return None;
        }
        let mut references = before.references.clone();
        references.push(before.id.clone());
        let subject = &before.subject;
        let subject = match subject.starts_with("Re: ") {
            true => subject.clone(),
            false => format!("Re: {subject}"),
        };
        Some(Letter {
            from,
            to: before.to,
            subject,
            sent: Moment { seconds },
            id: self.id(),
            references,
            part: Part::text(&format!("{answer}\n\n{}", quoted(before))),
        })
    }
}

fn quoted(letter: &Letter) -> String {
    let mut text = format!("On {}, {} wrote:\n", letter.sent.date(), letter.from.name);
    let own = letter
        .part
        .plain()
        .lines()
        .take_while(|line| *line != "-- ");
    for line in own.take(QUOTED_LINES_MAX) {
        let mark = if line.starts_with('>') { ">" } else { "> " };
        text += &format!("{mark}{line}\n");
    }
    text
}
