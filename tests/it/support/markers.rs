//! Values that must never be said: what was handed to a node in sensitive places, and whether its logs show any of it.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// Shorter ones would be found by chance.
const SHORTEST: usize = 8;

#[derive(Default)]
pub struct Markers {
    all: Vec<(String, String)>,
    /// Codes of a few digits: found as words only, since longer numbers contain them by chance.
    codes: Vec<(String, String)>,
}

impl Markers {
    /// Remembers a value, and gives it back to be used.
    #[track_caller]
    pub fn mark(&mut self, what: &str, value: impl Into<String>) -> String {
        let value = value.into();
        assert!(value.len() >= SHORTEST, "{what} is too short to be told from other texts");
        self.all.push((what.to_owned(), value.clone()));
        value
    }

    /// A token: as a whole, and each of its parts that could be used or says who it is.
    pub fn mark_token(&mut self, what: &str, token: impl Into<String>) -> String {
        let token = token.into();
        // The first part is the same for every token of a key, and says nothing.
        for part in token.split('.').skip(1).filter(|part| part.len() >= SHORTEST) {
            self.mark(what, part);
        }
        self.mark(what, token)
    }

    /// A code of digits.
    #[track_caller]
    pub fn mark_code(&mut self, what: &str, code: impl Into<String>) -> String {
        let code = code.into();
        assert!(code.len() >= 6 && code.bytes().all(|byte| byte.is_ascii_digit()), "{what} is a code");
        self.codes.push((what.to_owned(), code.clone()));
        code
    }

    /// What of all this stands in a text, as it is or encoded: nothing, one hopes.
    pub fn found_in(&self, text: &str) -> Vec<String> {
        let seen =
            self.all.iter().filter(|(_, value)| encodings(value).iter().any(|form| text.contains(form.as_str())));
        let codes = self.codes.iter().filter(|(_, code)| has_word(text, code));
        seen.chain(codes).map(|(what, value)| format!("{what} ({value})")).collect()
    }
}

/// Does the code stand there by itself? Behind a point it is a part of a second.
fn has_word(text: &str, code: &str) -> bool {
    let apart = |c: Option<char>| c.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '.');
    text.match_indices(code)
        .any(|(place, _)| apart(text[..place].chars().next_back()) && apart(text[place + code.len()..].chars().next()))
}

/// The value as headers, addresses and JSON would carry it.
fn encodings(value: &str) -> Vec<String> {
    // Bytes that follow change the last letters of base64.
    let whole = &value.as_bytes()[..value.len() - value.len() % 3];
    let percent = value.bytes().map(|b| match b {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => char::from(b).to_string(),
        other => format!("%{other:02X}"),
    });
    let escaped = serde_json::Value::from(value).to_string();
    let bytes = value.bytes().map(|byte| byte.to_string()).collect::<Vec<_>>().join(", ");
    vec![
        value.to_owned(),
        STANDARD.encode(whole),
        URL_SAFE_NO_PAD.encode(whole),
        percent.collect(),
        escaped.trim_matches('"').to_owned(),
        bytes,
    ]
}

#[test]
fn a_marker_is_found_however_it_is_written() {
    let mut markers = Markers::default();
    let secret = markers.mark("a reason", "왜 \"marker\"+1");
    markers.mark_token("a token", "header00.payload00.signature00");
    for text in [
        format!("x{secret}y"),
        format!("Basic {}", STANDARD.encode(format!("{secret}:more"))),
        format!("/path?reason={}", encodings(&secret)[3]),
        serde_json::json!({"reason": secret}).to_string(),
        format!("{:?}", secret.as_bytes()),
    ] {
        assert_eq!(markers.found_in(&text).len(), 1, "{text}");
    }
    assert_eq!(markers.found_in("payload00").len(), 1);
    assert!(markers.found_in("header00 reason marker").is_empty());
    markers.mark_code("a code", "012345");
    for text in ["\"totp\":\"012345\"", "\\\"012345\\\"", "code=012345&x", "012345", "is 012345,"] {
        assert_eq!(markers.found_in(text).len(), 1, "{text}");
    }
    assert!(markers.found_in("0.012345 10123456 a012345 T08:12:01.012345Z").is_empty());
}
