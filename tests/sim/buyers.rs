//! What do buyers do, and what were they told? Each with a mind of its own: seats, payments, coupons, second thoughts.
//!
//! A client that hears nothing definite repeats its command under the same key until it does, and the network repeats some
//! by itself, much later. What a client was told goes into a record, which `judge/` holds against the log.

use std::sync::Arc;

use onsale::actors::{CommandError, Outcome, Request};
use onsale::clock::Entropy;
use onsale::domain::{Aggregate, Authority, Refusal, coupon, order};
use onsale::events::{CouponEvent, OrderEvent};
use onsale::fault::Fault;
use onsale::ids::{AccountId, CommandId, Hash16, LogPosition, OrderId, PaymentKey, SeatId, StreamId, TaskId, TicketId};
use onsale::money::Amount;
use onsale::sagas::Placing;
use uuid::Uuid;

use crate::nodes::PATIENCE;
use crate::simulated::pass_millis;
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

/// How often a client asks before it is a scandal.
const TRIES: u32 = 400;

/// Asks until something definite is known, and notes what was said.
async fn until_known<E, F: Future<Output = Result<Outcome<E>, CommandError>>>(
    world: &World,
    stream: &StreamId,
    request: &Request,
    first: bool,
    ask: impl Fn() -> F,
) -> Result<Outcome<E>, Refusal> {
    let before = first.then(|| world.before(stream));
    for attempt in 0..TRIES {
        match ask().await {
            Ok(outcome) => {
                world.note(stream, request, &outcome, before).await;
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
                    Fault::NotOwner { .. } => "fault: not the owner",
                    _ => "fault: other",
                });
                pass_millis(100).await;
            }
        }
    }
    panic!("no definite answer for {stream} after {TRIES} tries");
}

/// Runs a command until something definite is known.
pub async fn insist<A: Aggregate>(
    world: &World,
    stream: &StreamId,
    command: A::Command,
    request: Request,
) -> Result<Outcome<A::Event>, Refusal> {
    haunt::<A>(world, stream, &command, &request);
    until_known(world, stream, &request, true, || world.execute::<A>(stream, &command, &request)).await
}

/// As [`insist`], for what was answered before.
pub async fn ask_again<A: Aggregate>(
    world: &World,
    stream: &StreamId,
    command: A::Command,
    request: Request,
) -> Result<Outcome<A::Event>, Refusal> {
    until_known(world, stream, &request, false, || world.execute::<A>(stream, &command, &request)).await
}

/// Now and then the network delivers a request once more, at any time: nobody hears what is answered to that.
fn haunt<A: Aggregate>(world: &World, stream: &StreamId, command: &A::Command, request: &Request) {
    if !world.plan.network || world.network.below(10) > 0 {
        return;
    }
    let (late, node) = (world.network.below(6_000), world.network.next_u64());
    let (stream, command, request) = (stream.clone(), command.clone(), request.clone());
    let (fleet, tally) = (world.fleet.clone(), world.tally.clone());
    world.ghosts.spawn(async move {
        pass_millis(late).await;
        let node = fleet.somewhere(node);
        let answer = node.gate.visit(node.dispatch.execute::<A>(stream, command, request)).await;
        if let Some(Ok(outcome)) = answer {
            tally.count(if outcome.replayed { "request repeated by the network" } else { "late request carried out" });
        }
    });
}

/// One member who wants seats and coupons, changes their mind, and repeats requests.
pub async fn member(world: Arc<World>, number: u64) {
    let entropy = Entropy::seeded(world.plan.seed.wrapping_mul(1_000_003).wrapping_add(number));
    let mut me = Member { by: AccountId::new(format!("member-{number}")), purse: Vec::new(), entropy, world };
    let most = me.world.plan.wishes;
    for _ in 0..(2 + me.entropy.below(3)).min(most) {
        pass_millis(me.entropy.below(2_500)).await;
        match me.entropy.below(10) {
            0 => me.race().await,
            1..=6 => me.buy().await,
            7 | 8 => me.draw_coupon().await,
            _ => me.look().await,
        }
    }
}

/// An order that somebody would like to place.
struct Wish {
    command: CommandId,
    order: OrderId,
    stream: StreamId,
    place: order::Place,
}

impl Wish {
    fn command(&self) -> order::Command {
        order::Command::Place(self.place.clone())
    }
}

struct Member {
    by: AccountId,
    /// Coupons to be used.
    purse: Vec<TaskId>,
    entropy: Entropy,
    world: Arc<World>,
}

