//! A server's certificates: read, chosen by the name that the client asks for (SNI, RFC 6066
//! section 3), and read again without touching the sessions that are open.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::{fmt, io};

use rustls::ServerConfig;
use rustls::crypto::ring::Ticketer;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, UnbufferedServerConnection,
};
use rustls::sign::CertifiedKey;

use super::session::{End, Session};
use super::{Clock, Leg, TlsError, pem, provider};
use crate::config::Certificate;
use crate::current::{Reader, Writer};
use crate::rt::Pool;

/// The only protocol spoken here (RFC 7301): a client that offers others alone is refused, so
/// that no browser can be led to talk to a mail server.
const ALPN: &[u8] = b"imap";

/// The files of `[tls]`, and what acceptors take from them. One in a process.
pub struct Certificates {
    files: Vec<Certificate>,
    current: Writer<Arc<ServerConfig>>,
}

impl Certificates {
    /// Reads the files. The first certificate is for clients that ask for no name that is known.
    /// `None`: there are none.
    ///
    /// # Errors
    /// The first file that can't be used.
    pub fn open(files: &[Certificate]) -> Result<Option<Self>, TlsError> {
        let Some(config) = server_config(files)? else {
            return Ok(None);
        };
        Ok(Some(Self {
            files: files.to_vec(),
            current: Writer::new(config),
        }))
    }

    /// Reads the files again, for the handshakes that begin from now on.
    ///
    /// # Errors
    /// The first file that can't be used; the certificates stay as they were.
    pub fn reload(&mut self) -> Result<(), TlsError> {
        if let Some(config) = server_config(&self.files)? {
            self.current.replace(config);
        }
        Ok(())
    }

    /// What a shard does handshakes with: their cryptography is done on `pool`.
    #[must_use]
    pub fn acceptor(&self, pool: Pool) -> Acceptor {
        Acceptor {
            current: self.current.reader(),
            pool,
        }
    }
}

/// Does a server's handshakes, with the certificates as they are when one begins.
#[derive(Clone)]
pub struct Acceptor {
    current: Reader<Arc<ServerConfig>>,
    pool: Pool,
}

impl Acceptor {
    /// The handshake; the caller gives it a deadline.
    ///
    /// # Errors
    /// What the system calls or rustls say; the leg can't be used then.
    pub async fn accept(&self, leg: &mut Leg) -> io::Result<()> {
        let server =
            UnbufferedServerConnection::new(self.current.get()).map_err(io::Error::other)?;
        leg.handshake(Session::new(End::Server(server)), Some(&self.pool))
            .await
    }
}

fn server_config(files: &[Certificate]) -> Result<Option<Arc<ServerConfig>>, TlsError> {
    let Some((first, others)) = files.split_first() else {
        return Ok(None);
    };
    let mut chosen = ByName {
        names: BTreeMap::new(),
        other: certified(first)?,
    };
    for files in others {
        let certified = certified(files)?;
        let names = files.names.iter().cloned();
        chosen
            .names
            .extend(names.map(|name| (name, Arc::clone(&certified))));
    }
    let unusable = |error| TlsError::new(&first.chain, error);
    let config = ServerConfig::builder_with_details(provider(), Arc::new(Clock))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?;
    let mut config = config
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(chosen));
    config.alpn_protocols = vec![ALPN.to_vec()];
    // A ticket holds the session, so that any shard can resume it and none keeps it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new().map_err(unusable)?;
    Ok(Some(Arc::new(config)))
}

/// A certificate with its key; an error says which of the two files is to blame.
fn certified(files: &Certificate) -> Result<Arc<CertifiedKey>, TlsError> {
    let (chain, key) = (pem::chain(&files.chain)?, pem::key(&files.key)?);
    CertifiedKey::from_der(chain, key, &provider())
        .map(Arc::new)
        .map_err(|error| {
            let certificate = files.chain.display();
            let why = format!("can't be used as the key of {certificate}: {error}");
            TlsError::new(&files.key, why)
        })
}

/// Certificates by the names that clients ask for, which stand in lower case.
struct ByName {
    names: BTreeMap<String, Arc<CertifiedKey>>,
    other: Arc<CertifiedKey>,
}

impl ByName {
    /// By the name itself, by `*` instead of its first label, or else the one for all others.
    fn choose(&self, name: Option<&str>) -> &Arc<CertifiedKey> {
        let known = name.and_then(|name| {
            let name = name.to_ascii_lowercase();
            let wild = || Some(format!("*.{}", name.split_once('.')?.1));
            self.names.get(&name).or_else(|| self.names.get(&wild()?))
        });
        known.unwrap_or(&self.other)
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(self.choose(hello.server_name())))
    }
}

impl fmt::Debug for ByName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names.keys()).finish()
    }
}
