//! May an order be placed, and who takes part in what becomes of it? Place, and the way of every command to its rule.
//!
//! What is decided about money stands in `pay` and `refund`, what its facts came to in `state`.

use std::collections::HashSet;
use std::time::Duration;

use super::{Answer, Cancel, Late, Pay, RefundAnswer, Returned, Rule, Settle, State, pay, refund};
use crate::domain::checks::{created_again, invalid, name, require};
use crate::domain::coupon::Claim;
use crate::domain::performance::{Performance, Terms, each_seat, unavailable};
use crate::domain::{Aggregate, Asked, Authority, Decision, Fact, Involved, Refusal, seat};

use crate::events::OrderEvent;
use crate::events::order::{Expired, OrderSeat, Placed, ReviewOf, Ruling};
use crate::events::seat::ReleaseReason;
use crate::ids::{AccountId, OrderId, PerformanceId, RefundId, SeatId, StreamId, TicketId};
use crate::limits;
use crate::money::Amount;
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub enum Order {}

// Command

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Place(Place),
    Pay(Pay),
    Cancel(Cancel),
    CheckIn {
        ticket_id: TicketId,
    },
    /// A person has found out what became of a payment or refund.
    Rule(Rule),
    /// What the deadline does; nobody asks for it.
    Due,
    // What follows is asked for by processes alone.
    Settle(Settle),
    Late(Late),
    Returned(Returned),
    CallOff {
        patience: Duration,
    },
    CouponSettled {
        used: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub order_id: OrderId,
    pub performance_id: PerformanceId,
    pub seats: Vec<SeatId>,
    /// The client's own order number.
    pub reference: Option<String>,
    /// The coupon that is reserved for this order.
    pub coupon: Option<Claim>,
}

// Refusal

impl Place {
    fn check_shape(&self) -> Result<(), Refusal> {
        require(!self.seats.is_empty(), "/seats", "must name at least one seat")?;
        let mut seen = HashSet::new();
        if let Some(i) = self.seats.iter().position(|seat| !seen.insert(seat)) {
            return Err(invalid(format!("/seats/{i}"), "is named twice"));
        }
        self.reference.as_ref().map_or(Ok(()), |reference| name("/reference", reference))
    }

    fn priced(&self, terms: &Terms) -> Result<Vec<OrderSeat>, Refusal> {
        let seats = self.seats.iter().enumerate().map(|(i, seat_id)| {
            let seat = terms.seat(seat_id);
            let seat = seat.ok_or_else(|| invalid(format!("/seats/{i}"), "is not a seat of this performance"))?;
            Ok(OrderSeat { seat_id: seat_id.clone(), price: seat.price })
        });
        seats.collect()
    }
}

fn check_sale(terms: &Terms, at: Timestamp) -> Result<(), Refusal> {
    if at < terms.sale_opens_at {
        Err(Refusal::SaleNotOpen { opens_at: terms.sale_opens_at, at })
    } else if at >= terms.sale_closes_at || terms.cancelled {
        Err(Refusal::SaleClosed)
    } else if terms.paused {
        Err(Refusal::SalePaused)
    } else {
        Ok(())
    }
}

impl Aggregate for Order {
    const NOUN: &'static str = "order";
    // Placed now, paid or expired minutes later: tens of thousands of them would fill the memory that seats need.
    const STAYS: bool = false;
    type State = State;
    type Event = OrderEvent;
    type Command = Command;
    type Part = seat::Seat;
    type Context = Performance;
    type Notice = ();

    fn involves(state: &State, command: &Command) -> Involved<seat::Command> {
        if let (Command::Place(place), None) = (command, &state.placed) {
            let hold = seat::Command::Hold { order_id: place.order_id.clone() };
            return Involved {
                parts: each_seat(&place.performance_id, &place.seats, limits::ORDER_SEATS, &hold),
                context: Some(StreamId::performance(&place.performance_id)),
            };
        }
        let Some(placed) = &state.placed else { return Involved::default() };
        let context = matches!(command, Command::Pay(_) | Command::Cancel(_))
            .then(|| StreamId::performance(&placed.performance_id));
        Involved { parts: parts(state, placed, command), context }
    }

