//! `ravenry ctl backend quarantine`: what a comparison with the MUPDATE master took away here.

use clap::Subcommand;
use ravenry_core::config::Config;

use super::asked;
use super::output::Format;

/// What can be done with it.
#[derive(Subcommand, Clone)]
pub(crate) enum Quarantine {
    /// Print what is in quarantine: id, name, messages, bytes, since when, until when it is kept, why
    List {
        #[command(flatten)]
        format: Format,
    },
    /// Bring a mailbox back, with what is in it
    Restore {
        /// Its id, as `list` prints it
        id: String,
        /// What it is to be called; as it was called, if the murder has that name nowhere any more
        name: String,
    },
    /// Keep a mailbox no longer: it counts as deleted from now on
    Drop {
        /// Its id, as `list` prints it
        id: String,
    },
}

/// Carries it out.
pub(super) fn carry_out(config: &Config, question: &Quarantine) -> Result<(), String> {
    let (words, format): (Vec<&str>, _) = match question {
        Quarantine::List { format } => (vec!["quarantine"], *format),
        Quarantine::Restore { id, name } => (vec!["undelete", id, name], Format { json: false }),
        Quarantine::Drop { id } => (vec!["release", id], Format { json: false }),
    };
    asked(config, &words)?.show(format)
}
