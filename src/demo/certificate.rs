//! A certificate that has signed itself (X.509 v3, RFC 5280), for localhost, with a P-256 key: some DER (X.690) by hand, since
//! ring, which makes the key and signs, is here anyway, and what writes certificates would bring a dozen crates.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ravenry_core::rt;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

use super::calendar::{DAY_SECONDS, Moment};

/// From the day before (whose clock goes behind?) for so long.
const DAYS: i64 = 365;

/// The certificate and its key, both DER.
pub(super) struct Certificate {
    pub(super) certificate: Vec<u8>,
    /// PKCS #8.
    pub(super) key: Vec<u8>,
}

impl Certificate {
    /// For localhost and 127.0.0.1.
    pub(super) fn make() -> Result<Self, String> {
        let failed = |_unspecified| "can't make a key for the certificate".to_owned();
        let (random, algorithm) = (SystemRandom::new(), &ECDSA_P256_SHA256_ASN1_SIGNING);
        let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random)
            .map_err(|error| format!("can't use the certificate's key: {error}"))?;
        let content = content(pair.public_key().as_ref());
        let signature = pair.sign(&random, &content).map_err(failed)?;
        let parts = [content, algorithm_ecdsa(), bits(signature.as_ref())];
        Ok(Self {
            certificate: tlv(SEQUENCE, &parts.concat()),
            key: key.as_ref().to_vec(),
        })
    }

    pub(super) fn certificate_pem(&self) -> String {
        pem("CERTIFICATE", &self.certificate)
    }

    pub(super) fn key_pem(&self) -> String {
        pem("PRIVATE KEY", &self.key)
    }
}

const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const UTC_TIME: u8 = 0x17;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
/// `[n]` in a context: of parts, and of bytes.
const PARTS: u8 = 0xa0;
const BYTES: u8 = 0x80;

const COMMON_NAME: &[u8] = &[0x55, 4, 3];
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 29, 17];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ECDSA_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];

/// TBSCertificate (RFC 5280 section 4.1).
fn content(public_key: &[u8]) -> Vec<u8> {
    let now = Moment::of(rt::wall_clock()).seconds;
    let times = [now - DAY_SECONDS, now + DAYS * DAY_SECONDS];
    let validity = times.map(|seconds| tlv(UTC_TIME, Moment { seconds }.utc_time().as_bytes()));
    let name = [tlv(OBJECT, COMMON_NAME), tlv(UTF8, b"ravenry demo")].concat();
    let name = tlv(SEQUENCE, &tlv(SET, &tlv(SEQUENCE, &name)));
    let key = [tlv(OBJECT, EC_PUBLIC_KEY), tlv(OBJECT, P256)].concat();
    let key = [tlv(SEQUENCE, &key), bits(public_key)].concat();
    let names = [
        tlv(BYTES | 2, b"localhost"),
        tlv(BYTES | 7, &[127, 0, 0, 1]),
    ];
    let names = tlv(OCTETS, &tlv(SEQUENCE, &names.concat()));
    let extension = [tlv(OBJECT, SUBJECT_ALT_NAME), names].concat();
    let extensions = tlv(SEQUENCE, &tlv(SEQUENCE, &extension));
    let serial = rt::random::u64() >> 1 | 1 << 62;
    let parts = [
        tlv(PARTS, &tlv(INTEGER, &[2])),
        tlv(INTEGER, &serial.to_be_bytes()),
        algorithm_ecdsa(),
        name.clone(),
        tlv(SEQUENCE, &validity.concat()),
        name,
        tlv(SEQUENCE, &key),
        tlv(PARTS | 3, &extensions),
    ];
    tlv(SEQUENCE, &parts.concat())
}

fn algorithm_ecdsa() -> Vec<u8> {
    tlv(SEQUENCE, &tlv(OBJECT, ECDSA_SHA256))
}

/// A bit string of whole bytes.
fn bits(bytes: &[u8]) -> Vec<u8> {
    tlv(BITS, &[&[0], bytes].concat())
}

/// A tag, a length, a value.
fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("invariant: a certificate is small");
    let [high, low] = length.to_be_bytes();
    let head: &[u8] = match length {
        0..0x80 => &[tag, low],
        0x80..0x100 => &[tag, 0x81, low],
        0x100.. => &[tag, 0x82, high, low],
    };
    [head, value].concat()
}

/// RFC 7468.
fn pem(what: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines = text.as_bytes().chunks(64).map(String::from_utf8_lossy);
    let lines: Vec<_> = lines.collect();
    let lines = lines.join("\n");
    format!("-----BEGIN {what}-----\n{lines}\n-----END {what}-----\n")
}
