//! `ravenry ctl backend quota`: limits on what is below a name.

use clap::Subcommand;
use ravenry_core::config::Config;

use super::asked;
use super::output::Format;

/// What can be done with quotas.
#[derive(Subcommand, Clone)]
pub(crate) enum Quota {
    /// Print quota roots: name, and used and limit of storage (in bytes), messages, mailboxes
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Print a quota root
    Get {
        /// Its name: user.alice
        root: String,
        #[command(flatten)]
        format: Format,
    },
    /// Set limits; those that aren't given stay as they are
    ///
    /// A mailbox counts for the nearest root above it, or at its own name. Who is over a limit already loses nothing, and
    /// can't store more.
    Set {
        /// Its name: user.alice, or a name above many
        root: String,
        /// storage=2GiB, message=10000, mailbox=100; none instead of a number takes the limit away
        #[arg(required = true, value_name = "RESOURCE=LIMIT")]
        limits: Vec<String>,
    },
    /// Make it a root no longer: what is below counts for the one above, if there is one
    Remove {
        /// Its name
        root: String,
    },
}

/// Carries it out.
pub(super) fn carry_out(config: &Config, question: &Quota) -> Result<(), String> {
    let mut format = Format { json: false };
    let words = match question {
        Quota::List { format: f } => {
            format = *f;
            vec!["quotas"]
        }
        Quota::Get { root, format: f } => {
            format = *f;
            vec!["quota", root]
        }
        Quota::Set { root, limits } => {
            let limits = limits.iter().map(String::as_str);
            ["set-quota", root].into_iter().chain(limits).collect()
        }
        Quota::Remove { root } => vec!["remove-quota", root],
    };
    asked(config, &words)?.show(format)
}
