//! saslauthd: a question over its unix socket, as libsasl's `saslauthd_verify_password` asks it.
//!
//! ```text
//! → four strings (user, password, service, realm), each after its length: 16 bits, big-endian
//! ← one string, after its length: "OK…" or "NO…"
//! ```
//!
//! A connection is one question. Every answer that isn't OK or NO, a connection that breaks and
//! silence past the deadline mean that it can't be told.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::AuthError;
use crate::limits;
use crate::proto::sasl::Secret;
use crate::rt::{Address, Stream, now, timeout_at};

/// What we are to saslauthd: it picks the PAM service by it.
const SERVICE: &[u8] = b"imap";

/// Whether saslauthd takes this user with this password. Runs on a shard.
pub(super) async fn verify(
    socket: &Path,
    user: &[u8],
    password: &Secret,
    within: Duration,
) -> Result<(), AuthError> {
    let unavailable =
        |why: &str| AuthError::Unavailable(format!("saslauthd at {}: {why}", socket.display()));
    let question = question(user, password).ok_or(AuthError::Denied)?;
    let asked = timeout_at(now() + within, ask(socket, &question, within)).await;
    match asked {
        Ok(Ok(answer)) => judge(&answer).map_err(|error| match error {
            AuthError::Denied => AuthError::Denied,
            AuthError::Unavailable(why) => unavailable(&why),
        }),
        Ok(Err(error)) => Err(unavailable(&error.to_string())),
        Err(_elapsed) => Err(unavailable("no answer")),
    }
}

/// The bytes of the question; `None` if a string doesn't fit into its length.
fn question(user: &[u8], password: &Secret) -> Option<Secret> {
    let strings: [&[u8]; 4] = [user, password.expose(), SERVICE, b""];
    let length = strings.iter().map(|string| string.len() + 2).sum();
    // At its full size from the start: growing would leave a copy of the password behind.
    let mut bytes = Vec::with_capacity(length);
    for string in strings {
        bytes.extend(u16::try_from(string.len()).ok()?.to_be_bytes());
        bytes.extend(string);
    }
    Some(Secret::new(bytes))
}

async fn ask(socket: &Path, question: &Secret, within: Duration) -> io::Result<Vec<u8>> {
    let stream = Stream::connect(&Address::Unix(socket.to_path_buf()), within).await?;
    stream.write_all(question.expose()).await?;
    let mut answer = Vec::new();
    loop {
        if let [high, low, text @ ..] = answer.as_slice() {
            let length = usize::from(u16::from_be_bytes([*high, *low]));
            if length > limits::SASLAUTHD_ANSWER_BYTES_MAX {
                return Err(io::Error::other("an answer that is too long"));
            }
            if let Some(text) = text.get(..length) {
                return Ok(text.to_vec());
            }
        }
        if stream
            .read_into(&mut answer, limits::SASLAUTHD_ANSWER_BYTES_MAX)
            .await?
            == 0
        {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// What an answer means. A NO for a reason of its own (`NO [ALERT] Couldn't contact remote
/// authentication server`, `NO internal memory error`) says nothing about the password.
fn judge(answer: &[u8]) -> Result<(), AuthError> {
    let text = String::from_utf8_lossy(answer);
    let text = text.trim_end_matches(['\0', '\r', '\n']);
    let (word, reason) = text.split_once(' ').unwrap_or((text, ""));
    let reason = reason.to_ascii_lowercase();
    let own_fault = [
        "[alert]",
        "internal",
        "memory",
        "couldn't",
        "insufficient",
        "not available",
    ];
    match word {
        "OK" => Ok(()),
        "NO" if !own_fault.iter().any(|fault| reason.contains(fault)) => Err(AuthError::Denied),
        _ => Err(AuthError::Unavailable(format!("it says {text:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::thread;

    use super::*;
    use crate::rt::{ShardConfig, block_on};

    #[test]
    fn the_question_s_bytes() {
        let bytes = question(b"alice", &Secret::from("pw")).unwrap();
        assert_eq!(bytes.expose(), b"\0\x05alice\0\x02pw\0\x04imap\0\0");
        assert!(question(b"alice", &Secret::new(vec![b'x'; 65_536])).is_none());
    }

    #[test]
    fn answers() {
        let unavailable =
            |answer: &str| matches!(judge(answer.as_bytes()), Err(AuthError::Unavailable(_)));
        assert_eq!(judge(b"OK"), Ok(()));
        assert_eq!(judge(b"OK success\0"), Ok(()));
        assert_eq!(judge(b"NO"), Err(AuthError::Denied));
        assert_eq!(judge(b"NO authentication failed\n"), Err(AuthError::Denied));
        for answer in [
            "",
            "OKAY",
            "ok",
            "NO internal memory error",
            "NO [ALERT] x",
            "\u{fffd}",
        ] {
            assert!(unavailable(answer), "{answer}");
        }
    }

    /// What `verify` says where a saslauthd reads the question and then does this.
    fn asked(answer: &'static [u8], hang: bool) -> Result<(), AuthError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("mux");
        let listener = UnixListener::bind(&path).unwrap();
        #[expect(
            clippy::disallowed_methods,
            reason = "the peer of a test, outside the runtime"
        )]
        let peer = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 19];
            stream.read_exact(&mut question).unwrap();
            for byte in answer {
                // An answer that can't be one is not read to its end.
                if stream.write_all(&[*byte]).is_err() {
                    return;
                }
            }
            if hang {
                let gone = stream.read(&mut question).unwrap();
                assert_eq!(gone, 0, "the connection is closed after the deadline");
            }
        });
        let password = Secret::from("pw");
        let within = Duration::from_millis(if hang { 50 } else { 10_000 });
        let asked = verify(&path, b"alice", &password, within);
        let said = block_on(ShardConfig::default(), asked).unwrap();
        peer.join().unwrap();
        said
    }

    #[test]
    fn a_whole_conversation() {
        assert_eq!(asked(b"\0\x02OK", false), Ok(()));
        assert_eq!(asked(b"\0\x02NO", false), Err(AuthError::Denied));
        for (answer, hang, want) in [
            (b"".as_slice(), false, "end of file"),
            (b"\0\x05OK", false, "end of file"),
            (b"\xff\xffOK", false, "too long"),
            (b"\0\0", false, "it says"),
            (b"\0", true, "no answer"),
            (b"", true, "no answer"),
        ] {
            let Err(AuthError::Unavailable(why)) = asked(answer, hang) else {
                panic!("{answer:?} was understood")
            };
            assert!(why.contains(want), "{why}");
        }
    }

    #[test]
    fn nobody_listens() {
        let password = Secret::from("pw");
        let path = Path::new("/nowhere/mux");
        let asked = verify(path, b"alice", &password, Duration::from_secs(1));
        let said = block_on(ShardConfig::default(), asked).unwrap();
        assert!(matches!(said, Err(AuthError::Unavailable(why)) if why.contains("/nowhere/mux")));
    }
}
