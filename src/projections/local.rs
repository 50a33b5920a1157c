//! Which day is it at the venue? The time zones are those that were built in, so that every node, and every rebuild, says
//! the same.

use std::sync::LazyLock;

use jiff::tz::TimeZoneDatabase;

use crate::timestamp::Timestamp;

static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The date (`YYYY-MM-DD`) of a moment in a time zone; in UTC where nobody knows such a zone.
#[must_use]
pub fn date(at: Timestamp, timezone: &str) -> String {
    let zone = ZONES.get(timezone).unwrap_or(jiff::tz::TimeZone::UTC);
    // Moments of the log are within the years that a calendar knows.
    let moment = jiff::Timestamp::from_millisecond(at.0).unwrap_or_default();
    moment.to_zoned(zone).date().to_string()
}

/// Is this the text of a day?
#[must_use]
pub fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok_and(|date| date.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_the_venue() {
        let at = |text: &str| Timestamp::parse(text).expect("a time");
        let table = [
            ("2026-11-21T14:59:59Z", "Asia/Seoul", "2026-11-21"),
            ("2026-11-21T15:00:00Z", "Asia/Seoul", "2026-11-22"),
            ("2026-11-21T04:59:59Z", "America/New_York", "2026-11-20"),
            ("2026-07-21T04:00:00Z", "America/New_York", "2026-07-21"),
            ("2026-11-21T15:00:00Z", "Mars/Phobos", "2026-11-21"),
        ];
        for (moment, zone, day) in table {
            assert_eq!(date(at(moment), zone), day, "{moment} {zone}");
        }
        assert!(is_date("2024-02-29") && !is_date("2026-02-29"));
        for junk in ["", "2026-1-1", "2026-01-01T00:00:00Z", "20260101", "+02026-01-01", "tomorrow"] {
            assert!(!is_date(junk), "{junk}");
        }
    }
}
