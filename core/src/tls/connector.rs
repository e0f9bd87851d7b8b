//! TLS towards a server of ours: a backend, the MUPDATE master. The certificate has to be good for
//! the name that the mailbox list or the configuration gives the server, wherever its address is
//! from.

use std::io;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};

use super::session::{End, Session};
use super::{Clock, Leg, TlsError, pem, provider};
use crate::config::{TlsClient, TlsMode};

/// Does a client's handshakes. Clones are the same.
#[derive(Clone)]
pub struct Connector {
    config: Arc<ClientConfig>,
    implicit: bool,
}

impl Connector {
    /// Reads whom to trust. `protocol` is what is asked for by ALPN, where the protocol has a name
    /// there. `None`: TLS is off.
    ///
    /// # Errors
    /// A file that can't be used.
    pub fn open(
        settings: &TlsClient,
        protocol: Option<&'static str>,
    ) -> Result<Option<Self>, TlsError> {
        let implicit = match settings.mode {
            TlsMode::Off => return Ok(None),
            TlsMode::StartTls => false,
            TlsMode::Implicit => true,
        };
        // Where nothing is checked nothing has to be readable.
        let roots = match settings.verify {
            true => pem::roots(settings.ca.as_deref())?,
            false => RootCertStore::empty(),
        };
        let config = ClientConfig::builder_with_details(provider(), Arc::new(Clock))
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError::new("".as_ref(), error))?;
        let mut config = config.with_root_certificates(roots).with_no_client_auth();
        if !settings.verify {
            let unchecked = Arc::new(Unchecked(provider()));
            config.dangerous().set_certificate_verifier(unchecked);
        }
        config.alpn_protocols = protocol
            .iter()
            .map(|name| name.as_bytes().to_vec())
            .collect();
        // The cache of sessions would be shared by the shards, behind a lock.
        config.resumption = Resumption::disabled();
        Ok(Some(Self {
            config: Arc::new(config),
            implicit,
        }))
    }

    /// Whether the handshake comes first of all; otherwise after STARTTLS.
    #[must_use]
    pub fn is_implicit(&self) -> bool {
        self.implicit
    }

    /// The handshake with the server `name` (a host name or an address); the caller gives it a
    /// deadline.
    ///
    /// # Errors
    /// What the system calls or rustls say, for instance that the certificate isn't good; the leg
    /// can't be used then.
    pub async fn connect(&self, leg: &mut Leg, name: &str) -> io::Result<()> {
        let server = ServerName::try_from(name.to_owned())
            .map_err(|_| io::Error::other(format!("TLS: {name:?} is no name of a server")))?;
        let client = UnbufferedClientConnection::new(Arc::clone(&self.config), server)
            .map_err(io::Error::other)?;
        leg.handshake(Session::new(End::Client(client)), None).await
    }
}

/// `tls_verify = false`: whoever has any certificate is believed; the signatures are checked.
#[derive(Debug)]
struct Unchecked(Arc<CryptoProvider>);

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _chain: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
