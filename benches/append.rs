//! How many events per second does each SQL log append? Prints a table; run with `cargo bench --bench append`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Duration;

use onsale::clock::{Clock, Entropy, SystemClock};
use onsale::events::{Chain, Record};
use onsale::ids::{AccountId, Hash16, NodeId, Position, StreamId, Version};
use onsale::journal::open::{Options, Role, Target, open};
use onsale::journal::{PartitionBatch, PartitionState, SharedJournal, Unit, Verdict};
use onsale::timestamp::Timestamp;

const ROUND: Duration = Duration::from_secs(3);

#[tokio::main]
async fn main() {
    let dir = std::env::temp_dir().join(format!("onsale-bench-{}", std::process::id()));
    measure(&Target::Sqlite { dir: dir.clone() }).await;
    std::fs::remove_dir_all(&dir).expect("the files of the bench can be removed");
    let database = support::postgres::database().await;
    measure(&Target::Postgres { url: database.url.clone() }).await;
    database.drop_it().await;
}

async fn measure(target: &Target) {
    let journal = open(target, Options::new(Role::Serve)).await.expect("the log opens");
    let claim = journal.claim(&NodeId::new("bench")).await.expect("nobody else serves it");
    let mut state = claim.partitions[0].clone();
    for size in [10, 100, 500] {
        let (begun, mut events) = (SystemClock.elapsed(), 0);
        while SystemClock.elapsed() - begun < ROUND {
            append(&journal, &mut state, size).await;
            events += size;
        }
        let rate = f64::from(u32::try_from(events).unwrap_or(u32::MAX)) / (SystemClock.elapsed() - begun).as_secs_f64();
        println!("{:<9} batches of {size:>3}: {rate:>9.0} events/s", journal.engine());
    }
}

async fn append(journal: &SharedJournal, state: &mut PartitionState, size: usize) {
    let expected_head = state.head;
    let mut units = Vec::with_capacity(size);
    for _ in 0..size {
        state.head = state.head.next();
        units.push(Unit { records: vec![record(state)], ..Unit::default() });
    }
    let batch = PartitionBatch { partition: state.partition, epoch: state.epoch, expected_head, units };
    assert_eq!(journal.append(&[batch]).await, Ok(vec![Verdict::Written]));
}

fn record(state: &PartitionState) -> Record {
    let entropy = Entropy::seeded(state.head.0);
    let event_id = entropy.uuid(Timestamp(1_795_000_000_000));
    Record {
        partition: state.partition,
        position: Position(state.head.0),
        stream: StreamId::from_log(format!("order/o0_{}", entropy.hash16())),
        version: Version(1),
        kind: "order.placed".into(),
        schema: 1,
        codec: 1,
        event_id,
        command: Hash16([7; 16]),
        correlation: event_id,
        causation: None,
        principal: AccountId::new("member-1"),
        owner: Some(AccountId::new("seller-1")),
        epoch: state.epoch,
        node: NodeId::new("bench"),
        at: Timestamp(1_795_000_000_000),
        recorded_at: Timestamp(1_795_000_000_000),
        unit_last: true,
        chain: Chain([1; 32]),
        payload: vec![1; 100],
    }
}
