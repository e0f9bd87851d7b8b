//! Certificates, keys and roots from PEM files (RFC 7468).
//!
//! No error shows what is in a file: a damaged key is still a key.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::limits;
use crate::proto::sasl::Secret;

/// Where systems keep the certificates of public authorities: Debian and its kin, Red Hat's, SUSE,
/// Alpine.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A file that TLS can't be done with, and why.
#[derive(Debug)]
pub struct TlsError {
    path: PathBuf,
    why: String,
}

impl TlsError {
    pub(super) fn new(path: &Path, why: impl fmt::Display) -> Self {
        Self {
            path: path.to_path_buf(),
            why: why.to_string(),
        }
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TLS: {} {}", self.path.display(), self.why)
    }
}

impl std::error::Error for TlsError {}

/// A certificate and those between it and a root, in this order.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = read(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(file.expose()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(TlsError::new(path, "has no certificate in it (PEM)")),
        Err(_) => Err(TlsError::new(
            path,
            "is damaged: no PEM file of certificates",
        )),
    }
}

/// A private key: PKCS#8, PKCS#1 or SEC1.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let file = read(path)?;
    PrivateKeyDer::from_pem_slice(file.expose()).map_err(|_may_show_the_key| {
        TlsError::new(
            path,
            "has no private key in it (PEM, and not encrypted by a passphrase)",
        )
    })
}

/// Whom to trust: the authorities of `file`, or else those that the system trusts.
pub(super) fn roots(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let path = file.unwrap_or_else(|| {
        let known = SYSTEM_ROOTS.iter().find(|path| Path::new(path).exists());
        Path::new(known.unwrap_or(&SYSTEM_ROOTS[0]))
    });
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(chain(path)?);
    if added == 0 {
        return Err(TlsError::new(path, "has no authority's certificate in it"));
    }
    Ok(roots)
}

fn read(path: &Path) -> Result<Secret, TlsError> {
    let failed = |error| TlsError::new(path, format_args!("can't be read: {error}"));
    let most = limits::PEM_FILE_BYTES_MAX;
    let file = File::open(path).map_err(failed)?;
    // With room for all of it: a buffer that grows leaves copies behind.
    let size = file.metadata().map_err(failed)?.len().min(most);
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(most + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    let bytes = Secret::new(bytes);
    if bytes.expose().len() as u64 > most {
        return Err(TlsError::new(
            path,
            format_args!("is larger than {most} bytes"),
        ));
    }
    Ok(bytes)
}
