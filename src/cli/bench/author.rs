//! Who writes a log without a node? Somebody who claims its partitions, gives positions and chains as sequencer and lane do,
//! and appends through the journal: what stands there afterwards is a log like any other.

use super::history::Draft;
use crate::cli::failure::Failure;
use crate::clock::{Clock, Entropy, SystemClock};
use crate::events::{Decoded, Record, codec};
use crate::ids::{NodeId, Position};
use crate::journal::{PartitionBatch, PartitionState, SharedJournal, Unit, Verdict};

pub struct Author {
    journal: SharedJournal,
    node: NodeId,
    entropy: Entropy,
    states: Vec<PartitionState>,
}

impl Author {
    /// Takes the whole log, as a node that starts does.
    pub async fn claim(journal: SharedJournal, entropy: Entropy) -> Result<Self, Failure> {
        let node = NodeId::new(format!("bench-{}", &entropy.hash16().to_string()[..8]));
        let claim = journal.claim(&node).await.map_err(|e| Failure::of(e.to_string()))?;
        Ok(Self { journal, node, entropy, states: claim.partitions })
    }

    /// One transaction: the drafts as units of their partitions, each following from the one before.
    pub fn batches(&mut self, drafts: Vec<Draft>) -> Result<Vec<PartitionBatch>, Failure> {
        let mut batches = std::collections::BTreeMap::new();
        for draft in drafts {
            let state = &self.states[usize::from(draft.partition.0)];
            let batch = batches.entry(draft.partition).or_insert_with(|| PartitionBatch {
                partition: draft.partition,
                epoch: state.epoch,
                expected_head: state.head,
                units: Vec::new(),
            });
            batch.units.push(self.unit(draft)?);
        }
        Ok(batches.into_values().collect())
    }

    fn unit(&mut self, draft: Draft) -> Result<Unit, Failure> {
        let state = &mut self.states[usize::from(draft.partition.0)];
        let recorded_at = SystemClock.wall();
        let last = draft.facts.len();
        let mut records: Vec<Record> = Vec::with_capacity(last);
        for (number, (stream, version, event)) in (1..).zip(draft.facts) {
            let (kind, event_id) = (event.kind(), self.entropy.uuid(draft.at));
            state.head = Position(state.head.0 + 1);
            // Of the log's own time it is enough that it never falls.
            state.last_at = state.last_at.max(draft.at);
            let mut record = Record {
                partition: draft.partition,
                position: state.head,
                stream,
                version,
                kind: kind.name.into(),
                schema: kind.version,
                codec: codec::BINCODE_2,
                event_id,
                command: draft.command,
                correlation: records.first().map_or(event_id, |first| first.event_id),
                causation: None,
                principal: draft.by.clone(),
                owner: Some(draft.owner.clone()),
                epoch: state.epoch,
                node: self.node.clone(),
                at: state.last_at,
                recorded_at,
                unit_last: number == last,
                chain: state.chain,
                payload: codec::encode(&event).map_err(|e| Failure::of(format!("a fact cannot be encoded: {e}")))?,
                decoded: Decoded::default(),
            };
            record.chain = record.chain_after(&state.chain);
            state.chain = record.chain;
            records.push(record);
        }
        Ok(Unit { records, timers: draft.timer.into_iter().collect(), note: None })
    }

    pub async fn append(&self, batches: &[PartitionBatch]) -> Result<(), Failure> {
        let verdicts = self.journal.append(batches).await.map_err(|e| Failure::of(e.to_string()))?;
        match verdicts.iter().all(|verdict| *verdict == Verdict::Written) {
            true => Ok(()),
            false => Err(Failure::of("somebody else writes to this log")),
        }
    }

    /// Gives the log back, so that others can take it at once.
    pub async fn release(self) -> Result<(), Failure> {
        Ok(self.journal.release(&self.node).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::bench::history::History;
    use crate::journal::memory::MemoryJournal;
    use crate::timestamp::Timestamp;
    use std::sync::Arc;

    /// More than a house, so that the next one is begun, in a log with few partitions and in one with many.
    #[tokio::test]
    async fn what_is_written_holds_before_the_audit() {
        for (partitions, events) in [(1, 2_000), (64, 20_000)] {
            let journal: SharedJournal = Arc::new(MemoryJournal::new(partitions, Arc::new(SystemClock)));
            let mut history = History::new(Entropy::seeded(7), partitions, Timestamp(1_795_000_000_000));
            let mut author = Author::claim(journal.clone(), Entropy::seeded(8)).await.expect("nobody else has it");
            let mut written = 0;
            while written < events {
                let batches = author.batches(history.take(100)).expect("facts can be encoded");
                written += batches.iter().flat_map(|batch| &batch.units).map(|unit| unit.records.len()).sum::<usize>();
                author.append(&batches).await.expect("it is ours");
            }
            let rest = author.batches(history.rest()).expect("facts can be encoded");
            author.append(&rest).await.expect("it is ours");
            author.release().await.expect("it was ours");
            let report = crate::audit::run(&*journal, |_| {}).await.expect("it can be read");
            assert!(report.violations.is_empty(), "{:?}", report.violations);
            assert!(report.records >= events as u64 && report.payments.len() as u64 == history.told.completed);
            let half = history.told.issued * 2;
            assert!(
                (report.records * 9 / 10..report.records * 11 / 10).contains(&half),
                "{half} of {}",
                report.records
            );
        }
    }
}
