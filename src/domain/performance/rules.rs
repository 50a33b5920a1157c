//! May a performance be put on sale, paused, changed, cancelled, or have seats kept from sale? State, decide and evolve of
//! the noun.
//!
//! What a schedule or a change must say is checked by `schedule` and `change`; the seats decide for themselves. Ending the
//! orders of a cancelled performance is the business of a process, which says when it is done.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::seats::{check_seats, each_seat, unavailable};
use super::{Change, Schedule, Terms};
use crate::domain::checks::{Done, created_again};
use crate::domain::{Aggregate, Asked, Authority, Decision, Fact, Nobody, Refusal, seat};
use crate::events::PerformanceEvent;
use crate::events::performance::{CalledOff, Cancelled, Paused, Resumed, SeatsBlocked, SeatsUnblocked};
use crate::ids::{AccountId, Hash16, SeatId, StreamId};
use crate::limits;
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub enum Performance {}

// State

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub terms: Option<Arc<Terms>>,
    pub cancelled_at: Option<Timestamp>,
    /// Every order has been told of the cancellation.
    pub called_off: bool,
    /// It was on sale at a time when its terms were changed: orders may have been placed before.
    was_open: bool,
    scheduled_body: Hash16,
    /// Accepted acts of the last `KEY_MEMORY`, oldest first.
    acts: VecDeque<(Timestamp, Done)>,
}

// Command

/// `keyed`: the caller can repeat it under the same command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Schedule(Schedule),
    Pause {
        keyed: bool,
    },
    Resume {
        keyed: bool,
    },
    Block {
        seats: Vec<SeatId>,
    },
    Unblock {
        seats: Vec<SeatId>,
    },
    Change {
        change: Change,
        keyed: bool,
    },
    Cancel,
    /// Every order has been told. Only the system knows that, so nobody else is heard.
    CallOff {
        orders: u64,
    },
}

impl Aggregate for Performance {
    const NOUN: &'static str = "performance";
    const SNAPSHOT_VERSION: u16 = 3;
    type State = State;
    type Event = PerformanceEvent;
    type Command = Command;
    type Part = seat::Command;
    type Context = Nobody;
    type Notice = Terms;

    fn parts(state: &State, command: &Command, _: &AccountId, _: Option<&()>) -> Vec<(StreamId, seat::Command)> {
        let (seats, part) = match command {
            Command::Block { seats } => (seats, seat::Command::Block),
            Command::Unblock { seats } => (seats, seat::Command::Unblock),
            Command::Schedule(_)
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::Change { .. }
            | Command::Cancel
            | Command::CallOff { .. } => return Vec::new(),
        };
        let Some(terms) = &state.terms else { return Vec::new() };
        each_seat(&terms.performance_id, seats, limits::BLOCK_SEATS, &part)
    }

    fn decide(
        state: &State,
        command: &Command,
        _: Option<&()>,
        asked: &Asked,
    ) -> Result<Decision<PerformanceEvent>, Refusal> {
        if let Command::Schedule(schedule) = command {
            return decide_schedule(state, schedule, asked);
        }
        let terms = state.terms.as_ref().filter(|terms| asked.may_act_for(&terms.owner)).ok_or(Refusal::NotFound)?;
        if let Some(answer) = state.acts.iter().find_map(|(_, done)| done.again(asked)) {
            return answer;
        }
        match command {
            Command::Schedule(schedule) => decide_schedule(state, schedule, asked),
            Command::Cancel if terms.cancelled => Ok(Decision::Unchanged),
            Command::Cancel => Ok(Decision::Append(vec![Cancelled { body: asked.body }.into()])),
            Command::CallOff { orders } => decide_call_off(state, *orders, asked),
            // What does not take place is neither sold nor stopped nor changed.
            _ if terms.cancelled => Err(Refusal::PerformanceCancelled),
            command => decide_sale(state, terms, command, asked),
        }
    }

