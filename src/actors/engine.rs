//! What runs on a node that owns partitions? Starts the sequencers, the lane, the loader and the timers, keeps the lease,
//! and stops all of it in the right order.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::admission::Admission;
use super::dispatch::Owned;
use super::loader::Loader;
use super::logtime::{Lease, LogTime};
use super::node::{Node, Sabotage};
use super::registry::Registry;
use super::sequencer::Sequencer;
use super::tally::Tally;
use super::{Dispatch, timers};
use crate::clock::{Clock, Entropy};
use crate::fault::Fault;
use crate::ids::{NodeId, Position};
use crate::journal::follow::Follow;
use crate::journal::lane::{Lane, LaneParts};
use crate::journal::{Claim, ClaimError, SharedJournal};
use crate::{limits, telemetry};

/// What an engine is made of. The lease counts from `claimed_at` of the clock, taken
/// before the claim or a later heartbeat was sent.
pub struct Setup {
    pub journal: SharedJournal,
    pub claim: Claim,
    pub claimed_at: Duration,
    pub node: NodeId,
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    pub sabotage: Option<Arc<dyn Sabotage>>,
}

pub struct Engine {
    own: Owned,
    follow: Follow,
    stop: CancellationToken,
    tasks: TaskTracker,
    lane: JoinHandle<()>,
    lane_stop: CancellationToken,
}

impl Engine {
    pub async fn start(setup: Setup) -> Result<Self, Fault> {
        let Setup { journal, claim, claimed_at, node, clock, entropy, sabotage } = setup;
        let heads: Vec<Position> = claim.partitions.iter().map(|state| state.head).collect();
        let follow = Follow::new(journal.clone(), &heads);
        let time = Arc::new(LogTime::anchored(clock.clone(), claim.now));
        let lease = Arc::new(Lease::since(clock.clone(), claimed_at));
        let (units, queue) = mpsc::channel(limits::LANE_QUEUE);
        let waits_changed = Arc::new(Notify::new());
        let mut sequencers = Vec::with_capacity(claim.partitions.len());
        for state in &claim.partitions {
            let timers = journal.timers(state.partition).await?;
            let (units, time, lease) = (units.clone(), time.clone(), lease.clone());
            sequencers.push(Sequencer::new(state, timers, units, time, lease, waits_changed.clone()));
        }
        let partitions = u16::try_from(sequencers.len()).unwrap_or(u16::MAX);
        let (loader, loading) = Loader::new(journal.clone(), clock.clone());
        let tasks = TaskTracker::new();
        let tally = Tally::since(time.now());
        let registry = Registry::new(partitions, entropy.next_u64());
        let node = Arc::new(Node {
            id: node,
            journal: journal.clone(),
            follow: follow.clone(),
            clock: clock.clone(),
            entropy,
            time,
            lease,
            sequencers,
            waits_changed,
            registry,
            loader,
            admission: Admission::new(partitions),
            tally,
            sabotage,
            lost: CancellationToken::new(),
            tasks: tasks.clone(),
        });
        let lane_stop = CancellationToken::new();
        let lane = Lane::new(
            LaneParts {
                journal,
                follow: follow.clone(),
                reports: node.clone(),
                node: node.id.clone(),
                clock,
                stop: lane_stop.clone(),
            },
            &claim.partitions,
            queue,
        );
        let engine = Self {
            own: Owned { node: node.clone() },
            follow,
            stop: CancellationToken::new(),
            tasks,
            lane: tokio::spawn(lane.run()),
            lane_stop,
        };
        tokio::spawn(loading);
        engine.tasks.spawn(timers::run(engine.own.clone(), engine.stop.clone()));
        engine.tasks.spawn(keep_lease(node.clone(), engine.stop.clone()));
        engine.tasks.spawn(sweep(node, engine.stop.clone()));
        Ok(engine)
    }

    #[cfg(test)]
    pub(super) fn node(&self) -> &Arc<Node> {
        &self.own.node
    }

    #[must_use]
    pub fn dispatch(&self) -> Dispatch {
        Dispatch::to(self.own.clone())
    }

    #[must_use]
    pub fn follow(&self) -> Follow {
        self.follow.clone()
    }

    /// Cancelled when another node has taken over: this one must stop.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.own.node.lost.clone()
    }

    /// Asks every actor to leave, however recently it was used; those that are needed stay.
    pub fn ask_all_to_leave(&self) {
        let node = &self.own.node;
        node.registry.ask_idle_to_leave(node, Duration::MAX, Duration::ZERO);
    }

    /// Lets nobody in, waits for what is under way (bounded by the caller), ends every task and gives the lease back.
    pub async fn shutdown(self) {
        let node = self.own.node.clone();
        node.admission.drain().await;
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
        (0..node.partitions()).for_each(|partition| node.registry.forget(crate::ids::Partition(partition)));
        node.registry.close();
        self.lane_stop.cancel();
        if let Err(error) = self.lane.await {
            tracing::error!(%error, "the lane did not end well");
        }
        if let Err(fault) = node.journal.release(&node.id).await {
            tracing::warn!(%fault, "the lease was not given back; it runs out by itself");
        }
    }
}

async fn keep_lease(node: Arc<Node>, stop: CancellationToken) {
    let mut beat = tokio::time::interval(limits::HEARTBEAT);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = beat.tick() => {}
        }
        let sent = node.clock.elapsed();
        match node.journal.heartbeat(&node.id).await {
            Ok(log) => {
                metrics::counter!(telemetry::LEASE_RENEWALS, "result" => "ok").increment(1);
                node.lease.renew(sent);
                node.time.draw_towards(log, sent);
            }
            Err(ClaimError::Unavailable(detail)) => {
                metrics::counter!(telemetry::LEASE_RENEWALS, "result" => "failed").increment(1);
                tracing::warn!(detail, "the lease was not renewed");
            }
            Err(ClaimError::Held { holder }) => {
                tracing::error!(holder, "another node has taken over, stepping down");
                node.lease.end();
                node.lost.cancel();
                return;
            }
        }
    }
}

async fn sweep(node: Arc<Node>, stop: CancellationToken) {
    let mut round = tokio::time::interval(Duration::from_secs(10));
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = round.tick() => node.registry.sweep(&node),
        }
    }
}
