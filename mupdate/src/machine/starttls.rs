//! STARTTLS (section 4.10): asked for before the login where it is wanted, never gone without, and
//! nothing that was said in clear counts after it.

use super::tests::{BANNER, LOGGED_IN, STREAMING, World};
use crate::fault::Fault;
use crate::status::AwayReason;

const OFFER: &str = concat!(
    "* AUTH \"PLAIN\"\r\n* STARTTLS\r\n",
    "* OK MUPDATE \"mupdate.murder.test\" \"Cyrus IMAP\" \"3.6.1\" \"(master)\"\r\n",
);
const GO: &str = "S01 OK \"Begin TLS negotiation now\"\r\n";

fn world() -> World {
    let mut world = World::new(100, 1 << 20);
    world.machine.hello.starttls = true;
    world.connect();
    world
}

fn hear(world: &mut World, text: &str) -> Result<String, Fault> {
    world.receive(text.as_bytes())?;
    Ok(String::from_utf8(std::mem::take(&mut world.sent)).unwrap())
}

#[test]
fn the_login_comes_after_the_second_banner() {
    let mut world = world();
    assert_eq!(hear(&mut world, OFFER).unwrap(), "S01 STARTTLS\r\n");
    assert_eq!(hear(&mut world, GO).unwrap(), "");
    assert_eq!(world.handshakes, 1);
    let said = hear(&mut world, BANNER).unwrap();
    assert!(said.starts_with("A01 AUTHENTICATE \"PLAIN\""), "{said}");
    assert_eq!(hear(&mut world, LOGGED_IN).unwrap(), "U01 UPDATE\r\n");
    assert_eq!(hear(&mut world, STREAMING).unwrap(), "N1 NOOP\r\n");
    world.machine.disconnected();
    world.connect();
    assert_eq!(
        hear(&mut world, OFFER).unwrap(),
        "S01 STARTTLS\r\n",
        "again"
    );
}

#[test]
fn without_tls_no_password_is_sent() {
    let refused = "S01 NO \"no\"\r\n";
    let injected = &format!("{GO}* AUTH \"PLAIN\"\r\n");
    for (banner, answer) in [(BANNER, ""), (OFFER, refused), (OFFER, injected)] {
        let mut world = world();
        let outcome = hear(&mut world, banner).and_then(|_| hear(&mut world, answer));
        let fault = outcome.unwrap_err();
        assert_eq!(fault.reason(), AwayReason::Tls, "{fault}");
        assert!(fault.lasts() && fault.advice().contains("tls_ca"));
        assert!(!String::from_utf8_lossy(&world.sent).contains("AUTHENTICATE"));
        assert_eq!(world.handshakes, 0);
    }
}

#[test]
fn the_second_banner_alone_says_what_there_is() {
    let mut world = world();
    hear(&mut world, OFFER).unwrap();
    hear(&mut world, GO).unwrap();
    let fault = hear(
        &mut world,
        "* OK MUPDATE \"m\" \"C\" \"3\" \"(master)\"\r\n",
    )
    .unwrap_err();
    assert!(matches!(fault, Fault::NoPlain), "{fault}");
}