    fn decide(
        state: &State,
        command: &Command,
        terms: Option<&Terms>,
        asked: &Asked,
    ) -> Result<Decision<OrderEvent>, Refusal> {
        match command {
            Command::Place(place) => decide_place(state, place, terms, asked),
            Command::Pay(pay) => pay::decide_pay(state, pay, terms, asked),
            Command::Cancel(cancel) => refund::decide_cancel(state, cancel, terms, asked),
            Command::CheckIn { ticket_id } => refund::decide_check_in(state, ticket_id, asked),
            Command::Rule(rule) => refund::decide_rule(state, rule, asked),
            Command::Due => decide_due(state, asked),
            _ if asked.authority != Authority::Any => Err(Refusal::NotFound),
            Command::Settle(settle) => pay::decide_settle(state, settle, asked),
            Command::Late(late) => pay::decide_late(state, late, asked),
            Command::Returned(returned) => refund::decide_returned(state, returned),
            Command::CallOff { patience } => refund::decide_call_off(state, *patience, asked),
            Command::CouponSettled { used } => refund::decide_coupon(state, *used),
        }
    }

    fn evolve(state: &mut State, fact: Fact<'_, OrderEvent>) {
        state.evolve(&fact);
    }

    fn parts_refused(command: &Command, mut refused: Vec<(StreamId, Refusal)>) -> Refusal {
        match command {
            Command::Place(place) => unavailable(&place.seats, refused),
            // The order's own seats never refuse what the order decides; if they did, their word would have to do.
            _ => refused.remove(0).1,
        }
    }

    /// While money is waited for, the hold does not run out: then it is the patience that ends.
    fn deadline(state: &State) -> Option<Timestamp> {
        if state.holds() {
            return state.placed.as_ref().map(|placed| placed.hold_until);
        }
        if state.review.is_some() {
            return None;
        }
        let paying = state.open_attempt().map(|(_, attempt)| attempt.review_at);
        paying.or_else(|| state.open_refund().map(|refund| refund.review_at))
    }

    fn due(state: &State) -> Option<Command> {
        Self::deadline(state).map(|_| Command::Due)
    }

    fn waits_since(state: &State) -> Option<Timestamp> {
        state.waits_since()
    }

    fn owner(state: &State) -> Option<AccountId> {
        state.placed.as_ref().map(|placed| placed.owner.clone())
    }
}

