//! What may become of an order? It holds all its seats or none, for a while, and gives them back when it ends.
//!
//! The order has the deadline, its seats have none. It reads the performance's terms once, when it is placed; from then
//! on its own first fact is the promise. It does not know how the buyer will pay.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::checks::{Done, created_again, invalid, name, require};
use super::performance::{Performance, Terms, each_seat, unavailable};
use super::{Aggregate, Asked, Decision, Fact, Involved, Refusal, seat};
use crate::events::OrderEvent;
use crate::events::order::{Cancelled, Expired, OrderSeat, Placed};
use crate::events::seat::ReleaseReason;
use crate::ids::{AccountId, OrderId, PerformanceId, SeatId, StreamId};
use crate::limits;
use crate::money::Amount;
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub enum Order {}

// State

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The promise; never changes once made.
    pub placed: Option<Arc<Placed>>,
    pub placed_at: Timestamp,
    pub status: Status,
    /// The cancelling command, to recognise its repetition.
    cancelled_by: Option<Done>,
}

/// Means something only once the order is placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    #[default]
    AwaitingPayment,
    Expired,
    Cancelled,
}

impl Status {
    /// The word of the public contract.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingPayment => "awaiting_payment",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }

    /// Does the order hold its seats with a deadline?
    fn holds(self) -> bool {
        match self {
            Self::AwaitingPayment => true,
            Self::Expired | Self::Cancelled => false,
        }
    }
}

// Command

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Place(Place),
    Cancel,
    /// What the deadline does; nobody asks for it.
    Expire,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub order_id: OrderId,
    pub performance_id: PerformanceId,
    pub seats: Vec<SeatId>,
    /// The client's own order number.
    pub reference: Option<String>,
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
    } else if at >= terms.sale_closes_at {
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
        match (command, &state.placed) {
            (Command::Place(place), None) => {
                let hold = seat::Command::Hold { order_id: place.order_id.clone() };
                Involved {
                    parts: each_seat(&place.performance_id, &place.seats, limits::ORDER_SEATS, &hold),
                    context: Some(StreamId::performance(&place.performance_id)),
                }
            }
            (Command::Cancel, Some(placed)) if state.status.holds() => release(placed, ReleaseReason::Cancelled),
            (Command::Expire, Some(placed)) if state.status.holds() => release(placed, ReleaseReason::Expired),
            (Command::Place(_) | Command::Cancel | Command::Expire, _) => Involved::default(),
        }
    }

    fn decide(
        state: &State,
        command: &Command,
        terms: Option<&Terms>,
        asked: &Asked,
    ) -> Result<Decision<OrderEvent>, Refusal> {
        match command {
            Command::Place(place) => decide_place(state, place, terms, asked),
            Command::Cancel => decide_cancel(state, asked),
            Command::Expire => decide_expire(state, asked),
        }
    }

    fn evolve(state: &mut State, fact: Fact<'_, OrderEvent>) {
        match fact.event {
            OrderEvent::Placed(placed) => {
                state.placed = Some(Arc::new(placed.clone()));
                state.placed_at = fact.at;
                state.status = Status::AwaitingPayment;
            }
            OrderEvent::Expired(_) => state.status = Status::Expired,
            OrderEvent::Cancelled(cancelled) => {
                state.status = Status::Cancelled;
                state.cancelled_by = Some(Done { command: fact.command, body: cancelled.body, version: fact.version });
            }
            _ => {}
        }
    }

    fn parts_refused(command: &Command, mut refused: Vec<(StreamId, Refusal)>) -> Refusal {
        match command {
            Command::Place(place) => unavailable(&place.seats, refused),
            // The order's own seats never refuse to be given back; if they did, their word would have to do.
            Command::Cancel | Command::Expire => refused.remove(0).1,
        }
    }

    fn deadline(state: &State) -> Option<Timestamp> {
        state.placed.as_ref().filter(|_| state.status.holds()).map(|placed| placed.hold_until)
    }

    fn due(state: &State) -> Option<Command> {
        Self::deadline(state).map(|_| Command::Expire)
    }

    fn owner(state: &State) -> Option<AccountId> {
        state.placed.as_ref().map(|placed| placed.owner.clone())
    }
}

fn release(placed: &Placed, reason: ReleaseReason) -> Involved<seat::Command> {
    let release = seat::Command::Release { order_id: placed.order_id.clone(), reason };
    let streams = placed.seats.iter().map(|seat| StreamId::seat(&placed.performance_id, &seat.seat_id));
    Involved { parts: streams.map(|stream| (stream, release.clone())).collect(), context: None }
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
    let placed = Placed {
        order_id: place.order_id.clone(),
        account_id: asked.by.clone(),
        performance_id: place.performance_id.clone(),
        seats,
        subtotal,
        discount: Amount::ZERO,
        amount: subtotal,
        currency: terms.currency,
        coupon_task_id: None,
        reference: place.reference.clone(),
        hold_until: asked.at.plus(Duration::from_secs(u64::from(terms.hold_seconds))),
        owner: terms.owner.clone(),
        body: asked.body,
    };
    Ok(Decision::Append(vec![placed.into()]))
}

fn decide_cancel(state: &State, asked: &Asked) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    if placed.account_id != asked.by && !asked.may_act_for(&placed.owner) {
        return Err(Refusal::NotFound);
    }
    if let Some(answer) = state.cancelled_by.and_then(|done| done.again(asked)) {
        return answer;
    }
    match state.status {
        Status::AwaitingPayment => {
            let cancelled = Cancelled { order_id: placed.order_id.clone(), body: asked.body };
            Ok(Decision::Append(vec![cancelled.into()]))
        }
        Status::Cancelled => Ok(Decision::Unchanged),
        Status::Expired => Err(Refusal::OrderNotCancellable { status: state.status.as_str() }),
    }
}

fn decide_expire(state: &State, asked: &Asked) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    if state.status.holds() && asked.at >= placed.hold_until {
        Ok(Decision::Append(vec![Expired { order_id: placed.order_id.clone() }.into()]))
    } else {
        Ok(Decision::Unchanged)
    }
}

#[cfg(test)]
mod tests;
