//! What did the clients see? One JSON line per call begun and one per call ended, and what every watcher was told.
//!
//! Lines are written and flushed at once, so that they outlive whatever happens next; all times are of one clock. Nobody
//! judges here: that is what `checker/` does, from the files alone.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onsale::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use serde_json::{Value, json};

pub const CLIENTS: &str = "clients.jsonl";
pub const STREAMS: &str = "streams.jsonl";

/// What came of a call, as far as its client can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    Ok,
    /// A definite no: nothing was done.
    Refused,
    /// Time-out, reset, a 503 that says so: it may have been done.
    Unknown,
}

impl Outcome {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    /// What an answer says. Whoever is told that the same request is still running knows nothing yet.
    #[must_use]
    pub fn of(status: u16, code: &str) -> Self {
        match (status, code) {
            (200..300 | 304, _) => Self::Ok,
            (_, "outcome-unknown" | "timed-out" | "idempotency-key-in-use") | (502 | 504, _) => Self::Unknown,
            // A problem of ours has a code; anything else did not come from the server.
            (500.., "") => Self::Unknown,
            _ => Self::Refused,
        }
    }
}

/// A call, as its client is about to make it.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The account, as the log calls its principal.
    pub client: String,
    /// `place`, `pay`, `cancel`, `issue`, `store-payment`, `store-cancel`, `read-order`, `read-seats`, `read-coupon`; others
    /// are kept, and judged by their positions only.
    pub what: &'static str,
    /// The performance, order, coupon or store that it is about.
    pub target: String,
    /// Which node is asked.
    pub node: String,
    pub key: Option<String>,
    /// The request's body; of readings, `min_position` where one was asked for.
    pub asked: Value,
}

/// A call that has begun.
#[derive(Debug)]
#[must_use]
pub struct Call {
    number: u64,
    begun_us: u64,
    ask: Ask,
}

/// How many calls there were: by what they were, how they ended, status and code.
pub type Counts = BTreeMap<(&'static str, Outcome, u16, String), u64>;

/// Writes down what clients and watchers see. Shared by all of them.
#[derive(Debug)]
pub struct Recorder {
    clients: Mutex<File>,
    streams: Mutex<File>,
    calls: AtomicU64,
    began: Duration,
    counts: Mutex<Counts>,
}

impl Recorder {
    pub fn create(directory: &Path) -> std::io::Result<Arc<Self>> {
        let file = |name| File::options().create(true).append(true).open(directory.join(name)).map(Mutex::new);
        Ok(Arc::new(Self {
            clients: file(CLIENTS)?,
            streams: file(STREAMS)?,
            calls: AtomicU64::new(0),
            began: SystemClock.elapsed(),
            counts: Mutex::default(),
        }))
    }

    /// Microseconds since this run began: the one clock of all records.
    pub fn now_us(&self) -> u64 {
        u64::try_from((SystemClock.elapsed() - self.began).as_micros()).unwrap_or(u64::MAX)
    }

    /// Written before the request leaves: whoever is never answered has asked all the same.
    pub fn begin(&self, ask: Ask) -> Call {
        let (number, begun_us) = (self.calls.fetch_add(1, Ordering::Relaxed), self.now_us());
        let call = Call { number, begun_us, ask };
        write(&self.clients, &line(&call, None, "begun", None, "", &Value::Null));
        call
    }

    /// `status` is 0 where no answer came.
    pub fn end(&self, call: &Call, outcome: Outcome, status: u16, code: &str, answer: &Value) {
        write(&self.clients, &line(call, Some(self.now_us()), outcome.as_str(), Some(status), code, answer));
        *self.counts.lock().entry((call.ask.what, outcome, status, code.to_owned())).or_default() += 1;
    }

    /// Judges an answer by its status and its code, and writes it down.
    pub fn answered(&self, call: &Call, answer: Option<(u16, &Value)>) -> Outcome {
        let Some((status, body)) = answer else {
            self.end(call, Outcome::Unknown, 0, "", &Value::Null);
            return Outcome::Unknown;
        };
        let code = body["code"].as_str().unwrap_or_default();
        let outcome = Outcome::of(status, code);
        self.end(call, outcome, status, code, body);
        outcome
    }

    /// Calls by what they were, how they ended, status and code.
    pub fn counts(&self) -> Counts {
        self.counts.lock().clone()
    }

    /// `topic` is `seats`, `order`, `store` or `task`; `target` its id; `what` is `connect` (with the `last` id that it
    /// carries), `frame`, `end`, or `complete`: nothing is missing up to the id that it names (without one: to the end).
    pub fn told(&self, watcher: &str, topic: &str, target: &str, what: &str, more: &Value) {
        let mut value =
            json!({"watcher": watcher, "topic": topic, "target": target, "what": what, "at_us": self.now_us()});
        if let (Some(value), Some(more)) = (value.as_object_mut(), more.as_object()) {
            value.extend(more.iter().map(|(name, member)| (name.clone(), member.clone())));
        }
        write(&self.streams, &value);
    }

    pub fn connect(&self, watcher: &str, topic: &str, target: &str, last: Option<&str>, node: &str) {
        self.told(watcher, topic, target, "connect", &json!({"last": last, "node": node}));
    }

    pub fn frame(&self, watcher: &str, topic: &str, target: &str, frame: (&str, Option<&str>, &Value)) {
        let (event, id, data) = frame;
        self.told(watcher, topic, target, "frame", &json!({"event": event, "id": id, "data": data}));
    }

    /// `id`: of the frame up to which nothing may be missing.
    pub fn complete(&self, watcher: &str, topic: &str, target: &str, id: Option<&str>) {
        self.told(watcher, topic, target, "complete", &json!({"id": id}));
    }
}

fn line(call: &Call, ended_us: Option<u64>, outcome: &str, status: Option<u16>, code: &str, answer: &Value) -> Value {
    let Call { number, begun_us, ask } = call;
    let Ask { client, what, target, node, key, asked } = ask;
    json!({"client": client, "call": number, "key": key, "what": what, "target": target, "node": node, "asked": asked,
        "begun_us": begun_us, "ended_us": ended_us, "outcome": outcome, "status": status, "code": code, "answer": answer})
}

fn write(file: &Mutex<File>, value: &Value) {
    let mut text = value.to_string();
    text.push('\n');
    // One write per line: whoever is killed in between leaves whole lines.
    file.lock().write_all(text.as_bytes()).expect("the records' directory is ours");
}
