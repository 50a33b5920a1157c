//! Which build does a worker work on, and when do readers see it? Takes over, starts again after trouble, moves on.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::status::{Board, State};
use super::worker::{Ended, Worker, backoff};
use super::{Keeping, Orders, Parts};
use crate::clock::Clock;
use crate::ids::Position;
use crate::journal::follow::Follow;
use crate::limits;
use crate::projections::Projection;
use crate::projections::applier::Applier;
use crate::projections::reads::Reads;
use crate::projections::rebuild;
use crate::projections::store::{Build, BuildId, Decision, ParkedKey, Purpose, RebuildLock, Store, StoreError};

pub struct Supervisor {
    pub projection: &'static dyn Projection,
    pub store: Arc<dyn Store>,
    pub follow: Follow,
    pub clock: Arc<dyn Clock>,
    pub reads: Reads,
    pub board: Board,
    pub orders: Orders,
    pub active: watch::Receiver<Option<BuildId>>,
    pub stop: CancellationToken,
    pub keeping: Keeping,
}

impl Supervisor {
    /// Until the node stops.
    pub async fn run(mut self, mut decisions: mpsc::Receiver<Decision>) {
        let mut failures = 0;
        // What readers have seen: they are never shown less.
        let mut seen: Option<Arc<[Position]>> = None;
        loop {
            let active = *self.active.borrow_and_update();
            let Some(active) = active else {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return,
                    changed = self.active.changed() => if changed.is_err() { return },
                }
                continue;
            };
            let ended = match self.keeping {
                Keeping::Ours => self.work(active, &mut seen, &mut decisions, &mut failures).await,
                Keeping::Theirs => self.look_on(active, &mut seen, &mut failures).await,
            };
            let ended = match ended {
                Ok(ended) => ended,
                Err(error) => Ended::Lost(error),
            };
            match ended {
                Ended::Stopped => return,
                Ended::Moved => {}
                Ended::Lost(error) => {
                    self.tell(&error);
                    let wait = backoff(failures);
                    failures += 1;
                    tokio::select! {
                        biased;
                        () = self.stop.cancelled() => return,
                        () = tokio::time::sleep(wait) => {}
                    }
                }
            }
        }
    }

    async fn work(
        &self,
        active: BuildId,
        seen: &mut Option<Arc<[Position]>>,
        decisions: &mut mpsc::Receiver<Decision>,
        failures: &mut u32,
    ) -> Result<Ended, StoreError> {
        let name = self.projection.name();
        let build = self.store.open(self.projection, active).await?;
        let skips = self.store.skips(name).await?;
        let applier = Applier::take(self.projection, &*build, skips.iter().copied(), self.clock.clone()).await?;
        let (cursors, shown) = watch::channel(Arc::from(applier.cursors()));
        self.board.change(name, |status| {
            status.build = Some(active.0);
            status.last_error = None;
            status.last_error_at = None;
        });
        let mut worker = Worker {
            applier,
            build: active,
            follow: self.follow.clone(),
            clock: self.clock.clone(),
            board: self.board.clone(),
            cursors,
            active: self.active.clone(),
            stop: self.stop.clone(),
            turn: 0,
            stuck: BTreeMap::new(),
        };
        let first = build.parked_keys(None, limits::PARKED_KEYS).await?;
        // One without an error is what is left of a skip that a crash cut short after its first events.
        let resumes = |key: &ParkedKey| key.error.is_empty() || skips.contains(&(key.partition, key.position));
        let skipped = first.into_iter().filter(resumes);
        worker.resume_skipped(skipped.map(|key| key.key).collect()).await?;
        *failures = 0;
        let floor = seen.clone();
        let show = self.show_when(build, shown.clone(), floor);
        let ended = {
            let work = worker.run(decisions, &self.orders);
            tokio::pin!(work, show);
            let mut showing = true;
            loop {
                tokio::select! {
                    biased;
                    () = &mut show, if showing => showing = false,
                    ended = &mut work => break ended,
                }
            }
        };
        let reached = shown.borrow().clone();
        remember(seen, reached);
        Ok(ended)
    }

    /// Another node works on the build: looks how far it has come.
    async fn look_on(
        &self,
        active: BuildId,
        seen: &mut Option<Arc<[Position]>>,
        failures: &mut u32,
    ) -> Result<Ended, StoreError> {
        let build = self.store.open(self.projection, active).await?;
        let (cursors, shown) = watch::channel(Arc::from(build.cursors().await?));
        self.board.change(self.projection.name(), |status| {
            status.build = Some(active.0);
            (status.state, status.last_error, status.last_error_at) = (State::Live, None, None);
        });
        *failures = 0;
        let floor = seen.clone();
        let show = self.show_when(build.clone(), shown, floor);
        tokio::pin!(show);
        let (mut showing, mut active_now, mut looks) = (true, self.active.clone(), 0_u64);
        let mut round = tokio::time::interval(limits::FOLLOW_POLL);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let ended = loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => break Ok(Ended::Stopped),
                moved = active_now.wait_for(|now| *now != Some(active)) => {
                    break Ok(if moved.is_ok() { Ended::Moved } else { Ended::Stopped });
                }
                () = &mut show, if showing => showing = false,
                _ = round.tick() => looks += 1,
            }
            // Readers who wait for a position hold receivers of their own, besides the one that all readers share.
            if cursors.receiver_count() < 2 && looks % limits::CURSOR_LOOKS != 0 {
                continue;
            }
            match build.cursors().await {
                Ok(now) => drop(cursors.send_replace(Arc::from(now))),
                Err(error) => break Ok(Ended::Lost(error)),
            }
        };
        remember(seen, cursors.borrow().clone());
        ended
    }

    /// Readers move to this build when it has come as far as what they saw before.
    async fn show_when(
        &self,
        build: Arc<dyn Build>,
        cursors: watch::Receiver<Arc<[Position]>>,
        floor: Option<Arc<[Position]>>,
    ) {
        if let Some(floor) = floor {
            let come = |now: &Arc<[Position]>| now.iter().zip(floor.iter()).all(|(now, floor)| now >= floor);
            let mut waiting = cursors.clone();
            if waiting.wait_for(come).await.is_err() {
                return;
            }
        }
        self.reads.show(self.projection.name(), build, cursors);
    }

    fn tell(&self, error: &StoreError) {
        let (name, at) = (self.projection.name(), self.clock.wall());
        tracing::warn!(projection = name, %error, "a read model stands still for a moment");
        self.board.change(name, |status| {
            status.state = State::Waiting;
            status.last_error = Some(error.to_string());
            status.last_error_at = Some(at);
        });
    }
}

