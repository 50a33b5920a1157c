//! Does a backend agree with a plain list, whatever is thrown at it? Random batches, then every read against the model.

use std::collections::BTreeMap;

use super::writes::everything;
use super::{Builder, Harness, claimed, fact, order_in};
use crate::clock::Entropy;
use crate::events::Record;
use crate::ids::{Epoch, Partition, Position, StreamId, Version};
use crate::journal::{SharedJournal, Verdict};

const ROUNDS: u64 = 40;
const STREAMS: u64 = 6;

/// Seeded, so that a failure repeats.
pub async fn random_batches_agree_with_a_model(harness: &Harness) {
    let journal = &harness.journal;
    let dice = Entropy::seeded(20_261_121);
    let claim = claimed(journal).await;
    let mut logs: Vec<Builder> = claim.partitions.iter().take(3).map(Builder::after).collect();
    let mut model: BTreeMap<Partition, Vec<Record>> = BTreeMap::new();
    for round in 0..ROUNDS {
        let (mut batches, mut expected) = (Vec::new(), Vec::new());
        for log in &mut logs {
            if dice.below(3) == 0 {
                continue;
            }
            let before = log.clone();
            let units: Vec<_> = (0..=dice.below(4))
                .map(|_| {
                    let facts = (0..=dice.below(5)).map(|_| fact(&order_in(log.partition, dice.below(STREAMS))));
                    let facts = facts.collect();
                    log.unit(facts)
                })
                .collect();
            let mut batch = log.batch(units);
            if dice.below(5) == 0 {
                // A writer of the past or of the future: nothing of this may stay.
                batch.epoch = Epoch(batch.epoch.0 + 1 - 2 * dice.below(2));
                *log = before;
                expected.push(Verdict::Fenced);
            } else {
                let rows = batch.units.iter().flat_map(|unit| unit.records.iter().cloned());
                model.entry(log.partition).or_default().extend(rows);
                expected.push(Verdict::Written);
            }
            batches.push(batch);
        }
        if !batches.is_empty() {
            assert_eq!(journal.append(&batches).await, Ok(expected), "round {round}");
        }
    }
    for log in &logs {
        agrees(journal, log.partition, model.get(&log.partition).map_or(&[], Vec::as_slice)).await;
    }
}

async fn agrees(journal: &SharedJournal, partition: Partition, rows: &[Record]) {
    assert_eq!(everything(journal, partition).await, rows);
    let heads = journal.heads().await.expect("heads can be read");
    assert_eq!(heads[usize::from(partition.0)], rows.last().map_or(Position(0), |row| row.position));
    let streams: Vec<StreamId> = (0..STREAMS).map(|n| order_in(partition, n)).collect();
    let loaded = journal.load(&streams).await.expect("loads work");
    for (stream, loaded) in streams.iter().zip(loaded) {
        let of_stream: Vec<Record> = rows.iter().filter(|row| &row.stream == stream).cloned().collect();
        assert_eq!(loaded.tail, of_stream);
        assert_eq!(journal.read_stream(stream, Version(0), usize::MAX >> 1).await.as_ref(), Ok(&of_stream));
    }
    for up_to in (0..=rows.len() as u64).step_by(7).map(Position) {
        let mut latest: BTreeMap<&StreamId, &Record> = BTreeMap::new();
        latest.extend(rows.iter().filter(|row| row.position <= up_to).map(|row| (&row.stream, row)));
        let expected: Vec<Record> = latest.into_values().cloned().collect();
        assert_eq!(journal.latest_of(partition, "order/", up_to).await, Ok(expected), "up to {up_to}");
    }
}
