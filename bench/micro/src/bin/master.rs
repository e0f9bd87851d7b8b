//! A MUPDATE master (RFC 3656) that has its list ready as bytes and sends it as fast as it is read:
//! `master ADDRESS NAMES`. For whoever follows a list: our follower, Cyrus' slave.
//!
//! A line of JSON for each list sent: how long the login took since the connection came, and how long the
//! list took until its last byte was in the kernel's hands. It speaks as Cyrus 3.6.1 does, without STARTTLS
//! and COMPRESS; it has one list that never changes, and takes every login.

#![expect(clippy::print_stdout, reason = "a program that prints its results")]

use std::io;
use std::rc::Rc;

use ravenry_bench::site::Site;
use ravenry_core::rt::{self, Address, Listener, ShardConfig, Stream};
use serde_json::json;

const BANNER: &[u8] = b"* AUTH \"PLAIN\"\r\n* PARTIAL-UPDATE\r\n\
    * OK MUPDATE \"mupdate.murder.test\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n";
/// The tag of UPDATE that both followers use: it is in every byte of the list that is ready.
const TAG: &str = "U01";
const LINE_BYTES_MAX: usize = 64 << 10;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [address, names] = &arguments[..] else {
        println!("usage: master ADDRESS NAMES");
        std::process::exit(2);
    };
    let address: Address = address.parse().expect("an address");
    let site = Site {
        names: names.parse().expect("a number"),
    };
    let list = Rc::new(written(site));
    let served = rt::block_on(ShardConfig::default(), async move {
        let listener = Listener::bind(&address).expect("an address to listen on");
        println!(
            "{}",
            json!({ "listening": address.to_string(), "bytes": list.len() })
        );
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let list = Rc::clone(&list);
                    rt::spawn(async move {
                        if let Err(error) = serve(stream, &list, site).await {
                            println!("{}", json!({ "ended": error.to_string() }));
                        }
                    });
                }
                Err(error) => panic!("accept: {error}"),
            }
        }
    });
    served.expect("a ring")
}

/// The whole answer to UPDATE.
fn written(site: Site) -> Vec<u8> {
    let mut list = Vec::new();
    for number in 0..site.names {
        list.extend_from_slice(TAG.as_bytes());
        list.extend_from_slice(b" MAILBOX ");
        site.write_mupdate(number, &mut list);
    }
    list.extend_from_slice(format!("{TAG} OK \"streaming starts\"\r\n").as_bytes());
    list
}

async fn serve(stream: Stream, list: &[u8], site: Site) -> io::Result<()> {
    let came = rt::now();
    let mut lines = Lines {
        stream: &stream,
        buffer: Vec::new(),
    };
    stream.write_all(BANNER).await?;
    while let Some(line) = lines.next().await? {
        let mut words = line.split(' ');
        let (tag, verb) = (words.next().unwrap_or_default(), words.next());
        let said = match verb.unwrap_or_default().to_ascii_uppercase().as_str() {
            "AUTHENTICATE" => {
                if line.ends_with('}') {
                    lines.next().await?;
                }
                "OK \"Authenticated\""
            }
            "UPDATE" if tag == TAG => {
                let asked = rt::now();
                stream.write_all(list).await?;
                let (login, sent) = (asked - came, rt::now() - asked);
                println!(
                    "{}",
                    json!({ "names": site.names, "login_s": login.as_secs_f64(), "sent_s": sent.as_secs_f64() })
                );
                continue;
            }
            "NOOP" => "OK \"NOOP Complete\"",
            "LOGOUT" => return Ok(()),
            _ => "BAD \"not known here\"",
        };
        stream
            .write_all(format!("{tag} {said}\r\n").as_bytes())
            .await?;
    }
    Ok(())
}

/// Reads lines off a connection.
struct Lines<'a> {
    stream: &'a Stream,
    buffer: Vec<u8>,
}

impl Lines<'_> {
    async fn next(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.buffer[..end]).into_owned();
                self.buffer.drain(..end + 2);
                return Ok(Some(line));
            }
            let room = LINE_BYTES_MAX.saturating_sub(self.buffer.len());
            if room == 0 || self.stream.read_into(&mut self.buffer, room).await? == 0 {
                return Ok(None);
            }
        }
    }
}
