//! Which addresses are one client, and which belong to a network? Pure; whose addresses they are is not known here.

use std::net::IpAddr;

/// What counts as one address: in IPv6 a customer has a whole /64.
#[must_use]
pub fn neighbourhood(address: IpAddr) -> u128 {
    match address.to_canonical() {
        IpAddr::V4(address) => u128::from(address.to_ipv6_mapped()),
        IpAddr::V6(address) => u128::from(address) >> 64 << 64,
    }
}

/// Networks, each with the bits that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<(IpAddr, u8)>);

impl Networks {
    /// Addresses and networks, separated by commas; `None`: one of them is neither.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
        words.map(network).collect::<Option<_>>().map(Self)
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(network, bits)| match (network, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                (u32::from(*network) ^ u32::from(address)).leading_zeros() >= u32::from(*bits)
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                (u128::from(*network) ^ u128::from(address)).leading_zeros() >= u32::from(*bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        })
    }
}

fn network(word: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = word.split_once('/').map_or((word, None), |(address, bits)| (address, Some(bits)));
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
    (bits <= most).then_some((address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn an_ipv6_customer_is_one_client() {
        let table = [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", false),
            ("198.51.100.1", "198.51.100.2", false),
            ("::ffff:198.51.100.1", "198.51.100.1", true),
        ];
        for (a, b, same) in table {
            assert_eq!(neighbourhood(ip(a)) == neighbourhood(ip(b)), same, "{a} {b}");
        }
    }

    #[test]
    fn networks_hold_what_their_bits_say() {
        let networks = Networks::parse("10.1.0.0/16, 2001:db8::/32 ,192.0.2.1,").expect("networks");
        let table = [
            ("10.1.255.255", true),
            ("10.2.0.0", false),
            ("::ffff:10.1.0.1", true),
            ("192.0.2.1", true),
            ("192.0.2.2", false),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
        ];
        for (address, within) in table {
            assert_eq!(networks.contains(ip(address)), within, "{address}");
        }
        assert!(Networks::parse("0.0.0.0/0").is_some_and(|all| all.contains(ip("203.0.113.9"))));
        assert!(Networks::parse(" , ").is_some_and(|none| none.is_empty()));
        for junk in ["localhost", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0 10.0.0.1"] {
            assert_eq!(Networks::parse(junk), None, "{junk}");
        }
    }
}
