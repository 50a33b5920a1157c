//! When? A moment, as a value. Reading the clock is `clock.rs`'s business; this file only counts and writes.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since 1970-01-01T00:00:00Z. Written as RFC 3339 in UTC with milliseconds wherever a person may read it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Timestamp(pub i64);

/// The years from 0000 to 9999 in UTC: what RFC 3339 can write.
const FIRST: i64 = -62_167_219_200_000;
const LAST: i64 = 253_402_300_799_999;

impl Timestamp {
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(by.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` to here; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Any RFC 3339 offset is understood; what is finer than a millisecond is cut off. A moment that its offset moves out of
    /// the calendar could not be written again, and is none.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let parsed = OffsetDateTime::parse(text, &Rfc3339).ok()?;
        let at = i64::try_from(parsed.unix_timestamp_nanos().div_euclid(1_000_000)).ok()?;
        (FIRST..=LAST).contains(&at).then_some(Self(at))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.div_euclid(1_000), self.0.rem_euclid(1_000));
        let Ok(t) = OffsetDateTime::from_unix_timestamp(seconds) else { return write!(f, "{}ms", self.0) };
        let (date, time) = (t.date(), t.time());
        // Every answer has some of these: digits in their places, without the machinery of formatting each number.
        let mut text = *b"0000-00-00T00:00:00.000Z";
        let Ok(year) = u16::try_from(date.year()) else { return write!(f, "{}ms", self.0) };
        put(&mut text[..4], year);
        put(&mut text[5..7], u8::from(date.month()).into());
        put(&mut text[8..10], date.day().into());
        put(&mut text[11..13], time.hour().into());
        put(&mut text[14..16], time.minute().into());
        put(&mut text[17..19], time.second().into());
        put(&mut text[20..23], u16::try_from(millis).unwrap_or_default());
        f.write_str(std::str::from_utf8(&text).expect("digits are ASCII"))
    }
}

/// The last decimal digits of a number, as many as there is room for.
fn put(into: &mut [u8], mut number: u16) {
    for place in into.iter_mut().rev() {
        *place = b'0' + u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { serializer.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an RFC 3339 time"))
        } else {
            i64::deserialize(deserializer).map(Self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_utc_with_milliseconds() {
        let table = [
            ("2026-11-21T10:00:00+09:00", "2026-11-21T01:00:00.000Z"),
            ("2026-11-21T01:00:00.1239Z", "2026-11-21T01:00:00.123Z"),
            ("1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.999Z"),
        ];
        for (given, expected) in table {
            assert_eq!(Timestamp::parse(given).map(|t| t.to_string()).as_deref(), Some(expected));
        }
        assert_eq!(Timestamp::parse("2026-11-21"), None);
        for beyond in ["9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00+00:01"] {
            assert_eq!(Timestamp::parse(beyond), None, "{beyond} cannot be written in UTC");
        }
        for (at, expected) in
            [(253_402_300_799_999, "9999-12-31T23:59:59.999Z"), (-62_167_219_200_000, "0000-01-01T00:00:00.000Z")]
        {
            assert_eq!(Timestamp(at).to_string(), expected);
        }
        for beyond in [i64::MIN, -62_167_219_200_001, 253_402_300_800_000, i64::MAX] {
            assert_eq!(Timestamp(beyond).to_string(), format!("{beyond}ms"), "no calendar of ours has it");
        }
    }
}
