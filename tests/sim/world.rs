//! What do all who take part in a run share? The nodes, what was promised to whom, and what was counted.
//!
//! Answers are judged here at the very moment at which they are given: durable, and not older than what had been
//! answered before they were asked for. What needs the whole log is judged at the end (`judge/`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use onsale::actors::{CommandError, Outcome, Request, Snapshotted};
use onsale::clock::{Clock, Entropy};
use onsale::domain::Aggregate;
use onsale::fault::Fault;
use onsale::ids::{
    AccountId, CouponId, LogPosition, OrderId, Partition, PerformanceId, Position, SeatId, StoreId, StreamId, Version,
};
use onsale::journal::Journal;
use onsale::journal::memory::MemoryJournal;
use onsale::timestamp::Timestamp;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::buyers::Told;
use crate::follower::Follower;
use crate::nodes::{Fleet, Node};
use crate::plan::Plan;
use crate::psp::Provider;

/// How long a client waits for an answer.
const CLIENT_PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Tally(pub Mutex<BTreeMap<&'static str, u64>>);

impl Tally {
    pub fn count(&self, state: &'static str) {
        *self.0.lock().entry(state).or_default() += 1;
    }
}

pub struct World {
    pub plan: Plan,
    pub start: Timestamp,
    pub clock: Arc<dyn Clock>,
    pub fleet: Arc<Fleet>,
    pub follower: Follower,
    pub provider: Arc<Provider>,
    pub journal: MemoryJournal,
    pub performance: PerformanceId,
    pub partition: Partition,
    pub seats: Vec<SeatId>,
    pub granted: Granted,
    pub coupon: CouponId,
    pub store: StoreId,
    pub tally: Arc<Tally>,
    pub told: Mutex<Vec<Told>>,
    /// Orders that some buyer was promised.
    pub orders: Mutex<Vec<OrderId>>,
    pub known: Known,
    pub violations: Mutex<Vec<String>>,
    /// Copies of requests that are still under way.
    pub ghosts: TaskTracker,
    /// Dice of the network between clients and nodes.
    pub network: Entropy,
    /// The nodes have stopped.
    pub over: AtomicBool,
}

/// What the performance grants each of its members.
#[derive(Clone, Copy, Debug, Default)]
pub struct Granted {
    pub seats: Option<u32>,
    pub live_orders: Option<u32>,
    pub unpaid_holds: Option<u32>,
}

impl Granted {
    /// Every third run counts nobody.
    pub fn of(seed: u64) -> Self {
        match seed % 3 {
            0 => Self::default(),
            1 => Self { seats: Some(3), live_orders: None, unpaid_holds: None },
            _ => Self { seats: Some(4), live_orders: Some(1), unpaid_holds: Some(2) },
        }
    }

    pub fn counted(self) -> bool {
        self.seats.is_some()
    }
}

/// What has been answered by now: whoever asks from now on must see at least that.
#[derive(Default)]
pub struct Known {
    streams: Mutex<BTreeMap<StreamId, Version>>,
    partitions: Mutex<BTreeMap<Partition, Position>>,
}

/// What was known when something was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Before {
    version: Version,
    position: Position,
}

impl Known {
    fn before(&self, stream: &StreamId, partition: Partition) -> Before {
        Before {
            version: self.streams.lock().get(stream).copied().unwrap_or_default(),
            position: self.partitions.lock().get(&partition).copied().unwrap_or_default(),
        }
    }

    fn learn(&self, stream: &StreamId, version: Version, position: LogPosition) {
        let mut streams = self.streams.lock();
        let known = streams.entry(stream.clone()).or_default();
        *known = version.max(*known);
        let mut partitions = self.partitions.lock();
        let known = partitions.entry(position.partition).or_default();
        *known = position.position.max(*known);
    }
}

impl World {
    pub fn before(&self, stream: &StreamId) -> Before {
        let partition = stream.partition(self.journal.partitions()).expect("a stream of this log");
        self.known.before(stream, partition)
    }

