//! Whoever is no client of ours, known by the first bytes.

/// Whether a client's first bytes belong to another protocol: TLS, or HTTP from a browser that was
/// sent here to make this server carry out its lines (the cross-protocol attack).
#[must_use]
pub fn is_foreign(bytes: &[u8]) -> bool {
    const METHODS: [&[u8]; 7] = [
        b"GET /",
        b"POST /",
        b"HEAD /",
        b"PUT /",
        b"DELETE /",
        b"OPTIONS ",
        b"CONNECT ",
    ];
    let binary = |byte: &u8| !byte.is_ascii_graphic() && !byte.is_ascii_whitespace();
    bytes.first().is_some_and(binary) || METHODS.iter().any(|method| bytes.starts_with(method))
}

#[cfg(test)]
mod tests {
    use super::is_foreign;

    #[test]
    fn strangers_are_known_by_their_first_bytes() {
        for bytes in [
            &b"\x16\x03\x01\x02\0"[..],
            b"\0",
            b"\x80\x2e",
            b"GET / HTTP/1.1\r\n",
            b"POST /x",
        ] {
            assert!(is_foreign(bytes), "{bytes:?}");
        }
        for bytes in [
            &b""[..],
            b"a1 CAPABILITY\r\n",
            b"\r\n",
            b"GET SELECT x\r\n",
            b"GETX",
            b"* BAD",
        ] {
            assert!(!is_foreign(bytes), "{bytes:?}");
        }
    }
}
