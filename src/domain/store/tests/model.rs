//! Is a payment recorded once and never given back twice, however long ago it was and however full the store is?
//!
//! The model is a list of receipts: what the counter said, what was given back under which key, and until when it is kept.
//! What is over is gone, whether or not anything happened since.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::*;
use crate::domain::Authority;
use crate::domain::testing::machine::{Machine, Said, asked};

const DAY: i64 = 86_400_000;
const MEMORY: i64 = 30 * DAY;
const AHEAD: i64 = 300_000;
const KEYS: i64 = 16 * DAY;
/// What the store has room for here: payments and cancellations.
const ROOM: usize = 6;

/// What a counter says of a payment.
#[derive(Clone, Debug, PartialEq)]
struct Slip {
    id: u8,
    minor: u64,
    method: &'static str,
    paid_at: i64,
}

#[derive(Clone, Debug)]
struct Receipt {
    slip: Slip,
    /// Under which key it came, if it had one.
    key: Option<u8>,
    left: u64,
    version: u64,
    until: i64,
    /// Keys, bodies and versions of what was given back.
    backs: Vec<(u8, u8, u64)>,
}

#[derive(Clone, Debug)]
struct Drawer {
    now: i64,
    written: u64,
    /// With which body, once it is.
    created: Option<bool>,
    receipts: BTreeMap<u8, Receipt>,
    /// Everything that was ever said, to be said again.
    slips: Vec<Slip>,
    said: Said,
}

#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Create { same: bool, name: &'static str },
    Record { slip: Slip, key: Option<u8> },
    Cancel { id: u8, minor: Option<u64>, key: Option<u8>, body: u8 },
}

impl Drawer {
    fn receipt(&self, id: u8) -> Option<&Receipt> {
        self.receipts.get(&id).filter(|receipt| receipt.until >= self.now)
    }

    /// Receipts that are over are thrown away when the next thing is written; until then they take room, but for one.
    fn is_full(&self) -> bool {
        let taken: usize = self.receipts.values().map(|receipt| 1 + receipt.backs.len()).sum();
        taken >= ROOM && self.receipts.values().all(|receipt| receipt.until >= self.now)
    }

    fn writes(&mut self, kind: &'static str) -> Said {
        self.written += 1;
        let now = self.now;
        self.receipts.retain(|_, receipt| receipt.until >= now);
        Said::happens(kind)
    }

    fn says(&mut self, step: &Step) -> Said {
        match step {
            Step::Wait(millis) => {
                self.now += millis;
                Said::Unchanged
            }
            Step::Create { same, name } => match (self.created, *same) {
                (Some(first), same) if first == same => Said::Replays(1),
                (Some(_), _) => Said::Refuses(Refusal::KeyReused),
                (None, _) if name.is_empty() => Said::Invalid("/name".into()),
                (None, same) => {
                    self.created = Some(same);
                    self.writes("store.created")
                }
            },
            Step::Record { slip, key } => self.record(slip, *key),
            Step::Cancel { id, minor, key, body } => self.cancel(*id, *minor, *key, *body),
        }
    }

    fn record(&mut self, slip: &Slip, key: Option<u8>) -> Said {
        if self.created.is_none() {
            return Said::Refuses(Refusal::NotFound);
        }
        let of_key = |r: &&Receipt| key.is_some() && r.key == key && r.until >= self.now;
        if self.receipts.values().find(of_key).is_some_and(|before| before.slip != *slip) {
            return Said::Refuses(Refusal::KeyReused);
        }
        if let Some(known) = self.receipt(slip.id) {
            let same = known.slip == *slip;
            return if same { Said::Replays(known.version) } else { Said::Refuses(Refusal::PaymentMismatch) };
        }
        if slip.minor == 0 {
            return Said::Invalid("/amount".into());
        }
        if slip.method.is_empty() {
            return Said::Invalid("/method".into());
        }
        let oldest = self.now - MEMORY;
        if slip.paid_at < oldest {
            return Said::Refuses(Refusal::PaymentTooOld { oldest: Timestamp(oldest) });
        }
        if slip.paid_at > self.now + AHEAD {
            return Said::Invalid("/paid_at".into());
        }
        if self.is_full() {
            return Said::Refuses(Refusal::StoreFull);
        }
        let said = self.writes("store.payment_recorded");
        let (version, until) = (self.written, self.now + MEMORY + AHEAD);
        let receipt = Receipt { slip: slip.clone(), key, left: slip.minor, version, until, backs: Vec::new() };
        self.receipts.insert(slip.id, receipt);
        self.slips.push(slip.clone());
        said
    }

