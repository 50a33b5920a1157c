//! How does a performance go on sale, and who may stop it? Its terms, the pause, and the seats kept from sale.
//!
//! What is sold or held is not known here: that is the seats' and the orders' business. The order reads [`Terms`].

mod terms;
#[cfg(test)]
pub(super) mod tests;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use terms::{Layout, SeatTerms, Terms};

use super::checks::{Done, created_again, invalid, pointer_part, require};
use super::{Aggregate, Asked, Decision, Fact, Involved, Nobody, Refusal, seat};
use crate::events::PerformanceEvent;
use crate::events::performance::{GradePrice, Paused, Resumed, Scheduled, SeatsBlocked, SeatsUnblocked};
use crate::events::venue::Section;
use crate::ids::{AccountId, Hash16, PerformanceId, SeatId, ShowId, StreamId, VenueId};
use crate::limits;
use crate::money::Currency;
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

/// The caller copies timezone and layout from the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub performance_id: PerformanceId,
    pub show_id: ShowId,
    pub venue_id: VenueId,
    pub timezone: String,
    pub starts_at: Timestamp,
    pub sale_opens_at: Timestamp,
    pub sale_closes_at: Timestamp,
    pub cancel_until: Option<Timestamp>,
    pub currency: Currency,
    pub prices: Vec<GradePrice>,
    pub max_seats_per_order: u32,
    pub max_seats_per_member: Option<u32>,
    pub hold_seconds: u32,
    pub layout: Vec<Section>,
}

// Refusal

impl Schedule {
    fn check(&self) -> Result<(), Refusal> {
        require(self.layout.iter().any(|section| section.seats() > 0), "/venue_id", "has no seats")?;
        require(self.sale_opens_at < self.sale_closes_at, "/sale_closes_at", "must be after sale_opens_at")?;
        require(
            self.cancel_until.is_none_or(|until| until <= self.starts_at),
            "/cancel_until",
            "must not be after starts_at",
        )?;
        self.check_prices()?;
        require(
            (1..=limits::ORDER_SEATS).contains(&(self.max_seats_per_order as usize)),
            "/max_seats_per_order",
            &format!("must be 1 to {}", limits::ORDER_SEATS),
        )?;
        require(self.max_seats_per_member != Some(0), "/max_seats_per_member", "must be at least 1")?;
        require(
            (limits::HOLD_SECONDS_MIN..=limits::HOLD_SECONDS_MAX).contains(&self.hold_seconds),
            "/hold_seconds",
            &format!("must be {} to {}", limits::HOLD_SECONDS_MIN, limits::HOLD_SECONDS_MAX),
        )
    }

    fn check_prices(&self) -> Result<(), Refusal> {
        let grades: HashSet<&str> = self.layout.iter().map(|section| section.grade.as_str()).collect();
        let mut priced = HashSet::new();
        for GradePrice { grade, .. } in &self.prices {
            let pointer = || format!("/prices/{}", pointer_part(grade));
            if !grades.contains(grade.as_str()) {
                return Err(invalid(pointer(), "is not a grade of the venue"));
            }
            if !priced.insert(grade.as_str()) {
                return Err(invalid(pointer(), "has a price already"));
            }
        }
        // In the order of the house, so that the same request is always told of the same grade.
        match self.layout.iter().find(|section| !priced.contains(section.grade.as_str())) {
            Some(section) => Err(invalid("/prices", format!("has no price for grade {}", section.grade))),
            None => Ok(()),
        }
    }
}

fn check_seats(terms: &Terms, seats: &[SeatId]) -> Result<(), Refusal> {
    require(!seats.is_empty(), "/seats", "must name at least one seat")?;
    require(seats.len() <= limits::BLOCK_SEATS, "/seats", &format!("must name at most {} seats", limits::BLOCK_SEATS))?;
    let mut seen = HashSet::new();
    for (i, seat) in seats.iter().enumerate() {
        if !seen.insert(seat) {
            return Err(invalid(format!("/seats/{i}"), "is named twice"));
        }
        if terms.seat(seat).is_none() {
            return Err(invalid(format!("/seats/{i}"), "is not a seat of this performance"));
        }
    }
    Ok(())
}

/// All refused seats under their ids, in the order in which the caller named them; any other refusal goes first.
pub(super) fn unavailable(asked_for: &[SeatId], refused: Vec<(StreamId, Refusal)>) -> Refusal {
    let mut taken = HashSet::new();
    for (stream, refusal) in refused {
        match (refusal, stream.seat_id()) {
            (Refusal::SeatUnavailable { .. }, Some(seat)) => taken.insert(seat),
            (other, _) => return other,
        };
    }
    Refusal::SeatUnavailable { seats: asked_for.iter().filter(|seat| taken.contains(*seat)).cloned().collect() }
}

/// One command to each seat named, no seat twice. A list that the rule refuses anyway involves nobody.
pub(super) fn each_seat(
    performance: &PerformanceId,
    seats: &[SeatId],
    most: usize,
    command: &seat::Command,
) -> Vec<(StreamId, seat::Command)> {
    let mut seen = HashSet::new();
    let named = if seats.len() > most { &[] } else { seats };
    named
        .iter()
        .filter(|seat| seen.insert(*seat))
        .map(|seat| (StreamId::seat(performance, seat), command.clone()))
        .collect()
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
    let scheduled = Scheduled {
        performance_id: schedule.performance_id.clone(),
        owner: asked.by.clone(),
        show_id: schedule.show_id.clone(),
        venue_id: schedule.venue_id.clone(),
        timezone: schedule.timezone.clone(),
        starts_at: schedule.starts_at,
        sale_opens_at: schedule.sale_opens_at,
        sale_closes_at: schedule.sale_closes_at,
        cancel_until: schedule.cancel_until,
        currency: schedule.currency,
        prices: schedule.prices.clone(),
        max_seats_per_order: schedule.max_seats_per_order,
        max_seats_per_member: schedule.max_seats_per_member,
        hold_seconds: schedule.hold_seconds,
        layout: schedule.layout.clone(),
        body: asked.body,
    };
    Ok(Decision::Append(vec![scheduled.into()]))
}

impl State {
    fn set_paused(&mut self, paused: bool) {
        if let Some(terms) = &mut self.terms {
            // Copies the terms if an order is just reading them, never the house.
            Arc::make_mut(terms).paused = paused;
        }
    }
}
