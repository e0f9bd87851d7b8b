//! A client's connection, in the clear or by TLS: lines out, lines in. It blocks, for seconds at most.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::ring;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::ports::HOST;

/// How long a server may be silent.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest line, and the largest literal, that a server may send.
const LINE_BYTES_MAX: u64 = 1 << 20;
const LITERAL_BYTES_MAX: usize = 16 << 20;

trait Both: Read + Write {}
impl<T: Read + Write> Both for T {}

/// The connection.
pub(super) struct Dialogue {
    stream: BufReader<Box<dyn Both>>,
}

impl Dialogue {
    pub(super) fn connect(port: u16) -> Result<Self, String> {
        Ok(Self::over(Box::new(tcp(port)?)))
    }

    /// By TLS, with no other certificate than this one.
    pub(super) fn connect_tls(port: u16, trusted: &[u8]) -> Result<Self, String> {
        let failed = |error: rustls::Error| format!("TLS: {error}");
        let mut roots = RootCertStore::empty();
        roots.add(trusted.to_vec().into()).map_err(failed)?;
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(failed)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").expect("invariant: it is a name");
        let connection = ClientConnection::new(Arc::new(config), name).map_err(failed)?;
        Ok(Self::over(Box::new(StreamOwned::new(
            connection,
            tcp(port)?,
        ))))
    }

    fn over(stream: Box<dyn Both>) -> Self {
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends it as it is.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let stream = self.stream.get_mut();
        let sent = stream.write_all(bytes).and_then(|()| stream.flush());
        sent.map_err(|error| format!("can't send: {error}"))
    }

    /// The next line, without its end.
    pub(super) fn line(&mut self) -> Result<String, String> {
        let mut line = Vec::new();
        let read = (&mut self.stream)
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        read.map_err(|error| format!("no line came: {error}"))?;
        match line.strip_suffix(b"\r\n") {
            Some(line) => Ok(String::from_utf8_lossy(line).into_owned()),
            None => Err(match line.is_empty() {
                true => "the server has closed the connection".to_owned(),
                false => format!("no whole line: {:?}", String::from_utf8_lossy(&line)),
            }),
        }
    }

    /// The next so many bytes.
    pub(super) fn literal(&mut self, count: usize) -> Result<String, String> {
        if count > LITERAL_BYTES_MAX {
            return Err(format!("a literal of {count} bytes"));
        }
        let mut bytes = vec![0; count];
        let read = self.stream.read_exact(&mut bytes);
        read.map_err(|error| format!("a literal doesn't come: {error}"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

fn tcp(port: u16) -> Result<TcpStream, String> {
    let failed = |error| format!("{HOST} port {port}: {error}");
    let stream = TcpStream::connect((HOST, port)).map_err(failed)?;
    stream.set_nodelay(true).map_err(failed)?;
    let within = Some(ANSWER_WITHIN);
    stream.set_read_timeout(within).map_err(failed)?;
    stream.set_write_timeout(within).map_err(failed)?;
    Ok(stream)
}
