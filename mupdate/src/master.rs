//! Connecting to the master: at an address, or by a host's name that is resolved anew each time.

use std::io;
use std::net::ToSocketAddrs;
use std::time::Duration;

use ravenry_core::config::Endpoint;
use ravenry_core::rt::{self, Address, Pool, Stream};

use crate::fault::Fault;

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
    pub(crate) fn new(master: &Endpoint, within: Duration) -> Self {
        let place = match master {
            Endpoint::Address(address) => Place::At(address.clone()),
            Endpoint::Name { host, port } => {
                let resolver = Pool::new("mupdate-resolver", 1, 1).ok();
                Place::Named {
                    host: host.clone(),
                    port: *port,
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
