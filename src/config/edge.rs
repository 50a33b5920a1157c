//! What did the operator choose about who may ask, how often, and from which pages? Sections `[limits]` and `[cors]`, and what
//! `[server]` says about proxies.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, Server};
use crate::addresses::Networks;
use crate::limits;

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    pub on: bool,
    pub uncounted_addresses: String,
    pub auth_per_address: String,
    pub session_per_address: String,
    pub stream_per_address: String,
    pub read_per_address: String,
    pub command_per_address: String,
    pub read_per_account: String,
    pub command_per_account: String,
    pub place_per_account: String,
    pub feed_per_account: String,
}

/// `burst` at once, and then `number` in each `period`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub burst: u32,
    pub number: u32,
    pub period: Duration,
}

impl Limits {
    pub fn uncounted(&self) -> Result<Networks, ConfigError> {
        networks("limits.uncounted_addresses", &self.uncounted_addresses)
    }

    /// The limit of that name, written as in `RateLimit`. `None`: there is none.
    pub fn rate(&self, name: &str) -> Result<Option<Rate>, ConfigError> {
        let text = match name {
            _ if !self.on => return Ok(None),
            "auth-per-address" => &self.auth_per_address,
            "session-per-address" => &self.session_per_address,
            "stream-per-address" => &self.stream_per_address,
            "read-per-address" => &self.read_per_address,
            "command-per-address" => &self.command_per_address,
            "read-per-account" => &self.read_per_account,
            "command-per-account" => &self.command_per_account,
            "place-per-account" => &self.place_per_account,
            "feed-per-account" => &self.feed_per_account,
            _ => return Ok(None),
        };
        let key = format!("limits.{}", name.replace('-', "_"));
        let wrong = || {
            let example = "must be empty, or so many at once and then so many in a time, for example \"20 then 1/2s\"";
            ConfigError::new(key, format!("{example}; up to {} and a day", limits::THROTTLE_RATE))
        };
        rate(text).ok_or_else(wrong)
    }

    pub(super) fn checked(&self) -> Result<(), ConfigError> {
        let all = Self { on: true, ..self.clone() };
        for name in NAMES {
            all.rate(name)?;
        }
        self.uncounted().map(drop)
    }
}

const NAMES: [&str; 9] = [
    "auth-per-address",
    "session-per-address",
    "stream-per-address",
    "read-per-address",
    "command-per-address",
    "read-per-account",
    "command-per-account",
    "place-per-account",
    "feed-per-account",
];

/// `"20 then 1/2s"`; the outer `None`: it is nothing of the kind.
fn rate(text: &str) -> Option<Option<Rate>> {
    let text = text.trim();
    if text.is_empty() || text == "0" {
        return Some(None);
    }
    let (burst, rest) = text.split_once(" then ")?;
    let (number, period) = rest.trim().split_once('/')?;
    let unit = period.trim().strip_suffix(['s', 'm', 'h'])?;
    let seconds = match period.trim().chars().last()? {
        's' => 1,
        'm' => 60,
        _ => 3_600,
    };
    let count: u64 = if unit.is_empty() { 1 } else { unit.parse().ok()? };
    let period = count.checked_mul(seconds).filter(|period| (1..=limits::THROTTLE_SECONDS).contains(period))?;
    let burst = burst.trim().parse().ok().filter(|burst| (1..=limits::THROTTLE_BURST).contains(burst))?;
    let number = number.trim().parse().ok().filter(|number| (1..=limits::THROTTLE_RATE).contains(number))?;
    Some(Some(Rate { burst, number, period: Duration::from_secs(period) }))
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Cors {
    pub origins: String,
    pub credentials: bool,
    pub max_age_seconds: u64,
}

impl Cors {
    pub fn origins(&self) -> impl Iterator<Item = &str> {
        self.origins.split(',').map(str::trim).filter(|word| !word.is_empty())
    }

    pub(super) fn checked(&self) -> Result<(), ConfigError> {
        let wrong = |key: &str, problem: &str| Err(ConfigError::new(key, problem));
        let any = self.origins().any(|origin| origin == "*");
        if any && (self.credentials || self.origins().count() > 1) {
            return wrong("cors.origins", "\"*\" stands alone, and never with cors.credentials");
        }
        if !any && !self.origins().all(is_origin) || self.origins().count() > limits::ORIGINS {
            return wrong(
                "cors.origins",
                "must be origins as browsers send them, for example https://shop.example:8443",
            );
        }
        if self.max_age_seconds > limits::PREFLIGHT_SECONDS_MAX {
            return wrong("cors.max_age_seconds", &format!("must be 0 to {}", limits::PREFLIGHT_SECONDS_MAX));
        }
        Ok(())
    }
}

/// Scheme, host and port as in the header `Origin`: in small letters, without path, without the port that goes without saying.
fn is_origin(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once("://") else { return false };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (rest, None),
    };
    let usual = if scheme == "https" { 443 } else { 80 };
    let port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number != usual && number > 0));
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || ".-_[]:".contains(c);
    ["http", "https"].contains(&scheme) && !host.is_empty() && host.chars().all(letters) && port
}

impl Server {
    pub fn proxies(&self) -> Result<Networks, ConfigError> {
        networks("server.trusted_proxies", &self.trusted_proxies)
    }

