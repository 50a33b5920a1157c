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
use super::store::{Purpose, Registered, Snapshot, Store};
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
    parked: Vec<(Partition, Position)>,
}

impl Judged {
    /// What it says that it has seen, and the log does not have.
    fn ahead(&self, heads: &[Position]) -> Option<LogPosition> {
        let ahead = (0..).zip(self.cursors.iter().zip(heads)).find(|(_, (cursor, head))| cursor > head);
        ahead.map(|(number, (cursor, _))| LogPosition { partition: Partition(number), position: *cursor })
    }
}

impl Check {
    /// Judges read models as they are at this moment. All references are made with one reading of the log.
    pub async fn check(
        &self,
        projections: &[&'static dyn Projection],
        progress: impl FnMut(Progress),
        mut tell: impl FnMut(&'static str, Difference),
    ) -> Result<Vec<(&'static str, Verdict)>, ReplayError> {
        let (mut verdicts, mut judged, mut rebuilds) = (Vec::new(), Vec::new(), Vec::new());
        for projection in projections.iter().copied() {
            match self.look(projection).await? {
                Some(one) => judged.push(one),
                None => verdicts.push((projection.name(), Verdict::Missing)),
            }
        }
        // After the read models: what they have seen is in the log by now, however much a node writes meanwhile.
        let heads = self.journal.heads().await?;
        let follow = Follow::new(self.journal.clone(), &heads);
        judged.retain(|one| match one.ahead(&heads) {
            Some(place) => {
                verdicts.push((one.projection.name(), Verdict::Ahead(place)));
                false
            }
            None => true,
        });
        for one in &judged {
            rebuilds.push(self.reference(one).await?);
        }
        let floor = (0..heads.len())
            .map(|place| judged.iter().filter_map(|one| one.cursors.get(place)).min().copied().unwrap_or_default())
            .collect::<Vec<_>>();
        let made = rebuild::catch_up(rebuilds, &follow, &floor, Gaps::Refuse, &self.pace, &self.stop, progress).await?;
        for (mut one, rebuild) in judged.into_iter().zip(made) {
            let (name, to) = (one.projection.name(), &one.cursors);
            let rebuilt =
                rebuild::catch_up(vec![rebuild], &follow, to, Gaps::Refuse, &self.pace, &self.stop, |_| {}).await?;
            let mut compared = Compared { parked: one.parked.len(), ..Compared::default() };
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

    /// A moment of the live one; `None`: there is none of this version.
    async fn look(&self, projection: &'static dyn Projection) -> Result<Option<Judged>, ReplayError> {
        let registered = self.live.registered().await?;
        let of_it = |known: &&Registered| known.name == projection.name() && known.version == projection.version();
        let Some(known) = registered.iter().find(of_it) else { return Ok(None) };
        let mut live = self.live.open(projection, known.active).await?.snapshot().await?;
        let (cursors, parked) = (live.cursors().await?, live.parked().await?);
        Ok(Some(Judged { projection, live, cursors, parked }))
    }

    /// An empty reference that leaves out what the live one has not applied.
    async fn reference(&self, one: &Judged) -> Result<Rebuild, ReplayError> {
        let skips = self.live.skips(one.projection.name()).await?;
        let left_out: Vec<(Partition, Position)> = skips.into_iter().chain(one.parked.iter().copied()).collect();
        let build = self.scratch.create(one.projection, self.journal.partitions(), Purpose::Serve).await?;
        let applier = Applier::take(one.projection, &*build, left_out, self.clock.clone()).await?;
        Ok(Rebuild { build, applier })
    }
}
