//! Where the master is: an address, or a host's name that is resolved anew for each connection.

use std::fmt;
use std::io;
use std::net::ToSocketAddrs;
use std::str::FromStr;
use std::time::Duration;

use ravenry_core::rt::{self, Address, Pool, Stream};

use crate::fault::Fault;

/// The master's place, as `[mupdate.client] server` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Master {
    /// An IP address with a port, or a unix socket.
    At(Address),
    /// A host's name and a port.
    Named {
        /// The name, for the system's resolver.
        host: String,
        /// The port.
        port: u16,
    },
}

impl fmt::Display for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(address) => write!(f, "{address}"),
            Self::Named { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// Neither `address:port` nor `host:port` nor the path of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoMaster;

impl fmt::Display for NoMaster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected HOST:PORT, ADDRESS:PORT or the path of a unix socket")
    }
}

impl std::error::Error for NoMaster {}

impl FromStr for Master {
    type Err = NoMaster;

    fn from_str(text: &str) -> Result<Self, NoMaster> {
        if let Ok(address) = text.parse() {
            return Ok(Self::At(address));
        }
        let (host, port) = text.rsplit_once(':').ok_or(NoMaster)?;
        let port = port.parse().map_err(|_| NoMaster)?;
        let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(legal) {
            return Err(NoMaster);
        }
        Ok(Self::Named {
            host: host.to_owned(),
            port,
        })
    }
}

/// Makes connections to the master.
#[derive(Clone)]
pub(crate) struct Connector {
    place: Place,
    within: Duration,
}

#[derive(Clone)]
enum Place {
    At(Address),
    /// The system's resolver blocks: it has a thread of its own, and one question at a time.
    Named {
        host: String,
        port: u16,
        /// `None` if the system gave no thread.
        resolver: Option<Pool>,
    },
}

impl Connector {
    pub(crate) fn new(master: Master, within: Duration) -> Self {
        let place = match master {
            Master::At(address) => Place::At(address),
            Master::Named { host, port } => {
                let resolver = Pool::new("mupdate-resolver", 1, 1).ok();
                Place::Named {
                    host,
                    port,
                    resolver,
                }
            }
        };
        Self { place, within }
    }

    /// A connection to the first of the master's addresses that takes one.
    pub(crate) async fn connect(self) -> Result<Stream, Fault> {
        let deadline = rt::now() + self.within;
        let addresses = match rt::timeout_at(deadline, self.addresses()).await {
            Ok(addresses) => addresses?,
            Err(_elapsed) => return Err(Fault::Resolve("no answer in time".into())),
        };
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            let left = deadline.saturating_duration_since(rt::now());
            match Stream::connect(&address, left).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(Fault::Connect(failure))
    }

    async fn addresses(&self) -> Result<Vec<Address>, Fault> {
        let (host, port, resolver) = match &self.place {
            Place::At(address) => return Ok(vec![address.clone()]),
            Place::Named {
                host,
                port,
                resolver: Some(resolver),
            } => (host.clone(), *port, resolver),
            Place::Named { resolver: None, .. } => {
                return Err(Fault::Resolve("no thread could be started for it".into()));
            }
        };
        let resolve = move || {
            let found = (host.as_str(), port).to_socket_addrs();
            found.map(|found| found.map(Address::Tcp).collect::<Vec<_>>())
        };
        match resolver.run(resolve).await {
            Ok(Ok(addresses)) if !addresses.is_empty() => Ok(addresses),
            Ok(Ok(_)) => Err(Fault::Resolve("it has no address".into())),
            Ok(Err(error)) => Err(Fault::Resolve(error.to_string())),
            Err(_busy) => Err(Fault::Resolve(
                "the resolver still works on the last try".into(),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Master, NoMaster};

    #[test]
    fn addresses_names_and_nonsense() {
        for text in ["127.0.0.11:3905", "[::1]:3905", "/run/mupdate"] {
            assert!(matches!(text.parse(), Ok(Master::At(_))), "{text}");
        }
        let named = Master::Named {
            host: "mupdate.example.org".into(),
            port: 3905,
        };
        assert_eq!("mupdate.example.org:3905".parse(), Ok(named));
        for text in [
            "",
            "host",
            ":3905",
            "host:",
            "host:99999",
            "ho st:1",
            "a:b:1",
        ] {
            assert_eq!(text.parse::<Master>(), Err(NoMaster), "{text}");
        }
    }
}
