//! `[tls]`, what follows from it for the listeners, and the TLS keys of our connections to others.

use toml::de::DeValue;

use super::Context;
use crate::config::endpoint::is_host_name;
use crate::config::reader::Table;
use crate::config::{Backend, Certificate, MupdateServer, Proxy, Tls, TlsClient, TlsMode, value};
use crate::limits;
use crate::rt::Address;

/// `[tls]` as it is written.
#[derive(Default)]
pub(super) struct Written {
    certificates: Vec<Certificate>,
    allow_plaintext: Option<bool>,
}

pub(super) fn written(context: &mut Context<'_>, mut t: Table<'_>) -> Written {
    let allow_plaintext = t.get("allow_plaintext", value::boolean);
    let mut certificates = Vec::new();
    certificates.extend(certificate(context, &mut t, Vec::new()));
    for mut t in t.tables("sni", limits::CERTIFICATES_MAX) {
        let names = t.list("names", limits::CERTIFICATES_MAX, sni_name);
        if !t.has("names") {
            t.fail("tls.sni.names is missing".to_owned());
        }
        certificates.extend(certificate(context, &mut t, names.unwrap_or_default()));
        for key in ["certificate", "key"] {
            if !t.has(key) {
                t.fail(format!("tls.sni.{key} is missing"));
            }
        }
        t.finish();
    }
    if t.has("sni") && !t.has("certificate") {
        t.fail("tls.sni needs tls.certificate: for clients that name no host".to_owned());
    }
    t.finish();
    Written {
        certificates,
        allow_plaintext,
    }
}

/// `certificate` and `key`: both or none.
fn certificate(
    context: &mut Context<'_>,
    t: &mut Table<'_>,
    names: Vec<String>,
) -> Option<Certificate> {
    let mut file = |key| t.get(key, value::path).map(|path| context.base.join(path));
    let (chain, key) = (file("certificate"), file("key"));
    for (given, wanted) in [("certificate", "key"), ("key", "certificate")] {
        if t.has(given) && !t.has(wanted) {
            t.fail_key(given, &format!("wants a {wanted} beside it"));
        }
    }
    let (chain, key) = (chain?, key?);
    context.warn_if_open(&key, "a private key");
    Some(Certificate { names, chain, key })
}

/// A host name, or `*.` and one; in lower case.
fn sni_name(value: &DeValue<'_>) -> Result<String, String> {
    let name = value::string(value)?;
    if is_host_name(name.strip_prefix("*.").unwrap_or(&name)) {
        return Ok(name.to_ascii_lowercase());
    }
    Err(format!(
        "wants a host name such as \"imap.example.org\" or \"*.example.org\", not {name:?}"
    ))
}

/// What `[tls]` comes to with these listeners.
pub(super) fn settle(
    context: &mut Context<'_>,
    t: &Table<'_>,
    written: Written,
    (proxy, backend, mupdate): (Option<&Proxy>, Option<&Backend>, Option<&MupdateServer>),
) -> Tls {
    let imap = proxy.into_iter().flat_map(|proxy| &proxy.imap);
    let stored = backend.into_iter().flat_map(|backend| &backend.imap);
    let delivered = backend.into_iter().flat_map(|backend| &backend.lmtp);
    let listen = mupdate.into_iter().flat_map(|server| &server.listen);
    let plain: Vec<_> = imap
        .map(|address| ("proxy.imap", address))
        .chain(stored.map(|address| ("backend.imap", address)))
        .chain(delivered.map(|address| ("backend.lmtp", address)))
        .chain(listen.map(|address| ("mupdate.server.listen", address)))
        .collect();
    let open: Vec<_> = plain
        .iter()
        .filter(|(_, address)| is_open(address))
        .collect();
    let allowed = written.allow_plaintext.unwrap_or(open.is_empty());
    if written.certificates.is_empty() {
        let implicit = [
            ("proxy.imaps", proxy.map(|proxy| &proxy.imaps)),
            ("backend.imaps", backend.map(|backend| &backend.imaps)),
        ];
        let wanting = implicit
            .iter()
            .find(|(_, addresses)| addresses.is_some_and(|addresses| !addresses.is_empty()));
        if let Some((key, _)) = wanting {
            t.fail(format!("{key} needs [tls] certificate and key"));
        } else if let (false, Some((key, first))) =
            (allowed, open.first().copied().or_else(|| plain.first()))
        {
            t.fail(format!(
                "nobody could log in on {key} = {first}: without TLS a listener takes no \
                 passwords unless all of them are on loopback. Add [tls] certificate and key, or \
                 set tls.allow_plaintext = true where the network is trusted"
            ));
        }
    }
    if allowed {
        for (key, address) in open {
            context.warnings.push(format!(
                "{key} = {address} can be reached from other hosts and tls.allow_plaintext \
                 is true: passwords and mail may cross the network in clear"
            ));
        }
    }
    Tls {
        certificates: written.certificates,
        allow_plaintext: allowed,
    }
}

/// Other hosts reach it.
fn is_open(address: &Address) -> bool {
    match address {
        Address::Tcp(socket) => !socket.ip().to_canonical().is_loopback(),
        Address::Unix(_) => false,
    }
}

/// `tls`, `tls_ca` and `tls_verify` of a section that connects to others.
pub(super) fn client(context: &mut Context<'_>, t: &mut Table<'_>) -> TlsClient {
    let mode = t.get("tls", value::choice(MODES)).unwrap_or(TlsMode::Off);
    let ca = t
        .get("tls_ca", value::path)
        .map(|path| context.base.join(path));
    let verify = t.get("tls_verify", value::boolean).unwrap_or(true);
    if mode != TlsMode::Off && !verify {
        let path = t.path();
        context.warnings.push(format!(
            "{path}.tls_verify is false: whoever stands between can read along, and take the \
             password"
        ));
    }
    TlsClient { mode, ca, verify }
}

const MODES: &[(&str, TlsMode)] = &[
    ("off", TlsMode::Off),
    ("starttls", TlsMode::StartTls),
    ("implicit", TlsMode::Implicit),
];
