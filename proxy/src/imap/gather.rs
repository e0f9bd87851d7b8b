//! One question to several backends at once, for the commands whose answer is merged of theirs.
//!
//! Each has a deadline and a limit of its own. Who doesn't answer is named to the caller, who tells the
//! client: a merged answer is never silently short. The selected mailbox's connection is asked like
//! any other; its news go to the client. Invariant: a connection that is kept has answered.

use std::pin::Pin;
use std::rc::Rc;

use ravenry_core::log::printable;
use ravenry_core::mailboxes::Name;
use ravenry_core::proto::imap::encode::{self, Request};
use ravenry_core::proto::imap::{StatusKind, status};
use ravenry_core::proto::sasl::Plain;
use ravenry_core::rt;

use super::enable::{Enabled, enable_on};
use super::session::Session;
use super::{is_bad, is_ok};
use crate::failure::{BackendFault, Failure};
use crate::frontend::Frontend;
use crate::upstream::{ANSWER_BYTES_MAX, Upstream};

/// A question: commands without their tags, with their ends, one after the other. A literal in one is one
/// that the server is asked for.
pub(super) struct Question {
    pub(super) server: Rc<str>,
    pub(super) requests: Vec<Request>,
    /// Each is about another mailbox: a NO to one says nothing of the others.
    pub(super) one_by_one: bool,
}

impl Question {
    /// One that takes one command.
    pub(super) fn new(server: &Rc<str>, request: Request) -> Self {
        Self {
            server: Rc::clone(server),
            requests: vec![request],
            one_by_one: false,
        }
    }
}

/// One backend's part of the answer.
pub(super) struct Part {
    pub(super) server: Rc<str>,
    /// The responses that were wanted; or why there are none, for the log.
    pub(super) lines: Result<Vec<Vec<u8>>, String>,
    /// It takes the question for none.
    pub(super) bad: bool,
}

/// What a call comes back with.
struct Called {
    server: Rc<str>,
    up: Option<Upstream>,
    news: Vec<Vec<u8>>,
    lines: Result<Vec<Vec<u8>>, BackendFault>,
    refusal: Option<Vec<u8>>,
}

impl Session {
    /// Asks all at once and waits for the last. `mailbox` is what the command is about, for the
    /// referral that an admin gets instead; `wanted` tells the question's responses from news.
    pub(super) async fn gather(
        &mut self,
        mailbox: &Name,
        questions: Vec<Question>,
        wanted: fn(&[u8]) -> bool,
    ) -> Result<Vec<Part>, Failure> {
        let login = self.may_ask(questions.first().map(|question| &question.server), mailbox)?;
        self.client.flush().await?;
        let fe = Rc::clone(&self.fe);
        let (fe, enabled) = (&*fe, self.enabled);
        let client = self.told_of_client();
        let who = (&login, client.as_deref());
        let mut calls: Vec<Pin<Box<dyn Future<Output = Called>>>> = Vec::new();
        for question in questions {
            fe.desk.metrics.commands_forwarded.add(1);
            let selected = self.selected_server() == Some(&question.server);
            let up = self.take_upstream(&question.server);
            calls.push(Box::pin(call(
                fe,
                who,
                enabled,
                (question, up, selected),
                wanted,
            )));
        }
        let called = rt::join_all(calls).await;
        let mut parts = Vec::new();
        let mut selected_lost = None;
        for each in called {
            each.news.iter().for_each(|line| self.client.push(line));
            if each.up.is_some() && !self.backends.contains(&each.server) {
                self.backends.push(Rc::clone(&each.server));
            }
            self.upstreams.extend(each.up);
            let bad = each.refusal.as_deref().is_some_and(is_bad);
            let lines = match (each.lines, each.refusal) {
                (Ok(lines), None) => Ok(lines),
                (Ok(_), Some(refusal)) => Err(format!("says {}", printable(&refusal))),
                (Err(fault), _) => {
                    tracing::warn!(session = %self.id, "backend {fault}");
                    let why = fault.why.clone();
                    if self.selected_server() == Some(&each.server) {
                        selected_lost = Some(fault);
                    }
                    Err(why)
                }
            };
            parts.push(Part {
                server: each.server,
                lines,
                bad,
            });
        }
        match selected_lost {
            Some(fault) => Err(Failure::Backend(fault)),
            None => Ok(parts),
        }
    }

