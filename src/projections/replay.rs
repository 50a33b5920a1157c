//! How does an operator rebuild read models while a node serves? Beside the live ones, then one pointer is switched.
//!
//! The steps of `onsale replay`: lock, make from zero, compare if asked, catch up, switch. Whatever ends it half-way
//! leaves the live read models as they are, and a build that the next sweep drops. How it looks on a terminal is not
//! known here.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Projection;
use super::applier::Applier;
use super::compare::{Difference, compare};
use super::rebuild::{self, Gaps, Pace, Progress, Rebuild, RebuildError};
use super::store::{BuildId, Purpose, RebuildLock, Registered, Store, StoreError};
use crate::clock::Clock;
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, Position};
use crate::journal::SharedJournal;
use crate::journal::follow::Follow;
use crate::limits;
use crate::timestamp::Timestamp;

#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    #[error("another rebuild of {0} is running")]
    Running(&'static str),
    #[error("{0} was switched by somebody else meanwhile; the rebuilt one was not used")]
    Overtaken(&'static str),
    #[error(transparent)]
    Rebuild(#[from] RebuildError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the log cannot be read: {0}")]
    Log(#[from] Fault),
    #[error("the log has no position {0}")]
    NoSuchPosition(LogPosition),
}

/// Up to where the past is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Everything that happened at or before this moment of the log's time.
    Time(Timestamp),
    /// As `Time`, with the moment of this event; in its own partition up to it and not further.
    Position(LogPosition),
}

/// What a replay needs.
pub struct Replay {
    pub store: Arc<dyn Store>,
    pub journal: SharedJournal,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
    pub pace: Pace,
}

/// Several read models in the making.
pub struct Making {
    follow: Follow,
    registered: Vec<Registered>,
    rebuilds: Vec<Rebuild>,
    _locks: Vec<Box<dyn RebuildLock>>,
}

/// What a comparison found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Compared {
    pub rows: u64,
    pub differences: u64,
    /// Keys that are parked in the live one: their events are missing there.
    pub parked: usize,
}

impl Replay {
    /// Locks the projections and makes new, empty builds of them.
    pub async fn begin(
        &self,
        projections: &[&'static dyn Projection],
        purpose: Purpose,
    ) -> Result<Making, ReplayError> {
        let heads = self.journal.heads().await?;
        let follow = Follow::new(self.journal.clone(), &heads);
        let mut locks = Vec::new();
        for projection in projections {
            locks.push(self.lock(*projection).await?);
        }
        let registered = self.store.registered().await?;
        let mut rebuilds = Vec::new();
        for projection in projections {
            self.store.sweep(*projection, &[]).await?;
            let build = self.store.create(*projection, self.journal.partitions(), purpose).await?;
            let skips = self.store.skips(projection.name()).await?;
            let applier = Applier::take(*projection, &*build, skips, self.clock.clone()).await?;
            rebuilds.push(Rebuild { build, applier });
        }
        Ok(Making { follow, registered, rebuilds, _locks: locks })
    }

    /// A node that sweeps holds the lock for a moment, and a database notices late that its holder died.
    async fn lock(&self, projection: &'static dyn Projection) -> Result<Box<dyn RebuildLock>, ReplayError> {
        let begun = self.clock.elapsed();
        loop {
            if let Some(lock) = self.store.rebuild_lock(projection).await? {
                return Ok(lock);
            }
            if self.clock.elapsed().saturating_sub(begun) >= limits::REBUILD_LOCK_WAIT {
                return Err(ReplayError::Running(projection.name()));
            }
            tokio::time::sleep(limits::REBUILD_LOCK_WAIT / 20).await;
        }
    }

    /// From zero to where the log ends now, or, to be compared, to where all live ones have come.
    pub async fn build(
        &self,
        mut making: Making,
        compared: bool,
        progress: impl FnMut(Progress),
    ) -> Result<Making, ReplayError> {
        let mut to = rebuild::heads(&making.follow);
        if compared {
            for rebuild in &making.rebuilds {
                let Some((_, live)) = self.live(&making, rebuild.applier.projection()).await? else { continue };
                for (to, live) in to.iter_mut().zip(live.cursors().await?) {
                    *to = live.min(*to);
                }
            }
        }
        making.rebuilds =
            rebuild::catch_up(making.rebuilds, &making.follow, &to, Gaps::Refuse, &self.pace, &self.stop, progress)
                .await?;
        Ok(making)
    }

    /// Compares each with its live one at the cursors of one moment. A read model that has no live one is not compared.
    pub async fn verify(
        &self,
        making: &mut Making,
        mut tell: impl FnMut(&'static str, Difference),
    ) -> Result<Vec<(&'static str, Compared)>, ReplayError> {
        let mut found = Vec::new();
        for rebuild in std::mem::take(&mut making.rebuilds) {
            let projection = rebuild.applier.projection();
            let Some((_, live)) = self.live(making, projection).await? else {
                making.rebuilds.push(rebuild);
                continue;
            };
            let mut live = live.snapshot().await?;
            let cursors = live.cursors().await?;
            raise(&making.follow, &cursors);
            let rebuild = rebuild::catch_up(
                vec![rebuild],
                &making.follow,
                &cursors,
                Gaps::Refuse,
                &self.pace,
                &self.stop,
                |_| {},
            )
            .await?;
            let mut compared = Compared { parked: live.parked().await?.len(), ..Compared::default() };
            for rebuild in rebuild {
                let mut new = rebuild.build.snapshot().await?;
                let each = |difference| {
                    compared.differences += 1;
                    tell(projection.name(), difference);
                };
                compared.rows += compare(projection, &mut *live, &mut *new, each).await?;
                making.rebuilds.push(rebuild);
            }
            found.push((projection.name(), compared));
        }
        Ok(found)
    }

    /// Catches up with what came meanwhile and points readers to the new ones.
    pub async fn switch(&self, mut making: Making) -> Result<(), ReplayError> {
        let mut rebuilds = Vec::new();
        for rebuild in std::mem::take(&mut making.rebuilds) {
            let mut one = vec![rebuild];
            for _ in 0..limits::REPLAY_ROUNDS {
                raise(&making.follow, &self.journal.heads().await?);
                let to = rebuild::heads(&making.follow);
                let behind: u64 = one.iter().map(|rebuild| distance(rebuild.applier.cursors(), &to)).sum();
                one = rebuild::catch_up(one, &making.follow, &to, Gaps::Refuse, &self.pace, &self.stop, |_| {}).await?;
                if behind < limits::READ_BATCH as u64 {
                    break;
                }
            }
            rebuilds.append(&mut one);
        }
        for rebuild in rebuilds {
            let projection = rebuild.applier.projection();
            let before = making.registered.iter().find(|known| known.name == projection.name());
            let before = before.map(|known| known.active);
            if !self.store.switch(projection, before, rebuild.build.id()).await? {
                return Err(ReplayError::Overtaken(projection.name()));
            }
        }
        Ok(())
    }

    /// From zero up to a moment or a position. Says how to look at the tables.
    pub async fn past(
        &self,
        mut making: Making,
        until: Until,
        progress: impl FnMut(Progress),
    ) -> Result<Vec<(&'static str, String)>, ReplayError> {
        let to = self.ends(&making.follow, until).await?;
        making.rebuilds =
            rebuild::catch_up(making.rebuilds, &making.follow, &to, Gaps::Refuse, &self.pace, &self.stop, progress)
                .await?;
        let place = |rebuild: &Rebuild| {
            let projection = rebuild.applier.projection();
            let places = self.store.place(projection, rebuild.build.id());
            places.into_iter().map(|place| (projection.name(), place)).collect::<Vec<_>>()
        };
        Ok(making.rebuilds.iter().flat_map(place).collect())
    }

    /// The active build of this version.
    async fn live(
        &self,
        making: &Making,
        projection: &'static dyn Projection,
    ) -> Result<Option<(BuildId, Arc<dyn super::store::Build>)>, ReplayError> {
        let known = making.registered.iter().find(|known| known.name == projection.name());
        match known.filter(|known| known.version == projection.version()) {
            Some(known) => Ok(Some((known.active, self.store.open(projection, known.active).await?))),
            None => Ok(None),
        }
    }

    /// Where each partition ends for `until`: at the end of a unit.
    async fn ends(&self, follow: &Follow, until: Until) -> Result<Vec<Position>, ReplayError> {
        let heads = rebuild::heads(follow);
        let moment = match until {
            Until::Time(moment) => moment,
            Until::Position(place) => {
                let head = heads.get(usize::from(place.partition.0)).copied().unwrap_or_default();
                if place.position == Position(0) || place.position > head {
                    return Err(ReplayError::NoSuchPosition(place));
                }
                self.at(place.partition, place.position).await?
            }
        };
        let mut ends = Vec::with_capacity(heads.len());
        for (number, head) in (0..).zip(heads) {
            let partition = Partition(number);
            let last = match until {
                Until::Position(place) if place.partition == partition => place.position,
                _ => self.last_before(partition, head, moment).await?,
            };
            ends.push(self.unit_end(partition, last).await?);
        }
        Ok(ends)
    }

    /// The last position at or before `moment`: `at` never falls within a partition.
    async fn last_before(&self, partition: Partition, head: Position, moment: Timestamp) -> Result<Position, Fault> {
        // Invariant: position `low` is at or before the moment (0 is before everything), `high` after it.
        let (mut low, mut high) = (0, head.0 + 1);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.at(partition, Position(middle)).await? <= moment {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(Position(low))
    }

    async fn at(&self, partition: Partition, position: Position) -> Result<Timestamp, Fault> {
        let read = self.journal.read_partition(partition, Position(position.0 - 1), 1).await?;
        let gone = || Fault::Damaged { partition, position, detail: "this position is missing".to_owned() };
        read.first().filter(|record| record.position == position).map(|record| record.at).ok_or_else(gone)
    }

    async fn unit_end(&self, partition: Partition, position: Position) -> Result<Position, Fault> {
        if position == Position(0) {
            return Ok(position);
        }
        let read = self.journal.read_partition(partition, Position(position.0 - 1), 1).await?;
        let end = read.iter().find(|record| record.unit_last);
        Ok(end.map_or(position, |record| record.position))
    }
}

fn raise(follow: &Follow, heads: &[Position]) {
    for (number, head) in (0..).zip(heads) {
        follow.head_is(Partition(number), *head);
    }
}

fn distance(from: &[Position], to: &[Position]) -> u64 {
    from.iter().zip(to).map(|(from, to)| to.0.saturating_sub(from.0)).sum()
}
