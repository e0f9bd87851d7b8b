//! The master, as operations ask it: in pieces of bounded size, so that who asks for little comes in between.

use ravenry_core::mailboxes::{Location, Name};
use ravenry_mupdate::{Answer, Ask, Client, Held, Unanswered};

use super::counters::Counters;
use super::settle::is_at;
use crate::store::Refused;

/// So much is on its way at once: commands, and bytes of them.
const ASKS_MAX: usize = 256;
const BYTES_MAX: usize = 256 << 10;

/// Why the master can't be counted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Nothing was sent to it.
    Unreachable(String),
    /// Something was sent; whether it was done can't be told.
    Unknown(String),
    /// It can't find a name, and says why.
    Refused(String),
}

impl From<Trouble> for Refused {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Unreachable(_) => Self::MasterAway,
            Trouble::Unknown(_) => Self::MasterSilent,
            Trouble::Refused(why) => Self::Master(why),
        }
    }
}

/// The master and this server's name there.
pub(super) struct Master {
    pub(super) client: Client,
    pub(super) own: String,
    counters: Counters,
}

impl Master {
    pub(super) fn new(client: Client, own: String, counters: Counters) -> Self {
        Self {
            client,
            own,
            counters,
        }
    }

    /// Where a mailbox in this partition is.
    pub(super) fn location(&self, partition: &str) -> Location {
        Location {
            server: self.own.clone(),
            partition: partition.to_owned(),
        }
    }

    /// Whether a name that the master holds is this server's.
    pub(super) fn is_ours(&self, held: &Held) -> bool {
        is_at(&held.location, &self.own)
    }

    /// An answer for each, in order.
    pub(super) async fn ask(&self, asks: Vec<Ask>) -> Result<Vec<Answer>, Trouble> {
        let mut answers = Vec::with_capacity(asks.len());
        for piece in pieces(asks) {
            let mut trouble = None;
            for answer in self.client.ask(piece).await {
                match answer {
                    Ok(answer) => answers.push(answer),
                    // That one can't be told of weighs more than that another wasn't sent.
                    Err(Unanswered::Unreachable(why)) => {
                        trouble.get_or_insert(Trouble::Unreachable(why));
                    }
                    Err(Unanswered::Unknown(why)) => trouble = Some(Trouble::Unknown(why)),
                }
            }
            if let Some(trouble) = trouble {
                return Err(self.missed(trouble, answers.is_empty()));
            }
        }
        if !answers.is_empty() {
            self.counters.away(false);
        }
        Ok(answers)
    }

    /// What the master holds of each name.
    pub(super) async fn find(&self, names: &[Name]) -> Result<Vec<Option<Held>>, Trouble> {
        let asks = names.iter().map(|name| Ask::Find { name: name.clone() });
        let answers = self.ask(asks.collect()).await?;
        answers.into_iter().map(found).collect()
    }

    /// `nothing_done`: no command before it has been answered.
    fn missed(&self, trouble: Trouble, nothing_done: bool) -> Trouble {
        // The client's task has the log say it, once.
        self.counters.away(true);
        match trouble {
            Trouble::Unreachable(why) if !nothing_done => Trouble::Unknown(why),
            trouble => trouble,
        }
    }
}

/// What a FIND has found.
pub(super) fn found(answer: Answer) -> Result<Option<Held>, Trouble> {
    match answer {
        Answer::Found(held) => Ok(held.into_iter().next()),
        Answer::Done => Ok(None),
        Answer::Refused(why) => Err(Trouble::Refused(why)),
    }
}

/// The same in pieces that may be on their way at once.
fn pieces(asks: Vec<Ask>) -> Vec<Vec<Ask>> {
    let (mut pieces, mut bytes) = (Vec::<Vec<Ask>>::new(), 0);
    for ask in asks {
        let size = size(&ask);
        match pieces.last_mut() {
            Some(piece) if piece.len() < ASKS_MAX && bytes + size <= BYTES_MAX => {
                bytes += size;
                piece.push(ask);
            }
            _ => {
                bytes = size;
                pieces.push(vec![ask]);
            }
        }
    }
    pieces
}

/// About what it takes on the wire.
fn size(ask: &Ask) -> usize {
    let location = |location: &Location| location.server.len() + location.partition.len();
    64 + match ask {
        Ask::Reserve { name, location: at } | Ask::Deactivate { name, location: at } => {
            name.as_bytes().len() + location(at)
        }
        Ask::Activate {
            name,
            location: at,
            acl,
        } => name.as_bytes().len() + location(at) + acl.as_bytes().len(),
        Ask::Delete { name } | Ask::Find { name } => name.as_bytes().len(),
        Ask::List { server } => server.len(),
        Ask::Noop => 0,
    }
}

#[cfg(test)]
mod tests {
    use ravenry_core::mailboxes::Acl;

    use super::*;

    #[test]
    fn pieces_are_bounded_and_keep_the_order() {
        let find = |number: usize| Ask::Find {
            name: Name::parse(format!("a.{number}").as_bytes()).unwrap(),
        };
        let asks: Vec<Ask> = (0..ASKS_MAX * 2 + 1).map(find).collect();
        let cut = pieces(asks.clone());
        let sizes: Vec<usize> = cut.iter().map(Vec::len).collect();
        assert_eq!(sizes, [ASKS_MAX, ASKS_MAX, 1]);
        assert_eq!(cut.concat(), asks);
        let large = |_| Ask::Activate {
            name: Name::parse(b"a").unwrap(),
            location: Location::default(),
            acl: Acl::new(&vec![b'x'; BYTES_MAX / 3]),
        };
        let sizes: Vec<usize> = pieces((0..5).map(large).collect())
            .iter()
            .map(Vec::len)
            .collect();
        assert_eq!(sizes, [2, 2, 1]);
        assert!(pieces(Vec::new()).is_empty());
    }
}