    /// The origin of our own pages, where it is known. `None`: whatever `Host` says.
    #[must_use]
    pub fn origin(&self) -> Option<&str> {
        let origin = self.public_url.trim_end_matches('/');
        (!origin.is_empty()).then_some(origin)
    }

    pub(super) fn edge_checked(&self) -> Result<(), ConfigError> {
        self.proxies()?;
        if !self.origin().is_none_or(is_origin) {
            let example = "must be the address of our own pages without a path, for example https://tickets.example";
            return Err(ConfigError::new("server.public_url", example));
        }
        if self.hsts_seconds > limits::HSTS_SECONDS_MAX {
            let most = format!("must be 0 to {}", limits::HSTS_SECONDS_MAX);
            return Err(ConfigError::new("server.hsts_seconds", most));
        }
        Ok(())
    }
}

/// The header in which our own proxies say where a request came from. Only one of them is believed: the other one would be
/// handed through as the client wrote it.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Forwarding {
    XForwardedFor,
    Forwarded,
}

/// The networks of an option.
pub(super) fn networks(key: &str, text: &str) -> Result<Networks, ConfigError> {
    Networks::parse(text).ok_or_else(|| {
        let example = "must be addresses or networks, separated by commas, for example 127.0.0.0/8, ::1";
        ConfigError::new(key, example)
    })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn with(key: &str, value: &str) -> Result<Config, String> {
        let variable = (format!("ONSALE_{}", key.to_uppercase().replace('.', "__")), value.to_owned());
        Config::from_parts(None, vec![variable], &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn rates_are_words_that_people_can_read() {
        let of = |burst, number, seconds| Some(Rate { burst, number, period: Duration::from_secs(seconds) });
        let table = [
            ("20 then 1/2s", of(20, 1, 2)),
            ("4000 then 2000/s", of(4_000, 2_000, 1)),
            ("5 then 10 / 15m", of(5, 10, 900)),
            ("1 then 1/24h", of(1, 1, 86_400)),
            ("0", None),
            ("", None),
        ];
        for (text, expected) in table {
            let config = with("limits.place_per_account", text).expect(text);
            assert_eq!(config.limits.rate("place-per-account"), Ok(expected), "{text}");
        }
        for junk in [
            "20",
            "20 then",
            "20 then 1",
            "0 then 1/s",
            "1 then 0/s",
            "1 then 1/0s",
            "1 then 1/d",
            "1 then 1/25h",
            "-1 then 1/s",
            "1000001 then 1/s",
        ] {
            let error = with("limits.place_per_account", junk).expect_err(junk);
            assert!(error.starts_with("limits.place_per_account: must be empty, or so many"), "{error}");
        }
        let off = with("limits.on", "false").expect("a switch");
        assert_eq!(off.limits.rate("place-per-account"), Ok(None));
    }

    #[test]
    fn every_limit_of_the_throttle_can_be_chosen() {
        let config = Config::from_parts(None, Vec::new(), &[]).expect("the defaults");
        for class in crate::throttle::Class::ALL {
            assert!(config.limits.rate(class.name()).is_ok_and(|rate| rate.is_some()), "{class:?}");
            assert!(NAMES.contains(&class.name()), "{class:?} is checked at start");
        }
    }

    #[test]
    fn origins_are_exact_and_any_goes_without_credentials() {
        for sound in ["", "*", "https://a.example", "https://a.example, http://localhost:3000", "http://[::1]:80800"] {
            let judged = with("cors.origins", sound);
            assert_eq!(judged.is_ok(), !sound.contains("80800"), "{sound}");
        }
        for junk in [
            "a.example",
            "https://a.example/",
            "https://A.example",
            "https://a.example:443",
            "http://a.example:80",
            "https://",
            "ftp://a.example",
            "https://a.example b",
            "*, https://a.example",
            "null",
        ] {
            let error = with("cors.origins", junk).expect_err(junk);
            assert!(error.starts_with("cors.origins: ") && !error.contains("a.example b"), "{error}");
        }
        let both = [("ONSALE_CORS__ORIGINS", "*"), ("ONSALE_CORS__CREDENTIALS", "true")];
        let both = both.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        assert!(Config::from_parts(None, both, &[]).is_err());
    }

    #[test]
    fn the_rest_of_the_edge_is_checked() {
        let table = [
            ("server.trusted_proxies", "10.0.0.0/8, ::1", None),
            ("server.trusted_proxies", "proxy", Some("server.trusted_proxies: must be addresses or networks")),
            ("server.forwarded_header", "forwarded", None),
            ("server.forwarded_header", "x-real-ip", Some("server.forwarded_header: has a value that")),
            ("server.public_url", "https://tickets.example/", None),
            ("server.public_url", "tickets.example", Some("server.public_url: must be the address")),
            ("server.hsts_seconds", "31536000", None),
            ("server.hsts_seconds", "999999999", Some("server.hsts_seconds: must be 0 to")),
            ("cors.max_age_seconds", "86401", Some("cors.max_age_seconds: must be 0 to 86400")),
            ("limits.uncounted_addresses", "x", Some("limits.uncounted_addresses: must be addresses")),
        ];
        for (key, value, expected) in table {
            let error = with(key, value).err();
            let fits = match (&error, expected) {
                (None, None) => true,
                (Some(error), Some(start)) => error.starts_with(start),
                _ => false,
            };
            assert!(fits, "{key} = {value}: {error:?}");
        }
    }
}