impl Member {
    fn wish(&self) -> Wish {
        let (world, entropy) = (&self.world, &self.entropy);
        let first = entropy.below(world.seats.len() as u64);
        let wanted: Vec<SeatId> = (0..=entropy.below(3))
            .map(|next| world.seats[usize::try_from((first + next * 3) % world.seats.len() as u64).unwrap()].clone())
            .collect();
        let command = entropy.hash16();
        let order_id = OrderId::derive(world.partition, &command);
        let place = order::Place {
            order_id: order_id.clone(),
            performance_id: world.performance.clone(),
            seats: wanted,
            reference: None,
            coupon: None,
        };
        Wish { command, stream: StreamId::order(&order_id), order: order_id, place }
    }

    async fn place(&self, wish: &Wish) -> Result<Outcome<OrderEvent>, Refusal> {
        let placed =
            insist::<order::Order>(&self.world, &wish.stream, wish.command(), request(wish.command, &self.by)).await;
        if placed.is_ok() {
            self.promised(wish);
        }
        placed
    }

    fn promised(&self, wish: &Wish) {
        self.world.tally.count("order placed");
        self.world.orders.lock().push(wish.order.clone());
    }

    /// Two windows of one member: two orders at the same moment, which must not both be granted what one may have.
    async fn race(&self) {
        let (one, other) = (self.wish(), self.wish());
        self.world.tally.count("two orders of one member at once");
        let _placed = tokio::join!(self.place(&one), self.place(&other));
    }

    async fn buy(&mut self) {
        let wish = self.wish();
        let coupon = if self.world.plan.coupons { self.purse.pop() } else { None };
        let placed = match coupon {
            Some(task) => self.place_with_coupon(&wish, task).await,
            None if self.entropy.below(6) == 0 => self.double_click(&wish).await,
            None => self.place(&wish).await,
        };
        let Ok(placed) = placed else { return };
        let Some(OrderEvent::Placed(promise)) = placed.events.first() else {
            return self.world.violated(format!("{} was placed without a promise", wish.stream));
        };
        match self.entropy.below(12) {
            // Left alone: the hold runs out.
            0 | 1 => pass_millis(self.entropy.below(7_000)).await,
            2 | 3 => {
                pass_millis(self.entropy.below(7_000)).await;
                self.cancel(&wish, Vec::new()).await;
            }
            // At the last moment, when the hold runs out.
            4 | 5 => {
                pass_millis(4_800 + self.entropy.below(300)).await;
                self.pay(&wish, promise.amount).await;
            }
            _ => {
                pass_millis(self.entropy.below(2_000)).await;
                self.pay(&wish, promise.amount).await;
            }
        }
        if self.entropy.below(4) == 0 && wish.place.coupon.is_none() {
            self.place_again(&wish, &placed).await;
        }
    }

    /// The impatient double click: two requests under one key at once.
    async fn double_click(&self, wish: &Wish) -> Result<Outcome<OrderEvent>, Refusal> {
        let (one, other) = tokio::join!(self.place(wish), self.place(wish));
        // A refusal changes nothing, so it may be decided anew; two answers must be the same.
        if let (Ok(one), Ok(other)) = (&one, &other) {
            if (one.position, one.version) != (other.position, other.version) {
                self.world.violated(format!("C2: two answers for one key: {one:?} and {other:?}"));
            }
            self.world.tally.count("twins answered alike");
        }
        one.or(other)
    }

    async fn place_again(&self, wish: &Wish, placed: &Outcome<OrderEvent>) {
        let request = request(wish.command, &self.by);
        match ask_again::<order::Order>(&self.world, &wish.stream, wish.command(), request).await {
            Ok(again) if again.replayed && (again.position, again.version) == (placed.position, placed.version) => {}
            other => self.world.violated(format!("C2: a repetition was answered {other:?} after {placed:?}")),
        }
    }

    async fn place_with_coupon(&self, wish: &Wish, task: TaskId) -> Result<Outcome<OrderEvent>, Refusal> {
        let request = request(wish.command, &self.by);
        let ask = || {
            let (place, task, request) = (wish.place.clone(), task.clone(), request.clone());
            self.world.at_some_node(move |node| async move {
                match node.processes.place_with_coupon(place, task, request).await {
                    Placing::Done(done) => done,
                    Placing::Twin => Err(Fault::unavailable("its twin is being worked on").into()),
                }
            })
        };
        let placed = until_known(&self.world, &wish.stream, &request, true, ask).await;
        if placed.is_ok() {
            self.world.tally.count("order placed with a coupon");
            self.promised(wish);
        }
        placed
    }

