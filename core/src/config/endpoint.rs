//! Where to connect: an address, or a name that DNS resolves; backends by the names that the
//! mailbox list gives them.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::str::FromStr;
use std::time::Duration;

use crate::rt::{self, Address, Pool, Stream};

/// Where to connect. A name is resolved at each connect, so that DNS may change under us.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// No DNS needed.
    Address(Address),
    /// A host name, in lower case, and a port.
    Name {
        /// The host name.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Endpoint {
    /// Connects to the first of its addresses that takes a connection, all within `within`. The
    /// system's resolver blocks, so names are resolved on `resolver`.
    pub async fn connect(&self, resolver: &Pool, within: Duration) -> io::Result<Stream> {
        let deadline = rt::now() + within;
        let addresses = rt::timeout_at(deadline, self.resolve(resolver)).await?;
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        for address in addresses? {
            let left = deadline.saturating_duration_since(rt::now());
            match Stream::connect(&address, left).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// The name that the server's certificate has to be good for.
    pub fn host(&self) -> String {
        match self {
            Self::Address(Address::Tcp(address)) => address.ip().to_string(),
            Self::Address(Address::Unix(_)) => "localhost".to_owned(),
            Self::Name { host, .. } => host.clone(),
        }
    }

    async fn resolve(&self, resolver: &Pool) -> io::Result<Vec<Address>> {
        let (host, port) = match self {
            Self::Address(address) => return Ok(vec![address.clone()]),
            Self::Name { host, port } => (host.clone(), *port),
        };
        let asked = resolver.run(move || {
            let found = (host.as_str(), port).to_socket_addrs()?;
            Ok(found.map(Address::Tcp).collect())
        });
        let found: io::Result<_> = asked
            .await
            .map_err(|busy| io::Error::other(format!("the resolver: {busy}")))?;
        found.map_err(|error| {
            io::Error::new(error.kind(), format!("its name can't be resolved: {error}"))
        })
    }
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = || {
            format!(
                "wants HOST:PORT, such as \"mupdate.example.org:3905\", \"127.0.0.1:3905\" or \
                 \"[::1]:3905\", not {text:?}"
            )
        };
        if text.starts_with('/') || text.parse::<SocketAddr>().is_ok() {
            return super::value::listen_address(text).map(Self::Address);
        }
        let (host, port) = text.rsplit_once(':').ok_or_else(how)?;
        let port: u16 = port.parse().map_err(|_| how())?;
        if port == 0 || !is_host_name(host) {
            return Err(how());
        }
        Ok(Self::Name {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
        }
    }
}

/// The address of a backend as `[proxy.upstream] hosts` gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostAddress {
    /// Its address.
    pub ip: IpAddr,
    /// Its port, where it isn't that of `ports`.
    pub port: Option<u16>,
}

impl FromStr for HostAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(ip) = text.parse() {
            return Ok(Self { ip, port: None });
        }
        match text.parse::<SocketAddr>() {
            Ok(whole) if whole.port() > 0 => Ok(Self {
                ip: whole.ip(),
                port: Some(whole.port()),
            }),
            _ => Err(format!(
                "wants an IP address such as \"192.0.2.12\" or \"192.0.2.12:143\", not {text:?}"
            )),
        }
    }
}

/// A server's name as the mailbox list has it, and its port where it carries one.
pub fn host_and_port(server: &str) -> (&str, Option<u16>) {
    match server.rsplit_once(':').map(|(h, p)| (h, p.parse())) {
        Some((host, Ok(port))) if is_host_name(host) => (host, Some(port)),
        _ => (server, None),
    }
}

/// RFC 1123 section 2.1: letters, digits, hyphens and dots; an underscore is common in practice.
pub(super) fn is_host_name(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    text.len() <= 253 && text.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        let name = "Mupdate.Example.org:3905".parse::<Endpoint>().unwrap();
        assert_eq!(
            name,
            Endpoint::Name {
                host: "mupdate.example.org".into(),
                port: 3905
            }
        );
        for whole in ["127.0.0.11:3905", "[::1]:3905", "/run/mupdate.sock"] {
            let endpoint = whole.parse::<Endpoint>().unwrap();
            assert!(matches!(endpoint, Endpoint::Address(_)), "{whole}");
            assert_eq!(endpoint.to_string(), whole);
        }
        for bad in [
            "",
            "host",
            ":1",
            "host:",
            "host:0",
            "host:65536",
            "a b:1",
            "::1:3905",
            "-a:1",
        ] {
            assert!(bad.parse::<Endpoint>().is_err(), "{bad}");
        }
    }

    #[test]
    fn host_addresses() {
        let host = "192.0.2.12".parse::<HostAddress>().unwrap();
        assert_eq!(
            (host.ip.to_string().as_str(), host.port),
            ("192.0.2.12", None)
        );
        assert_eq!("[::1]:99".parse::<HostAddress>().unwrap().port, Some(99));
        assert!("::1".parse::<HostAddress>().is_ok());
        for bad in ["", "backend1", "192.0.2.12:0", "192.0.2.12:x", "/run/x"] {
            assert!(bad.parse::<HostAddress>().is_err(), "{bad}");
        }
    }
}
