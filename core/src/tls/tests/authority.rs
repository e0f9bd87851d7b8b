//! An authority of the tests' own, and certificates by it, made by openssl when they are needed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::config::{Certificate, TlsClient, TlsMode};

/// The authority; its files go with the process's temporary directory.
pub(crate) struct Authority {
    directory: tempfile::TempDir,
}

/// One for all tests.
pub(crate) fn authority() -> &'static Authority {
    static AUTHORITY: OnceLock<Authority> = OnceLock::new();
    AUTHORITY.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority { directory };
        authority.run(&[
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.pem",
            "-days",
            "2",
            "-subj",
            "/CN=tests",
        ]);
        authority
    })
}

impl Authority {
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run(&self, arguments: &[&str]) {
        let done = Command::new("openssl")
            .args(arguments)
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(
            done.status.success(),
            "{}",
            String::from_utf8_lossy(&done.stderr)
        );
    }

    /// Makes a certificate for a host in `FILE.pem`, its key in `FILE.key`.
    pub(crate) fn issue(&self, file: &str, host: &str) -> Certificate {
        let (pem, key, csr) = (
            format!("{file}.pem"),
            format!("{file}.key"),
            format!("{file}.csr"),
        );
        let (subject, extensions) = (format!("/CN={host}"), format!("{file}.ext"));
        std::fs::write(
            self.path(&extensions),
            format!("subjectAltName=DNS:{host}\n"),
        )
        .unwrap();
        self.run(&[
            "req",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            &key,
            "-out",
            &csr,
            "-subj",
            &subject,
        ]);
        self.run(&[
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            "ca.pem",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-CAserial",
            &format!("{file}.srl"),
            "-days",
            "2",
            "-extfile",
            &extensions,
            "-out",
            &pem,
        ]);
        Certificate {
            names: vec![host.to_owned()],
            chain: self.path(&pem),
            key: self.path(&key),
        }
    }

    /// A client that trusts the authority.
    pub(crate) fn client(&self) -> TlsClient {
        TlsClient {
            mode: TlsMode::Implicit,
            ca: Some(self.path("ca.pem")),
            verify: true,
        }
    }
}

/// Copies a certificate's files over another's.
pub(crate) fn replace(files: &Certificate, by: &Certificate) {
    let copy = |from: &Path, to: &Path| std::fs::copy(from, to).map(drop).unwrap();
    copy(&by.chain, &files.chain);
    copy(&by.key, &files.key);
}
