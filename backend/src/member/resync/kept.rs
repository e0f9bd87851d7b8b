//! The last plan that had something in it, as a file in `state_dir`: what was planned or done there, why and when. For people:
//! nothing reads it.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ravenry_core::proto::imap::DateTime;

use super::super::settle::Action;
use super::plan::{Plan, Planned, Waits};

/// Where it is, in `state_dir`.
const FILE: &str = "resync-plan";

/// Where it is.
pub(crate) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FILE)
}

/// What is kept of a plan.
pub(super) fn text(plan: &Plan, at: i64, (own, master): (&str, &str)) -> String {
    let at = DateTime {
        seconds: at,
        zone: 0,
    };
    let mut text = format!(
        "# What is here, on {own}, compared with the MUPDATE master {master}\n\
         # at {at}: {} mailboxes here, {} at the master\n",
        plan.here, plan.held
    );
    let waits = plan.waits();
    if let Some(waits) = waits {
        writeln!(text, "# {waits}").expect("invariant: writing to a String can't fail");
        text += "# `waits` lines are carried out by `ravenry ctl backend resync apply`; all else has been done at once\n";
    }
    for planned in &plan.all {
        line(planned, waits, &mut text);
    }
    text
}

fn line(planned: &Planned, waits: Option<Waits>, text: &mut String) {
    let when = if planned.deletes && waits.is_some() {
        "waits"
    } else {
        "at once"
    };
    let (what, why) = (word(planned.action), &planned.why);
    writeln!(text, "{when}\t{what}\t{}\t{why}", planned.name)
        .expect("invariant: writing to a String can't fail");
}

/// What an action is called.
pub(crate) fn word(action: Action) -> &'static str {
    match action {
        Action::Nothing => "nothing",
        Action::Push => "push",
        Action::Activate => "activate",
        Action::Remove => "out of MUPDATE",
        Action::Away => "into quarantine",
    }
}

/// Replaces the file, as a whole. Blocks.
pub(super) fn keep(path: &Path, text: &str) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut options = File::options();
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use ravenry_core::mailboxes::Name;

    use super::*;

    fn plan(deletions: usize) -> Plan {
        let planned = |text: String, action, why: &'static str, deletes| Planned {
            name: Name::parse(text.as_bytes()).unwrap(),
            action,
            why: why.into(),
            deletes,
        };
        let mut all = vec![planned("a".to_owned(), Action::Push, "new", false)];
        let gone = (0..deletions).map(|n| planned(format!("b{n}"), Action::Remove, "gone", true));
        all.extend(gone);
        Plan {
            all,
            here: 7,
            held: 9,
            names: 9,
            left: 0,
        }
    }

    #[test]
    fn it_says_what_why_and_when() {
        let place = ("backend1.murder.test", "127.0.0.1:3905");
        let shown = text(&plan(1), 0, place);
        assert_eq!(
            shown,
            "# What is here, on backend1.murder.test, compared with the MUPDATE master 127.0.0.1:3905\n\
             # at  1-Jan-1970 00:00:00 +0000: 7 mailboxes here, 9 at the master\n\
             at once\tpush\ta\tnew\nat once\tout of MUPDATE\tb0\tgone\n"
        );
        let shown = text(&plan(21), 0, place);
        assert!(shown.contains("# 21 of 9 mailboxes would go: "), "{shown}");
        assert!(
            shown.ends_with("waits\tout of MUPDATE\tb20\tgone\n"),
            "{shown}"
        );
        assert!(shown.contains("\nat once\tpush\ta\tnew\n"), "{shown}");
    }

    #[test]
    fn it_is_replaced_as_a_whole_and_nobody_elses_to_read() {
        let root = tempfile::tempdir().unwrap();
        let path = path(root.path());
        for wanted in ["a longer text\n", "short\n"] {
            keep(&path, wanted).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), wanted);
        }
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert!(keep(&root.path().join("nowhere/plan"), "").is_err());
    }
}
