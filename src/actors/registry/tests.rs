//! Does a state that rests come back as it was, to whoever asks, and leave only when the log has all of it?

use super::*;
use crate::actors::engine::{Engine, Setup};
use crate::actors::part::{Cast, Loan};
use crate::clock::{Clock, Entropy, SimulatedClock};
use crate::domain::seat::{Command, Seat, State};
use crate::ids::{NodeId, PerformanceId, SeatId, Version};
use crate::journal::SharedJournal;
use crate::journal::conformance::{Builder, performance_in, seat_fact};
use crate::journal::memory::{MemoryJournal, Mischief};
use crate::timestamp::Timestamp;

const P: Partition = Partition(0);
const SEATS: usize = 40;

/// Counts the looks into the log.
#[derive(Default)]
struct Looks(AtomicUsize);

impl Mischief for Looks {
    fn on_load(&self) -> Option<Duration> {
        self.0.fetch_add(1, Ordering::SeqCst);
        None
    }
}

struct House {
    engine: Engine,
    seats: Vec<StreamId>,
    looks: Arc<Looks>,
}

impl House {
    /// A node that has just claimed a log with one fact of each seat.
    async fn open() -> Self {
        let performance: PerformanceId = performance_in(P, 1, "pf");
        let seats: Vec<StreamId> =
            (0..SEATS).map(|n| StreamId::seat(&performance, &SeatId::new(format!("A-1-{n}")))).collect();
        let mut log = Builder::new(P);
        let rows = seats.iter().flat_map(|seat| log.records(vec![seat_fact(seat)])).collect();
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(Timestamp(1_700_000_000_000)));
        let looks = Arc::new(Looks::default());
        let journal = MemoryJournal::found(1, clock.clone(), rows).with_mischief(looks.clone());
        let journal: SharedJournal = Arc::new(journal);
        let (node, claimed_at) = (NodeId::new("a"), clock.elapsed());
        let claim = journal.claim(&node).await.expect("nobody else is here");
        let entropy = Entropy::seeded(1);
        let setup = Setup { journal, claim, claimed_at, node, clock, entropy, sabotage: None };
        let engine = Engine::start(setup).await.expect("the log can be read");
        Self { engine, seats, looks }
    }

    fn registry(&self) -> &Registry {
        &self.engine.node().registry
    }

    async fn wake(&self, seats: &[StreamId]) -> Vec<Lease> {
        self.registry().wake::<Seat>(self.engine.node(), P, seats).await.expect("they can be read")
    }

    async fn borrow(&self, lease: Lease) -> Loan<Seat> {
        let (to, lent) = tokio::sync::oneshot::channel();
        Handle::cast::<Seat>(lease, |lease| Message::Lend(to, lease)).expect("it listens");
        lent.await.expect("it lends")
    }

    /// In memory, and how many of them have an actor.
    fn counted(&self) -> (usize, usize) {
        let slots = self.registry().slots[0].lock();
        (slots.len(), slots.values().filter(|slot| matches!(slot, Slot::Awake(_))).count())
    }

    async fn until(&self, counted: (usize, usize)) {
        // Each turn lets everybody else do what there is to do.
        for _ in 0..1_000 {
            if self.counted() == counted {
                break;
            }
            tokio::task::yield_now().await;
        }
        assert_eq!(self.counted(), counted);
        assert_eq!(self.registry().awake(), counted.0);
    }
}

