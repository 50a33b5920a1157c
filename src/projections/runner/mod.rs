//! Who keeps the read models up to date? One supervisor and one worker per projection, and one watch over the registry.
//!
//! A supervisor takes the active build over, runs a worker on it, and shows it to readers; when the pointer moves to
//! another build, readers move only when that one has come at least as far as what they saw. The registry is looked at
//! twice a second, and at once after a decision of this process: other processes rebuild, switch and decide there too.

mod status;
mod supervisor;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use status::{Board, State, Status};

use super::reads::Reads;
use super::store::{BuildId, Decision, Store, StoreError};
use super::{Projection, ROSTER};
use crate::clock::Clock;
use crate::journal::SharedJournal;
use crate::journal::follow::Follow;
use crate::limits;
use supervisor::Supervisor;

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
}

impl Parts {
    #[must_use]
    pub fn roster() -> &'static [&'static dyn Projection] {
        ROSTER
    }
}

/// What workers give back to the runner.
#[derive(Clone)]
pub struct Orders {
    store: Arc<dyn Store>,
    /// Counts decisions that were carried out.
    done: Arc<watch::Sender<u64>>,
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

/// Looks at the registry for supervisors: which build is active, and what operators decided.
struct Registry {
    parts: Parts,
    pointers: BTreeMap<&'static str, (&'static dyn Projection, watch::Sender<Option<BuildId>>)>,
    inboxes: BTreeMap<&'static str, mpsc::Sender<Decision>>,
    look: Arc<Notify>,
    /// Decisions that were handed to their workers, and when each would be handed out again.
    sent: BTreeMap<i64, Duration>,
    /// Read models that did not exist are being made; that may take a while.
    making: Option<JoinHandle<Result<(), StoreError>>>,
    sweep_at: Option<Duration>,
}

impl Registry {
    async fn run(mut self) {
        let mut well = true;
        loop {
            match self.look().await {
                Ok(()) => well = true,
                Err(error) if well => {
                    well = false;
                    tracing::warn!(%error, "the registry of read models cannot be used");
                }
                Err(_) => {}
            }
            tokio::select! {
                biased;
                () = self.parts.stop.cancelled() => return,
                () = self.look.notified() => {}
                () = tokio::time::sleep(limits::REGISTRY_LOOK) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let missing = self.point().await?;
        self.make(missing).await?;
        self.hand_out().await?;
        if self.sweep_at.is_some_and(|at| self.parts.clock.elapsed() >= at) {
            self.sweep_at = None;
            for (projection, _) in self.pointers.values() {
                if let Some(_lock) = self.parts.store.rebuild_lock(*projection).await? {
                    self.parts.store.sweep(*projection, &[]).await?;
                }
            }
        }
        Ok(())
    }

    /// Tells supervisors which build is active. What no build is active of, in the version of this program, is missing.
    async fn point(&mut self) -> Result<Vec<&'static dyn Projection>, StoreError> {
        let registered = self.parts.store.registered().await?;
        let mut missing = Vec::new();
        for (name, (projection, pointer)) in &self.pointers {
            let fits = |of: &&super::store::Registered| of.name == *name && of.version == projection.version();
            let Some(active) = registered.iter().find(fits).map(|of| of.active) else {
                missing.push(*projection);
                continue;
            };
            let moved = pointer.send_if_modified(|known| known.replace(active) != Some(active));
            if moved {
                self.sweep_at = Some(self.parts.clock.elapsed() + limits::BUILD_LINGER + limits::REGISTRY_LOOK);
            }
        }
        Ok(missing)
    }

    async fn make(&mut self, missing: Vec<&'static dyn Projection>) -> Result<(), StoreError> {
        if self.making.as_ref().is_some_and(|making| !making.is_finished()) {
            return Ok(());
        }
        if let Some(made) = self.making.take() {
            made.await.map_err(|error| StoreError::Unavailable(error.to_string()))??;
        }
        if !missing.is_empty() {
            let (parts, look) = (self.parts.clone(), self.look.clone());
            self.making = Some(self.parts.tracker.spawn(async move {
                let made = supervisor::make(&parts, &missing).await;
                look.notify_one();
                made
            }));
        }
        Ok(())
    }

    /// Decisions of operators go to the workers of their projections; one that a worker took and could not end with,
    /// again.
    async fn hand_out(&mut self) -> Result<(), StoreError> {
        let now = self.parts.clock.elapsed();
        let undone = self.parts.store.undone(limits::DECISIONS_WAITING).await?;
        self.sent.retain(|id, _| undone.iter().any(|decision| decision.id == *id));
        for decision in undone {
            let id = decision.id;
            let Some(inbox) = self.inboxes.get(decision.projection.as_str()) else { continue };
            if self.sent.get(&id).is_some_and(|again| now < *again) {
                continue;
            }
            if inbox.try_send(decision).is_ok() {
                self.sent.insert(id, now + limits::PROJECTION_BACKOFF_MAX);
            }
        }
        Ok(())
    }
}
