//! What do watchers see? Each follows the seat map over connections that are cut at random, and keeps a diary.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use onsale::actors::Engine;
use onsale::clock::{Clock, Entropy};
use onsale::events::Record;
use onsale::fault::Fault;
use onsale::ids::{LogPosition, PerformanceId, TaskId, Version};
use onsale::journal::SharedJournal;
use onsale::live::{Heartbeat, Hub, HubParts, Resume, TaskLookup, Topic, WatchError};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::world::World;

struct NoTasks;

#[async_trait]
impl TaskLookup for NoTasks {
    async fn version_of(&self, _task: &TaskId) -> Result<Option<Version>, Fault> {
        Ok(None)
    }
}

pub fn hub(journal: SharedJournal, engine: &Engine, clock: &Arc<dyn Clock>, seed: u64) -> Hub {
    Hub::new(HubParts {
        journal,
        follow: engine.follow(),
        lookup: Arc::new(NoTasks),
        clock: clock.clone(),
        entropy: Entropy::seeded(seed ^ 0x11fe),
        stop: CancellationToken::new(),
        tracker: TaskTracker::new(),
    })
}

/// One frame as a browser would see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub event: String,
    pub id: LogPosition,
    pub data: serde_json::Value,
}

#[derive(Debug, Default)]
pub struct Diary {
    number: u64,
    frames: Vec<Seen>,
}

/// Follows the seat map until the hub ends, over many short connections.
pub async fn watch(world: Arc<World>, number: u64) -> Diary {
    let entropy = Entropy::seeded(world.seed.wrapping_mul(77).wrapping_add(number));
    let mut diary = Diary { number, frames: Vec::new() };
    loop {
        let resume = diary.frames.last().map_or(Resume::Fresh, |last| Resume::After(last.id));
        let opened = world.hub.watch(Topic::Seats(world.performance.clone()), resume, Heartbeat::Comment).await;
        let mut connection = match opened {
            Ok(connection) => connection,
            // Between two connections when the node stopped: there is nobody to come back to.
            Err(_) if world.over.load(Ordering::SeqCst) => return diary,
            Err(WatchError::Failed(_) | WatchError::Full) => {
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
            Err(other) => panic!("the seat map cannot be watched: {other}"),
        };
        if resume != Resume::Fresh {
            world.tally.count("watcher resumed");
        }
        let until = tokio::time::sleep(Duration::from_millis(200 + entropy.below(6_000)));
        tokio::pin!(until);
        let ended = loop {
            tokio::select! {
                biased;
                bytes = connection.next() => match bytes {
                    Some(bytes) => {
                        for seen in frames(&bytes) {
                            world.assert_watched(seen.id).await;
                            world.tally.count("frame seen");
                            diary.frames.push(seen);
                        }
                    }
                    None => break true,
                },
                () = &mut until => break false,
            }
        };
        if ended {
            return diary;
        }
    }
}

/// All frames of one piece of the stream.
fn frames(bytes: &[u8]) -> Vec<Seen> {
    let text = std::str::from_utf8(bytes).expect("streams are text");
    text.split_inclusive("\n\n").filter_map(parse).collect()
}

/// A frame with an id; `None` for comments, `retry:` and heartbeats.
fn parse(text: &str) -> Option<Seen> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let id = LogPosition::parse(field("id: ")?).expect("ids are positions");
    let data = serde_json::from_str(field("data: ")?).expect("data is JSON");
    Some(Seen { event: field("event: ")?.to_owned(), id, data })
}

/// What the log says a watcher must see: the id of every unit that changed a seat, with the changed seats.
pub type Expected = BTreeMap<u64, Vec<String>>;

impl Diary {
    pub fn of_log(records: &[Record], performance: &PerformanceId) -> Expected {
        let prefix = onsale::ids::StreamId::seat_prefix(performance);
        let mut expected = Expected::new();
        let mut changed = Vec::new();
        for record in records {
            if record.stream.as_str().starts_with(&prefix) {
                changed.extend(record.stream.seat_id().map(|seat| seat.to_string()));
            }
            if record.unit_last && !changed.is_empty() {
                changed.sort();
                expected.insert(record.position.0, std::mem::take(&mut changed));
            }
        }
        expected
    }

    /// Frames from the first snapshot on must be exactly the log's: none missing, none twice, each naming the one before.
    pub fn compare(&self, expected: &Expected) -> Vec<String> {
        let mut violations = Vec::new();
        let mut last: Option<LogPosition> = None;
        for seen in &self.frames {
            let here = format!("C4: watcher {} at {}", self.number, seen.id);
            if seen.event == "snapshot" {
                if last.is_some_and(|last| seen.id.position < last.position) {
                    violations.push(format!("{here}: a snapshot from the past"));
                }
                last = Some(seen.id);
                continue;
            }
            let prev = last.map(|last| last.to_string());
            if seen.data["prev"].as_str() != prev.as_deref() {
                violations.push(format!("{here}: prev is {}, seen was {prev:?}", seen.data["prev"]));
            }
            let after = last.map_or(0, |last| last.position.0);
            if let Some((missing, _)) = expected.range(after + 1..seen.id.position.0).next() {
                violations.push(format!("{here}: position {missing} was never shown"));
            }
            let mut seats: Vec<&str> =
                seen.data["seats"].as_array().map_or(vec![], |seats| seats.iter().filter_map(|s| s.as_str()).collect());
            seats.sort_unstable();
            match expected.get(&seen.id.position.0) {
                Some(changed) if changed.iter().map(String::as_str).eq(seats.iter().copied()) => {}
                other => violations.push(format!("{here}: shows {seats:?}, the log says {other:?}")),
            }
            last = Some(seen.id);
        }
        let end = expected.keys().next_back().copied().unwrap_or(0);
        if last.map_or(0, |last| last.position.0) != end {
            violations.push(format!("C4: watcher {} ended at {last:?}, the log at {end}", self.number));
        }
        violations
    }
}
