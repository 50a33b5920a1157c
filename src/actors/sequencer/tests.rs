//! Who may hear what, and when? The partition's promises one by one, without actors and without a log.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::*;
use crate::clock::{Clock, SimulatedClock};
use crate::events::{Chain, Event, seat};
use crate::ids::{OrderId, PerformanceId, SeatId};
use crate::journal::conformance::Builder;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn order(name: &str) -> StreamId {
    StreamId::order(&OrderId::new(name))
}

/// A partition of a node that has just claimed it, and the lane's end of its queue.
fn claimed(timers: Timers) -> (Sequencer, mpsc::Receiver<Queued>) {
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(NOW));
    let state = PartitionState {
        partition: Partition(0),
        epoch: Epoch(1),
        head: Position(0),
        last_at: Timestamp(0),
        chain: Chain::default(),
        last_event: None,
    };
    let (lane, queue) = mpsc::channel(8);
    let time = Arc::new(LogTime::anchored(clock.clone(), NOW));
    let lease = Arc::new(Lease::since(clock.clone(), clock.elapsed()));
    (Sequencer::new(&state, timers, lane, time, lease, Arc::default()), queue)
}

/// Queues a unit of one fact; what its caller hears is counted: thousands for a yes, ones for a no.
fn queue(sequencer: &Sequencer, log: &mut Builder, heard: &Arc<AtomicUsize>) {
    let stream = StreamId::seat(&PerformanceId::new("pf_1"), &SeatId::new("A-1-1"));
    let held = seat::Held { order_id: OrderId::new("o1") };
    let unit = Unit { records: log.records(vec![(stream.clone(), Event::Seat(held.into()))]), ..Unit::default() };
    let heard = heard.clone();
    let tell = Box::new(move |told: Result<(), Fault>| {
        heard.fetch_add(if told.is_ok() { 1_000 } else { 1 }, Ordering::SeqCst);
    });
    let turn = sequencer.turn(1).expect("it serves");
    assert!(turn.append(unit, 1, (&stream, None), tell).is_ok(), "the lane has room");
}

#[tokio::test(start_paused = true)]
async fn nobody_hears_of_what_is_not_durable() {
    let (sequencer, _queue) = claimed(Timers::new());
    let (mut log, heard) = (Builder::new(Partition(0)), Arc::default());
    queue(&sequencer, &mut log, &heard);
    queue(&sequencer, &mut log, &heard);
    assert_eq!((heard.load(Ordering::SeqCst), sequencer.durable()), (0, Position(0)), "it is queued, and no more");
    sequencer.committed(Position(1));
    assert_eq!(heard.load(Ordering::SeqCst), 1_000);
    sequencer.committed(Position(2));
    assert_eq!(heard.load(Ordering::SeqCst), 2_000);
}

#[tokio::test(start_paused = true)]
async fn what_is_queued_behind_a_doubt_is_not_written_and_its_callers_know() {
    let (sequencer, mut lane) = claimed(Timers::new());
    let (mut log, heard) = (Builder::new(Partition(0)), Arc::default());
    queue(&sequencer, &mut log, &heard);
    queue(&sequencer, &mut log, &heard);
    sequencer.suspend(Position(1));
    assert_eq!(heard.load(Ordering::SeqCst), 1, "the second one certainly is not written");
    let queued = lane.try_recv().expect("it was queued");
    assert!(!sequencer.is_current(queued.generation), "and so the lane must not write it either");
    assert!(matches!(sequencer.turn(queued.generation), Err(Fault::Superseded)), "what an actor knows may be wrong");
}

#[tokio::test(start_paused = true)]
async fn nobody_is_answered_under_a_lease_that_ran_out() {
    let (sequencer, _lane) = claimed(vec![(order("o1"), NOW)]);
    assert!(sequencer.turn(1).is_ok() && sequencer.generation().is_ok());
    // The process was stopped meanwhile: somebody else may own the partition by now.
    tokio::time::advance(limits::LEASE).await;
    assert!(matches!(sequencer.turn(1), Err(Fault::Unavailable { .. })), "not even a refusal from memory");
    assert!(matches!(sequencer.generation(), Err(Fault::Unavailable { .. })), "nothing is loaded");
    assert_eq!(sequencer.take_due(9), [], "and no hold ends");
}

#[tokio::test(start_paused = true)]
async fn deadlines_of_the_log_are_taken_over_and_end_by_its_time() {
    let due = NOW.plus(Duration::from_secs(2));
    let (sequencer, _lane) = claimed(vec![(order("o1"), due), (StreamId::process(&order("o2")), NOW)]);
    assert_eq!(sequencer.take_waiting(9), [order("o2")]);
    assert_eq!(sequencer.take_due(9), []);
    tokio::time::advance(Duration::from_secs(2)).await;
    assert_eq!(sequencer.take_due(9), [order("o1")]);
}
