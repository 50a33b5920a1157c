//! How much? Integer minor units with a currency; never a float.
//!
//! An amount fits into a JSON number that every client can hold exactly (below 2^53). This file knows no rates and no
//! rounding other than the one rule of the coupon (percentages round down).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Minor units of a currency, from 0 up to 2^53 − 1. KRW has no minor unit: 50000 is ₩50,000.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Amount(u64);

impl Amount {
    pub const ZERO: Self = Self(0);
    /// The largest integer that a double holds exactly.
    pub const MAX: Self = Self((1 << 53) - 1);

    #[must_use]
    pub fn new(minor: u64) -> Option<Self> {
        (minor <= Self::MAX.0).then_some(Self(minor))
    }

    #[must_use]
    pub fn minor(self) -> u64 {
        self.0
    }

    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).and_then(Self::new)
    }

    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An ISO 4217 code: three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Currency([u8; 3]);

impl Currency {
    pub const KRW: Self = Self(*b"KRW");

    #[must_use]
    pub fn parse(code: &str) -> Option<Self> {
        let bytes: [u8; 3] = code.as_bytes().try_into().ok()?;
        bytes.iter().all(u8::is_ascii_uppercase).then_some(Self(bytes))
    }

    #[must_use]
    pub fn code(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::parse(&code).ok_or_else(|| serde::de::Error::custom("not a currency code of three capital letters"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_stay_exact_in_json() {
        assert_eq!(Amount::new(1 << 53), None);
        assert_eq!(Amount::MAX.checked_add(Amount(1)), None);
        assert_eq!(Amount(5).checked_sub(Amount(6)), None);
        assert_eq!(Amount(2).checked_add(Amount(3)), Amount::new(5));
    }

    #[test]
    fn currencies_are_three_capitals() {
        assert_eq!(Currency::parse("KRW").map(|c| c.to_string()).as_deref(), Some("KRW"));
        for junk in ["", "KR", "krw", "KRWW", "원화"] {
            assert_eq!(Currency::parse(junk), None, "{junk}");
        }
    }
}
