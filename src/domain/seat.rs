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
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::testing::{Story, Then, check, story};

    fn order(id: &str) -> OrderId {
        OrderId::new(id)
    }

    fn hold(id: &str) -> Command {
        Command::Hold { order_id: order(id) }
    }

    fn release(id: &str, reason: ReleaseReason) -> Command {
        Command::Release { order_id: order(id), reason }
    }

    fn sell(id: &str) -> Command {
        Command::Sell { order_id: order(id), ticket_id: TicketId::new("t"), price: Amount::ZERO }
    }

    #[test]
    fn what_a_seat_agrees_to() {
        use ReleaseReason::{Cancelled, Expired, Refunded};
        let free = || story::<Seat>();
        let held = || free().after(&hold("o1")).slept();
        let sold = || held().after(&sell("o1")).slept();
        let blocked = || free().after(&Command::Block).slept();
        let no = || Then::Refuses(UNAVAILABLE);
        check(vec![
            ("hold a free one", free(), hold("o1"), Then::Happens(&["seat.held"])),
            ("hold a held one", held(), hold("o2"), no()),
            ("hold it twice for one order", held(), hold("o1"), no()),
            ("hold a sold one", sold(), hold("o2"), no()),
            ("hold a blocked one", blocked(), hold("o1"), no()),
            ("sell a free one", free(), sell("o1"), no()),
            ("sell to the holder", held(), sell("o1"), Then::Happens(&["seat.sold"])),
            ("sell to somebody else", held(), sell("o2"), no()),
            ("sell twice", sold(), sell("o1"), no()),
            ("release a free one", free(), release("o1", Expired), no()),
            ("release the holder's", held(), release("o1", Cancelled), Then::Happens(&["seat.released"])),
            ("release somebody else's", held(), release("o2", Expired), no()),
            ("refund what is only held", held(), release("o1", Refunded), no()),
            ("expire what is sold", sold(), release("o1", Expired), no()),
            ("refund what is sold", sold(), release("o1", Refunded), Then::Happens(&["seat.released"])),
            ("refund somebody else's", sold(), release("o2", Refunded), no()),
            ("block a free one", free(), Command::Block, Then::Happens(&["seat.blocked"])),
            ("block a held one", held(), Command::Block, no()),
            ("block a blocked one", blocked(), Command::Block, no()),
            ("unblock a blocked one", blocked(), Command::Unblock, Then::Happens(&["seat.unblocked"])),
            ("unblock a free one", free(), Command::Unblock, no()),
        ]);
    }

    fn any_command() -> impl Strategy<Value = Command> {
        use ReleaseReason::{Cancelled, Expired, Failed, Refunded};
        let id = || prop_oneof![Just("o1"), Just("o2")];
        prop_oneof![
            3 => id().prop_map(hold),
            3 => id().prop_map(sell),
            3 => (id(), prop_oneof![Just(Cancelled), Just(Expired), Just(Failed), Just(Refunded)])
                .prop_map(|(id, reason)| release(id, reason)),
            1 => Just(Command::Block),
            1 => Just(Command::Unblock),
        ]
    }

    proptest! {
        /// The reference knows one holder and one owner, and that there is at most one of either.
        #[test]
        fn never_two_holds_nor_two_sales(commands in prop::collection::vec(any_command(), 0..60)) {
            let (mut holder, mut buyer, mut blocked) = (None, None, false);
            let mut seat: Story<'_, Seat> = story();
            for command in commands {
                let free = holder.is_none() && buyer.is_none() && !blocked;
                let allowed = match &command {
                    Command::Hold { .. } | Command::Block => free,
                    Command::Unblock => blocked,
                    Command::Sell { order_id, .. } => holder.as_ref() == Some(order_id),
                    Command::Release { order_id, reason: ReleaseReason::Refunded } => buyer.as_ref() == Some(order_id),
                    Command::Release { order_id, .. } => holder.as_ref() == Some(order_id),
                };
                prop_assert_eq!(seat.tell(&command).is_ok(), allowed, "{:?}", command);
                if !allowed {
                    continue;
                }
                match command {
                    Command::Hold { order_id } => holder = Some(order_id),
                    Command::Sell { .. } => buyer = holder.take(),
                    Command::Release { .. } => (holder, buyer) = (None, None),
                    Command::Block => blocked = true,
                    Command::Unblock => blocked = false,
                }
                seat = seat.slept();
            }
        }
    }
}
