//! When may a seat be held, sold, freed or kept from sale? One seat of one performance.
//!
//! A seat has no clock: the order knows when its hold ends. It has no creation either: a seat without facts is
//! available, and whether it exists in the house is the performance's knowledge. Seats only ever take part in units of
//! an order or a performance, which also recognise repetitions.

use serde::{Deserialize, Serialize};

use super::{Aggregate, Ask, Asked, Asks, Decision, Fact, Never, Nobody, Refusal};
use crate::events::SeatEvent;
use crate::events::seat::{Blocked, Held, ReleaseReason, Released, Sold, Unblocked};
use crate::ids::{OrderId, StreamId, TicketId};
use crate::money::Amount;
use crate::planted::{Bug, planted};

#[derive(Debug)]
pub enum Seat {}

// State

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    #[default]
    Available,
    Held {
        order_id: OrderId,
    },
    Sold {
        order_id: OrderId,
    },
    /// Kept from sale.
    Blocked,
}

// Command

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Hold { order_id: OrderId },
    Release { order_id: OrderId, reason: ReleaseReason },
    Sell { order_id: OrderId, ticket_id: TicketId, price: Amount },
    Block,
    Unblock,
}

impl Ask for Command {
    fn put(self, stream: StreamId, to: &mut impl Asks) {
        to.take::<Seat>(stream, self);
    }
}

// Refusal

/// The seat does not know its own id; the lead of the unit fills it in.
const UNAVAILABLE: Refusal = Refusal::SeatUnavailable { seats: Vec::new() };

fn only_if<E>(allowed: bool, event: impl Into<E>) -> Result<Decision<E>, Refusal> {
    if allowed { Ok(Decision::Append(vec![event.into()])) } else { Err(UNAVAILABLE) }
}

impl State {
    fn is_held_by(&self, order: &OrderId) -> bool {
        matches!(self, Self::Held { order_id } if order_id == order)
    }

    fn is_sold_to(&self, order: &OrderId) -> bool {
        matches!(self, Self::Sold { order_id } if order_id == order)
    }

    /// A refund gives back what was sold; every other reason ends a hold.
    fn may_be_released(&self, order: &OrderId, reason: ReleaseReason) -> bool {
        match reason {
            ReleaseReason::Refunded => self.is_sold_to(order),
            ReleaseReason::Expired | ReleaseReason::Cancelled | ReleaseReason::Failed => self.is_held_by(order),
        }
    }
}

impl Aggregate for Seat {
    const NOUN: &'static str = "seat";
    const RESTS: bool = true;
    type State = State;
    type Event = SeatEvent;
    type Command = Command;
    type Part = Never;
    type Context = Nobody;
    type Notice = ();

    fn decide(state: &State, command: &Command, _: Option<&()>, _: &Asked) -> Result<Decision<SeatEvent>, Refusal> {
        match command {
            Command::Hold { order_id } => {
                let held = planted(Bug::HoldWhatIsHeld) && matches!(state, State::Held { .. });
                only_if(held || *state == State::Available, Held { order_id: order_id.clone() })
            }
            Command::Release { order_id, reason } => only_if(
                state.may_be_released(order_id, *reason),
                Released { order_id: order_id.clone(), reason: *reason },
            ),
            Command::Sell { order_id, ticket_id, price } => only_if(
                state.is_held_by(order_id),
                Sold { order_id: order_id.clone(), ticket_id: ticket_id.clone(), price: *price },
            ),
            Command::Block => only_if(*state == State::Available, Blocked {}),
            Command::Unblock => only_if(*state == State::Blocked, Unblocked {}),
        }
    }

    fn evolve(state: &mut State, fact: Fact<'_, SeatEvent>) {
        *state = match fact.event {
            SeatEvent::Held(held) => State::Held { order_id: held.order_id.clone() },
            SeatEvent::Sold(sold) => State::Sold { order_id: sold.order_id.clone() },
            SeatEvent::Blocked(Blocked {}) => State::Blocked,
            SeatEvent::Released(_) | SeatEvent::Unblocked(Unblocked {}) => State::Available,
        };
    }
}

#[cfg(test)]
mod tests;
