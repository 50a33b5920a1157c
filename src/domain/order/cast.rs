//! Who takes part in what becomes of an order? Its seats, and the member's account where the performance keeps one.
//!
//! The account is asked for as many seats as the unit moves, in the same direction: so both tell the same story, whatever
//! way an order takes. Whether a command is accepted is not decided here.

use super::rules::Command;
use super::state::State;
use super::{Answer, Cancel, RefundAnswer, pay, refund};
use crate::domain::member::{self, Limits};
use crate::domain::performance::{Terms, each_seat};
use crate::domain::{Ask, Asks, seat};
use crate::events::order::{Placed, ReviewOf, Ruling};
use crate::events::seat::ReleaseReason;
use crate::ids::{AccountId, PerformanceId, RefundId, StreamId, TicketId};
use crate::limits;
use crate::money::Amount;
use crate::planted::{Bug, planted};

/// What an order asks of others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Seat(seat::Command),
    Member(member::Command),
}

impl Ask for Part {
    fn put(self, stream: StreamId, to: &mut impl Asks) {
        match self {
            Self::Seat(command) => command.put(stream, to),
            Self::Member(command) => command.put(stream, to),
        }
    }
}

type Seats = Vec<(StreamId, seat::Command)>;

/// What happens to the seats, and to the member's account, if the command is accepted.
pub(super) fn cast(state: &State, command: &Command, by: &AccountId, terms: Option<&Terms>) -> Vec<(StreamId, Part)> {
    match (command, &state.placed) {
        (Command::Place(place), None) => {
            let hold = seat::Command::Hold { order_id: place.order_id.clone() };
            let mut seats = each_seat(&place.performance_id, &place.seats, limits::ORDER_SEATS, &hold);
            if planted(Bug::PartialHold) && seats.len() > 1 {
                seats.pop();
            }
            with_member(&place.performance_id, by, seats, terms.and_then(Terms::member_limits))
        }
        (_, Some(placed)) => {
            let seats = seats(state, placed, command);
            // What was granted was decided when it was placed.
            let counted = placed.counted.then(Limits::default);
            with_member(&placed.performance_id, &placed.account_id, seats, counted)
        }
        (_, None) => Vec::new(),
    }
}

fn with_member(
    performance: &PerformanceId,
    member: &AccountId,
    seats: Seats,
    counted: Option<Limits>,
) -> Vec<(StreamId, Part)> {
    let account = counted.and_then(|limits| of_member(&seats, limits));
    let account = account.map(|ask| (StreamId::member(performance, member), Part::Member(ask)));
    account.into_iter().chain(seats.into_iter().map(|(stream, ask)| (stream, Part::Seat(ask)))).collect()
}

/// All seats of a unit are asked the same; so is the account, once.
fn of_member(asked: &Seats, limits: Limits) -> Option<member::Command> {
    let seats = u32::try_from(asked.len()).unwrap_or(u32::MAX);
    match &asked.first()?.1 {
        seat::Command::Hold { order_id } => Some(member::Command::Hold { order_id: order_id.clone(), seats, limits }),
        seat::Command::Sell { order_id, .. } => Some(member::Command::Sell { order_id: order_id.clone() }),
        seat::Command::Release { order_id, reason } => {
            Some(member::Command::Release { order_id: order_id.clone(), seats, reason: *reason })
        }
        seat::Command::Block | seat::Command::Unblock => None,
    }
}

fn seats(state: &State, placed: &Placed, command: &Command) -> Seats {
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

fn sell(placed: &Placed) -> Seats {
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
fn give_back(state: &State, placed: &Placed, tickets: &[TicketId]) -> Seats {
    let release = seat::Command::Release { order_id: placed.order_id.clone(), reason: ReleaseReason::Refunded };
    let ours = state.tickets.iter().filter(|ticket| tickets.contains(&ticket.ticket_id));
    ours.map(|t| (StreamId::seat(&placed.performance_id, &t.seat_id), release.clone())).collect()
}

fn refunded(state: &State, placed: &Placed, refund: &RefundId) -> Seats {
    let open = state.refunds.iter().find(|known| known.refund_id == *refund && !known.done);
    open.map(|open| give_back(state, placed, &open.tickets)).unwrap_or_default()
}

fn release(placed: &Placed, reason: ReleaseReason) -> Seats {
    let release = seat::Command::Release { order_id: placed.order_id.clone(), reason };
    let streams = placed.seats.iter().map(|seat| StreamId::seat(&placed.performance_id, &seat.seat_id));
    streams.map(|stream| (stream, release.clone())).collect()
}
