//! Does a node that took over a log stop looking for what is not there, and still find everything that is?

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use onsale::actors::{Dispatch, Engine, Setup};
use onsale::clock::{Clock, Entropy, SimulatedClock};
use onsale::domain::order;
use onsale::ids::{AccountId, Hash16, NodeId, StreamId};
use onsale::journal::SharedJournal;
use onsale::journal::memory::{MemoryJournal, Mischief};
use onsale::money::Amount;

use crate::buyers::request;
use crate::older::{PARTITIONS, START, older_log, order_id};

/// Counts the looks into the log; each takes a while, so that other things happen meanwhile.
#[derive(Default)]
struct Looks(AtomicUsize);

impl Mischief for Looks {
    fn on_load(&self) -> Option<Duration> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Some(Duration::from_millis(20))
    }
}

async fn exists(dispatch: &Dispatch, order: u8) -> bool {
    let stream = StreamId::order(&order_id(order));
    dispatch.read::<order::Order, _>(stream, |state| state.placed.is_some()).await.expect("it can be read").value
}

#[tokio::test(start_paused = true)]
async fn what_is_new_is_not_looked_for_and_what_is_old_is_found() {
    let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(START.plus(Duration::from_secs(1))));
    let looks = Arc::new(Looks::default());
    let journal = MemoryJournal::found(PARTITIONS, clock.clone(), older_log()).with_mischief(looks.clone());
    let shared: SharedJournal = Arc::new(journal);
    let (node, claimed_at) = (NodeId::new("today"), clock.elapsed());
    let claim = shared.claim(&node).await.expect("nobody else is here");
    let entropy = Entropy::seeded(1);
    let setup = Setup { journal: shared, claim, claimed_at, node, clock, entropy, sabotage: None };
    let engine = Engine::start(setup).await.expect("the log can be read");
    let dispatch = engine.dispatch();

    // Strangers ask for orders that never were. While the log is looked through because of them, one is paid for.
    let mut asked_for_nothing = 0;
    let mut order_moved = false;
    loop {
        let before = looks.0.load(Ordering::SeqCst);
        assert!(!exists(&dispatch, 100 + asked_for_nothing % 100).await);
        asked_for_nothing += 1;
        engine.ask_all_to_leave();
        if looks.0.load(Ordering::SeqCst) == before {
            break;
        }
        assert!(asked_for_nothing < 200, "it goes on looking");
        if asked_for_nothing == 66 {
            let free = order::Pay { payment_key: None, amount: Amount::ZERO, patience: Duration::from_secs(60) };
            let asked = request(Hash16([9; 16]), &AccountId::new("ann"));
            let stream = StreamId::order(&order_id(1));
            dispatch.execute::<order::Order>(stream, order::Command::Pay(free), asked).await.expect("it is free");
            order_moved = true;
        }
    }
    assert!(asked_for_nothing > 3 && order_moved, "nothing was certain at first");
    for order in 0..3 {
        assert!(exists(&dispatch, order).await, "order {order} is in the log");
    }
    engine.shutdown().await;
}
