//! On what are the tests run? A log of one partition and a node that follows it, with a clock that the test moves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::facts::{scheduled, store_created};
use crate::clock::{Clock, Entropy};
use crate::events::{Event, Record};
use crate::fault::Fault;
use crate::ids::{NodeId, Partition, Position, StreamId, TaskId, Version};
use crate::journal::SharedJournal;
use crate::journal::conformance::Builder;
use crate::journal::follow::Follow;
use crate::journal::memory::{MemoryJournal, Mischief};
use crate::live::hub::{Heartbeat, Hub, HubParts, Options, Resume, TaskLookup, Watch, WatchError};
use crate::live::topics::Topic;
use crate::timestamp::Timestamp;

pub const P: Partition = Partition(0);
pub const START: Timestamp = Timestamp(1_700_000_000_000);

/// A clock that stands still until it is moved.
#[derive(Default)]
pub struct HandClock(Mutex<Duration>);

impl HandClock {
    pub fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for HandClock {
    fn wall(&self) -> Timestamp {
        START.plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock()
    }
}

/// Where the tests' only coupon task stands.
pub struct Tasks(pub Mutex<BTreeMap<TaskId, Version>>);

#[async_trait]
impl TaskLookup for Tasks {
    async fn version_of(&self, task: &TaskId) -> Result<Option<Version>, Fault> {
        Ok(self.0.lock().get(task).copied())
    }
}

pub struct SlowLoads;

impl Mischief for SlowLoads {
    fn on_load(&self) -> Option<Duration> {
        Some(Duration::from_millis(3))
    }
}

/// A log of one partition, and a node that follows it.
pub struct World {
    pub journal: SharedJournal,
    pub follow: Follow,
    pub builder: Builder,
    pub clock: Arc<HandClock>,
    pub tasks: Arc<Tasks>,
    pub hub: Hub,
    /// Of the next node.
    pub options: Options,
}

impl World {
    pub async fn new() -> Self {
        Self::with(|journal| journal).await
    }

    pub async fn with(change: impl FnOnce(MemoryJournal) -> MemoryJournal) -> Self {
        let clock = Arc::new(HandClock::default());
        let journal: SharedJournal = Arc::new(change(MemoryJournal::new(1, clock.clone())));
        let claim = journal.claim(&NodeId::new("node-a")).await.expect("nobody else");
        let follow = Follow::new(journal.clone(), &[Position(0)]);
        let tasks = Arc::new(Tasks(Mutex::default()));
        let options = Options::default();
        let hub = hub(&journal, &follow, &clock, &tasks, &options);
        let builder = Builder::after(&claim.partitions[0]);
        let mut world = Self { journal, follow, builder, clock, tasks, hub, options };
        world.commit(vec![scheduled()]).await;
        world.commit(vec![store_created()]).await;
        world
    }

    /// A node that has just started on the same log.
    pub fn restart(&mut self) {
        self.hub = hub(&self.journal, &self.follow, &self.clock, &self.tasks, &self.options);
    }

    pub async fn commit(&mut self, facts: Vec<(StreamId, Event)>) -> u64 {
        self.builder.at = self.clock.wall();
        let unit = self.builder.unit(facts);
        let records: Vec<Arc<Record>> = unit.records.iter().cloned().map(Arc::new).collect();
        self.journal.append(&[self.builder.batch(vec![unit])]).await.expect("a sound batch");
        self.follow.committed(P, records);
        self.builder.head.0
    }

    pub async fn watch(&self, topic: Topic, resume: Resume) -> Result<Watch, WatchError> {
        let watch = self.hub.watch(topic, resume, Heartbeat::Comment);
        tokio::time::timeout(Duration::from_secs(3_600), watch).await.expect("an answer")
    }

    pub async fn open(&self, topic: Topic, resume: Resume) -> Watch {
        let mut watch = self.watch(topic, resume).await.expect("a stream");
        let retry = watch.next().await.expect("the first line");
        let text = std::str::from_utf8(&retry).expect("text");
        let millis: u64 = text.strip_prefix("retry: ").expect("retry").trim_end().parse().expect("a number");
        assert!((2_000..=5_000).contains(&millis), "{text}");
        watch
    }
}

pub fn hub(
    journal: &SharedJournal,
    follow: &Follow,
    clock: &Arc<HandClock>,
    tasks: &Arc<Tasks>,
    options: &Options,
) -> Hub {
    let parts = HubParts {
        journal: journal.clone(),
        follow: follow.clone(),
        lookup: tasks.clone(),
        clock: clock.clone(),
        entropy: Entropy::seeded(7),
        stop: CancellationToken::new(),
        tracker: TaskTracker::new(),
    };
    Hub::with(parts, options.clone())
}
