//! How long did the stand-in itself take? Per payment, the time between having read a request to confirm it and having the
//! answer ready, so that a measurement can tell the provider's share of a payment from the node's.

use std::collections::VecDeque;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::ids::PaymentKey;
use crate::limits;

#[derive(Debug, Default)]
pub struct Times(Mutex<VecDeque<(PaymentKey, u64)>>);

impl Times {
    pub fn note(&self, key: PaymentKey, took: Duration) {
        let mut kept = self.0.lock();
        if kept.len() == limits::SIMULATOR_TIMES {
            kept.pop_front();
        }
        kept.push_back((key, u64::try_from(took.as_micros()).unwrap_or(u64::MAX)));
    }

    /// `{"confirmations": [[payment key, microseconds], …]}`, oldest first; a payment stands there once per request.
    #[must_use]
    pub fn json(&self) -> Value {
        let kept: Vec<_> = self.0.lock().iter().cloned().collect();
        json!({ "confirmations": kept })
    }
}
