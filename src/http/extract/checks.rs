//! Does each value mean something? Collects every value of a body that does not, so that the client sees all at once.

use serde::de::{self, Deserialize, Deserializer, Visitor};
use std::fmt;

use crate::http::error::{Invalid, Problem};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

/// A JSON number, of which only whole ones from 0 upwards mean something. Anything else that is a number is kept as
/// "meaningless" for the checks (422); what is no number at all cannot be read (400).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole(Option<u64>);

impl Whole {
    #[must_use]
    pub fn of(number: u64) -> Self {
        Self(Some(number))
    }
}

impl<'de> Deserialize<'de> for Whole {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Number;
        impl Visitor<'_> for Number {
            type Value = Whole;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an integer")
            }

            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Whole, E> {
                Ok(Whole(Some(number)))
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Whole, E> {
                Ok(Whole(u64::try_from(number).ok()))
            }

            fn visit_f64<E: de::Error>(self, _number: f64) -> Result<Whole, E> {
                Ok(Whole(None))
            }
        }
        deserializer.deserialize_u64(Number)
    }
}

/// What was wrong so far.
#[derive(Debug, Default)]
pub struct Checks(Vec<Invalid>);

impl Checks {
    pub fn refuse(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(Invalid { pointer: pointer.into(), detail: detail.into() });
    }

    fn or_refuse<T: Default>(&mut self, value: Option<T>, pointer: &str, detail: &str) -> T {
        value.unwrap_or_else(|| {
            self.refuse(pointer, detail);
            T::default()
        })
    }

    pub fn amount(&mut self, pointer: &str, number: Whole) -> Amount {
        let amount = number.0.and_then(Amount::new);
        self.or_refuse(amount, pointer, "must be an integer of minor units, 0 or more and below 2^53")
    }

    pub fn count<N: TryFrom<u64> + Default>(&mut self, pointer: &str, number: Whole) -> N {
        let count = number.0.and_then(|n| N::try_from(n).ok());
        self.or_refuse(count, pointer, "must be an integer of 0 or more, and not that large")
    }

    pub fn time(&mut self, pointer: &str, text: &str) -> Timestamp {
        self.or_refuse(Timestamp::parse(text), pointer, "must be an RFC 3339 time")
    }

    /// What stands in for a refused one is never used: `done` comes first.
    pub fn currency(&mut self, pointer: &str, text: &str) -> Currency {
        Currency::parse(text).unwrap_or_else(|| {
            self.refuse(pointer, "must be a currency code of three capital letters");
            Currency::KRW
        })
    }

    /// A text that people read: not empty, of bounded length, without control characters.
    pub fn text(&mut self, pointer: &str, text: &str, most: usize) {
        if text.trim().is_empty() || text.chars().count() > most || text.chars().any(char::is_control) {
            self.refuse(pointer, format!("must be 1 to {most} characters without control characters"));
        }
    }

    /// Everything means something.
    pub fn done(self) -> Result<(), Problem> {
        if self.0.is_empty() { Ok(()) } else { Err(Problem::invalid(&self.0)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn numbers_without_meaning_are_named_by_their_pointers() {
        let mut checks = Checks::default();
        for (i, text) in ["-1", "0.1", "1e3", "9223372036854775808", "9007199254740992"].iter().enumerate() {
            let number: Whole = serde_json::from_str(text).expect("a number");
            checks.amount(&format!("/{i}"), number);
        }
        assert_eq!(checks.amount("/fine", Whole::of(9_007_199_254_740_991)), Amount::MAX);
        let body: Value = serde_json::from_slice(&checks.done().expect_err("five").body("r")).expect("JSON");
        let pointers: Vec<_> =
            body["errors"].as_array().expect("a list").iter().map(|e| e["pointer"].clone()).collect();
        assert_eq!(pointers, ["/0", "/1", "/2", "/3", "/4"].map(|p| json!(p)));
        assert_eq!(body["code"], json!("invalid-value"));
    }

    #[test]
    fn texts_times_and_currencies() {
        let mut checks = Checks::default();
        checks.text("/a", "고척 스카이돔", 10);
        assert_eq!(checks.currency("/c", "USD").code(), "USD");
        checks.time("/t", "2026-11-21T10:00:00+09:00");
        assert!(Checks(std::mem::take(&mut checks.0)).done().is_ok());
        checks.text("/a", "", 10);
        checks.text("/b", "\0", 10);
        checks.text("/c", "12345678901", 10);
        checks.currency("/d", "krw");
        checks.time("/e", "tomorrow");
        assert_eq!(checks.0.len(), 5);
    }
}
