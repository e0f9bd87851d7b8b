//! The ports of the demo: those that people type, and those that the servers have among themselves.

use std::io;
use std::net::TcpListener;

use super::Options;

/// Everything listens here.
pub(super) const HOST: &str = "127.0.0.1";

/// Where the servers listen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) imap: u16,
    pub(super) imaps: u16,
    /// The backends' LMTP.
    pub(super) lmtp: [u16; 2],
    /// The backends' IMAP.
    pub(super) backends: [u16; 2],
    pub(super) mupdate: u16,
}

impl Ports {
    /// The ports that were asked for, or the usual ones; a port that is taken is an error. A check takes what is free.
    pub(super) fn choose(options: &Options) -> Result<Self, String> {
        let mut held = Vec::new();
        let mut hold = |option: &str, asked: Option<u16>, usual: u16| {
            let usual = if options.check { 0 } else { usual };
            let listener = probe(option, asked.unwrap_or(usual))?;
            let port = listener.local_addr().map_err(|error| error.to_string())?;
            held.push(listener);
            Ok::<_, String>(port.port())
        };
        Ok(Self {
            imap: hold("--imap", options.imap, 1143)?,
            imaps: hold("--imaps", options.imaps, 1993)?,
            lmtp: [
                hold("--lmtp", options.lmtp, 2003)?,
                hold("--lmtp-bob", options.lmtp_bob, 2004)?,
            ],
            backends: [hold("", None, 0)?, hold("", None, 0)?],
            mupdate: hold("", None, 0)?,
        })
    }
}

/// The servers' own listeners share a port with whoever shares it, too (`SO_REUSEPORT`), such as another demo: this one
/// doesn't, and is closed before they bind theirs.
fn probe(option: &str, port: u16) -> Result<TcpListener, String> {
    TcpListener::bind((HOST, port)).map_err(|error| {
        let why = match error.kind() {
            io::ErrorKind::AddrInUse => "is taken: is another demo running?".to_owned(),
            _ => format!("can't be used: {error}."),
        };
        format!("port {port} of {HOST} {why} Choose another one ({option} PORT), or any that is free ({option} 0)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(imap: u16, check: bool) -> Options {
        Options {
            check,
            imap: Some(imap),
            imaps: Some(0),
            lmtp: Some(0),
            lmtp_bob: Some(0),
            state_dir: None,
        }
    }

    #[test]
    fn free_ports_differ_and_one_that_is_taken_is_named() {
        let ports = Ports::choose(&options(0, true)).unwrap();
        let mut all = vec![ports.imap, ports.imaps, ports.mupdate];
        all.extend(ports.lmtp.iter().chain(&ports.backends));
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), 7);
        let taken = TcpListener::bind((HOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let why = Ports::choose(&options(port, false)).unwrap_err();
        assert!(
            why.contains(&format!("port {port} of 127.0.0.1 is taken")),
            "{why}"
        );
        assert!(why.contains("--imap PORT"), "{why}");
        drop(taken);
        assert_eq!(Ports::choose(&options(port, false)).unwrap().imap, port);
    }
}
