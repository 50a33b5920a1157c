//! Contract points about reading: order, limits, unit ends, snapshots, and every byte as it was written.

use super::writes::{everything, write};
use super::{Harness, fact, opened, order_in, performance_in, seat_fact};
use crate::events::{Chain, Record};
use crate::ids::{Partition, Position, SeatId, StreamId, Version};
use crate::journal::{Reach, Segment, Snapshot, Unit};
use crate::limits;

const P: Partition = Partition(1);

fn positions(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.position.0).collect()
}

fn versions(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.version.0).collect()
}

fn snapshot(stream: &StreamId, version: u64, position: u64) -> Snapshot {
    let payload = (0..=255).collect();
    Snapshot { stream: stream.clone(), version: Version(version), position: Position(position), schema: 3, payload }
}

pub async fn loads_many_streams_in_order(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let streams: Vec<StreamId> = (0..60).map(|n| order_in(P, n)).collect();
    // Stream n has 1 + n % 3 events; every fifth has a snapshot of its first.
    let units: Vec<Unit> = (0..3)
        .flat_map(|round| streams.iter().enumerate().filter(move |(n, _)| n % 3 >= round).map(|(_, s)| s))
        .map(|stream| log.unit(vec![fact(stream)]))
        .collect();
    write(journal, log.batch(units)).await;
    for (n, stream) in streams.iter().enumerate().step_by(5) {
        journal.save_snapshot(P, snapshot(stream, 1, n as u64 + 1)).await.expect("a snapshot is kept");
    }
    let mut asked: Vec<StreamId> = streams.iter().rev().cloned().collect();
    asked.insert(7, order_in(P, 999));
    asked.push(StreamId::from_log("order/nonsense"));
    let loaded = journal.load(&asked).await.expect("loads work");
    assert_eq!(loaded.len(), asked.len());
    for (stream, loaded) in asked.iter().zip(&loaded) {
        let number = streams.iter().position(|s| s == stream);
        let events = number.map_or(0, |n| 1 + n as u64 % 3);
        let kept = number.filter(|n| n % 5 == 0).map(|n| snapshot(stream, 1, n as u64 + 1));
        let from = kept.as_ref().map_or(1, |_| 2);
        assert_eq!(versions(&loaded.tail), (from..=events).collect::<Vec<_>>(), "{stream}");
        assert!(loaded.tail.iter().all(|record| &record.stream == stream));
        assert_eq!(loaded.snapshot, kept, "{stream}");
    }
    assert!(journal.load(&[]).await.expect("loads work").is_empty());
}

pub async fn stream_reads(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let (stream, other) = (order_in(P, 1), order_in(P, 2));
    let units = (0..6).map(|_| log.unit(vec![fact(&other), fact(&stream)])).collect();
    write(journal, log.batch(units)).await;
    let table =
        [(0, 100, vec![1, 2, 3, 4, 5, 6]), (2, 3, vec![3, 4, 5]), (5, 1, vec![6]), (6, 9, vec![]), (99, 9, vec![])];
    for (after, limit, expected) in table {
        let found = journal.read_stream(&stream, Version(after), limit).await.expect("reads work");
        assert_eq!(versions(&found), expected, "after {after}, limit {limit}");
        assert!(found.iter().all(|record| record.stream == stream));
    }
    assert_eq!(journal.read_stream(&order_in(P, 3), Version(0), 9).await, Ok(Vec::new()));
}

pub async fn partition_reads_cut_at_unit_ends(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let stream = order_in(P, 1);
    // Units end at 1, 3, 8, 9 and 11.
    let sizes = [1, 2, 5, 1, 2];
    let units = sizes.map(|size| log.unit(vec![fact(&stream); size])).to_vec();
    write(journal, log.batch(units)).await;
    for after in [0_u64, 1, 3, 8, 9] {
        for limit in 1..=12_usize {
            let found = journal.read_partition(P, Position(after), limit).await.expect("reads work");
            let last = found.last().expect("there is always at least one unit");
            assert!(last.unit_last, "after {after}, limit {limit}: part of a unit");
            assert_eq!(positions(&found), (after + 1..=last.position.0).collect::<Vec<_>>());
        }
    }
    let long = journal.read_partition(P, Position(3), 2).await.expect("reads work");
    assert_eq!(positions(&long), [4, 5, 6, 7, 8], "a unit longer than the limit comes whole");
    assert_eq!(positions(&journal.read_partition(P, Position(0), 100).await.expect("reads work")).len(), 11);
    assert_eq!(journal.read_partition(P, Position(11), 5).await, Ok(Vec::new()));
    assert_eq!(journal.read_partition(P, Position(500), 5).await, Ok(Vec::new()));
    assert_eq!(journal.read_partition(Partition(0), Position(0), 5).await, Ok(Vec::new()));
}

