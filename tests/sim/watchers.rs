//! What do watchers see? Each follows a topic over connections that are cut at random, at whichever node, and keeps a diary.
//!
//! Seat maps, the counter's feed and single orders; at the node that serves, at one that was replaced, and at the one that
//! only follows. What a diary says across all its connections must be what the log says: no gap, nothing twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use onsale::clock::{Clock, Entropy};
use onsale::events::Record;
use onsale::fault::Fault;
use onsale::ids::{LogPosition, Position, StreamId, TaskId, Version};
use onsale::journal::SharedJournal;
use onsale::journal::follow::Follow;
use onsale::live::{Heartbeat, Hub, HubParts, Resume, TaskLookup, Topic, WatchError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::door::Gate;
use crate::simulated::{pass, pass_millis};
use crate::world::World;

struct NoTasks;

#[async_trait]
impl TaskLookup for NoTasks {
    async fn version_of(&self, _task: &TaskId) -> Result<Option<Version>, Fault> {
        Ok(None)
    }
}

pub fn hub(journal: SharedJournal, follow: Follow, clock: &Arc<dyn Clock>, seed: u64) -> Hub {
    Hub::new(HubParts {
        journal,
        follow,
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
    event: String,
    id: LogPosition,
    data: serde_json::Value,
    /// The first of a stream that was opened anew.
    first: bool,
}

#[derive(Debug)]
pub struct Diary {
    number: u64,
    topic: Topic,
    frames: Vec<Seen>,
}

/// So many for each kind of topic.
pub fn all(world: &Arc<World>) -> JoinSet<Option<Diary>> {
    let mut watching = JoinSet::new();
    for number in 0..world.plan.watchers {
        watching.spawn(watch(world.clone(), 3 * number, Topic::Seats(world.performance.clone())));
        watching.spawn(watch(world.clone(), 3 * number + 1, Topic::Store(world.store.clone())));
        watching.spawn(watch_some_order(world.clone(), 3 * number + 2));
    }
    watching
}

async fn watch_some_order(world: Arc<World>, number: u64) -> Option<Diary> {
    let entropy = Entropy::seeded(world.plan.seed ^ number);
    pass_millis(1_500 + entropy.below(4_000)).await;
    loop {
        let orders = world.orders.lock().clone();
        if let Some(order) = orders.get(usize::try_from(entropy.below(orders.len() as u64)).unwrap_or(0)) {
            return watch(world.clone(), number, Topic::Order(order.clone())).await;
        }
        if world.over.load(Ordering::SeqCst) {
            return None;
        }
        pass_millis(200).await;
    }
}

/// Follows a topic until the end, over many short connections.
async fn watch(world: Arc<World>, number: u64, topic: Topic) -> Option<Diary> {
    let entropy = Entropy::seeded(world.plan.seed.wrapping_mul(77).wrapping_add(number));
    let mut diary = Diary { number, topic, frames: Vec::new() };
    while !world.over.load(Ordering::SeqCst) {
        let (hub, gate) = somewhere(&world, &entropy);
        let resume = diary.resume();
        let opened = tokio::time::timeout(
            Duration::from_secs(3),
            gate.visit(hub.watch(diary.topic.clone(), resume, Heartbeat::Comment)),
        );
        let mut connection = match opened.await {
            Ok(Some(Ok(connection))) => connection,
            // A node that has just begun to follow may not know it yet.
            Ok(Some(Err(WatchError::Failed(_) | WatchError::Full | WatchError::NotFound)) | None) | Err(_) => {
                pass_millis(100).await;
                continue;
            }
            Ok(Some(Err(other))) => panic!("{:?} cannot be watched: {other}", diary.topic),
        };
        if resume != Resume::Fresh {
            world.tally.count("watcher resumed");
        }
        let until = pass(Duration::from_millis(200 + entropy.below(5_000)));
        tokio::pin!(until);
        loop {
            tokio::select! {
                biased;
                bytes = gate.visit(connection.next()) => match bytes {
                    Some(Some(bytes)) => {
                        for (event, seen) in frames(&bytes) {
                            diary.enter(&world, &event, seen).await;
                        }
                    }
                    Some(None) => break world.tally.count("stream ended by its node"),
                    None => break world.tally.count("stream cut by a crash"),
                },
                () = &mut until => break,
            }
        }
    }
    Some(diary)
}

fn somewhere(world: &World, entropy: &Entropy) -> (Hub, Arc<Gate>) {
    if entropy.below(3) == 0 {
        return (world.follower.hub.clone(), Arc::default());
    }
    let node = world.fleet.somewhere(entropy.next_u64());
    (node.hub.clone(), node.gate.clone())
}

/// All frames of one piece of the stream: the event's name, and what it shows, if it has an id.
fn frames(bytes: &[u8]) -> Vec<(String, Option<Seen>)> {
    let text = std::str::from_utf8(bytes).expect("streams are text");
    text.split_inclusive("\n\n").filter_map(parse).collect()
}

/// `None` for comments, `retry:` and heartbeats.
fn parse(text: &str) -> Option<(String, Option<Seen>)> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let event = field("event: ")?.to_owned();
    let Some(id) = field("id: ") else { return Some((event, None)) };
    let id = LogPosition::parse(id).expect("ids are positions");
    let data = serde_json::from_str(field("data: ")?).expect("data is JSON");
    Some((event.clone(), Some(Seen { event, id, data, first: false })))
}

/// What the log says a watcher must see: the id of every frame; for seat maps with the seats that changed.
pub type Expected = BTreeMap<u64, Vec<String>>;

impl Diary {
    fn resume(&self) -> Resume {
        match (self.frames.last(), &self.topic) {
            (Some(last), Topic::Store(_)) => Resume::AllAfter(last.id),
            (Some(last), _) => Resume::After(last.id),
            // A feed has no snapshot: it is followed from its beginning.
            (None, Topic::Store(store)) => {
                let partition = StreamId::store(store).partition(crate::run::PARTITIONS).expect("it lives here");
                Resume::AllAfter(LogPosition { partition, position: Position(0) })
            }
            (None, _) => Resume::Fresh,
        }
    }

    async fn enter(&mut self, world: &World, event: &str, seen: Option<Seen>) {
        match seen {
            Some(mut seen) => {
                world.assert_durable(seen.id, "a frame").await;
                world.tally.count("frame seen");
                seen.first = self.frames.is_empty();
                self.frames.push(seen);
            }
            None if event == "reset" => world.violated(format!(
                "C4: watcher {} of {:?} was reset at {:?}",
                self.number,
                self.topic,
                self.frames.last().map(|last| last.id)
            )),
            None => {}
        }
    }

    pub fn of_log(&self, records: &[Record]) -> Expected {
        let mut expected = Expected::new();
        let mut changed = Vec::new();
        for record in records {
            match &self.topic {
                Topic::Seats(performance)
                    if record.stream.as_str().starts_with(&StreamId::seat_prefix(performance)) =>
                {
                    changed.extend(record.stream.seat_id().map(|seat| seat.to_string()));
                }
                Topic::Order(order) if record.stream == StreamId::order(order) => changed.push(String::new()),
                Topic::Store(store) if record.stream == StreamId::store(store) && record.version > Version(1) => {
                    expected.insert(record.position.0, Vec::new());
                }
                _ => {}
            }
            if record.unit_last && !changed.is_empty() {
                changed.sort();
                expected.insert(record.position.0, std::mem::take(&mut changed));
            }
        }
        expected
    }

    /// Frames from the first one on must be exactly the log's: none missing, none twice, each naming the one before.
    pub fn compare(&self, expected: &Expected) -> Vec<String> {
        let mut violations = Vec::new();
        let mut last: Option<LogPosition> = None;
        for seen in &self.frames {
            let here = format!("C4: watcher {} of {:?} at {}", self.number, self.topic, seen.id);
            let snapshot = seen.event == "snapshot" || (seen.first && matches!(self.topic, Topic::Order(_)));
            if snapshot {
                if last.is_some_and(|last| seen.id.position < last.position) {
                    violations.push(format!("{here}: a snapshot from the past"));
                }
                last = Some(seen.id);
                continue;
            }
            let prev = last.map(|last| last.to_string());
            if last.is_some() && seen.data["prev"].as_str() != prev.as_deref() {
                violations.push(format!("{here}: prev is {}, seen was {prev:?}", seen.data["prev"]));
            }
            let after = last.map_or(0, |last| last.position.0);
            if seen.id.position.0 <= after {
                violations.push(format!("{here}: shown after {after}"));
            } else if let Some((missing, _)) = expected.range(after + 1..seen.id.position.0).next() {
                violations.push(format!("{here}: position {missing} was never shown"));
            }
            match expected.get(&seen.id.position.0) {
                None => violations.push(format!("{here}: the log has nothing of that kind there")),
                Some(changed) if matches!(self.topic, Topic::Seats(_)) && *changed != seats(seen) => {
                    violations.push(format!("{here}: shows {:?}, the log says {changed:?}", seats(seen)));
                }
                Some(_) => {}
            }
            last = Some(seen.id);
        }
        let end = expected.keys().next_back().copied().unwrap_or(0);
        if last.map_or(0, |last| last.position.0) != end {
            violations
                .push(format!("C4: watcher {} of {:?} ended at {last:?}, the log at {end}", self.number, self.topic));
        }
        violations
    }
}

fn seats(seen: &Seen) -> Vec<String> {
    let seats = seen.data["seats"].as_array();
    let mut seats: Vec<String> =
        seats.into_iter().flatten().filter_map(|seat| seat.as_str().map(str::to_owned)).collect();
    seats.sort_unstable();
    seats
}
