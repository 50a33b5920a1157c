//! May an order be placed? Place, and the way of every command to its rule.
//!
//! What is decided about money stands in `pay` and `refund`, what its facts came to in `state`, who takes part in `cast`.

use std::collections::HashSet;
use std::time::Duration;

use super::{Cancel, Late, Part, Pay, Returned, Rule, Settle, State, cast, pay, refund};
use crate::domain::checks::{created_again, invalid, name, require};
use crate::domain::coupon::Claim;
use crate::domain::performance::{Performance, Terms, unavailable};
use crate::domain::{Aggregate, Asked, Authority, Decision, Fact, Refusal};
use crate::events::OrderEvent;
use crate::events::order::{Expired, OrderSeat, Placed};
use crate::ids::{AccountId, OrderId, PerformanceId, SeatId, StreamId, TicketId};
use crate::limits;
use crate::money::Amount;
use crate::planted::{Bug, planted};
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
    const RESTS: bool = true;
    type State = State;
    type Event = OrderEvent;
    type Command = Command;
    type Part = Part;
    type Context = Performance;
    type Notice = ();

    fn context(state: &State, command: &Command) -> Option<StreamId> {
        match (command, &state.placed) {
            (Command::Place(place), None) => Some(StreamId::performance(&place.performance_id)),
            (Command::Pay(_) | Command::Cancel(_), Some(placed)) => Some(StreamId::performance(&placed.performance_id)),
            _ => None,
        }
    }

    fn parts(state: &State, command: &Command, by: &AccountId, terms: Option<&Terms>) -> Vec<(StreamId, Part)> {
        cast::cast(state, command, by, terms)
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
            return state.placed.as_deref().map(end_of_hold);
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
        Some(claim) => claim.discount_on(subtotal, terms.currency, (&terms.show_id, &terms.owner), asked.at)?,
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
        counted: terms.members_counted,
    };
    Ok(Decision::Append(vec![placed.into()]))
}

fn end_of_hold(placed: &Placed) -> Timestamp {
    if planted(Bug::ExpireEarly) {
        return Timestamp(placed.hold_until.0 - 1_000);
    }
    placed.hold_until
}

fn decide_due(state: &State, asked: &Asked) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    if state.holds() {
        let over = asked.at >= end_of_hold(placed);
        let expired = || Expired { order_id: placed.order_id.clone() }.into();
        return Ok(if over { Decision::Append(vec![expired()]) } else { Decision::Unchanged });
    }
    Ok(pay::overdue(state, placed, asked).map_or(Decision::Unchanged, |review| Decision::Append(vec![review])))
}