pub async fn latest_of_prefix_as_of_a_position(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let n = journal.partitions();
    let performance = performance_in(P, n, "pf_a");
    let prefix = StreamId::seat_prefix(&performance);
    // Names that a careless pattern or collation would take for this one's: a wildcard's match, another case.
    let neighbours = [performance_in(P, n, "pfxa"), performance_in(P, n, "PF_A"), performance_in(P, n, "pf%a")];
    let seat = |label: &str| StreamId::seat(&performance, &SeatId::new(label));
    let mut facts: Vec<StreamId> = ["b-1-1", "A-1-2", "A-1-10", "가-1-1"].map(seat).to_vec();
    facts.extend(neighbours.iter().map(|other| StreamId::seat(other, &SeatId::new("A-1-1"))));
    facts.extend(["A-1-2", "b-1-1", "A-1-2"].map(seat));
    let units = facts.iter().map(|stream| log.unit(vec![seat_fact(stream)])).collect();
    write(journal, log.batch(units)).await;

    let table: [(u64, Vec<u64>); 6] = [
        (0, vec![]),
        (2, vec![2, 1]),
        (7, vec![3, 2, 1, 4]),
        (8, vec![3, 8, 1, 4]),
        (10, vec![3, 10, 9, 4]),
        (99, vec![3, 10, 9, 4]),
    ];
    for (up_to, expected) in table {
        let found = journal.latest_of(P, &prefix, Position(up_to)).await.expect("reads work");
        assert_eq!(positions(&found), expected, "up to {up_to}: in byte order of the streams");
    }
    assert_eq!(journal.latest_of(Partition(0), &prefix, Position(99)).await, Ok(Vec::new()));
}

pub async fn names_of_streams_come_in_pages(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    assert_eq!(journal.streams(P, None, 10).await, Ok(Vec::new()));
    let n = journal.partitions();
    let performances = ["pf_a", "PF_A", "pf_가"].map(|start| performance_in(P, n, start));
    let seats = performances.iter().flat_map(|performance| {
        ["b-1-1", "A-1-10", "A-1-2", "가-1-1"].map(|label| StreamId::seat(performance, &SeatId::new(label)))
    });
    let mut names: Vec<StreamId> = seats.collect();
    // Each of them three times, and not one after the other.
    let units = names.iter().chain(&names).chain(&names).map(|stream| log.unit(vec![seat_fact(stream)])).collect();
    write(journal, log.batch(units)).await;
    names.sort();
    for page in [1, 5, 12, 100] {
        let mut found: Vec<StreamId> = Vec::new();
        loop {
            let some = journal.streams(P, found.last(), page).await.expect("reads work");
            assert!(some.len() <= page, "at most {page}");
            if some.is_empty() {
                break;
            }
            found.extend(some);
        }
        assert_eq!(found, names, "{page} at a time");
    }
    assert_eq!(journal.streams(Partition(0), None, 10).await, Ok(Vec::new()));
}

pub async fn chains_hold(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let mut before = log.chain;
    for n in 0..20_u64 {
        let mut unit = log.unit(vec![fact(&order_in(P, n % 4)), fact(&order_in(P, n))]);
        // Bytes that drivers like to lose: zeros, everything above ASCII, nothing at all, and a lot.
        unit.records[0].payload = match n % 4 {
            0 => Vec::new(),
            1 => (0..=255).collect(),
            2 => vec![0; 70_000],
            _ => "좌석 \0 ümlaut".into(),
        };
        for record in &mut unit.records {
            record.chain = record.chain_after(&before);
            before = record.chain;
        }
        log.chain = before;
        write(journal, log.batch(vec![unit])).await;
    }
    let mut previous = Chain::default();
    for record in everything(journal, P).await {
        assert_eq!(record.chain_after(&previous), record.chain, "at {}", record.position);
        previous = record.chain;
    }
    assert_eq!(previous, before);
}

pub async fn snapshots_never_go_back(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let stream = order_in(P, 1);
    let units = (0..6).map(|_| log.unit(vec![fact(&stream)])).collect();
    write(journal, log.batch(units)).await;
    for (saved, kept) in [(2, 2), (4, 4), (3, 4), (5, 5), (1, 5)] {
        journal.save_snapshot(P, snapshot(&stream, saved, saved)).await.expect("saving an old one is no error");
        let loaded = journal.load(std::slice::from_ref(&stream)).await.expect("loads work").remove(0);
        assert_eq!(loaded.snapshot, Some(snapshot(&stream, kept, kept)), "after saving {saved}");
        assert_eq!(versions(&loaded.tail), (kept + 1..=6).collect::<Vec<_>>());
    }
}

