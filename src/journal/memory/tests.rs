//! Does the log in memory keep the contract, and does its mischief do what it says?

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use parking_lot::Mutex;

use super::{Fate, Hiccup, MemoryJournal, Mischief};
use crate::clock::Clock;
use crate::ids::{NodeId, Partition, Position};
use crate::journal::conformance::{self, Builder, Harness, fact, order_in};
use crate::journal::{AppendError, ClaimError, Journal, PartitionBatch, SharedJournal, Verdict};
use crate::limits;
use crate::timestamp::Timestamp;

const P: Partition = Partition(0);

/// A clock that the test moves by hand.
#[derive(Default)]
struct Hand(Mutex<Duration>);

impl Hand {
    fn advance(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for Hand {
    fn wall(&self) -> Timestamp {
        Timestamp(1_700_000_000_000).plus(self.elapsed())
    }

    fn elapsed(&self) -> Duration {
        *self.0.lock()
    }
}

fn empty() -> (MemoryJournal, Arc<Hand>) {
    let clock = Arc::new(Hand::default());
    (MemoryJournal::new(3, clock.clone()), clock)
}

#[tokio::test]
async fn keeps_the_contract() {
    conformance::all(|| {
        let (log, _) = empty();
        let journal: SharedJournal = Arc::new(log.clone());
        let reopen = Box::new(move || {
            let second: SharedJournal = Arc::new(log.clone());
            async move { second }.boxed()
        });
        async move { Harness { journal, reopen, sql: None, keep: None } }.boxed()
    })
    .await;
}

/// Does the listed things once, one per call.
#[derive(Default)]
struct Script(Mutex<Vec<Fate>>);

impl Mischief for Script {
    fn on_append(&self) -> Fate {
        self.0.lock().pop().unwrap_or_default()
    }

    fn on_settle(&self) -> Hiccup {
        Hiccup::Delay(Duration::from_millis(1))
    }
}

async fn one_batch(fate: Fate) -> (MemoryJournal, Arc<Hand>, Builder, PartitionBatch) {
    let (log, clock) = empty();
    let log = log.with_mischief(Arc::new(Script(Mutex::new(vec![fate]))));
    let claim = log.claim(&NodeId::new("a")).await.expect("free");
    let mut builder = Builder::after(&claim.partitions[0]);
    let unit = builder.unit(vec![fact(&order_in(P, 1))]);
    let batch = builder.batch(vec![unit]);
    (log, clock, builder, batch)
}

#[tokio::test]
async fn mischief_does_what_it_says() {
    let second = Duration::from_secs(1);
    // What is answered (is it unknown?), and the rows at once and two seconds later.
    let table = [
        (Fate::Normal, Ok(()), 1, 1),
        (Fate::Delay(Duration::from_millis(1)), Ok(()), 1, 1),
        (Fate::Reject, Err(false), 0, 0),
        (Fate::UnknownWritten, Err(true), 1, 1),
        (Fate::UnknownNotWritten, Err(true), 0, 0),
        (Fate::UnknownWrittenLater(second), Err(true), 0, 1),
    ];
    for (fate, answer, at_once, later) in table {
        let (log, clock, _, batch) = one_batch(fate).await;
        let got = log.append(&[batch]).await;
        let got = got.map(|verdicts| assert_eq!(verdicts, [Verdict::Written]));
        assert_eq!(got.map_err(|e| matches!(e, AppendError::Unknown(_))), answer, "{fate:?}");
        assert_eq!(log.dump().len(), at_once, "{fate:?}");
        clock.advance(2 * second);
        assert_eq!(log.heads().await.expect("heads")[0], Position(later), "{fate:?}");
    }
}

#[tokio::test]
async fn a_settled_partition_takes_no_late_write() {
    let (log, clock, builder, batch) = one_batch(Fate::UnknownWrittenLater(Duration::from_secs(1))).await;
    assert!(matches!(log.append(&[batch]).await, Err(AppendError::Unknown(_))));
    let state = log.settle(&NodeId::new("a"), P, builder.epoch).await.expect("reachable").expect("ours");
    assert_eq!(state.head, Position(0));
    clock.advance(Duration::from_secs(2));
    assert_eq!(log.dump(), []);
}

#[tokio::test]
async fn a_lease_that_ran_out_can_be_taken() {
    let ((log, clock), a, b) = (empty(), NodeId::new("a"), NodeId::new("b"));
    log.claim(&a).await.expect("free");
    clock.advance(limits::LEASE - Duration::from_millis(1));
    log.heartbeat(&a).await.expect("renewed");
    clock.advance(limits::LEASE - Duration::from_millis(1));
    assert!(matches!(log.claim(&b).await, Err(ClaimError::Held { .. })));
    clock.advance(Duration::from_millis(1));
    log.heartbeat(&a).await.expect("nobody else took it");
    clock.advance(limits::LEASE);
    log.claim(&b).await.expect("ran out");
    clock.advance(limits::LEASE);
    assert!(matches!(log.heartbeat(&a).await, Err(ClaimError::Held { .. })), "only a new claim may follow b's");
}
