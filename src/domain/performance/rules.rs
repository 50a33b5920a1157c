//! May a performance be put on sale, paused, or have seats kept from sale? State, decide and evolve of the noun.
//!
//! What a schedule must say is checked by `schedule`; the seats decide for themselves.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::seats::{check_seats, each_seat, unavailable};
use super::{Schedule, Terms};
use crate::domain::checks::{Done, created_again};
use crate::domain::{Aggregate, Asked, Decision, Fact, Involved, Nobody, Refusal, seat};
use crate::events::PerformanceEvent;
use crate::events::performance::{Paused, Resumed, SeatsBlocked, SeatsUnblocked};
use crate::ids::{AccountId, Hash16, SeatId, StreamId};
use crate::limits;
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub enum Performance {}

// State

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub terms: Option<Arc<Terms>>,
    scheduled_body: Hash16,
    /// Accepted acts of the last `KEY_MEMORY`, oldest first.
    acts: VecDeque<(Timestamp, Done)>,
}

// Command

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Schedule(Schedule),
    Pause,
    Resume,
    Block { seats: Vec<SeatId> },
    Unblock { seats: Vec<SeatId> },
}

impl Aggregate for Performance {
    const NOUN: &'static str = "performance";
    type State = State;
    type Event = PerformanceEvent;
    type Command = Command;
    type Part = seat::Seat;
    type Context = Nobody;
    type Notice = Terms;

    fn involves(state: &State, command: &Command) -> Involved<seat::Command> {
        let (seats, part) = match command {
            Command::Block { seats } => (seats, seat::Command::Block),
            Command::Unblock { seats } => (seats, seat::Command::Unblock),
            Command::Schedule(_) | Command::Pause | Command::Resume => return Involved::default(),
        };
        let Some(terms) = &state.terms else { return Involved::default() };
        Involved { parts: each_seat(&terms.performance_id, seats, limits::BLOCK_SEATS, &part), context: None }
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
        let body = asked.body;
        let event: PerformanceEvent = match command {
            Command::Schedule(schedule) => return decide_schedule(state, schedule, asked),
            Command::Pause if terms.paused => return Ok(Decision::Unchanged),
            Command::Resume if !terms.paused => return Ok(Decision::Unchanged),
            Command::Pause => Paused { body }.into(),
            Command::Resume => Resumed { body }.into(),
            Command::Block { seats } => {
                check_seats(terms, seats)?;
                SeatsBlocked { seats: seats.clone(), body }.into()
            }
            Command::Unblock { seats } => {
                check_seats(terms, seats)?;
                SeatsUnblocked { seats: seats.clone(), body }.into()
            }
        };
        Ok(Decision::Append(vec![event]))
    }

    fn evolve(state: &mut State, fact: Fact<'_, PerformanceEvent>) {
        let body = match fact.event {
            PerformanceEvent::Scheduled(scheduled) => {
                state.terms = Some(Arc::new(Terms::of(scheduled)));
                state.scheduled_body = scheduled.body;
                return;
            }
            PerformanceEvent::Paused(Paused { body }) => {
                state.set_paused(true);
                *body
            }
            PerformanceEvent::Resumed(Resumed { body }) => {
                state.set_paused(false);
                *body
            }
            PerformanceEvent::Changed(_) | PerformanceEvent::Cancelled(_) | PerformanceEvent::CalledOff(_) => return,
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
            Command::Schedule(_) | Command::Pause | Command::Resume => refused.remove(0).1,
        }
    }

    fn notice(state: &State) -> Option<Arc<Terms>> {
        state.terms.clone()
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

impl State {
    fn set_paused(&mut self, paused: bool) {
        if let Some(terms) = &mut self.terms {
            // Copies the terms if an order is just reading them, never the house.
            Arc::make_mut(terms).paused = paused;
        }
    }
}
