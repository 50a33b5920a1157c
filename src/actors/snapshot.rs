//! When is a long stream shortened? Keeps what its committed events came to, in segments that never change.
//!
//! The work follows the log in the background, a segment at a time: it never takes the actor's state, which runs ahead of
//! the disk, and never holds a stream as a whole. Only nouns whose states forget are also saved as a whole now and then,
//! which lets their older segments go. What could not be kept is only a slower next load.

use std::sync::{Arc, Weak};

use super::cell::Cell;
use super::node::{Node, Shortening};
use super::piece;
use crate::domain::Aggregate;
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Partition, StreamId, Version};
use crate::journal::follow::Follow;
use crate::journal::{Reach, SharedJournal};
use crate::limits;
use crate::telemetry;

/// Follows the log of a stream whose state has so many entries. What is returned can be upgraded while that goes on.
pub fn spawn<A: Aggregate>(node: &Arc<Node>, partition: Partition, stream: StreamId, entries: u64) -> Weak<()> {
    let node = node.clone();
    let running = Arc::new(());
    let mark = Arc::downgrade(&running);
    node.tasks.clone().spawn(async move {
        if let Err(fault) =
            keep::<A>(&node.journal, &node.follow, (partition, &stream), entries, node.shortening()).await
        {
            tracing::warn!(%fault, %stream, "no snapshot was taken");
        }
        drop(running);
    });
    mark
}

async fn keep<A: Aggregate>(
    journal: &SharedJournal,
    follow: &Follow,
    (partition, stream): (Partition, &StreamId),
    entries: u64,
    shortening: Shortening,
) -> Result<(), Fault> {
    let reach = journal.reach(stream, A::SNAPSHOT_VERSION).await?;
    let end = keep_segments::<A>(journal, follow, (partition, stream), reach.end, shortening.tail).await?;
    if A::GROWS || !whole_is_due(reach, end, entries, shortening) {
        return Ok(());
    }
    let loaded = journal.load(std::slice::from_ref(stream)).await?.pop().unwrap_or_default();
    if let Some(snapshot) = Cell::<A>::load(journal, stream.clone(), loaded, 0).await?.snapshot() {
        journal.save_snapshot(partition, snapshot).await?;
        metrics::counter!(telemetry::SNAPSHOTS_SAVED).increment(1);
    }
    Ok(())
}

/// Where the segments end now.
async fn keep_segments<A: Aggregate>(
    journal: &SharedJournal,
    follow: &Follow,
    (partition, stream): (Partition, &StreamId),
    mut end: Version,
    tail: u64,
) -> Result<Version, Fault> {
    loop {
        let records = committed(journal, follow, partition, stream, end).await?;
        // Many short segments would cost more than the records they stand for.
        if (records.len() as u64) < tail / 2 {
            return Ok(end);
        }
        let Some(segment) = piece::make::<A>(stream, end, &records)? else { return Ok(end) };
        end = segment.version;
        journal.save_segment(partition, segment).await?;
        metrics::counter!(telemetry::SNAPSHOTS_SAVED).increment(1);
        if records.len() < limits::SEGMENT_EVENTS {
            return Ok(end);
        }
    }
}

/// What the log has after `end`. A stream that is long because it is hot has it in memory still: reading it back would be work
/// for the database just when that has most to do.
async fn committed(
    journal: &SharedJournal,
    follow: &Follow,
    partition: Partition,
    stream: &StreamId,
    end: Version,
) -> Result<Vec<Arc<Record>>, Fault> {
    if let Some(recent) = follow.recent_of(partition, stream, end, limits::SEGMENT_EVENTS) {
        return Ok(recent);
    }
    let records = journal.read_stream(stream, end, limits::SEGMENT_EVENTS).await?;
    Ok(records.into_iter().map(Arc::new).collect())
}

/// Once for every so many events: one that is too large to be kept is not tried again with every segment.
fn whole_is_due(before: Reach, end: Version, entries: u64, shortening: Shortening) -> bool {
    let every = shortening.whole.max(entries);
    let times = |version: Version| version.0.saturating_sub(before.whole.0) / every;
    times(end) > times(before.end)
}

#[cfg(test)]
mod tests;