#[tokio::test(start_paused = true)]
async fn what_nobody_asks_for_rests_and_is_there_when_somebody_does() {
    let house = House::open().await;
    // One after the other: one actor is enough for all of them.
    for (before, seat) in house.seats.iter().enumerate() {
        let lease = house.wake(std::slice::from_ref(seat)).await.remove(0);
        drop(house.borrow(lease).await);
        house.until((before + 1, 0)).await;
    }
    let looks = house.looks.0.load(Ordering::SeqCst);
    assert_eq!(looks, SEATS, "they came from the log");

    // All at once: the first time there are too few actors, later there are enough.
    for times in 1..=3 {
        let mut loans = Vec::new();
        for lease in house.wake(&house.seats).await {
            loans.push(house.borrow(lease).await);
        }
        house.until((SEATS, SEATS)).await;
        for (loan, seat) in loans.iter_mut().zip(&house.seats) {
            let cell = loan.cell().expect("it is here");
            assert_eq!((&cell.stream, cell.version, cell.tail), (seat, Version(1), times), "as it was left");
            assert_ne!(cell.state, State::Available);
            cell.tail += 1;
        }
        drop(loans);
        house.until((SEATS, 0)).await;
    }
    assert_eq!(house.looks.0.load(Ordering::SeqCst), looks, "the log was not asked again");
    house.engine.ask_all_to_leave();
    house.until((0, 0)).await;
    house.engine.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_woken_and_not_asked_anything_rests_soon() {
    let house = House::open().await;
    drop(house.wake(&house.seats).await);
    house.until((SEATS, SEATS)).await;
    tokio::time::advance(limits::ACTOR_RESTS).await;
    house.registry().sweep(house.engine.node());
    house.until((SEATS, 0)).await;
    tokio::time::advance(limits::ACTOR_IDLE).await;
    house.registry().sweep(house.engine.node());
    house.until((0, 0)).await;
}

#[tokio::test(start_paused = true)]
async fn an_actor_that_died_makes_room_for_another() {
    let house = House::open().await;
    let node = house.engine.node();
    let lease = house.wake(&house.seats[..1]).await.remove(0);
    let actor = lease.actor::<Seat>().expect("a seat's").clone();
    drop(lease);
    actor.stop_and_wait(None, None).await.expect("it ends");
    let ask = || Cast::of(vec![(house.seats[0].clone(), Command::Block)]).awake(node, P);
    let mut parts = ask().await.expect("nobody knows yet");
    assert!(matches!(parts[0].borrow(node).await, Err(Fault::Superseded)));
    let mut parts = ask().await.expect("it can be read");
    parts[0].borrow(node).await.expect("another one lends");
    assert!(parts[0].usable(node.sequencer(P).generation().expect("it serves")));
}

#[tokio::test(start_paused = true)]
async fn while_the_node_stops_what_rests_can_still_be_asked() {
    let house = House::open().await;
    for lease in house.wake(&house.seats).await {
        drop(house.borrow(lease).await);
    }
    house.until((SEATS, 0)).await;
    house.registry().close();
    assert_eq!(house.wake(&house.seats).await.len(), SEATS);
}

#[tokio::test(start_paused = true)]
async fn what_is_younger_is_not_taken_for_stale() {
    let house = House::open().await;
    let seat = &house.seats[..1];
    drop(house.wake(seat).await);
    let look = |generation| {
        let mut spares = Spares { idle: &house.registry().idle, actors: Vec::new() };
        let found =
            house.registry().look::<Seat>(house.engine.node(), P, generation, seat, &Arc::default(), &mut spares);
        found.map(|found| found.ours.len())
    };
    assert!(matches!(look(0), Err(Fault::Superseded)), "asked before the partition began anew");
    assert!(matches!(look(1), Ok(0)));
    assert!(matches!(look(2), Ok(1)), "what is here is of a time that has ended");
}

#[tokio::test(start_paused = true)]
async fn what_the_log_may_not_have_stays_in_memory() {
    let house = House::open().await;
    for (index, lease) in house.wake(&house.seats[..2]).await.into_iter().enumerate() {
        let mut loan = house.borrow(lease).await;
        if index == 0 {
            loan.cell().expect("it is here").shown = Position(1_000);
        }
    }
    house.until((2, 0)).await;
    let lease = house.wake(&house.seats[..1]).await.remove(0);
    assert_eq!(house.borrow(lease).await.cell().expect("it is here").shown, Position(1_000), "as it was left");
    house.until((2, 0)).await;
    house.engine.ask_all_to_leave();
    house.until((1, 0)).await;
    assert!(house.registry().slots[0].lock().contains_key(&house.seats[0]));
    // When nobody knows what is true any more, it goes all the same.
    house.registry().forget(P);
    house.until((0, 0)).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_may_speak_to_it_finds_it_awake() {
    let house = House::open().await;
    let seat = &house.seats[..1];
    let (first, second) = (house.wake(seat).await.remove(0), house.wake(seat).await.remove(0));
    drop(house.borrow(first).await);
    // Its actor has handled the loan's end when it lends again.
    drop(house.borrow(second.clone()).await);
    assert_eq!(house.counted(), (1, 1));
    drop(house.borrow(second).await);
    house.until((1, 0)).await;
}
