//! What did clients note down? Their calls, and which of them were one and the same wish.

use std::collections::BTreeMap;

use serde_json::Value;

use super::log::position;

#[derive(Clone, Debug)]
pub struct Call {
    pub number: u64,
    pub client: String,
    pub key: Option<String>,
    pub what: String,
    pub target: String,
    pub node: String,
    pub asked: Value,
    pub begun: u64,
    /// Of calls that nobody ever answered: never.
    pub ended: u64,
    pub outcome: Outcome,
    pub status: u64,
    pub code: String,
    pub answer: Value,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Ok,
    Refused,
    Unknown,
}

impl Call {
    pub fn answered(&self, member: &str) -> &str {
        self.answer[member].as_str().unwrap_or_default()
    }

    pub fn position(&self) -> Option<(u64, u64)> {
        position(self.answer["position"].as_str()?)
    }

    /// For people who look into it.
    pub fn name(&self) -> String {
        let key = self.key.as_deref().unwrap_or("-");
        format!(
            "call {} ({} of {} by {}, key {key}, {})",
            self.number, self.what, self.target, self.client, self.status
        )
    }
}

/// By number; a call whose end was never written is unknown.
pub fn read(text: &str) -> Result<Vec<Call>, String> {
    let mut calls: BTreeMap<u64, Call> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let value: Value = serde_json::from_str(line).map_err(|e| format!("clients, line {}: {e}", number + 1))?;
        let word = |member: &str| value[member].as_str().unwrap_or_default().to_owned();
        let Some(call) = value["call"].as_u64() else { return Err(format!("clients, line {}: no call", number + 1)) };
        let outcome = match value["outcome"].as_str() {
            Some("ok") => Outcome::Ok,
            Some("refused") => Outcome::Refused,
            _ => Outcome::Unknown,
        };
        calls.insert(
            call,
            Call {
                number: call,
                client: word("client"),
                key: value["key"].as_str().map(str::to_owned),
                what: word("what"),
                target: word("target"),
                node: word("node"),
                asked: value["asked"].clone(),
                begun: value["begun_us"].as_u64().unwrap_or_default(),
                ended: value["ended_us"].as_u64().unwrap_or(u64::MAX),
                outcome,
                status: value["status"].as_u64().unwrap_or_default(),
                code: word("code"),
                answer: value["answer"].clone(),
            },
        );
    }
    Ok(calls.into_values().collect())
}

/// Calls that are one wish: of one client, about one thing, under one key (a counter's payments: under the payment's id).
#[derive(Debug)]
pub struct Wish<'a> {
    pub calls: Vec<&'a Call>,
}

impl<'a> Wish<'a> {
    pub fn first(&self) -> &'a Call {
        self.calls[0]
    }

    pub fn oks(&self) -> impl Iterator<Item = &'a Call> {
        self.calls.iter().copied().filter(|call| call.outcome == Outcome::Ok)
    }

    /// When the wish was first on its way.
    pub fn begun(&self) -> u64 {
        self.calls.iter().map(|call| call.begun).min().unwrap_or_default()
    }

    /// Every call of it was told no. Who reuses a key for something else, or is told to wait, was told nothing of the wish.
    pub fn refused(&self) -> bool {
        let no = |call: &&Call| call.outcome == Outcome::Refused && call.code != "idempotency-key-reused";
        self.calls.iter().all(no)
    }

    pub fn settled(&self) -> bool {
        self.calls.iter().any(|call| call.outcome != Outcome::Unknown)
    }
}

pub fn wishes(calls: &[Call]) -> Vec<Wish<'_>> {
    let mut wishes: BTreeMap<(&str, &str, &str, String), Wish<'_>> = BTreeMap::new();
    for call in calls.iter().filter(|call| !call.what.starts_with("read-")) {
        let own = || format!("\0{}", call.number);
        let payment = call.asked["payment_id"].as_str().filter(|_| call.what == "store-payment");
        let key = payment.map(str::to_owned).or_else(|| call.key.clone()).unwrap_or_else(own);
        let wish =
            wishes.entry((&call.what, &call.target, &call.client, key)).or_insert_with(|| Wish { calls: vec![] });
        wish.calls.push(call);
    }
    wishes.into_values().collect()
}
