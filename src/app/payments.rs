//! Who takes the money? The payment provider of the configuration, if there is one.

use std::sync::Arc;
use std::time::Duration;

use crate::config::{Config, ConfigError, PspMode};
use crate::gateways::payments::{Mode, SharedPayments, Toss, TossOptions};

/// `None`: no provider is configured. Keys of the wrong kind are an error of the configuration, before anything starts.
pub fn payments(config: &Config) -> Result<Option<SharedPayments>, ConfigError> {
    let psp = &config.psp;
    if !psp.url.is_set() {
        return Ok(None);
    }
    let mode = match psp.mode {
        PspMode::Test => Mode::Test,
        PspMode::Live => Mode::Live,
    };
    let toss = Toss::new(TossOptions {
        url: psp.url.expose().to_owned(),
        mode,
        secret_key: psp.secret_key.expose().to_owned(),
        client_key: psp.client_key.clone(),
        call_time: Duration::from_millis(psp.call_ms),
    });
    let toss = toss.map_err(|error| ConfigError::new(error.key, error.problem))?;
    Ok(Some(Arc::new(toss)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn configured(psp: &str) -> Result<bool, String> {
        let file = format!("[psp]\n{psp}");
        let config = Config::from_parts(Some(("my.toml", &file)), Vec::new(), &[]).map_err(|e| e.to_string())?;
        payments(&config).map(|payments| payments.is_some()).map_err(|e| e.to_string())
    }

    #[test]
    fn the_provider_and_its_keys_fit_the_place() {
        let table = [
            ("", Ok(false)),
            ("url = \"http://127.0.0.1:1\"\nsecret_key = \"test_sk_hunter2\"\n", Ok(true)),
            ("url = \"http://127.0.0.1:1\"\n", Err("psp.secret_key: is not set")),
            ("url = \"http://127.0.0.1:1\"\nsecret_key = \"live_sk_hunter2\"\n", Err("psp.secret_key: is a live key")),
            (
                "url = \"https://api.tosspayments.com\"\nmode = \"live\"\nsecret_key = \"test_sk_hunter2\"\n",
                Err("psp.secret_key: is a test key"),
            ),
            (
                "url = \"http://127.0.0.1:1\"\nmode = \"live\"\nsecret_key = \"live_sk_hunter2\"\n",
                Err("psp.url: must be https"),
            ),
        ];
        for (psp, expected) in table {
            match (configured(psp), expected) {
                (Ok(got), Ok(expected)) => assert_eq!(got, expected, "{psp}"),
                (Err(got), Err(expected)) => assert!(got.starts_with(expected) && !got.contains("hunter2"), "{got}"),
                (got, expected) => panic!("{psp}: {got:?}, expected {expected:?}"),
            }
        }
    }
}
