//! CREATE (RFC 3501 section 6.3.3), with a partition (Cyrus) or parameters (RFC 4466), of which one is USE (RFC 6154).

use ravenry_core::proto::imap::{Command, Cursor, ParseError};

use super::failure::Failure;
use super::naming::{Wanted, may_make};
use super::session::{Reply, Session, ok};
use crate::member::Kind;
use crate::store::{Outcome, SpecialUse};

/// `CREATE mailbox [partition | (parameters)]`.
pub(super) async fn create(session: &Session, command: &Command<'_>) -> Reply {
    let mut args = command.args;
    args.sp()?;
    let given = args.astring()?;
    let parameters = Parameters::read(args)?;
    let name = session.internal(&given)?;
    let others = may_make(session, &name).await?;
    if parameters.partition.is_some() && !session.who()?.administers(&name) {
        return Err(Failure::noperm());
    }
    let mut wanted = Wanted::new(session, name, others);
    wanted.partition = parameters.partition;
    wanted.special_use = parameters.special_use;
    let done = session
        .backend
        .change(Kind::Create, move |store| wanted.orders(store));
    match done.await?.pop() {
        Some(Outcome::Created { mailbox, .. }) => {
            ok(format!("OK [MAILBOXID ({mailbox})] Completed"))
        }
        _ => Err(Failure::unavailable("The store gave no answer")),
    }
}

/// What stands behind the name.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parameters {
    partition: Option<String>,
    special_use: SpecialUse,
}

impl Parameters {
    fn read(mut args: Cursor<'_>) -> Result<Self, Failure> {
        let mut read = Self::default();
        if args.is_done() {
            return Ok(read);
        }
        args.sp()?;
        if args.peek() != Some(b'(') {
            read.partition = Some(partition(&args.astring()?)?);
            args.end()?;
            return Ok(read);
        }
        let list = args.paren()?;
        args.end()?;
        let mut rest = inner(list);
        while !rest.is_done() {
            let name = rest.atom()?;
            rest.sp()?;
            if name.eq_ignore_ascii_case(b"USE") {
                read.special_use = uses(rest.paren()?)?;
            } else if name.eq_ignore_ascii_case(b"PARTITION") {
                read.partition = Some(partition(&rest.astring()?)?);
            } else {
                return Err(Failure::bad("Invalid parameter in CREATE"));
            }
            behind_item(&mut rest)?;
        }
        Ok(read)
    }
}

fn partition(name: &[u8]) -> Result<String, Failure> {
    let name = String::from_utf8(name.to_vec());
    name.map_err(|_| Failure::coded("CANNOT", "There is no such partition"))
}

/// The attributes of USE; one that isn't known is refused (RFC 6154 section 3).
fn uses(list: &[u8]) -> Result<SpecialUse, Failure> {
    let mut uses = SpecialUse::NONE;
    let mut rest = inner(list);
    while !rest.is_done() {
        let backslash = rest.accept(b'\\');
        let word = rest.atom()?;
        let known = SpecialUse::parse(&[b"\\", word].concat()).filter(|_| backslash);
        uses = uses
            .and(known.ok_or_else(|| Failure::coded("USEATTR", "There is no such special use"))?);
        behind_item(&mut rest)?;
    }
    Ok(uses)
}

/// Behind an item of a list there is nothing, or a space and another.
pub(super) fn behind_item(rest: &mut Cursor<'_>) -> Result<(), ParseError> {
    if rest.is_done() {
        return Ok(());
    }
    rest.sp()?;
    if rest.is_done() {
        return Err(ParseError::Expected("one more in the list"));
    }
    Ok(())
}

/// What stands between a list's parentheses.
pub(super) fn inner(list: &[u8]) -> Cursor<'_> {
    let inner = list
        .strip_prefix(b"(")
        .and_then(|list| list.strip_suffix(b")"));
    Cursor::new(inner.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Parameters, Failure> {
        Parameters::read(Cursor::new(text.as_bytes()))
    }

    #[test]
    fn parameters_are_read() {
        assert_eq!(read("").unwrap(), Parameters::default());
        assert_eq!(read(" fast").unwrap().partition.as_deref(), Some("fast"));
        let both = read(" (USE (\\Drafts \\sent) partition fast)").unwrap();
        let uses: Vec<&str> = both.special_use.attributes().collect();
        assert_eq!(uses, ["\\Drafts", "\\Sent"]);
        assert_eq!(both.partition.as_deref(), Some("fast"));
        assert!(read(" (USE ())").unwrap().special_use.is_none());
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in [
            " ",
            " a b",
            " (",
            " (USE)",
            " (USE \\Sent)",
            " (X 1)",
            " (USE (\\Sent)) x",
            " (USE (\\Sent ))",
        ] {
            assert!(matches!(read(text), Err(Failure::Bad(_))), "{text}");
        }
        for text in [" (USE (\\Bogus))", " (USE (Sent))", " (USE (\\Marked))"] {
            let refused = read(text);
            assert!(
                matches!(refused, Err(Failure::No(code, _)) if code == "USEATTR"),
                "{text}"
            );
        }
    }
}
