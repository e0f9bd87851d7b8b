//! `ravenry ctl backend mailbox`: mailboxes by their internal names, as cyradm has them.

use clap::Subcommand;
use ravenry_core::config::Config;

use super::asked;
use super::output::Format;

/// What can be done with mailboxes.
#[derive(Subcommand, Clone)]
pub(crate) enum Mailbox {
    /// Print mailboxes: name, messages, unseen, bytes, partition
    List {
        /// Of these names: * stands for anything, % for anything but a dot
        pattern: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Make a mailbox
    Create {
        /// Its internal name: user.alice.Sent
        name: String,
        /// Where its messages are to be: a name of backend.partitions
        #[arg(long)]
        partition: Option<String>,
        /// An identifier and its rights: "anyone lrs"; may be given more than once. Without it the ACL is that of the
        /// mailbox above, or all for the user whose INBOX it is
        #[arg(long = "acl", value_name = "ACL")]
        acls: Vec<String>,
    },
    /// Take a mailbox away; it can be brought back for backend.keep_removed
    Delete {
        /// Its internal name
        name: String,
        /// And all below it
        #[arg(long)]
        recursive: bool,
    },
    /// Give a mailbox and all below it other names; ACLs stay as they are
    Rename {
        /// As it is called
        from: String,
        /// As it is to be called
        to: String,
    },
    /// Print a mailbox' ACL, or give an identifier rights
    Acl {
        /// Its internal name
        name: String,
        /// A user, group:NAME, anyone or anonymous; with a - before it its rights are taken away
        #[arg(requires = "rights", allow_hyphen_values = true)]
        identifier: Option<String>,
        /// lrswipkxtea, or none, read, post, append, write, all; with a + or a - before them they are added or taken
        #[arg(allow_hyphen_values = true)]
        rights: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Print all that is known of a mailbox, and where its files are
    Info {
        /// Its internal name
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Print deleted mailboxes that can be brought back: id, name, messages, bytes, when, why
    Removed {
        #[command(flatten)]
        format: Format,
    },
    /// Bring a deleted mailbox back, with what is in it
    Undelete {
        /// Its id, as `removed` prints it
        id: String,
        /// What it is to be called
        name: String,
    },
    /// Print a mailbox' expunged messages: UID, bytes, INTERNALDATE, when, and whether it can come back
    Expunged {
        /// Its internal name
        name: String,
        #[command(flatten)]
        format: Format,
    },
    /// Bring expunged messages back; they get new UIDs
    Unexpunge {
        /// Their mailbox
        name: String,
        /// Their UIDs, as `expunged` prints them: 7,10:20
        uids: String,
    },
}

/// Carries it out.
pub(super) fn carry_out(config: &Config, question: &Mailbox) -> Result<(), String> {
    let (mut words, mut format) = (Vec::new(), Format { json: false });
    let options: Vec<String>;
    match question {
        Mailbox::List { pattern, format: f } => {
            words.push("list");
            words.extend(pattern.as_deref());
            format = *f;
        }
        Mailbox::Create {
            name,
            partition,
            acls,
        } => {
            let partition = partition.iter().map(|name| format!("partition={name}"));
            let acls = acls
                .iter()
                .map(|acl| format!("acl={}", acl.replace('\t', " ")));
            options = partition.chain(acls).collect();
            words.extend(["create", name]);
            words.extend(options.iter().map(String::as_str));
        }
        Mailbox::Delete { name, recursive } => {
            words.extend(["delete", name]);
            words.extend(recursive.then_some("all"));
        }
        Mailbox::Rename { from, to } => words.extend(["rename", from, to]),
        Mailbox::Acl {
            name,
            identifier,
            rights,
            format: f,
        } => {
            words.extend(["acl", name]);
            words.extend(identifier.as_deref().into_iter().chain(rights.as_deref()));
            format = *f;
        }
        Mailbox::Removed { format: f } => {
            words.push("removed");
            format = *f;
        }
        Mailbox::Undelete { id, name } => words.extend(["undelete", id, name]),
        Mailbox::Expunged { name, format: f } => {
            words.extend(["expunged", name]);
            format = *f;
        }
        Mailbox::Unexpunge { name, uids } => words.extend(["unexpunge", name, uids]),
        Mailbox::Info { name, format: f } => {
            words.extend(["info", name]);
            format = *f;
        }
    }
    asked(config, &words)?.show(format)
}
