//! A word to the service manager (sd_notify(3)): a datagram to the socket that `NOTIFY_SOCKET`
//! names. Without one nobody asked.

use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where the service manager listens.
pub(crate) struct Notify {
    socket: Option<OsString>,
}

impl Notify {
    pub(crate) fn from_environment() -> Self {
        Self {
            socket: std::env::var_os("NOTIFY_SOCKET"),
        }
    }

    /// The listeners are open.
    pub(crate) fn ready(&self) {
        self.tell("READY=1\nSTATUS=serving");
    }

    /// The end has begun, and takes so long at the most: whoever waits for it waits as long.
    pub(crate) fn stopping(&self, within: Duration) {
        let us = within.as_micros();
        let status = "STATUS=sending the clients away";
        self.tell(&format!("STOPPING=1\nEXTEND_TIMEOUT_USEC={us}\n{status}"));
    }

    fn tell(&self, message: &str) {
        if let Err(error) = self.send(message) {
            tracing::warn!("NOTIFY_SOCKET: {error}");
        }
    }

    fn send(&self, message: &str) -> io::Result<()> {
        let Some(path) = self.socket.as_ref().map(|path| path.as_bytes()) else {
            return Ok(());
        };
        let address = match path.strip_prefix(b"@") {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
        };
        UnixDatagram::unbound()?.send_to_addr(message.as_bytes(), &address)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(manager: &UnixDatagram) -> String {
        let mut bytes = [0; 200];
        let count = manager.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..count].to_vec()).unwrap()
    }

    #[test]
    fn a_datagram_says_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let notify = Notify {
            socket: Some(path.into()),
        };
        notify.ready();
        assert!(received(&manager).starts_with("READY=1\n"));
        notify.stopping(Duration::from_secs(35));
        assert!(received(&manager).contains("\nEXTEND_TIMEOUT_USEC=35000000\n"));
    }

    #[test]
    fn a_name_without_a_path() {
        let name = format!("ravenry-notify-{}", std::process::id());
        let manager = SocketAddr::from_abstract_name(&name).unwrap();
        let manager = UnixDatagram::bind_addr(&manager).unwrap();
        let notify = Notify {
            socket: Some(format!("@{name}").into()),
        };
        notify.ready();
        assert!(received(&manager).starts_with("READY=1\n"));
    }

    #[test]
    fn nobody_asked_or_nobody_listens() {
        Notify { socket: None }.ready();
        let gone = Notify {
            socket: Some("/nowhere/notify".into()),
        };
        assert!(gone.send("READY=1").is_err());
        gone.ready();
    }
}
