//! What do the clients do, and what were they told? Buyers, members and a counter, each with a mind of its own.
//!
//! A client that hears nothing definite repeats its command under the same key until it does. What it was told goes into
//! a record, which `judge.rs` holds against the log.

use std::sync::Arc;
use std::time::Duration;

use onsale::actors::{CommandError, Outcome, Request};
use onsale::clock::Entropy;
use onsale::domain::{Aggregate, Authority, Refusal, coupon, order, performance, store};
use onsale::fault::Fault;
use onsale::ids::{AccountId, CommandId, Hash16, LogPosition, OrderId, PaymentId, SeatId, StreamId};
use onsale::money::{Amount, Currency};
use onsale::timestamp::Timestamp;
use uuid::Uuid;

use crate::world::World;

/// A command that was accepted, as its client heard it.
#[derive(Clone, Debug)]
pub struct Told {
    pub command: CommandId,
    pub position: LogPosition,
    pub appended: bool,
}

pub fn request(command: CommandId, by: &AccountId) -> Request {
    Request {
        command,
        body: Hash16::of("body", &[&command.0]),
        by: by.clone(),
        authority: Authority::Own,
        correlation: Uuid::nil(),
        causation: None,
        note: None,
    }
}

/// Runs a command until something definite is known, and notes what was said.
pub async fn insist<A: Aggregate>(
    world: &World,
    stream: StreamId,
    command: A::Command,
    request: Request,
) -> Result<Outcome<A::Event>, Refusal> {
    for attempt in 0_u32..200 {
        let result = world.dispatch.execute::<A>(stream.clone(), command.clone(), request.clone()).await;
        match result {
            Ok(outcome) => {
                world.note(&request, &outcome).await;
                if outcome.replayed {
                    world.tally.count(if attempt > 0 { "answer repeated after a fault" } else { "answer repeated" });
                }
                return Ok(outcome);
            }
            Err(CommandError::Refused(refusal)) => {
                world.tally.count(match refusal {
                    Refusal::SeatUnavailable { .. } => "seats refused",
                    Refusal::MemberLimit { .. } => "member at the limit",
                    Refusal::TooManyLiveOrders { .. } => "too many live orders",
                    Refusal::TooManyHolds { .. } => "too many unpaid holds",
                    _ => "refused",
                });
                return Err(refusal);
            }
            Err(CommandError::Failed(fault)) => {
                world.tally.count(match fault {
                    Fault::UnknownOutcome => "fault: unknown outcome",
                    Fault::Superseded => "fault: superseded",
                    Fault::Unavailable { .. } => "fault: unavailable",
                    Fault::Internal { .. } => "fault: internal",
                    Fault::Rejected { .. } => "fault: rejected",
                    _ => "fault: other",
                });
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    panic!("no definite answer for {stream} after 200 tries");
}

/// One member who wants seats and coupons, changes their mind, and repeats requests.
pub async fn member(world: Arc<World>, number: u64) {
    let entropy = Entropy::seeded(world.seed.wrapping_mul(1_000_003).wrapping_add(number));
    let by = AccountId::new(format!("member-{number}"));
    for _ in 0..3 + entropy.below(4) {
        tokio::time::sleep(Duration::from_millis(entropy.below(2_500))).await;
        match entropy.below(10) {
            0 => race(&world, &entropy, &by).await,
            1..=5 => buy(&world, &entropy, &by).await,
            6..=8 => coupon(&world, &entropy, &by).await,
            _ => look(&world).await,
        }
    }
}

fn change_of_mind() -> order::Command {
    order::Command::Cancel(order::Cancel { tickets: Vec::new(), patience: Duration::from_secs(60) })
}

/// An order that somebody would like to place.
struct Wish {
    command: CommandId,
    stream: StreamId,
    place: order::Command,
}

fn wish(world: &World, entropy: &Entropy) -> Wish {
    let first = entropy.below(world.seats.len() as u64);
    let wanted: Vec<SeatId> = (0..=entropy.below(3))
        .map(|next| world.seats[usize::try_from((first + next * 3) % world.seats.len() as u64).unwrap()].clone())
        .collect();
    let command = entropy.hash16();
    let order_id = OrderId::derive(world.partition, &command);
    let place = order::Command::Place(order::Place {
        order_id: order_id.clone(),
        performance_id: world.performance.clone(),
        seats: wanted,
        reference: None,
        coupon: None,
    });
    Wish { command, stream: StreamId::order(&order_id), place }
}

/// Two windows of one member: two orders at the same moment, which must not both be granted what one may have.
async fn race(world: &World, entropy: &Entropy, by: &AccountId) {
    let (one, other) = (wish(world, entropy), wish(world, entropy));
    world.tally.count("two orders of one member at once");
    let place = |wish: Wish| insist::<order::Order>(world, wish.stream, wish.place, request(wish.command, by));
    let placed = tokio::join!(place(one), place(other));
    for _ in [placed.0, placed.1].iter().filter(|answer| answer.is_ok()) {
        world.tally.count("order placed");
    }
}

async fn buy(world: &World, entropy: &Entropy, by: &AccountId) {
    let Wish { command, stream, place } = wish(world, entropy);
    let request_of = || request(command, by);
    let placed = if entropy.below(6) == 0 {
        // The impatient double click: two requests under one key at once.
        let (one, other) = tokio::join!(
            insist::<order::Order>(world, stream.clone(), place.clone(), request_of()),
            insist::<order::Order>(world, stream.clone(), place.clone(), request_of()),
        );
        // A refusal changes nothing, so it may be decided anew; two answers must be the same.
        if let (Ok(one), Ok(other)) = (&one, &other) {
            assert_eq!((one.position, one.version), (other.position, other.version), "two answers for one key");
            world.tally.count("twins answered alike");
        }
        one.or(other)
    } else {
        insist::<order::Order>(world, stream.clone(), place.clone(), request_of()).await
    };
    let Ok(placed) = placed else { return };
    world.tally.count("order placed");
    tokio::time::sleep(Duration::from_millis(entropy.below(7_000))).await;
    if entropy.below(2) == 0 {
        let cancel = request(entropy.hash16(), by);
        match insist::<order::Order>(world, stream.clone(), change_of_mind(), cancel).await {
            Ok(_) => world.tally.count("order cancelled"),
            Err(Refusal::OrderNotCancellable { .. }) => world.tally.count("too late to cancel"),
            Err(other) => panic!("unexpected refusal of a cancellation: {other}"),
        }
    }
    if entropy.below(4) == 0 {
        let again = insist::<order::Order>(world, stream, place, request_of()).await;
        let again = again.unwrap_or_else(|refusal| panic!("a repetition was refused: {refusal}"));
        assert!(again.replayed, "a repetition was run again");
        assert_eq!((again.position, again.version), (placed.position, placed.version), "another answer for one key");
    }
}

async fn coupon(world: &World, entropy: &Entropy, by: &AccountId) {
    let stream = StreamId::coupon(&world.coupon);
    let command = entropy.hash16();
    let issue = coupon::Command::Issue { keyed: true };
    match insist::<coupon::Coupon>(world, stream, issue, request(command, by)).await {
        Ok(_) => world.tally.count("coupon issued"),
        Err(Refusal::CouponSoldOut) => world.tally.count("coupon sold out"),
        Err(_) => world.tally.count("coupon refused"),
    }
}

/// A read must never show what is not durable.
async fn look(world: &World) {
    let stream = StreamId::coupon(&world.coupon);
    if let Ok(seen) = world.dispatch.read::<coupon::Coupon, ()>(stream, |_| ()).await
        && let Some(position) = seen.position
    {
        world.assert_durable(position, "a read").await;
        world.tally.count("read");
    }
}

/// The seller, who grants each member now more, now less, while they order.
pub async fn seller(world: Arc<World>) {
    let entropy = Entropy::seeded(world.seed ^ 0x5e11);
    let (stream, by) = (StreamId::performance(&world.performance), AccountId::new("seller"));
    for _ in 0..if world.granted.counted() { 8 } else { 0 } {
        tokio::time::sleep(Duration::from_millis(entropy.below(1_500))).await;
        let limit = u32::try_from(1 + entropy.below(4)).ok();
        let change = performance::Change { max_seats_per_member: Some(limit), ..performance::Change::default() };
        let request = request(entropy.hash16(), &by);
        let moved =
            insist::<performance::Performance>(&world, stream.clone(), performance::Command::Change(change), request)
                .await;
        let moved = moved.unwrap_or_else(|refusal| panic!("a limit was not moved: {refusal}"));
        if !moved.events.is_empty() {
            world.tally.count("limit moved");
        }
    }
}

/// A store's counter: records payments, sometimes twice, and cancels some in part.
pub async fn counter(world: Arc<World>) {
    let entropy = Entropy::seeded(world.seed ^ 0x5107);
    let stream = StreamId::store(&world.store);
    let by = AccountId::new("counter");
    for number in 0..20 {
        tokio::time::sleep(Duration::from_millis(entropy.below(800))).await;
        let payment_id = PaymentId::new(format!("p-{number}"));
        let record = store::Command::Record(store::RecordPayment {
            payment_id: payment_id.clone(),
            amount: Amount::new(1_000).unwrap(),
            currency: Currency::parse("KRW").unwrap(),
            method: "card".to_owned(),
            paid_at: Timestamp(world.start.0 + 500),
            terminal_id: None,
        });
        for _ in 0..=entropy.below(2) {
            let again = request(entropy.hash16(), &by);
            let recorded = insist::<store::Store>(&world, stream.clone(), record.clone(), again).await;
            recorded.unwrap_or_else(|refusal| panic!("a payment was refused: {refusal}"));
        }
        if entropy.below(3) == 0 {
            let amount = Amount::new(1 + entropy.below(1_200));
            let cancel = store::Command::Cancel { payment_id, amount, keyed: true };
            let request = request(entropy.hash16(), &by);
            if insist::<store::Store>(&world, stream.clone(), cancel, request).await.is_ok() {
                world.tally.count("payment cancelled in part");
            }
        }
    }
}