/// Whoever ended before readers saw this build has not seen more than what they saw.
fn remember(seen: &mut Option<Arc<[Position]>>, reached: Arc<[Position]>) {
    *seen = Some(match seen.take() {
        Some(floor) => floor.iter().zip(reached.iter()).map(|(floor, now)| *floor.max(now)).collect(),
        None => reached,
    });
}

/// Makes read models that do not exist in this version yet: all of them with one reading of the log.
pub async fn make(parts: &Parts, missing: &[&'static dyn Projection]) -> Result<(), StoreError> {
    // All at once: making tables is mostly waiting for the database.
    let begun = missing.iter().map(|projection| begin(parts, *projection));
    let (mut locks, mut rebuilds) = (Vec::new(), Vec::new());
    for begun in futures::future::try_join_all(begun).await?.into_iter().flatten() {
        locks.push(begun.0);
        rebuilds.push(begun.1);
    }
    if rebuilds.is_empty() {
        return Ok(());
    }
    let (heads, pace) = (rebuild::heads(&parts.follow), rebuild::Pace::default());
    // One that cannot be made keeps the others from nothing.
    let gaps = rebuild::Gaps::EndBefore;
    let made = rebuild::catch_up_each(rebuilds, &parts.follow, &heads, gaps, &pace, &parts.stop, |_| {}).await;
    let (made, failed) = match made {
        Ok(made) => made,
        Err(_) if parts.stop.is_cancelled() => return Ok(()),
        Err(error) => return Err(StoreError::Unavailable(error.to_string())),
    };
    let registered = parts.store.registered().await?;
    for rebuild in made {
        let projection = rebuild.applier.projection();
        let before = registered.iter().find(|known| known.name == projection.name()).map(|known| known.active);
        if parts.store.switch(projection, before, rebuild.build.id()).await? {
            tracing::info!(projection = projection.name(), "a read model was made");
        }
    }
    failed.map_or(Ok(()), |error| Err(StoreError::Unavailable(error.to_string())))
}

/// `None`: somebody else is making it, and the registry will say when it is there.
async fn begin(
    parts: &Parts,
    projection: &'static dyn Projection,
) -> Result<Option<(Box<dyn RebuildLock>, rebuild::Rebuild)>, StoreError> {
    let Some(lock) = parts.store.rebuild_lock(projection).await? else { return Ok(None) };
    parts.store.sweep(projection, &[]).await?;
    let build = parts.store.create(projection, parts.follow.partitions(), Purpose::Serve).await?;
    let skips = parts.store.skips(projection.name()).await?;
    let applier = Applier::take(projection, &*build, skips, parts.clock.clone()).await?;
    Ok(Some((lock, rebuild::Rebuild { build, applier })))
}
