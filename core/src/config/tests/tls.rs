//! `[tls]` and the TLS keys of others.

use super::*;

const FILES: &str = "certificate = \"cert.pem\"\nkey = \"key.pem\"\n";

fn with(proxy: &str, tls: &str) -> String {
    frontend("", "", proxy, "", &format!("[tls]\n{tls}"))
}

fn on(listeners: &str, tls: &str) -> Result<Config, ConfigError> {
    let text = with("", tls).replace("[\"127.0.0.42:1143\"]", listeners);
    parse(&text, base())
}

#[test]
fn certificates_and_their_names() {
    let config = parse(
        &with(
            "imaps = [\"0.0.0.0:993\"]",
            &format!(
                "{FILES}[[tls.sni]]\nnames = [\"Mail.Example.org\", \"*.example.net\"]\n\
                 certificate = \"b.pem\"\nkey = \"/b.key\""
            ),
        ),
        base(),
    )
    .unwrap();
    let [first, other] = &config.tls.certificates[..] else {
        panic!("{:?}", config.tls);
    };
    assert_eq!(first.chain, Path::new("/etc/ravenry/cert.pem"));
    assert!(first.names.is_empty());
    assert_eq!(other.names, ["mail.example.org", "*.example.net"]);
    assert_eq!(other.key, Path::new("/b.key"));
    assert!(config.tls.allow_plaintext, "imap is on loopback");
    assert_eq!(config.proxy.unwrap().imaps.len(), 1);
    assert!(config.warnings.is_empty());
}

#[test]
fn imaps_may_be_alone() {
    let text = with("", FILES).replace("imap = [", "imaps = [");
    let proxy = parse(&text, base()).unwrap().proxy.unwrap();
    assert!(proxy.imap.is_empty() && proxy.imaps.len() == 1);
}

#[test]
fn plaintext_is_allowed_on_loopback_alone() {
    for (listeners, tls, allowed, warnings) in [
        ("[\"127.0.0.1:143\", \"/run/imap\"]", "", true, 0),
        ("[\"127.0.0.1:143\"]", "allow_plaintext = false\n", false, 0),
        ("[\"127.0.0.1:143\", \"192.0.2.1:143\"]", "", false, 0),
        ("[\"[::]:143\"]", "allow_plaintext = true\n", true, 1),
    ] {
        let config = on(listeners, &format!("{tls}{FILES}")).unwrap();
        assert_eq!(config.tls.allow_plaintext, allowed, "{listeners}");
        assert_eq!(config.warnings().len(), warnings, "{listeners}");
    }
    for (listeners, tls) in [
        ("[\"192.0.2.1:143\"]", ""),
        ("[\"127.0.0.1:143\"]", "allow_plaintext = false"),
    ] {
        let said = on(listeners, tls).unwrap_err().to_string();
        assert!(said.contains("nobody could log in on proxy.imap"), "{said}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (proxy, tls, want) in [
        ("", "key = \"k\"", "tls.key wants a certificate beside it"),
        ("", "certificate = \"c\"", "tls.certificate wants a key"),
        (
            "imaps = [\"127.0.0.1:993\"]",
            "",
            "proxy.imaps needs [tls] certificate",
        ),
        ("imaps = []", FILES, "proxy.imaps is an empty list"),
        (
            "imaps = [\"127.0.0.42:1143\"]",
            FILES,
            "which proxy.imap has too",
        ),
        ("", "sni = 7", "tls.sni wants an array"),
        (
            "",
            "sni = [7]",
            "tls.sni wants tables, [[sni]], not an integer",
        ),
        (
            "",
            "[[tls.sni]]\nnames = [\"a\"]",
            "tls.sni.certificate is missing",
        ),
        (
            "",
            "[[tls.sni]]\nnames = [\"a\"]",
            "tls.sni needs tls.certificate",
        ),
        (
            "",
            "[[tls.sni]]\ncertificate = \"c\"",
            "tls.sni.names is missing",
        ),
        (
            "",
            "[[tls.sni]]\nnames = [\"*\"]",
            "wants a host name such as",
        ),
        (
            "",
            "[[tls.sni]]\nname = \"a\"",
            "unknown key `tls.sni.name`",
        ),
    ] {
        let said = refused(&with(proxy, tls));
        assert!(said.contains(want), "{said}\n  wanted: {want}");
    }
}

#[test]
fn tls_towards_others() {
    let text = frontend(
        "",
        "",
        "",
        "tls = \"implicit\"\ntls_ca = \"ca.pem\"",
        "tls = \"starttls\"\ntls_verify = false",
    );
    let config = parse(&text, base()).unwrap();
    let upstream = &config.proxy.as_ref().unwrap().upstream;
    assert_eq!(upstream.tls.mode, TlsMode::Implicit);
    assert_eq!(
        upstream.tls.ca.as_deref(),
        Some(Path::new("/etc/ravenry/ca.pem"))
    );
    assert!(upstream.tls.verify);
    assert_eq!(upstream.imap("b1").to_string(), "b1:993");
    let master = &config.mupdate_client.as_ref().unwrap().tls;
    assert_eq!((master.mode, master.verify), (TlsMode::StartTls, false));
    let warned = config.warnings().join("\n");
    assert!(
        warned.contains("mupdate.client.tls_verify is false"),
        "{warned}"
    );
    let off = parse(&frontend("", "", "", "", ""), base()).unwrap();
    assert_eq!(off.proxy.unwrap().upstream.tls.mode, TlsMode::Off);
    assert!(
        refused(&frontend("", "", "", "tls = true", "")).contains("upstream.tls wants a string")
    );
}

#[test]
fn a_key_that_everybody_can_read_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    let key = directory.path().join("key.pem");
    fs::write(&key, "").unwrap();
    for (mode, warnings) in [(0o644, 1), (0o640, 0)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let config = parse(&with("", FILES), directory.path()).unwrap();
        assert_eq!(config.warnings().len(), warnings, "{:?}", config.warnings());
    }
}