    fn evolve(state: &mut State, fact: Fact<'_, PerformanceEvent>) {
        let body = match fact.event {
            PerformanceEvent::Scheduled(scheduled) => {
                state.terms = Some(Arc::new(Terms::of(scheduled)));
                state.scheduled_body = scheduled.body;
                return;
            }
            PerformanceEvent::Paused(Paused { body }) => {
                state.edit(|terms| terms.paused = true);
                *body
            }
            PerformanceEvent::Resumed(Resumed { body }) => {
                state.edit(|terms| terms.paused = false);
                *body
            }
            PerformanceEvent::Changed(changed) => {
                state.was_open |= state.terms.as_ref().is_some_and(|terms| fact.at >= terms.sale_opens_at);
                state.edit(|terms| terms.change(changed));
                changed.body
            }
            PerformanceEvent::Cancelled(Cancelled { body }) => {
                state.edit(|terms| terms.cancelled = true);
                state.cancelled_at = Some(fact.at);
                *body
            }
            PerformanceEvent::CalledOff(CalledOff { orders: _ }) => {
                // Asked for again, it is simply done already: nothing to remember.
                state.called_off = true;
                return;
            }
            PerformanceEvent::SeatsBlocked(blocked) => blocked.body,
            PerformanceEvent::SeatsUnblocked(unblocked) => unblocked.body,
        };
        let oldest = fact.at.minus(limits::KEY_MEMORY);
        while state.acts.front().is_some_and(|(at, _)| *at < oldest) {
            state.acts.pop_front();
        }
        state.acts.push_back((fact.at, Done { command: fact.command, body, version: fact.version }));
    }

    fn parts_refused(command: &Command, mut refused: Vec<(StreamId, Refusal)>) -> Refusal {
        match command {
            Command::Block { seats } | Command::Unblock { seats } => unavailable(seats, refused),
            Command::Schedule(_)
            | Command::Pause { .. }
            | Command::Resume { .. }
            | Command::Change { .. }
            | Command::Cancel
            | Command::CallOff { .. } => refused.remove(0).1,
        }
    }

    fn notice(state: &State) -> Option<Arc<Terms>> {
        state.terms.clone()
    }

    /// A cancelled performance waits until all of its orders have ended.
    fn waits_since(state: &State) -> Option<Timestamp> {
        state.cancelled_at.filter(|_| state.calling_off())
    }

    fn owner(state: &State) -> Option<AccountId> {
        state.terms.as_ref().map(|terms| terms.owner.clone())
    }

    fn entries(state: &State) -> usize {
        1 + state.acts.len()
    }
}

fn decide_schedule(state: &State, schedule: &Schedule, asked: &Asked) -> Result<Decision<PerformanceEvent>, Refusal> {
    if state.terms.is_some() {
        return created_again(state.scheduled_body, asked);
    }
    schedule.check()?;
    Ok(Decision::Append(vec![schedule.fact(asked).into()]))
}

/// The seller's hand on a performance that takes place. What finds things as asked is a fact all the same if it has a key:
/// otherwise nobody would know that key, and a repetition could stop a sale that somebody else has resumed meanwhile.
fn decide_sale(
    state: &State,
    terms: &Terms,
    command: &Command,
    asked: &Asked,
) -> Result<Decision<PerformanceEvent>, Refusal> {
    let body = asked.body;
    let event: PerformanceEvent = match command {
        Command::Pause { keyed } if *keyed || !terms.paused => Paused { body }.into(),
        Command::Resume { keyed } if *keyed || terms.paused => Resumed { body }.into(),
        Command::Block { seats } => {
            check_seats(terms, seats)?;
            SeatsBlocked { seats: seats.clone(), body }.into()
        }
        Command::Unblock { seats } => {
            check_seats(terms, seats)?;
            SeatsUnblocked { seats: seats.clone(), body }.into()
        }
        Command::Change { change, keyed } => {
            let changed = change.fact(terms, state.was_open || asked.at >= terms.sale_opens_at, body)?;
            if !keyed && !super::change::differs(&changed, terms) {
                return Ok(Decision::Unchanged);
            }
            changed.into()
        }
        Command::Pause { .. } | Command::Resume { .. } => return Ok(Decision::Unchanged),
        // Decided before it came here.
        Command::Schedule(_) | Command::Cancel | Command::CallOff { .. } => return Ok(Decision::Unchanged),
    };
    Ok(Decision::Append(vec![event]))
}

fn decide_call_off(state: &State, orders: u64, asked: &Asked) -> Result<Decision<PerformanceEvent>, Refusal> {
    if asked.authority != Authority::Any {
        return Err(Refusal::NotFound);
    }
    if state.calling_off() { Ok(Decision::Append(vec![CalledOff { orders }.into()])) } else { Ok(Decision::Unchanged) }
}

impl State {
    /// It was cancelled, and not every order has been told yet.
    #[must_use]
    pub fn calling_off(&self) -> bool {
        self.cancelled_at.is_some() && !self.called_off
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Terms)) {
        if let Some(terms) = &mut self.terms {
            // Copies the terms if an order is just reading them, never the house.
            edit(Arc::make_mut(terms));
        }
    }
}
