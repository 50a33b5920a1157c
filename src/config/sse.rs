//! What did the operator choose about streams? Section `[sse]`.

use std::time::Duration;

use serde::Deserialize;

use super::{ConfigError, networks};
use crate::addresses::Networks;
use crate::limits;

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Sse {
    pub max_per_node: usize,
    pub max_per_account: usize,
    pub max_per_address: usize,
    pub uncounted_addresses: String,
    pub stalled_seconds: u64,
    pub store_resume_seconds: u64,
}

impl Sse {
    #[must_use]
    pub fn stalled(&self) -> Duration {
        Duration::from_secs(self.stalled_seconds)
    }

    #[must_use]
    pub fn store_resume(&self) -> Duration {
        Duration::from_secs(self.store_resume_seconds)
    }

    /// Connections that the node takes: its streams, and room for requests beside them.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.max_per_node + limits::REQUEST_CONNECTIONS
    }

    pub fn uncounted(&self) -> Result<Networks, ConfigError> {
        networks("sse.uncounted_addresses", &self.uncounted_addresses)
    }

    pub(super) fn checked(&self) -> Result<(), ConfigError> {
        let within = |key: &str, value: u64, from: u64, to: u64| {
            let fits = (from..=to).contains(&value);
            if fits { Ok(()) } else { Err(ConfigError::new(key, format!("must be {from} to {to}"))) }
        };
        within("sse.max_per_node", self.max_per_node as u64, 1, limits::WATCHERS as u64)?;
        within("sse.stalled_seconds", self.stalled_seconds, 1, limits::STALLED_SECONDS_MAX)?;
        within("sse.store_resume_seconds", self.store_resume_seconds, 1, limits::STORE_RESUME_SECONDS_MAX)?;
        self.uncounted().map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Config;

    fn with(key: &str, value: &str) -> Result<Config, String> {
        let variable = (format!("ONSALE_SSE__{}", key.to_uppercase()), value.to_owned());
        Config::from_parts(None, vec![variable], &[]).map_err(|error| error.to_string())
    }

    #[test]
    fn bounds_and_networks_are_checked() {
        let table = [
            ("max_per_node", "1", None),
            ("max_per_node", "0", Some("sse.max_per_node: must be 1 to 50000")),
            ("max_per_node", "50001", Some("sse.max_per_node: must be 1 to 50000")),
            ("max_per_account", "0", None),
            ("stalled_seconds", "30", None),
            ("stalled_seconds", "31", Some("sse.stalled_seconds: must be 1 to 30")),
            ("store_resume_seconds", "3600", None),
            ("store_resume_seconds", "0", Some("sse.store_resume_seconds: must be 1 to 3600")),
            ("store_resume_seconds", "3601", Some("sse.store_resume_seconds: must be 1 to 3600")),
            ("uncounted_addresses", "", None),
            ("uncounted_addresses", "10.0.0.0/8,2001:db8::/32 , 192.0.2.1", None),
        ];
        for (key, value, expected) in table {
            assert_eq!(with(key, value).err().as_deref(), expected, "{key} = {value}");
        }
        for junk in ["localhost", "10.0.0.0/33", "::1/129", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0 10.0.0.1"] {
            let error = with("uncounted_addresses", junk).expect_err(junk);
            assert!(error.starts_with("sse.uncounted_addresses: must be") && !error.contains(junk), "{error}");
        }
        let networks = with("uncounted_addresses", "10.0.0.0/8, ::1").expect("sound").sse.uncounted().expect("sound");
        assert!(networks.contains("10.9.9.9".parse().expect("v4")) && !networks.contains("::2".parse().expect("v6")));
    }
}