    async fn pay(&self, wish: &Wish, amount: Amount) {
        let mut key = self.fresh_key();
        for attempt in 0..4 {
            let pay = order::Command::Pay(order::Pay { payment_key: Some(key.clone()), amount, patience: PATIENCE });
            let asked = request(self.entropy.hash16(), &self.by);
            match insist::<order::Order>(&self.world, &wish.stream, pay.clone(), asked.clone()).await {
                Ok(_) => self.world.tally.count("payment asked for"),
                Err(Refusal::OrderNotPayable { status }) => {
                    return self.world.tally.count(if status == "expired" { "too late to pay" } else { "not payable" });
                }
                Err(Refusal::PaymentInFlight) => {}
                // The key of money that goes back.
                Err(Refusal::InvalidValue { .. }) if attempt > 0 => {}
                Err(other) => return self.world.violated(format!("unexpected refusal of a payment: {other}")),
            }
            if self.entropy.below(5) == 0 {
                // The page is loaded again.
                let _refused = ask_again::<order::Order>(&self.world, &wish.stream, pay, asked).await;
            }
            match self.outcome(wish).await {
                Some(order::Status::Completed) => {
                    self.world.tally.count("paid");
                    return self.enjoy(wish).await;
                }
                Some(order::Status::AwaitingPayment) => self.world.tally.count("declined"),
                _ => return,
            }
            if self.entropy.below(3) > 0 {
                key = self.fresh_key();
            }
        }
    }

    fn fresh_key(&self) -> PaymentKey {
        PaymentKey::new(format!("pk_{}", self.entropy.hash16()))
    }

    /// What becomes of a payment, as far as this buyer waits for it.
    async fn outcome(&self, wish: &Wish) -> Option<order::Status> {
        for _ in 0..self.entropy.below(60) {
            pass_millis(250).await;
            let read = self.world.read::<order::Order, _>(&wish.stream, order::State::status).await;
            match read.map(|read| read.value) {
                Some(order::Status::Paying) | None => {}
                Some(status) => return Some(status),
            }
        }
        None
    }

    /// Tickets are used, given back, or kept.
    async fn enjoy(&self, wish: &Wish) {
        pass_millis(self.entropy.below(1_500)).await;
        let tickets = (1..).zip(&wish.place.seats).map(|(place, _)| TicketId::of(&wish.order, place));
        let tickets: Vec<TicketId> = tickets.collect();
        match self.entropy.below(6) {
            0 => {
                let ticket_id = tickets[0].clone();
                let by = Request { authority: Authority::Any, ..request(self.entropy.hash16(), &self.world.seller()) };
                let check_in = order::Command::CheckIn { ticket_id };
                match insist::<order::Order>(&self.world, &wish.stream, check_in, by).await {
                    Ok(_) => self.world.tally.count("checked in"),
                    Err(Refusal::TicketVoid) => {}
                    Err(other) => self.world.violated(format!("unexpected refusal of a check-in: {other}")),
                }
                self.cancel(wish, Vec::new()).await;
            }
            1 | 2 => self.cancel(wish, Vec::new()).await,
            3 | 4 => {
                // One ticket after the other.
                for ticket in tickets {
                    self.cancel(wish, vec![ticket]).await;
                    pass_millis(self.entropy.below(2_500)).await;
                }
            }
            _ => {}
        }
    }

    async fn cancel(&self, wish: &Wish, tickets: Vec<TicketId>) {
        let part = !tickets.is_empty();
        let cancel = order::Command::Cancel(order::Cancel { tickets, patience: PATIENCE });
        let asked = request(self.entropy.hash16(), &self.by);
        match insist::<order::Order>(&self.world, &wish.stream, cancel, asked).await {
            Ok(_) => self.world.tally.count(if part { "tickets given back" } else { "order cancelled" }),
            Err(Refusal::OrderNotCancellable { .. }) => self.world.tally.count("too late to cancel"),
            Err(Refusal::PaymentInFlight) => self.world.tally.count("cancelled while money is under way"),
            Err(Refusal::TicketUsed { .. }) => self.world.tally.count("used tickets are not given back"),
            Err(Refusal::TicketVoid) => {}
            Err(other) => self.world.violated(format!("unexpected refusal of a cancellation: {other}")),
        }
    }

    async fn draw_coupon(&mut self) {
        let stream = StreamId::coupon(&self.world.coupon);
        let asked = request(self.entropy.hash16(), &self.by);
        match insist::<coupon::Coupon>(&self.world, &stream, coupon::Command::Issue { keyed: true }, asked).await {
            Ok(outcome) => {
                self.world.tally.count("coupon issued");
                if let Some(CouponEvent::Issued(issued)) = outcome.events.first() {
                    self.purse.push(issued.task_id.clone());
                }
            }
            Err(Refusal::CouponSoldOut) => self.world.tally.count("coupon sold out"),
            Err(_) => self.world.tally.count("coupon refused"),
        }
    }

    async fn look(&self) {
        self.world.read::<coupon::Coupon, ()>(&StreamId::coupon(&self.world.coupon), |_| ()).await;
        pass_millis(self.entropy.below(50)).await;
    }
}
