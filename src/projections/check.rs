//! Do the live read models say what the log says (invariant P1)? Each is made anew from zero, elsewhere, and compared.
//!
//! The reference is made in a store of its own (a scratch directory), so that an audit writes nothing where people read.
//! It applies what the live one has applied: all up to its cursors, without what is parked or skipped there.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::Projection;
use super::applier::Applier;
use super::compare::{Difference, compare};
use super::rebuild::{self, Gaps, Progress, Rebuild};
use super::replay::{Compared, ReplayError};
use super::store::{Purpose, Store};
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

impl Check {
    /// Judges one read model as it is at this moment.
    pub async fn check(
        &self,
        projection: &'static dyn Projection,
        progress: impl FnMut(Progress),
        tell: impl FnMut(Difference),
    ) -> Result<Verdict, ReplayError> {
        let name = projection.name();
        let registered = self.live.registered().await?;
        let known = registered.iter().find(|known| known.name == name && known.version == projection.version());
        let Some(known) = known else { return Ok(Verdict::Missing) };
        let mut live = self.live.open(projection, known.active).await?.snapshot().await?;
        let (cursors, parked) = (live.cursors().await?, live.parked().await?);
        let heads = self.journal.heads().await?;
        let ahead = (0..).zip(cursors.iter().zip(&heads)).find(|(_, (cursor, head))| cursor > head);
        if let Some((number, (cursor, _))) = ahead {
            return Ok(Verdict::Ahead(LogPosition { partition: Partition(number), position: *cursor }));
        }
        let left_out: Vec<(Partition, Position)> =
            self.live.skips(name).await?.into_iter().chain(parked.iter().copied()).collect();
        let build = self.scratch.create(projection, self.journal.partitions(), Purpose::Serve).await?;
        let applier = Applier::take(projection, &*build, left_out, self.clock.clone()).await?;
        let follow = Follow::new(self.journal.clone(), &heads);
        let made = vec![Rebuild { build: build.clone(), applier }];
        rebuild::catch_up(made, &follow, &cursors, Gaps::Refuse, &self.stop, progress).await?;
        let mut reference = build.snapshot().await?;
        let mut compared = Compared { parked: parked.len(), ..Compared::default() };
        let mut tell = tell;
        let each = |difference| {
            compared.differences += 1;
            tell(difference);
        };
        compared.rows = compare(projection, &mut *live, &mut *reference, each).await?;
        // What the log cannot give to a rebuild either is parked in the reference too.
        let torn = reference.parked().await?.len();
        compared.differences += torn as u64;
        Ok(Verdict::Compared(compared))
    }
}
