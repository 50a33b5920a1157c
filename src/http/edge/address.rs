//! Where does a request come from? From the other end of its connection, unless that is a proxy of our own: then from where
//! the proxies say, as far as they can be believed.
//!
//! A proxy writes down whom it heard, behind whatever the client wrote there before. So the list is read from its end: as long
//! as the one who speaks is ours, the one it names is true. What follows from an address is not known here.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName};

use crate::addresses::Networks;
use crate::limits;

/// The header that the proxies write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    XForwardedFor,
    Forwarded,
}

/// The client's address: the first from the end of the way that is none of ours, or the last of which we know.
pub fn client(peer: IpAddr, headers: &HeaderMap, trusted: &Networks, by: Forwarding) -> IpAddr {
    let mut known = peer.to_canonical();
    if trusted.is_empty() || !trusted.contains(known) {
        return known;
    }
    let name = match by {
        Forwarding::XForwardedFor => HeaderName::from_static("x-forwarded-for"),
        Forwarding::Forwarded => http::header::FORWARDED,
    };
    let mut lines = headers.get_all(name).iter().rev();
    let hops = std::iter::from_fn(|| Some(backwards(lines.next()?.to_str().unwrap_or("?")))).flatten();
    for hop in hops.take(limits::PROXIES) {
        let address = match by {
            Forwarding::XForwardedFor => address(hop),
            Forwarding::Forwarded => forwarded_for(hop).and_then(address),
        };
        let Some(address) = address else { return known };
        known = address.to_canonical();
        if !trusted.contains(known) {
            return known;
        }
    }
    known
}

/// The parts of a list between its commas, the last one first. A comma within quotes is none, also when it is looked at from
/// behind: what a client leaves open does not reach into what a proxy wrote after it.
fn backwards(line: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let line = rest?;
        let mut quoted = false;
        let comma = line.bytes().rposition(|byte| {
            quoted ^= byte == b'"';
            byte == b',' && !quoted
        });
        let (before, part) = comma.map_or((None, line), |at| (Some(&line[..at]), &line[at + 1..]));
        rest = before;
        Some(part.trim())
    })
}

/// The value of `for` in an element of `Forwarded`: `for="[2001:db8::1]:4711";proto=https`.
fn forwarded_for(element: &str) -> Option<&str> {
    let mut named = element.split(';').filter_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        name.eq_ignore_ascii_case("for").then_some(value)
    });
    let (value, None) = (named.next()?, named.next()) else { return None };
    match value.strip_prefix('"') {
        Some(rest) => rest.strip_suffix('"'),
        None => Some(value),
    }
}

/// With or without a port, and IPv6 with or without brackets.
fn address(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(address);
    }
    if let Ok(both) = text.parse::<SocketAddr>() {
        return Some(both.ip());
    }
    text.strip_prefix('[')?.strip_suffix(']')?.parse::<std::net::Ipv6Addr>().ok().map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    const TRUSTED: &str = "10.0.0.0/8, 2001:db8:ffff::/48";

    fn judge(peer: &str, by: Forwarding, name: &'static str, lines: &[&str]) -> String {
        let trusted = Networks::parse(TRUSTED).expect("networks");
        let mut headers = HeaderMap::new();
        for line in lines {
            let value = HeaderValue::from_bytes(line.as_bytes()).expect("a header");
            headers.append(HeaderName::from_static(name), value);
        }
        client(peer.parse().expect("an address"), &headers, &trusted, by).to_string()
    }

    #[test]
    fn only_our_own_proxies_are_believed() {
        let table: [(&str, &[&str], &str); 16] = [
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            // What the client itself wrote stands to the left.
            ("10.0.0.1", &["192.0.2.66, 198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.66", "198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.66", "198.51.100.1, 10.2.0.1"], "198.51.100.1"),
            // A way of ours all along begins where it begins.
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            // Junk ends the walk at the last one who is known.
            ("10.0.0.1", &["198.51.100.1, junk, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["junk"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1,"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1", "\u{ff}"], "10.0.0.1"),
            ("10.0.0.1", &["198.51.100.1:5000"], "198.51.100.1"),
            ("10.0.0.1", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("2001:db8:ffff::7", &["2001:db8::1"], "2001:db8::1"),
            ("10.0.0.1", &["::ffff:198.51.100.1"], "198.51.100.1"),
        ];
        for (peer, lines, expected) in table {
            assert_eq!(judge(peer, Forwarding::XForwardedFor, "x-forwarded-for", lines), expected, "{peer} {lines:?}");
        }
        let far = vec!["10.0.0.9"; limits::PROXIES + 5].join(",");
        let lines = format!("198.51.100.1,{far}");
        assert_eq!(judge("10.0.0.1", Forwarding::XForwardedFor, "x-forwarded-for", &[&lines]), "10.0.0.9");
    }

    #[test]
    fn forwarded_is_read_as_rfc_7239_has_it() {
        let table: [(&[&str], &str); 11] = [
            (&["for=198.51.100.1"], "198.51.100.1"),
            (&["For=\"198.51.100.1:80\";proto=https;by=10.0.0.1"], "198.51.100.1"),
            (&["for=192.0.2.66, for=\"[2001:db8::1]:4711\", for=10.0.0.2"], "2001:db8::1"),
            (&["for=\"[2001:db8::1]\""], "2001:db8::1"),
            (&["for=198.51.100.1;secret=\"a, for=192.0.2.66\""], "198.51.100.1"),
            // What a client leaves open hides nothing.
            (&["for=\", for=198.51.100.1"], "198.51.100.1"),
            (&["for=\"", "for=198.51.100.1"], "198.51.100.1"),
            (&["for=unknown, for=10.0.0.2"], "10.0.0.2"),
            (&["for=_hidden"], "10.0.0.1"),
            (&["for=192.0.2.66;for=198.51.100.1"], "10.0.0.1"),
            (&["198.51.100.1"], "10.0.0.1"),
        ];
        for (lines, expected) in table {
            assert_eq!(judge("10.0.0.1", Forwarding::Forwarded, "forwarded", lines), expected, "{lines:?}");
        }
        let other = judge("10.0.0.1", Forwarding::Forwarded, "x-forwarded-for", &["198.51.100.1"]);
        assert_eq!(other, "10.0.0.1", "a header that the proxies do not write is the client's own");
    }

    proptest! {
        /// Whatever a client writes, what our proxy appends to it is what counts.
        #[test]
        fn nobody_can_write_past_a_proxy(written in "[ -~]{0,60}", apart in any::<bool>()) {
            let trusted = Networks::parse(TRUSTED).expect("networks");
            for (by, name, told) in [
                (Forwarding::XForwardedFor, "x-forwarded-for", "198.51.100.1"),
                (Forwarding::Forwarded, "forwarded", "for=198.51.100.1"),
            ] {
                let lines = if apart { vec![written.clone(), told.to_owned()] } else { vec![format!("{written}, {told}")] };
                let mut headers = HeaderMap::new();
                for line in &lines {
                    headers.append(HeaderName::from_static(name), HeaderValue::from_str(line).expect("ASCII"));
                }
                let found = client(IpAddr::from([10, 0, 0, 1]), &headers, &trusted, by);
                prop_assert_eq!(found, IpAddr::from([198, 51, 100, 1]));
            }
        }
    }
}
