//! A network, as `[limits] trusted` names it: `192.0.2.0/24`, `2001:db8::/32`, or one address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IP network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    ip: IpAddr,
    prefix: u32,
}

impl Network {
    /// This host, for itself.
    #[must_use]
    pub fn loopback() -> [Self; 2] {
        let network = |ip, prefix| Self { ip, prefix };
        [
            network(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8),
            network(IpAddr::V6(Ipv6Addr::LOCALHOST), u128::BITS),
        ]
    }

    /// Whether an address is in it. An IPv4 address that came over an IPv6 socket is IPv4.
    #[must_use]
    pub fn contains(&self, ip: IpAddr) -> bool {
        let (own, width) = bits(self.ip);
        let (other, other_width) = bits(ip.to_canonical());
        width == other_width && masked(own, self.prefix, width) == masked(other, self.prefix, width)
    }
}

/// The address as a number, and of how many bits.
fn bits(ip: IpAddr) -> (u128, u32) {
    match ip {
        IpAddr::V4(v4) => (v4.to_bits().into(), u32::BITS),
        IpAddr::V6(v6) => (v6.to_bits(), u128::BITS),
    }
}

fn masked(bits: u128, prefix: u32, width: u32) -> u128 {
    bits.checked_shr(width - prefix).unwrap_or(0)
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wants =
            || format!("wants \"192.0.2.0/24\", \"2001:db8::/32\" or an address, not {text:?}");
        let (ip, prefix) = match text.split_once('/') {
            Some((ip, prefix)) => (ip, Some(prefix)),
            None => (text, None),
        };
        let ip = ip.parse::<IpAddr>().map_err(|_| wants())?;
        let (own, width) = bits(ip);
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= width),
            None => Some(width),
        };
        let prefix = prefix.ok_or_else(wants)?;
        let zeroes = width - prefix;
        let network = masked(own, prefix, width).checked_shl(zeroes).unwrap_or(0);
        if network != own {
            return Err(format!("{text:?} has bits set beyond its prefix"));
        }
        Ok(Self { ip, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ip, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contains(network: &str, ip: &str) -> bool {
        let network: Network = network.parse().unwrap();
        network.contains(ip.parse().unwrap())
    }

    #[test]
    fn what_is_in_a_network() {
        let loopback = Network::loopback().map(|network| network.to_string());
        assert_eq!(loopback, ["127.0.0.0/8", "::1/128"]);
        assert!(contains("127.0.0.0/8", "127.255.0.1"));
        assert!(contains("127.0.0.0/8", "::ffff:127.0.0.1"));
        assert!(!contains("127.0.0.0/8", "128.0.0.1"));
        assert!(contains("192.0.2.7", "192.0.2.7") && !contains("192.0.2.7", "192.0.2.6"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("2001:db8::/33", "2001:db8:7fff::1"));
        assert!(!contains("2001:db8::/33", "2001:db8:8000::1"));
        assert!(contains("::/0", "fe80::1") && contains("::1", "::1"));
    }

    #[test]
    fn what_is_no_network() {
        for bad in [
            "",
            "localhost",
            "192.0.2.0/33",
            "192.0.2.0/",
            "192.0.2.1/24",
            "::1/64",
            "/8",
            "1.2.3/8",
            "192.0.2.0/-1",
        ] {
            let why = bad.parse::<Network>().unwrap_err();
            assert!(why.contains(bad), "{why}");
        }
    }
}
