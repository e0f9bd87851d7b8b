//! `ravenry ctl backend resync`: what is here, compared with what the MUPDATE master has.

use clap::Subcommand;
use ravenry_core::config::Config;

use super::asked;
use super::output::Format;

/// What can be asked beside how it stands, and done.
#[derive(Subcommand, Clone)]
pub(crate) enum Resync {
    /// Print the last plan: when, action, name, why
    Plan {
        #[command(flatten)]
        format: Format,
    },
    /// Compare now; what needn't wait is done at once
    Now {
        #[command(flatten)]
        format: Format,
    },
    /// Carry out the deletions that wait; each name is looked at again right then
    ///
    /// What goes here goes into quarantine, and can be put back for 30 days.
    Apply,
}

/// Carries it out; `format`: of what stands there without a subcommand.
pub(super) fn carry_out(
    config: &Config,
    question: Option<&Resync>,
    format: Format,
) -> Result<(), String> {
    let (words, format): (&[&str], _) = match question {
        None => (&["resync"], format),
        Some(Resync::Plan { format }) => (&["resync", "plan"], *format),
        Some(Resync::Now { format }) => (&["resync", "now"], *format),
        Some(Resync::Apply) => (&["resync", "apply"], format),
    };
    asked(config, words)?.show(format)
}