    fn cancel(&mut self, id: u8, minor: Option<u64>, key: Option<u8>, body: u8) -> Said {
        let Some(receipt) = self.receipt(id) else { return Said::Refuses(Refusal::NotFound) };
        if let Some((_, as_before, version)) = receipt.backs.iter().find(|back| Some(back.0) == key) {
            let same = *as_before == body;
            return if same { Said::Replays(*version) } else { Said::Refuses(Refusal::KeyReused) };
        }
        if minor.is_some() && key.is_none() {
            return Said::Refuses(Refusal::KeyRequired);
        }
        if minor == Some(0) {
            return Said::Invalid("/amount".into());
        }
        let left = receipt.left;
        if left == 0 {
            return Said::Refuses(Refusal::AlreadyCancelled);
        }
        let back = minor.unwrap_or(left);
        if back > left {
            return Said::Refuses(Refusal::AmountExceedsRemaining { remaining: amount(left) });
        }
        // The last of a payment always goes back.
        if back < left && self.is_full() {
            return Said::Refuses(Refusal::StoreFull);
        }
        let said = self.writes("store.payment_cancelled");
        let (version, now) = (self.written, self.now);
        let receipt = self.receipts.get_mut(&id).expect("it was there, and is not over");
        receipt.left -= back;
        // Nobody can repeat what has no key: its name is one that no step has.
        receipt.backs.push((key.unwrap_or(u8::MAX), body, version));
        receipt.until = receipt.until.max(now + KEYS);
        said
    }
}

struct Model;

impl ReferenceStateMachine for Model {
    type State = Drawer;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<Drawer> {
        let (receipts, slips) = (BTreeMap::new(), Vec::new());
        Just(Drawer { now: NOW, written: 0, created: None, receipts, slips, said: Said::Unchanged }).boxed()
    }

    fn transitions(drawer: &Drawer) -> BoxedStrategy<Step> {
        let create = || {
            let name = prop_oneof![4 => Just("Kiosk"), 1 => Just("")];
            (prop::bool::weighted(0.8), name).prop_map(|(same, name)| Step::Create { same, name })
        };
        let record = |slip: BoxedStrategy<Slip>| {
            (slip, prop::option::weighted(0.5, 0..3_u8)).prop_map(|(slip, key)| Step::Record { slip, key })
        };
        if drawer.created.is_none() {
            return prop_oneof![9 => create(), 1 => record(any_slip(drawer))].boxed();
        }
        let amount = prop::option::weighted(0.7, 0..5_u64);
        let cancel = (0..5_u8, amount, prop::option::weighted(0.8, 0..4_u8), 0..2_u8);
        let cancel = cancel.prop_map(|(id, minor, key, body)| Step::Cancel { id, minor, key, body });
        let again = match drawer.slips.is_empty() {
            true => any_slip(drawer),
            false => prop::sample::select(drawer.slips.clone()).boxed(),
        };
        prop_oneof![
            4 => any_wait(drawer).prop_map(Step::Wait),
            1 => create(),
            6 => record(any_slip(drawer)),
            4 => record(again),
            7 => cancel,
        ]
        .boxed()
    }

    fn apply(mut drawer: Drawer, step: &Step) -> Drawer {
        let said = drawer.says(step);
        Drawer { said, ..drawer }
    }
}

/// Hours, days, or just until a receipt is over.
fn any_wait(drawer: &Drawer) -> BoxedStrategy<i64> {
    let ends = drawer.receipts.values().flat_map(|receipt| [receipt.until, receipt.until + 1]);
    let ends: Vec<i64> = ends.map(|at| at - drawer.now).filter(|wait| *wait > 0).collect();
    let some = prop_oneof![3 => 0..DAY, 2 => prop::sample::select(vec![DAY, KEYS, MEMORY - DAY, MEMORY])];
    if ends.is_empty() { some.boxed() } else { prop_oneof![3 => some, 2 => prop::sample::select(ends)].boxed() }
}

