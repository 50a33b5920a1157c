//! Do the live read models say what the log says (invariant P1)? Each is made anew from zero, elsewhere, and compared.
//!
//! The reference is made in a store of its own (a scratch directory), so that an audit writes nothing where people read.
//! It applies what the live one has applied: all up to its cursors, without what is parked or skipped there.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Projection;
use super::applier::Applier;
use super::compare::{Difference, compare};
use super::rebuild::{self, Gaps, Pace, Progress, Rebuild};
use super::replay::{Compared, ReplayError};
use super::store::{Purpose, Snapshot, Store};
use crate::clock::Clock;
use crate::ids::{LogPosition, Partition, Position};
use crate::journal::SharedJournal;
use crate::journal::follow::Follow;

/// What is needed to judge the read models.
pub struct Check {
    pub live: Arc<dyn Store>,
    pub scratch: Arc<dyn Store>,
    pub journal: SharedJournal,
    pub clock: Arc<dyn Clock>,
    pub stop: CancellationToken,
    pub pace: Pace,
}

/// What was found of one read model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Compared(Compared),
    /// There is none of this version: nobody can read anything wrong in it.
    Missing,
    /// It says that it has seen more than the log has.
    Ahead(LogPosition),
}

/// One live read model at its moment, and the reference in the making.
struct Judged {
    projection: &'static dyn Projection,
    live: Box<dyn Snapshot>,
    cursors: Vec<Position>,
    parked: usize,
}

impl Check {
    /// Judges read models as they are at this moment. All references are made with one reading of the log.
    pub async fn check(
        &self,
        projections: &[&'static dyn Projection],
        progress: impl FnMut(Progress),
        mut tell: impl FnMut(&'static str, Difference),
    ) -> Result<Vec<(&'static str, Verdict)>, ReplayError> {
        let heads = self.journal.heads().await?;
        let follow = Follow::new(self.journal.clone(), &heads);
        let (mut verdicts, mut judged, mut rebuilds) = (Vec::new(), Vec::new(), Vec::new());
        for projection in projections.iter().copied() {
            match self.begin(projection, &heads).await? {
                Ok((one, rebuild)) => {
                    judged.push(one);
                    rebuilds.push(rebuild);
                }
                Err(verdict) => verdicts.push((projection.name(), verdict)),
            }
        }
        let floor = (0..heads.len())
            .map(|place| judged.iter().filter_map(|one| one.cursors.get(place)).min().copied().unwrap_or_default())
            .collect::<Vec<_>>();
        let made = rebuild::catch_up(rebuilds, &follow, &floor, Gaps::Refuse, &self.pace, &self.stop, progress).await?;
        for (mut one, rebuild) in judged.into_iter().zip(made) {
            let (name, to) = (one.projection.name(), &one.cursors);
            let rebuilt =
                rebuild::catch_up(vec![rebuild], &follow, to, Gaps::Refuse, &self.pace, &self.stop, |_| {}).await?;
            let mut compared = Compared { parked: one.parked, ..Compared::default() };
            for rebuild in rebuilt {
                let mut reference = rebuild.build.snapshot().await?;
                let each = |difference| {
                    compared.differences += 1;
                    tell(name, difference);
                };
                compared.rows = compare(one.projection, &mut *one.live, &mut *reference, each).await?;
                // What the log cannot give to a rebuild either is parked in the reference too.
                compared.differences += reference.parked().await?.len() as u64;
            }
            verdicts.push((name, Verdict::Compared(compared)));
        }
        Ok(verdicts)
    }

    /// A moment of the live one, and an empty reference that leaves out what the live one has not applied.
    async fn begin(
        &self,
        projection: &'static dyn Projection,
        heads: &[Position],
    ) -> Result<Result<(Judged, Rebuild), Verdict>, ReplayError> {
        let name = projection.name();
        let registered = self.live.registered().await?;
        let known = registered.iter().find(|known| known.name == name && known.version == projection.version());
        let Some(known) = known else { return Ok(Err(Verdict::Missing)) };
        let mut live = self.live.open(projection, known.active).await?.snapshot().await?;
        let (cursors, parked) = (live.cursors().await?, live.parked().await?);
        let ahead = (0..).zip(cursors.iter().zip(heads)).find(|(_, (cursor, head))| cursor > head);
        if let Some((number, (cursor, _))) = ahead {
            let place = LogPosition { partition: Partition(number), position: *cursor };
            return Ok(Err(Verdict::Ahead(place)));
        }
        let skips = self.live.skips(name).await?;
        let left_out: Vec<(Partition, Position)> = skips.into_iter().chain(parked.iter().copied()).collect();
        let build = self.scratch.create(projection, self.journal.partitions(), Purpose::Serve).await?;
        let applier = Applier::take(projection, &*build, left_out, self.clock.clone()).await?;
        let judged = Judged { projection, live, cursors, parked: parked.len() };
        Ok(Ok((judged, Rebuild { build, applier })))
    }
}