pub async fn long_tails_come_in_pages(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let (long, short) = (order_in(P, 1), order_in(P, 2));
    let facts = (0..limits::READ_BATCH + 3).map(|_| fact(&long)).chain([fact(&short)]).collect();
    let unit = log.unit(facts);
    write(journal, log.batch(vec![unit])).await;
    for kept in [0, 2, 5] {
        if kept > 0 {
            journal.save_snapshot(P, snapshot(&long, kept, kept)).await.expect("a snapshot is kept");
        }
        let loaded = journal.load(&[long.clone(), short.clone()]).await.expect("loads work");
        let last = (kept + limits::READ_BATCH as u64).min(limits::READ_BATCH as u64 + 3);
        assert_eq!(versions(&loaded[0].tail), (kept + 1..=last).collect::<Vec<_>>());
        assert_eq!(versions(&loaded[1].tail), [1], "one long stream does not shorten another");
    }
}

fn segment(stream: &StreamId, after: u64, version: u64, schema: u16) -> Segment {
    let payload = vec![u8::try_from(version).unwrap_or_default(); 70_000];
    let (after, position, version) = (Version(after), Position(version), Version(version));
    Segment { stream: stream.clone(), after, version, position, schema, payload }
}

pub async fn segments_are_kept_in_order(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let (stream, other) = (order_in(P, 1), order_in(P, 2));
    let units = (0..9).map(|_| log.unit(vec![fact(&stream), fact(&other)])).collect();
    write(journal, log.batch(units)).await;
    assert_eq!(journal.reach(&stream, 3).await, Ok(Reach::default()));
    for (after, version, schema) in [(4, 6, 3), (0, 2, 3), (2, 4, 3), (0, 9, 4)] {
        journal.save_segment(P, segment(&stream, after, version, schema)).await.expect("a segment is kept");
    }
    journal.save_segment(P, segment(&stream, 2, 8, 3)).await.expect("a second one is no error");
    let all = [segment(&stream, 0, 2, 3), segment(&stream, 2, 4, 3), segment(&stream, 4, 6, 3)];
    let table = [(0, 9, &all[..]), (0, 2, &all[..2]), (1, 9, &all[1..]), (4, 1, &all[2..]), (5, 9, &[])];
    for (from, limit, expected) in table {
        let found = journal.segments(&stream, 3, Version(from), limit).await.expect("reads work");
        assert_eq!(found, expected, "from {from}, limit {limit}: the first of its place, in order, of one schema");
    }
    assert_eq!(journal.segments(&other, 3, Version(0), 9).await, Ok(Vec::new()));
    assert_eq!(journal.reach(&stream, 3).await, Ok(Reach { whole: Version(0), end: Version(6) }));
    let loaded = journal.load(&[other, stream.clone()]).await.expect("loads work");
    assert_eq!((loaded[0].segmented, loaded[0].tail.len()), (false, 9));
    assert_eq!((loaded[1].segmented, loaded[1].tail.len()), (true, 0), "segments come before the tail");
}

pub async fn a_whole_snapshot_replaces_its_segments(harness: &Harness) {
    let (journal, mut log) = (&harness.journal, opened(harness, 1).await);
    let (stream, other) = (order_in(P, 1), order_in(P, 2));
    let units = (0..9).map(|_| log.unit(vec![fact(&stream)])).collect();
    write(journal, log.batch(units)).await;
    for (of, after, version, schema) in
        [(&stream, 0, 2, 2), (&stream, 0, 3, 3), (&stream, 3, 5, 3), (&stream, 5, 7, 3), (&other, 0, 1, 3)]
    {
        journal.save_segment(P, segment(of, after, version, schema)).await.expect("a segment is kept");
    }
    journal.save_snapshot(P, snapshot(&stream, 5, 5)).await.expect("a snapshot is kept");
    let left = async |of: &StreamId, schema| journal.segments(of, schema, Version(0), 9).await.expect("reads work");
    assert_eq!(left(&stream, 3).await, [segment(&stream, 5, 7, 3)], "what goes on from the snapshot stays");
    assert_eq!(left(&stream, 2).await, [], "of an older schema nothing stays");
    assert_eq!(left(&other, 3).await, [segment(&other, 0, 1, 3)]);
    assert_eq!(journal.reach(&stream, 3).await, Ok(Reach { whole: Version(5), end: Version(7) }));
    assert_eq!(journal.reach(&stream, 4).await, Ok(Reach::default()), "a snapshot of another schema reaches nowhere");
    let loaded = journal.load(std::slice::from_ref(&stream)).await.expect("loads work").remove(0);
    assert_eq!((loaded.snapshot, loaded.segmented), (Some(snapshot(&stream, 5, 5)), true));
}