/// Most are paid just now; some at the bounds of what is believed.
fn any_slip(drawer: &Drawer) -> BoxedStrategy<Slip> {
    let now = drawer.now;
    let bounds = vec![now - MEMORY - 1, now - MEMORY, now + AHEAD, now + AHEAD + 1];
    let paid_at = prop_oneof![6 => Just(now), 2 => prop::sample::select(bounds)];
    let method = prop_oneof![12 => Just("card"), 2 => Just("cash"), 1 => Just("")];
    let minor = prop_oneof![1 => Just(0_u64), 12 => 1..5_u64];
    (0..5_u8, minor, method, paid_at)
        .prop_map(|(id, minor, method, paid_at)| Slip { id, minor, method, paid_at })
        .boxed()
}

fn named(id: u8) -> PaymentId {
    PaymentId::new(format!("p{id}"))
}

/// A key belongs to the path with its ids; who has none gets a name of their own.
fn key_of(id: u8, key: Option<u8>, written: u64) -> String {
    key.map_or_else(|| format!("nobody's {written}"), |key| format!("{id} {key}"))
}

impl StateMachineTest for Model {
    type SystemUnderTest = (Machine<Store>, u64);
    type Reference = Self;

    fn init_test(_: &Drawer) -> (Machine<Store>, u64) {
        // As if that many cancellations were remembered for ever: making them one by one would take minutes.
        let taken = limits::STORE_PAYMENTS - ROOM;
        (Machine::from(State { cancellations: taken as u64, ..State::default() }), 0)
    }

    fn apply((mut store, written): Self::SystemUnderTest, drawer: &Drawer, step: Step) -> Self::SystemUnderTest {
        let (command, by, key, body) = match &step {
            Step::Wait(_) => return (store, drawer.written),
            Step::Create { same, name } => {
                let create = Command::Create { store_id: StoreId::new("st_1"), name: (*name).into() };
                (create, "seller", "create".into(), if *same { "same".into() } else { "other".into() })
            }
            Step::Record { slip: Slip { id, minor, method, paid_at }, key } => {
                let record = RecordPayment {
                    method: (*method).into(),
                    paid_at: Timestamp(*paid_at),
                    ..payment(&format!("p{id}"), *minor)
                };
                let key = key.map_or_else(|| format!("record {written}"), |key| format!("payment {key}"));
                (Command::Record(record), "pos", key, String::new())
            }
            Step::Cancel { id, minor, key, body } => {
                let cancel =
                    Command::Cancel { payment_id: named(*id), amount: minor.map(amount), keyed: key.is_some() };
                (cancel, "pos", key_of(*id, *key, written), body.to_string())
            }
        };
        let asked = asked(by, Authority::Own, &key, &body, drawer.now);
        assert_eq!(store.tell(&command, &asked), drawer.said, "{step:?}");
        (store, drawer.written)
    }

    fn check_invariants((store, _): &Self::SystemUnderTest, drawer: &Drawer) {
        store.check();
        for id in 0..5 {
            let left = drawer.receipts.get(&id).map(|receipt| amount(receipt.left));
            assert_eq!(store.state.remaining(&named(id)), left, "p{id}");
        }
        let entries: usize = drawer.receipts.values().map(|receipt| 1 + receipt.backs.len()).sum();
        assert_eq!(Store::entries(&store.state), 1 + entries + limits::STORE_PAYMENTS - ROOM);
        assert_eq!(Store::deadline(&store.state), None);
        feed_adds_up(store);
    }
}

/// What the counter's display is told: of no payment more goes back than was paid, and each amount follows from the one before.
fn feed_adds_up(store: &Machine<Store>) {
    let mut left: BTreeMap<&PaymentId, u64> = BTreeMap::new();
    for row in &store.log {
        match &row.event {
            StoreEvent::Created(_) => {}
            StoreEvent::PaymentRecorded(paid) => {
                left.insert(&paid.payment_id, paid.amount.minor());
            }
            StoreEvent::PaymentCancelled(back) => {
                let before = left.get_mut(&back.payment_id).expect("it was paid before");
                *before = before.checked_sub(back.amount.minor()).expect("no more than was paid");
                assert_eq!(*before, back.remaining.minor(), "what is left follows from what was there");
            }
        }
    }
}

prop_state_machine! {
    #[test]
    fn each_payment_is_recorded_once_and_given_back_once(sequential 1..60 => Model);
}