    pub fn violated(&self, violation: String) {
        self.violations.lock().push(violation);
    }

    /// Notes what a client was told, and judges it at that very moment. `first`: the client had not heard of it before.
    pub async fn note<E>(&self, stream: &StreamId, request: &Request, outcome: &Outcome<E>, first: Option<Before>) {
        self.assert_durable(outcome.position, "an answer").await;
        let fresh = !outcome.events.is_empty();
        if let Some(before) = first {
            let (version, position) = (outcome.version, outcome.position.position);
            let in_order = match fresh {
                true => version > before.version && position > before.position,
                false => version >= before.version,
            };
            if !in_order {
                self.violated(format!(
                    "order of answers: {stream} answered version {} at {position} when {before:?} had been answered",
                    version.0
                ));
            }
        }
        self.known.learn(stream, outcome.version, outcome.position);
        let appended = fresh && !outcome.replayed;
        self.told.lock().push(Told { command: request.command, position: outcome.position, appended });
    }

    pub async fn assert_durable(&self, shown: LogPosition, what: &str) {
        let heads = self.journal.heads().await.expect("the memory journal has heads");
        let head = heads[usize::from(shown.partition.0)];
        if shown.position > head {
            self.violated(format!("C3: {what} showed {shown} while the log ends at {head}"));
        }
    }

    /// One try at one node. A client that waits too long, or whose node dies, knows nothing.
    pub async fn execute<A: Aggregate>(
        &self,
        stream: &StreamId,
        command: &A::Command,
        request: &Request,
    ) -> Result<Outcome<A::Event>, CommandError> {
        self.at_some_node(|node| async move {
            node.dispatch.execute::<A>(stream.clone(), command.clone(), request.clone()).await
        })
        .await
    }

    pub async fn at_some_node<T, F: Future<Output = Result<T, CommandError>>>(
        &self,
        call: impl FnOnce(Arc<Node>) -> F,
    ) -> Result<T, CommandError> {
        let node = self.fleet.somewhere(self.network.next_u64());
        let gate = node.gate.clone();
        let answered = tokio::time::timeout(CLIENT_PATIENCE, gate.visit(call(node)));
        match answered.await {
            Ok(Some(answer)) => answer,
            Ok(None) => {
                self.tally.count("node died under a request");
                Err(Fault::UnknownOutcome.into())
            }
            Err(_) => {
                self.tally.count("client stopped waiting");
                Err(Fault::UnknownOutcome.into())
            }
        }
    }

    /// A reading at some node; it shows what had been answered before, and nothing that is not durable.
    pub async fn read<A: Aggregate, R: Send + 'static>(
        &self,
        stream: &StreamId,
        view: impl FnOnce(&A::State) -> R + Clone + Send + 'static,
    ) -> Option<Snapshotted<R>> {
        let before = self.before(stream);
        let read = self.at_some_node(|node| async move { node.dispatch.read::<A, R>(stream.clone(), view).await });
        let read = read.await.ok()?;
        self.seen(stream, before, &read, "a node").await;
        Some(read)
    }

    /// As [`Self::read`], at the node that only follows.
    pub async fn read_there<A: Aggregate>(&self, stream: &StreamId) {
        let before = self.before(stream);
        if let Ok(read) = self.follower.dispatch.read::<A, ()>(stream.clone(), |_| ()).await {
            self.seen(stream, before, &read, "the follower").await;
            self.tally.count("read at the follower");
        }
    }

    async fn seen<R>(&self, stream: &StreamId, before: Before, read: &Snapshotted<R>, whose: &str) {
        if read.version < before.version {
            let version = read.version.0;
            self.violated(format!(
                "stale: {whose} showed version {version} of {stream} when {before:?} had been answered"
            ));
        }
        if let Some(position) = read.position {
            self.assert_durable(position, "a read").await;
            self.tally.count("read");
        }
    }

    pub fn seller(&self) -> AccountId {
        AccountId::new("seller")
    }
}
