//! What is a show? A title with its run; performances refer to it.
//!
//! Nothing here is sold, and nothing here knows a clock: the run is two local dates.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checks::{created_again, name, require};
use super::{Aggregate, Asked, Decision, Fact, Never, Nobody, Refusal};
use crate::events::ShowEvent;
use crate::events::show::Created;
use crate::ids::{AccountId, ShowId};
use crate::limits;

#[derive(Debug)]
pub enum Show {}

// State

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub created: Option<Arc<Created>>,
}

// Command

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Create(Create),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub show_id: ShowId,
    pub title: String,
    pub category: String,
    pub description: String,
    pub place: String,
    pub starts_on: String,
    pub ends_on: String,
}

// Refusal

impl Create {
    fn check(&self) -> Result<(), Refusal> {
        name("/title", &self.title)?;
        name("/category", &self.category)?;
        require(
            self.description.chars().count() <= limits::DESCRIPTION_CHARS,
            "/description",
            &format!("must have at most {} characters", limits::DESCRIPTION_CHARS),
        )?;
        name("/place", &self.place)?;
        require(is_date(&self.starts_on), "/starts_on", "must be a date written YYYY-MM-DD")?;
        require(is_date(&self.ends_on), "/ends_on", "must be a date written YYYY-MM-DD")?;
        // Dates of this one spelling sort like text.
        require(self.starts_on <= self.ends_on, "/ends_on", "must not be before starts_on")
    }
}

fn is_date(text: &str) -> bool {
    let spelled = text.len() == 10
        && text.bytes().enumerate().all(|(i, b)| if matches!(i, 4 | 7) { b == b'-' } else { b.is_ascii_digit() });
    let number = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u16>().ok());
    let (true, Some(year), Some(month), Some(day)) = (spelled, number(0..4), number(5..7), number(8..10)) else {
        return false;
    };
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u16::from(leap),
        _ => 0,
    };
    (1..=days).contains(&day)
}

impl Aggregate for Show {
    const NOUN: &'static str = "show";
    type State = State;
    type Event = ShowEvent;
    type Command = Command;
    type Part = Never;
    type Context = Nobody;
    type Notice = ();

    fn decide(state: &State, command: &Command, _: Option<&()>, asked: &Asked) -> Result<Decision<ShowEvent>, Refusal> {
        let Command::Create(create) = command;
        if let Some(created) = &state.created {
            return created_again(created.body, asked);
        }
        create.check()?;
        let created = Created {
            show_id: create.show_id.clone(),
            owner: asked.by.clone(),
            title: create.title.clone(),
            category: create.category.clone(),
            description: create.description.clone(),
            place: create.place.clone(),
            starts_on: create.starts_on.clone(),
            ends_on: create.ends_on.clone(),
            body: asked.body,
        };
        Ok(Decision::Append(vec![created.into()]))
    }

    fn evolve(state: &mut State, fact: Fact<'_, ShowEvent>) {
        let ShowEvent::Created(created) = fact.event;
        state.created = Some(Arc::new(created.clone()));
    }

    fn owner(state: &State) -> Option<AccountId> {
        state.created.as_ref().map(|created| created.owner.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::{Then, check, story};

    fn with(change: fn(&mut Create)) -> Command {
        let mut create = Create {
            show_id: ShowId::new("sh_1"),
            title: "아이유 콘서트".into(),
            category: "concert".into(),
            description: String::new(),
            place: "Seoul".into(),
            starts_on: "2028-02-29".into(),
            ends_on: "2028-02-29".into(),
        };
        change(&mut create);
        Command::Create(create)
    }

    #[test]
    fn what_is_a_show() {
        let created = || story::<Show>().after(&with(|_| ())).slept();
        check(vec![
            ("the same again", created(), with(|_| ()), Then::Replays(1)),
            ("same key, other body", created().body("other"), with(|_| ()), Then::Refuses(Refusal::KeyReused)),
            ("no title", story(), with(|s| s.title = " ".into()), Then::Invalid("/title")),
            ("an endless title", story(), with(|s| s.title = "x".repeat(201)), Then::Invalid("/title")),
            ("two lines of title", story(), with(|s| s.title = "a\nb".into()), Then::Invalid("/title")),
            ("no category", story(), with(|s| s.category.clear()), Then::Invalid("/category")),
            ("an endless text", story(), with(|s| s.description = "x".repeat(5001)), Then::Invalid("/description")),
            ("no place", story(), with(|s| s.place.clear()), Then::Invalid("/place")),
            ("no such day", story(), with(|s| s.starts_on = "2027-02-29".into()), Then::Invalid("/starts_on")),
            ("not a date", story(), with(|s| s.ends_on = "tomorrow".into()), Then::Invalid("/ends_on")),
            ("ends first", story(), with(|s| s.ends_on = "2028-02-28".into()), Then::Invalid("/ends_on")),
            ("a good one", story(), with(|_| ()), Then::Happens(&["show.created"])),
        ]);
    }

    #[test]
    fn dates_have_one_spelling() {
        for good in ["2026-01-31", "2026-12-31", "2000-02-29", "2024-02-29", "2026-04-30"] {
            assert!(is_date(good), "{good}");
        }
        for bad in [
            "",
            "2026-1-31",
            "2026-00-10",
            "2026-13-01",
            "2026-04-31",
            "1900-02-29",
            "2026-01-00",
            "2026/01/01",
            "+026-01-01",
            "2026-01-011",
            "２026-01-1",
        ] {
            assert!(!is_date(bad), "{bad}");
        }
    }
}
