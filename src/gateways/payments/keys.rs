//! Are these the right keys for this place? A test key takes no money, and a live key takes it from rehearsals.
//!
//! Judges only by the shape that the provider documents; whether a key is valid, the first call tells. A key never gets into
//! a message.

use reqwest::Url;

/// Is real money at stake?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Test,
    Live,
}

/// What is wrong with the set-up: the option, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct SetupError {
    pub key: &'static str,
    pub problem: &'static str,
}

fn wrong(key: &'static str, problem: &'static str) -> SetupError {
    SetupError { key, problem }
}

/// `test_sk_…` and `live_sk_…` belong to contracts by key, `test_gsk_…` and `live_gsk_…` to the payment widget; their
/// public halves say `ck` instead.
pub fn check(mode: Mode, secret: &str, client: &str) -> Result<(), SetupError> {
    if secret.is_empty() {
        return Err(wrong("psp.secret_key", "is not set, and psp.url is"));
    }
    let (place, kind) = parse(secret, ["sk", "gsk"])
        .ok_or(wrong("psp.secret_key", "must start with test_sk_, test_gsk_, live_sk_ or live_gsk_"))?;
    match (mode, place) {
        (Mode::Live, Mode::Test) => return Err(wrong("psp.secret_key", "is a test key, and psp.mode is live")),
        (Mode::Test, Mode::Live) => return Err(wrong("psp.secret_key", "is a live key, and psp.mode is test")),
        (Mode::Test, Mode::Test) | (Mode::Live, Mode::Live) => {}
    }
    if client.is_empty() {
        return Ok(());
    }
    match parse(client, ["ck", "gck"]) {
        None => Err(wrong("psp.client_key", "must start with test_ck_, test_gck_, live_ck_ or live_gck_")),
        Some(pair) if pair != (place, kind) => {
            Err(wrong("psp.client_key", "does not belong with psp.secret_key: test or live, widget or not"))
        }
        Some(_) => Ok(()),
    }
}

fn parse(key: &str, kinds: [&str; 2]) -> Option<(Mode, usize)> {
    let mut parts = key.splitn(3, '_');
    let place = match parts.next()? {
        "test" => Mode::Test,
        "live" => Mode::Live,
        _ => return None,
    };
    let word = parts.next()?;
    let kind = kinds.iter().position(|kind| *kind == word)?;
    let plain = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    parts.next().filter(|rest| plain(rest)).map(|_| (place, kind))
}

/// The address without a slash at its end. The secret key goes there with every call, so live ones only under TLS.
pub fn address(mode: Mode, url: &str) -> Result<String, SetupError> {
    let parsed =
        Url::parse(url).map_err(|_| wrong("psp.url", "is not an address such as https://api.tosspayments.com"))?;
    let plain = parsed.username().is_empty() && parsed.password().is_none();
    match parsed.scheme() {
        _ if !plain || parsed.query().is_some() || parsed.fragment().is_some() || parsed.host().is_none() => {
            Err(wrong("psp.url", "must be scheme, host and port, and perhaps a path"))
        }
        "https" => Ok(url.trim_end_matches('/').to_owned()),
        "http" if mode == Mode::Test => Ok(url.trim_end_matches('/').to_owned()),
        "http" => Err(wrong("psp.url", "must be https where psp.mode is live")),
        _ => Err(wrong("psp.url", "must start with https://")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_keys_of_the_place_are_taken() {
        let table = [
            (Mode::Test, "test_sk_abc", "", None),
            (Mode::Test, "test_gsk_abc", "test_gck_abc", None),
            (Mode::Live, "live_sk_abc", "live_ck_abc", None),
            (Mode::Live, "test_sk_abc", "", Some("psp.secret_key: is a test key")),
            (Mode::Live, "test_gsk_abc", "", Some("psp.secret_key: is a test key")),
            (Mode::Test, "live_sk_abc", "", Some("psp.secret_key: is a live key")),
            (Mode::Test, "live_gsk_abc", "", Some("psp.secret_key: is a live key")),
            (Mode::Test, "", "", Some("psp.secret_key: is not set")),
            (Mode::Test, "test_ck_abc", "", Some("psp.secret_key: must start")),
            (Mode::Test, "test_sk_", "", Some("psp.secret_key: must start")),
            (Mode::Test, "test_sk_a b", "", Some("psp.secret_key: must start")),
            (Mode::Test, "test_sk_a\r\nx: y", "", Some("psp.secret_key: must start")),
            (Mode::Test, "hunter2", "", Some("psp.secret_key: must start")),
            (Mode::Test, "test_sk_abc", "test_sk_abc", Some("psp.client_key: must start")),
            (Mode::Test, "test_sk_abc", "live_ck_abc", Some("psp.client_key: does not belong")),
            (Mode::Test, "test_sk_abc", "test_gck_abc", Some("psp.client_key: does not belong")),
        ];
        for (mode, secret, client, expected) in table {
            let error = check(mode, secret, client).err().map(|e| e.to_string());
            match (&error, expected) {
                (Some(error), Some(expected)) => assert!(error.starts_with(expected), "{secret}: {error}"),
                (None, None) => {}
                _ => panic!("{mode:?} {secret} {client}: {error:?}, expected {expected:?}"),
            }
            assert!(error.is_none_or(|error| !error.contains("abc") && !error.contains("hunter2")));
        }
    }

    #[test]
    fn the_secret_key_goes_to_one_address_only() {
        let live = address(Mode::Live, "https://api.tosspayments.com/");
        assert_eq!(live.as_deref(), Ok("https://api.tosspayments.com"));
        assert_eq!(address(Mode::Test, "http://127.0.0.1:1").as_deref(), Ok("http://127.0.0.1:1"));
        for (mode, junk) in [
            (Mode::Live, "http://api.tosspayments.com"),
            (Mode::Test, "127.0.0.1:1"),
            (Mode::Test, "ftp://x"),
            (Mode::Test, "https://user:hunter2@x"),
            (Mode::Test, "https://x/?a=hunter2"),
            (Mode::Test, ""),
        ] {
            let error = address(mode, junk).expect_err(junk).to_string();
            assert!(error.starts_with("psp.url: ") && !error.contains("hunter2"), "{junk}: {error}");
        }
    }
}
