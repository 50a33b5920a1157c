//! Who is there besides buyers? The seller, a counter, the operator, and people who only look.

use std::sync::Arc;

use onsale::actors::Request;
use onsale::clock::Entropy;
use onsale::domain::{Authority, Refusal, coupon, order, performance, store};
use onsale::events::order::{ReviewOf, Ruling};
use onsale::ids::{AccountId, OrderId, PaymentId, StreamId};
use onsale::money::{Amount, Currency};
use onsale::timestamp::Timestamp;
use tokio::task::JoinSet;

use crate::buyers::{ask_again, insist, request};
use crate::nodes::PATIENCE;
use crate::simulated::pass_millis;
use crate::world::World;

/// The seller, who grants each member now more, now less, while they order; and at last calls everything off.
pub async fn seller(world: Arc<World>) {
    let entropy = Entropy::seeded(world.plan.seed ^ 0x5e11);
    let (stream, by) = (StreamId::performance(&world.performance), world.seller());
    for _ in 0..if world.granted.counted() { 6 } else { 0 } {
        pass_millis(entropy.below(1_500)).await;
        let limit = u32::try_from(1 + entropy.below(4)).ok();
        let change = performance::Change { max_seats_per_member: Some(limit), ..performance::Change::default() };
        let command = performance::Command::Change { change, keyed: true };
        let request = request(entropy.hash16(), &by);
        match insist::<performance::Performance>(&world, &stream, command, request).await {
            Ok(moved) if !moved.events.is_empty() => world.tally.count("limit moved"),
            Ok(_) => {}
            Err(refusal) => world.violated(format!("a limit was not moved: {refusal}")),
        }
    }
    if world.plan.call_off {
        pass_millis(entropy.below(8_000)).await;
        let request = request(entropy.hash16(), &by);
        let cancelled =
            insist::<performance::Performance>(&world, &stream, performance::Command::Cancel, request).await;
        match cancelled {
            Ok(_) => world.tally.count("performance called off"),
            Err(refusal) => world.violated(format!("a performance was not called off: {refusal}")),
        }
    }
}

/// A store's counter: records payments, sometimes twice, and cancels some in part.
pub async fn counter(world: Arc<World>) {
    let entropy = Entropy::seeded(world.plan.seed ^ 0x5107);
    let stream = StreamId::store(&world.store);
    let by = AccountId::new("counter");
    for number in 0..20 {
        pass_millis(entropy.below(800)).await;
        let payment_id = PaymentId::new(format!("p-{number}"));
        let record = store::Command::Record(store::RecordPayment {
            payment_id: payment_id.clone(),
            amount: Amount::new(1_000).unwrap(),
            currency: Currency::KRW,
            method: "card".to_owned(),
            paid_at: Timestamp(world.start.0 + 500),
            terminal_id: None,
        });
        let mut recorded =
            insist::<store::Store>(&world, &stream, record.clone(), request(entropy.hash16(), &by)).await;
        if entropy.below(2) == 0 {
            // Another request, the same payment.
            recorded = ask_again::<store::Store>(&world, &stream, record, request(entropy.hash16(), &by)).await;
        }
        if let Err(refusal) = recorded {
            world.violated(format!("a payment was refused: {refusal}"));
        }
        if entropy.below(3) == 0 {
            let amount = Amount::new(1 + entropy.below(1_200));
            let cancel = store::Command::Cancel { payment_id, amount, keyed: true };
            if insist::<store::Store>(&world, &stream, cancel, request(entropy.hash16(), &by)).await.is_ok() {
                world.tally.count("payment cancelled in part");
            }
        }
    }
}

/// People who find out what became of money that nobody knows of, now and then. What they find may be too early: a
/// request can still be under way.
pub async fn operator(world: Arc<World>) {
    let entropy = Entropy::seeded(world.plan.seed ^ 0x0be7);
    for _ in 0..4 {
        pass_millis(4_000 + entropy.below(4_000)).await;
        let mut orders: Vec<OrderId> = world.orders.lock().clone();
        orders.sort();
        for order in orders {
            let stream = StreamId::order(&order);
            if entropy.below(3) == 0 {
                continue;
            }
            let review = |state: &order::State| {
                let last = state.attempts.last().map(|attempt| attempt.payment_key.clone());
                (
                    state.review.clone(),
                    last,
                    state.refunds.last().map(|refund| (refund.refund_id.clone(), refund.amount)),
                )
            };
            let Some(read) = world.read::<order::Order, _>(&stream, review).await else { continue };
            let (Some(about), Some(key), refund) = read.value else { continue };
            let Some(ruling) = found_out(&world, &about, &key, refund.map(|(_, amount)| amount)) else { continue };
            let rule = order::Command::Rule(order::Rule { ruling, psp_reference: None, patience: PATIENCE });
            let by = Request { authority: Authority::Any, ..request(entropy.hash16(), &AccountId::new("operator")) };
            match insist::<order::Order>(&world, &stream, rule, by).await {
                Ok(_) => world.tally.count("review ruled on"),
                Err(Refusal::NotInReview { .. } | Refusal::RulingUnfit) => {}
                Err(refusal) => world.violated(format!("a ruling was refused: {refusal}")),
            }
        }
    }
}

/// What the provider's books say now.
fn found_out(world: &World, about: &ReviewOf, key: &onsale::ids::PaymentKey, refund: Option<Amount>) -> Option<Ruling> {
    let row = world.provider.booked().into_iter().find(|row| row.key == *key);
    let (captured, cancelled) = row.map_or((0, 0), |row| (row.captured, row.cancelled));
    match about {
        ReviewOf::Payment { .. } if captured == 0 => Some(Ruling::NotCaptured),
        ReviewOf::Payment { .. } if cancelled == captured => Some(Ruling::Refunded),
        ReviewOf::Payment { .. } => Some(Ruling::Captured),
        // Only where no other refund of it can be meant.
        ReviewOf::Refund { .. } if captured > 0 && cancelled == captured => Some(Ruling::Refunded),
        ReviewOf::Refund { .. } if captured > 0 && cancelled == 0 && refund.is_some() => Some(Ruling::Captured),
        ReviewOf::Refund { .. } => None,
    }
}

/// People who only look, at the node that follows. They never stop by themselves.
pub fn readers(world: &Arc<World>) -> JoinSet<()> {
    let mut readers = JoinSet::new();
    for number in 0..2 {
        readers.spawn(reader(world.clone(), number));
    }
    readers
}

async fn reader(world: Arc<World>, number: u64) {
    let entropy = Entropy::seeded(world.plan.seed ^ 0x4ead ^ number);
    loop {
        pass_millis(100 + entropy.below(900)).await;
        match entropy.below(3) {
            0 => world.read_there::<coupon::Coupon>(&StreamId::coupon(&world.coupon)).await,
            1 => world.read_there::<store::Store>(&StreamId::store(&world.store)).await,
            _ => {
                let newest = world.orders.lock().last().cloned();
                if let Some(order) = newest {
                    world.read_there::<order::Order>(&StreamId::order(&order)).await;
                }
            }
        }
    }
}
