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

/// What part of `whole` falls on each of `weights`, in proportion to them: rounded down, and what is left by the rounding
/// goes one by one to those who lost most by it, the first of equals first. The parts add up to `whole`, and none is
/// larger than its weight as long as `whole` is not larger than their sum.
#[must_use]
pub fn shares(whole: Amount, weights: &[Amount]) -> Vec<Amount> {
    let sum: u128 = weights.iter().map(|weight| u128::from(weight.0)).sum();
    if sum == 0 {
        return vec![Amount::ZERO; weights.len()];
    }
    let exact = |weight: &Amount| u128::from(whole.0) * u128::from(weight.0);
    let mut parts: Vec<u64> = weights.iter().map(|w| u64::try_from(exact(w) / sum).unwrap_or(u64::MAX)).collect();
    let mut lost: Vec<usize> = (0..weights.len()).collect();
    lost.sort_by_key(|i| std::cmp::Reverse(exact(&weights[*i]) % sum));
    let left = whole.0 - parts.iter().sum::<u64>();
    for i in lost.into_iter().take(usize::try_from(left).unwrap_or(usize::MAX)) {
        parts[i] += 1;
    }
    parts.into_iter().map(Amount).collect()
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
        std::str::from_utf8(&self.0).expect("capital letters are ASCII")
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

    proptest::proptest! {
        #[test]
        fn shares_add_up_to_the_won(weights in proptest::collection::vec(0_u64..1_000_000, 1..101), per_mille in 0_u64..=1_000) {
            let sum: u64 = weights.iter().sum();
            let whole = Amount(sum * per_mille / 1_000);
            let weights: Vec<Amount> = weights.into_iter().map(Amount).collect();
            let parts = shares(whole, &weights);
            proptest::prop_assert_eq!(parts.iter().map(|part| part.0).sum::<u64>(), whole.0);
            proptest::prop_assert!(parts.iter().zip(&weights).all(|(part, weight)| part <= weight));
        }
    }

    #[test]
    fn what_rounding_leaves_goes_to_who_lost_most() {
        let amounts = |list: &[u64]| list.iter().map(|n| Amount(*n)).collect::<Vec<_>>();
        let table: [(u64, &[u64], &[u64]); 4] = [
            (10, &[1, 1, 1], &[4, 3, 3]),
            (1000, &[10_000, 5_000, 1], &[667, 333, 0]),
            (0, &[5], &[0]),
            (0, &[0, 0], &[0, 0]),
        ];
        for (whole, weights, parts) in table {
            assert_eq!(shares(Amount(whole), &amounts(weights)), amounts(parts), "{whole} over {weights:?}");
        }
    }

    #[test]
    fn currencies_are_three_capitals() {
        assert_eq!(Currency::parse("KRW").map(|c| c.to_string()).as_deref(), Some("KRW"));
        for junk in ["", "KR", "krw", "KRWW", "원화"] {
            assert_eq!(Currency::parse(junk), None, "{junk}");
        }
    }
}
