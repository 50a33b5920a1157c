//! What was measured? Latencies by name, outcomes by word. Shared by all connections of a run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;

/// Latencies are kept in microseconds with three digits; longer ones count as this long.
const LONGEST: u64 = 120_000_000;
const DIGITS: u8 = 3;

/// The quantiles that are told, in the order of `Row`.
const QUANTILES: [f64; 4] = [0.5, 0.9, 0.99, 0.999];

/// One distribution; cheap to record in, since locks are hardly ever contended for at these rates.
pub struct Latency(Mutex<Histogram<u64>>);

/// What is told of one distribution, in milliseconds.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    pub name: &'static str,
    pub count: u64,
    pub p50_ms: f64,
    pub p90_ms: f64,
    pub p99_ms: f64,
    pub p999_ms: f64,
    pub max_ms: f64,
}

impl Default for Latency {
    fn default() -> Self {
        Self(Mutex::new(Histogram::new_with_max(LONGEST, DIGITS).expect("the bounds are constants that fit")))
    }
}

impl Latency {
    pub fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(LONGEST);
        self.0.lock().saturating_record(micros.clamp(1, LONGEST));
    }

    /// Adds what another one has seen.
    pub fn absorb(&self, other: &Self) {
        let other = other.0.lock();
        self.0.lock().add(&*other).expect("all of them have the same bounds");
    }

    pub fn row(&self, name: &'static str) -> Row {
        let seen = self.0.lock();
        let millis = |micros: u64| micros as f64 / 1_000.0;
        let [p50_ms, p90_ms, p99_ms, p999_ms] = QUANTILES.map(|q| millis(seen.value_at_quantile(q)));
        Row { name, count: seen.len(), p50_ms, p90_ms, p99_ms, p999_ms, max_ms: millis(seen.max()) }
    }
}

/// What became of requests: a status with its problem code, or why there was no answer.
#[derive(Default)]
pub struct Outcomes(Mutex<BTreeMap<String, u64>>);

impl Outcomes {
    pub fn count(&self, what: impl Into<String>) {
        *self.0.lock().entry(what.into()).or_default() += 1;
    }

    pub fn all(&self) -> BTreeMap<String, u64> {
        self.0.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let (one, other) = (Latency::default(), Latency::default());
        for n in 1..=500 {
            one.record(Duration::from_millis(n));
            other.record(Duration::from_millis(500 + n));
        }
        one.absorb(&other);
        other.record(Duration::from_secs(1_000));
        let row = one.row("both");
        let near = |seen: f64, wanted: f64| (seen - wanted).abs() <= wanted / 500.0;
        assert!(near(row.p50_ms, 500.0) && near(row.p90_ms, 900.0) && near(row.p99_ms, 990.0), "{row:?}");
        assert!(near(row.p999_ms, 999.0) && near(row.max_ms, 1_000.0) && row.count == 1_000, "{row:?}");
        assert!(other.row("longest").max_ms >= 119_000.0);
    }
}
