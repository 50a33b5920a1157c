//! Who has asked for what? Every request that the simulated provider saw, for tests that count calls and compare keys.

use std::collections::VecDeque;

use parking_lot::Mutex;
use serde_json::{Value, json};

use super::script::Fault;
use crate::limits;
use crate::timestamp::Timestamp;

/// One request, and what became of it.
#[derive(Clone, Debug)]
pub struct Call {
    pub at: Timestamp,
    pub method: String,
    pub path: String,
    pub idempotency_key: Option<String>,
    pub body: Value,
    pub fault: Option<Fault>,
    /// A status, or `reset`, or `silence`.
    pub answered: String,
}

#[derive(Debug, Default)]
pub struct Calls(Mutex<(u64, VecDeque<Call>)>);

impl Calls {
    pub fn note(&self, call: Call) {
        let (count, kept) = &mut *self.0.lock();
        *count += 1;
        if kept.len() == limits::SIMULATOR_CALLS {
            kept.pop_front();
        }
        kept.push_back(call);
    }

    /// Oldest first; `count` also counts those that are not kept any more.
    #[must_use]
    pub fn json(&self) -> Value {
        let (count, kept) = &*self.0.lock();
        let calls: Vec<Value> = kept
            .iter()
            .map(|call| {
                json!({
                    "at": call.at, "method": call.method, "path": call.path, "body": call.body,
                    "idempotency_key": call.idempotency_key, "fault": call.fault, "answered": call.answered,
                })
            })
            .collect();
        json!({ "count": count, "calls": calls })
    }
}
