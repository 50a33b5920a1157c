//! The handle of the running projections: what readers and operators ask of them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::registry::Registry;
use super::status::{Board, Status};
use super::supervisor::Supervisor;
use crate::clock::Clock;
use crate::journal::SharedJournal;
use crate::journal::follow::Follow;
use crate::limits;
use crate::projections::Projection;
use crate::projections::reads::Reads;
use crate::projections::store::{Decision, Store, StoreError};

/// What a runner needs.
#[derive(Clone)]
pub struct Parts {
    pub store: Arc<dyn Store>,
    pub journal: SharedJournal,
    pub follow: Follow,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
    pub tracker: TaskTracker,
    /// `ROSTER`, except in tests.
    pub roster: &'static [&'static dyn Projection],
    pub keeping: Keeping,
}

/// Who keeps the read models up to date?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// This node.
    Ours,
    /// Another one: here they are only read.
    Theirs,
}

/// What workers give back to the runner.
#[derive(Clone)]
pub struct Orders {
    pub(super) store: Arc<dyn Store>,
    /// Counts decisions that were carried out.
    pub(super) done: Arc<watch::Sender<u64>>,
}

/// The handle of the running projections. Cheap to clone.
#[derive(Clone)]
pub struct Runner {
    reads: Reads,
    board: Board,
    orders: Orders,
    look: Arc<Notify>,
}

impl Runner {
    /// Starts everything; returns at once. Read models that do not exist yet are made in the background.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let reads = Reads::default();
        let board = Board::default();
        let orders = Orders { store: parts.store.clone(), done: Arc::new(watch::Sender::new(0)) };
        let look = Arc::new(Notify::new());
        let mut pointers = BTreeMap::new();
        let mut inboxes = BTreeMap::new();
        for projection in parts.roster {
            let (pointer, active) = watch::channel(None);
            let (inbox, decisions) = mpsc::channel(limits::DECISIONS_WAITING);
            pointers.insert(projection.name(), (*projection, pointer));
            inboxes.insert(projection.name(), inbox);
            board.change(projection.name(), |status| status.version = projection.version());
            let supervisor = Supervisor {
                projection: *projection,
                store: parts.store.clone(),
                follow: parts.follow.clone(),
                clock: parts.clock.clone(),
                reads: reads.clone(),
                board: board.clone(),
                orders: orders.clone(),
                active,
                stop: parts.stop.clone(),
                keeping: parts.keeping,
            };
            parts.tracker.spawn(supervisor.run(decisions));
        }
        let registry = Registry {
            parts,
            pointers,
            inboxes,
            look: look.clone(),
            sent: BTreeMap::new(),
            making: None,
            sweep_at: None,
            make_at: Duration::ZERO,
        };
        let tracker = registry.parts.tracker.clone();
        tracker.spawn(registry.run());
        Self { reads, board, orders, look }
    }

    #[must_use]
    pub fn reads(&self) -> Reads {
        self.reads.clone()
    }

    /// Waits until readers find every read model, for a while: making them of a long log takes as long as it takes.
    pub async fn shown(&self) {
        let all = async {
            for (name, _) in self.statuses() {
                self.reads.shown(name).await;
            }
        };
        if tokio::time::timeout(limits::FIRST_BUILD_WAIT, all).await.is_err() {
            tracing::info!("read models are still being made; their lists answer 503 until then");
        }
    }

    #[must_use]
    pub fn statuses(&self) -> Vec<(&'static str, Status)> {
        self.board.all()
    }

    /// Writes a decision down and waits, a while, for what comes of it. The decision stands even if that takes longer.
    pub async fn decide(&self, decision: Decision) -> Result<Decision, StoreError> {
        let mut done = self.orders.done.subscribe();
        let id = self.orders.store.decide(decision.clone()).await?;
        self.look.notify_one();
        let outcome = async {
            loop {
                done.borrow_and_update();
                if let Some(found) = self.orders.store.decision(id).await?.filter(|found| found.outcome.is_some()) {
                    return Ok(found);
                }
                if done.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        let waited = tokio::time::timeout(limits::READ_WAIT, outcome).await;
        waited.unwrap_or(Ok(Decision { id, ..decision }))
    }

    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        self.orders.store.clone()
    }
}
