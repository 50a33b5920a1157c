//! Contract points about writing: what is accepted, what is fenced, what is refused, and that nothing of it stays behind.

use super::{Builder, Harness, claimed, fact, member_fact, opened, order_in, performance_in, seat_fact, state_of};
use crate::events::Record;
use crate::ids::{AccountId, Epoch, Partition, Position, SeatId, StreamId, Version};
use crate::journal::{AppendError, PartitionBatch, SharedJournal, TimerChange, Unit, Verdict};
use crate::timestamp::Timestamp;

const P: Partition = Partition(1);

pub(super) async fn write(journal: &SharedJournal, batch: PartitionBatch) {
    let verdicts = journal.append(&[batch]).await.expect("a valid batch is written");
    assert_eq!(verdicts, [Verdict::Written]);
}

pub(super) async fn everything(journal: &SharedJournal, partition: Partition) -> Vec<Record> {
    let mut all: Vec<Record> = Vec::new();
    loop {
        let after = all.last().map_or(Position(0), |record| record.position);
        let more = journal.read_partition(partition, after, 50).await.expect("reads work");
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

pub async fn positions_are_gapless(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let mut expected = Vec::new();
    for round in 0..5 {
        let units: Vec<Unit> = (0..round + 1).map(|n| log.unit(vec![fact(&order_in(P, n))])).collect();
        expected.extend(units.iter().flat_map(|unit| unit.records.clone()));
        write(journal, log.batch(units)).await;
    }
    let found = everything(journal, P).await;
    assert_eq!(found.iter().map(|r| r.position.0).collect::<Vec<_>>(), (1..=15).collect::<Vec<_>>());
    assert_eq!(found, expected, "rows come back as they were written");
    let heads = journal.heads().await.expect("heads can be read");
    let wanted: Vec<Position> = (0..journal.partitions()).map(|p| Position(if p == P.0 { 15 } else { 0 })).collect();
    assert_eq!(heads, wanted);
}

pub async fn expected_versions_are_enforced(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let stream = order_in(P, 1);
    let first = log.unit(vec![fact(&stream), fact(&stream)]);
    write(journal, log.batch(vec![first])).await;
    for taken in [1, 2] {
        let mut liar = log.clone();
        liar.versions.insert(stream.clone(), Version(taken - 1));
        let unit = liar.unit(vec![fact(&stream)]);
        let answer = journal.append(&[liar.batch(vec![unit])]).await;
        assert!(matches!(answer, Err(AppendError::Rejected(_))), "version {taken} is taken: {answer:?}");
    }
    let honest = log.unit(vec![fact(&stream)]);
    write(journal, log.batch(vec![honest])).await;
    assert_eq!(everything(journal, P).await.len(), 3);
}

pub async fn units_over_several_streams(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let streams: Vec<_> = (0..40).map(|n| order_in(P, n)).collect();
    let unit = log.unit(streams.iter().map(fact).collect());
    write(journal, log.batch(vec![unit.clone()])).await;
    let found = everything(journal, P).await;
    assert_eq!(found, unit.records);
    assert_eq!(found.iter().filter(|record| record.unit_last).count(), 1);
    assert!(found.last().is_some_and(|record| record.unit_last));
}

/// A sale moves several nouns at once: the account of a member, seats, an order. All of it is there, or nothing.
pub async fn units_over_several_nouns(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let performance = performance_in(P, journal.partitions(), "pf_");
    let seats = |from: u32| (from..from + 3).map(|n| StreamId::seat(&performance, &SeatId::new(format!("A-1-{n}"))));
    let account = |name: &str| StreamId::member(&performance, &AccountId::new(name));
    let facts = |name: &str, from, order| {
        let seats = seats(from).map(|seat| seat_fact(&seat));
        std::iter::once(member_fact(&account(name))).chain(seats).chain([fact(&order_in(P, order))]).collect()
    };
    // Accounts may be named as opaque ids are: with all that is printed in ASCII.
    let name = "ann/\\'\"%_|~";
    let unit = log.unit(facts(name, 1, 1));
    write(journal, log.batch(vec![unit.clone()])).await;
    let mut liar = log.clone();
    liar.versions.insert(account(name), Version(0));
    let second = liar.unit(facts(name, 4, 2));
    let answer = journal.append(&[liar.batch(vec![second])]).await;
    assert!(matches!(answer, Err(AppendError::Rejected(_))), "the account has moved meanwhile: {answer:?}");
    assert_eq!(everything(journal, P).await, unit.records, "no seat and no order of the second one");
    let third = log.unit(facts(name, 4, 2));
    write(journal, log.batch(vec![third])).await;
    let streams: Vec<StreamId> = seats(1).chain([account(name), account("ann")]).collect();
    let loaded = journal.load(&streams).await.expect("streams can be loaded");
    assert_eq!(loaded.iter().map(|one| one.tail.len()).collect::<Vec<_>>(), [1, 1, 1, 2, 0]);
}

pub async fn partial_success_of_a_multi_partition_batch(harness: &Harness) {
    let claim = claimed(&harness.journal).await;
    let batches: Vec<PartitionBatch> = [2, 0, 1]
        .into_iter()
        .map(|number| {
            let mut log = Builder::after(&state_of(&claim, number));
            if number == 0 {
                log.epoch = Epoch(log.epoch.0 + 7);
            }
            let unit = log.unit(vec![fact(&order_in(Partition(number), 1))]);
            log.batch(vec![unit])
        })
        .collect();
    let verdicts = harness.journal.append(&batches).await.expect("only one of three is fenced");
    assert_eq!(verdicts, [Verdict::Written, Verdict::Fenced, Verdict::Written], "in the order of the batches");
    for (number, rows) in [(0, 0), (1, 1), (2, 1)] {
        assert_eq!(everything(&harness.journal, Partition(number)).await.len(), rows, "partition {number}");
    }
}

pub async fn fence_by_epoch(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let mut batch = {
        let unit = log.unit(vec![fact(&order_in(P, 1))]);
        log.batch(vec![unit])
    };
    let epoch = batch.epoch;
    for wrong in [Epoch(epoch.0 - 1), Epoch(epoch.0 + 1)] {
        batch.epoch = wrong;
        assert_eq!(journal.append(&[batch.clone()]).await, Ok(vec![Verdict::Fenced]), "{wrong:?}");
    }
    assert_eq!(everything(journal, P).await, []);
    batch.epoch = epoch;
    write(journal, batch).await;
}

pub async fn fence_by_head(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let mut twin = log.clone();
    let unit = log.unit(vec![fact(&order_in(P, 1))]);
    write(journal, log.batch(vec![unit])).await;

    let late = twin.unit(vec![fact(&order_in(P, 2))]);
    assert_eq!(journal.append(&[twin.batch(vec![late])]).await, Ok(vec![Verdict::Fenced]), "the head has moved on");
    let mut early = log.clone();
    early.head = early.head.next();
    let unit = early.unit(vec![fact(&order_in(P, 3))]);
    assert_eq!(journal.append(&[early.batch(vec![unit])]).await, Ok(vec![Verdict::Fenced]), "a gap would be left");
    assert_eq!(everything(journal, P).await.len(), 1);
}

pub async fn rejected_writes_nothing(harness: &Harness) {
    let (journal, claim) = (&harness.journal, claimed(&harness.journal).await);
    let (mut good, mut bad) = (Builder::after(&state_of(&claim, 0)), Builder::after(&state_of(&claim, 1)));
    let stream = order_in(P, 1);
    let first = bad.unit(vec![fact(&stream)]);
    write(journal, bad.batch(vec![first])).await;

    let mut unit = good.unit(vec![fact(&order_in(Partition(0), 1))]);
    unit.timers = vec![TimerChange { stream: order_in(Partition(0), 1), due: Some(Timestamp(5)) }];
    unit.note = Some("why".to_owned());
    let fresh = bad.unit(vec![fact(&order_in(P, 2))]);
    bad.versions.insert(stream.clone(), Version(0));
    let twice = bad.unit(vec![fact(&stream)]);
    let innocent = good.batch(vec![unit.clone()]);
    let answer = journal.append(&[innocent.clone(), bad.batch(vec![fresh, twice])]).await;
    assert!(matches!(answer, Err(AppendError::Rejected(_))), "{answer:?}");

    assert_eq!(everything(journal, Partition(0)).await, [], "one transaction for all");
    assert_eq!(everything(journal, P).await.len(), 1, "the sound unit before the guilty one is not written either");
    assert_eq!(journal.timers(Partition(0)).await, Ok(Vec::new()));
    assert_eq!(journal.note(unit.records[0].event_id).await, Ok(None));
    // The log is still usable, and the innocent batch goes through when it comes alone.
    write(journal, innocent).await;
}

pub async fn a_partition_comes_once_in_an_append(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let first = log.unit(vec![fact(&order_in(P, 1))]);
    let first = log.batch(vec![first]);
    let second = log.unit(vec![fact(&order_in(P, 2))]);
    let second = log.batch(vec![second]);
    // One behind the other without a gap: a statement that looks at the heads only once would lose count.
    let answer = journal.append(&[first.clone(), second.clone()]).await;
    assert!(matches!(answer, Err(AppendError::Rejected(_))), "{answer:?}");
    assert_eq!(everything(journal, P).await, []);
    write(journal, first).await;
    write(journal, second).await;
}

pub async fn timers_follow_units(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let (a, b) = (order_in(P, 1), order_in(P, 2));
    let change = |stream: &_, due: Option<i64>| TimerChange { stream: Clone::clone(stream), due: due.map(Timestamp) };
    let steps = [
        (vec![change(&a, Some(10)), change(&b, Some(20))], vec![(&a, 10), (&b, 20)]),
        (vec![change(&a, Some(30))], vec![(&a, 30), (&b, 20)]),
        (vec![change(&b, None)], vec![(&a, 30)]),
        (vec![], vec![(&a, 30)]),
        (vec![change(&a, None), change(&b, None)], vec![]),
    ];
    for (timers, expected) in steps {
        let unit = Unit { timers, ..log.unit(vec![fact(&a)]) };
        write(journal, log.batch(vec![unit])).await;
        let mut found = journal.timers(P).await.expect("timers can be read");
        found.sort();
        let mut expected: Vec<_> = expected.into_iter().map(|(stream, due)| (stream.clone(), Timestamp(due))).collect();
        expected.sort();
        assert_eq!(found, expected);
    }
    // Two changes in one batch: the later unit wins.
    let first = Unit { timers: vec![change(&a, Some(1))], ..log.unit(vec![fact(&a)]) };
    let second = Unit { timers: vec![change(&a, Some(2))], ..log.unit(vec![fact(&a)]) };
    write(journal, log.batch(vec![first, second])).await;
    assert_eq!(journal.timers(P).await, Ok(vec![(a, Timestamp(2))]));
    assert_eq!(journal.timers(Partition(0)).await, Ok(Vec::new()), "each partition has its own");
}

pub async fn notes_can_be_read(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let mut unit = log.unit(vec![fact(&order_in(P, 1)), fact(&order_in(P, 2))]);
    unit.note = Some("환불 요청 'quoted'".to_owned());
    let silent = log.unit(vec![fact(&order_in(P, 1))]);
    write(journal, log.batch(vec![unit.clone(), silent.clone()])).await;
    assert_eq!(journal.note(unit.records[1].event_id).await, Ok(unit.note), "keyed by the unit's last record");
    assert_eq!(journal.note(unit.records[0].event_id).await, Ok(None));
    assert_eq!(journal.note(silent.records[0].event_id).await, Ok(None));
}

pub async fn kinds_are_recorded_with_the_first_append(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    assert_eq!(journal.kinds().await, Ok(Vec::new()));
    let stream = order_in(P, 1);
    for _ in 0..2 {
        let unit = log.unit(vec![fact(&stream)]);
        write(journal, log.batch(vec![unit])).await;
        assert_eq!(journal.kinds().await, Ok(vec![("order.expired".to_owned(), 1)]));
    }
    let mut newer = log.unit(vec![fact(&stream)]);
    newer.records[0].schema = 2;
    write(journal, log.batch(vec![newer])).await;
    let mut found = journal.kinds().await.expect("kinds can be read");
    found.sort();
    assert_eq!(found, [("order.expired".to_owned(), 1), ("order.expired".to_owned(), 2)]);
}