    /// Tells the client that a backend's part is missing.
    pub(super) fn tell_missing(&mut self, server: &str, what: &str) {
        let mut line = b"* NO [UNAVAILABLE] ".to_vec();
        encode::text(&mut line, server.as_bytes());
        line.extend_from_slice(format!(": {what}\r\n").as_bytes());
        self.client.push(&line);
    }

    /// Takes a connection out of the session's, if one stands.
    fn take_upstream(&mut self, server: &Rc<str>) -> Option<Upstream> {
        let selected = self.selected_server() == Some(server);
        let index = self.upstreams.iter().position(|up| up.server == *server)?;
        let up = self.upstreams.swap_remove(index);
        (selected || up.stands()).then_some(up)
    }
}

/// Asks one backend, over a connection that is made where there is none.
async fn call(
    fe: &Frontend,
    (login, client): (&Plain, Option<&str>),
    enabled: Enabled,
    (question, up, selected): (Question, Option<Upstream>, bool),
    wanted: fn(&[u8]) -> bool,
) -> Called {
    let server = &question.server;
    let mut called = Called {
        server: Rc::clone(server),
        up: None,
        news: Vec::new(),
        lines: Ok(Vec::new()),
        refusal: None,
    };
    let mut up = match up {
        Some(up) => up,
        None => match Upstream::open(fe, server, login, client).await {
            Ok(up) => up,
            Err(fault) => {
                called.lines = Err(fault);
                return called;
            }
        },
    };
    let within = fe.desk.parts.limits.merged;
    let asked = rt::timeout(
        within,
        ask(&mut up, enabled, &question, wanted, &mut called),
    );
    match asked.await {
        Ok(Ok(())) => called.up = Some(up),
        Ok(Err(fault)) => called.lines = Err(fault),
        Err(_elapsed) => called.lines = Err(up.fault(format_args!("no answer in {within:?}"))),
    }
    if !selected {
        called.news.clear();
    }
    called
}

async fn ask(
    up: &mut Upstream,
    enabled: Enabled,
    question: &Question,
    wanted: fn(&[u8]) -> bool,
    called: &mut Called,
) -> Result<(), BackendFault> {
    called.news = enable_on(up, enabled).await?;
    let (mut all, mut kept) = (Vec::new(), 0);
    for request in &question.requests {
        let (responses, reply) = up.ask(request).await?;
        let (lines, others): (Vec<_>, Vec<_>) =
            responses.into_iter().partition(|response| wanted(response));
        // A warning about our own command would make no sense to the client.
        let is_news = |response: &Vec<u8>| {
            status(response).is_none_or(|status| status.kind == StatusKind::Ok)
        };
        called.news.extend(others.into_iter().filter(is_news));
        kept += lines.iter().map(Vec::len).sum::<usize>();
        if kept > ANSWER_BYTES_MAX {
            return Err(up.fault(format_args!(
                "answers of more than {ANSWER_BYTES_MAX} bytes"
            )));
        }
        all.extend(lines);
        let passed_over = question.one_by_one && !is_bad(&reply);
        if !is_ok(&reply) && !passed_over {
            called.refusal = Some(reply);
            break;
        }
    }
    called.lines = Ok(all);
    Ok(())
}

/// Whether a response is of one of these kinds.
pub(crate) fn is_kind(response: &[u8], kinds: &[&str]) -> bool {
    let rest = response.strip_prefix(b"* ").unwrap_or_default();
    kinds.iter().any(|kind| {
        let (word, behind) = rest.split_at(kind.len().min(rest.len()));
        word.eq_ignore_ascii_case(kind.as_bytes()) && behind.first() == Some(&b' ')
    })
}