/// What happens to the seats if the command is accepted.
fn parts(state: &State, placed: &Placed, command: &Command) -> Vec<(StreamId, seat::Command)> {
    let free = |tickets: &[TicketId]| refund::paid(state, tickets) == Amount::ZERO;
    match command {
        Command::Pay(_) if state.holds() && placed.amount == Amount::ZERO => sell(placed),
        Command::Settle(settle) if pay::is_open(state, settle.attempt) => match &settle.answer {
            Answer::Captured { .. } => sell(placed),
            Answer::Declined { .. } if state.attempts_left() <= 1 => release(placed, ReleaseReason::Failed),
            Answer::Declined { .. } => Vec::new(),
        },
        Command::Cancel(_) | Command::CallOff { .. } if state.holds() => release(placed, ReleaseReason::Cancelled),
        Command::Cancel(Cancel { tickets: named, .. }) => {
            let tickets = refund::chosen(state, named);
            if free(&tickets) { give_back(state, placed, &tickets) } else { Vec::new() }
        }
        Command::CallOff { .. } => {
            let tickets = refund::chosen(state, &[]);
            if free(&tickets) { give_back(state, placed, &tickets) } else { Vec::new() }
        }
        Command::Due if state.holds() => release(placed, ReleaseReason::Expired),
        Command::Returned(returned) if matches!(returned.answer, RefundAnswer::Done { .. }) => {
            refunded(state, placed, &returned.refund_id)
        }
        Command::Rule(rule) => match (&state.review, rule.ruling) {
            (Some(ReviewOf::Payment { .. }), Ruling::Captured) => sell(placed),
            (Some(ReviewOf::Payment { .. }), Ruling::NotCaptured) if state.attempts_left() <= 1 => {
                release(placed, ReleaseReason::Failed)
            }
            (Some(ReviewOf::Payment { .. }), Ruling::Refunded) => release(placed, ReleaseReason::Cancelled),
            (Some(ReviewOf::Refund { refund_id }), Ruling::Refunded) => refunded(state, placed, refund_id),
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn sell(placed: &Placed) -> Vec<(StreamId, seat::Command)> {
    let seats = (1..).zip(&placed.seats).map(|(place, seat)| {
        let sell = seat::Command::Sell {
            order_id: placed.order_id.clone(),
            ticket_id: TicketId::of(&placed.order_id, place),
            price: seat.price,
        };
        (StreamId::seat(&placed.performance_id, &seat.seat_id), sell)
    });
    seats.collect()
}

/// The seats of these tickets are free again.
fn give_back(state: &State, placed: &Placed, tickets: &[TicketId]) -> Vec<(StreamId, seat::Command)> {
    let release = seat::Command::Release { order_id: placed.order_id.clone(), reason: ReleaseReason::Refunded };
    let ours = state.tickets.iter().filter(|ticket| tickets.contains(&ticket.ticket_id));
    ours.map(|t| (StreamId::seat(&placed.performance_id, &t.seat_id), release.clone())).collect()
}

fn refunded(state: &State, placed: &Placed, refund: &RefundId) -> Vec<(StreamId, seat::Command)> {
    let open = state.refunds.iter().find(|known| known.refund_id == *refund && !known.done);
    open.map(|open| give_back(state, placed, &open.tickets)).unwrap_or_default()
}

fn release(placed: &Placed, reason: ReleaseReason) -> Vec<(StreamId, seat::Command)> {
    let release = seat::Command::Release { order_id: placed.order_id.clone(), reason };
    let streams = placed.seats.iter().map(|seat| StreamId::seat(&placed.performance_id, &seat.seat_id));
    streams.map(|stream| (stream, release.clone())).collect()
}

fn decide_place(
    state: &State,
    place: &Place,
    terms: Option<&Terms>,
    asked: &Asked,
) -> Result<Decision<OrderEvent>, Refusal> {
    if let Some(placed) = &state.placed {
        return created_again(placed.body, asked);
    }
    let terms = terms.ok_or(Refusal::NotFound)?;
    place.check_shape()?;
    // The house's own bound holds whatever the performance says: beyond it no seat was even asked.
    let limit = terms.max_seats_per_order.min(u32::try_from(limits::ORDER_SEATS).unwrap_or(u32::MAX));
    if place.seats.len() > limit as usize {
        return Err(Refusal::TooManySeats { limit });
    }
    let seats = place.priced(terms)?;
    let sum = seats.iter().try_fold(Amount::ZERO, |sum, seat| sum.checked_add(seat.price));
    let subtotal = sum.ok_or_else(|| invalid("/seats", "costs more than can be counted"))?;
    check_sale(terms, asked.at)?;
    let discount = match &place.coupon {
        Some(claim) => claim.discount_on(subtotal, terms.currency, &terms.show_id, asked.at)?,
        None => Amount::ZERO,
    };
    let placed = Placed {
        order_id: place.order_id.clone(),
        account_id: asked.by.clone(),
        performance_id: place.performance_id.clone(),
        seats,
        subtotal,
        discount,
        amount: subtotal.checked_sub(discount).unwrap_or_default(),
        currency: terms.currency,
        coupon_task_id: place.coupon.as_ref().map(|claim| claim.task_id.clone()),
        reference: place.reference.clone(),
        hold_until: asked.at.plus(Duration::from_secs(u64::from(terms.hold_seconds))),
        owner: terms.owner.clone(),
        body: asked.body,
    };
    Ok(Decision::Append(vec![placed.into()]))
}

fn decide_due(state: &State, asked: &Asked) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    if state.holds() {
        let over = asked.at >= placed.hold_until;
        let expired = || Expired { order_id: placed.order_id.clone() }.into();
        return Ok(if over { Decision::Append(vec![expired()]) } else { Decision::Unchanged });
    }
    Ok(pay::overdue(state, placed, asked).map_or(Decision::Unchanged, |review| Decision::Append(vec![review])))
}
