//! What is a house that can be sold? Sections of one grade, their rows, and the labels of the seats.
//!
//! A venue knows nothing of performances: each copies the house into its own first fact, so that a changed venue never
//! changes what was put on sale.

use std::collections::HashSet;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checks::{created_again, invalid, label, name, require};
use super::{Aggregate, Asked, Decision, Fact, Never, Nobody, Refusal};
use crate::events::VenueEvent;
use crate::events::venue::{Created, RowSeats, Section};
use crate::ids::{AccountId, VenueId};
use crate::limits;

#[derive(Debug)]
pub enum Venue {}

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
    pub venue_id: VenueId,
    pub name: String,
    pub timezone: String,
    pub sections: Vec<Section>,
}

// Refusal

impl Create {
    fn check(&self) -> Result<(), Refusal> {
        name("/name", &self.name)?;
        require(is_timezone(&self.timezone), "/timezone", "must be the name of a time zone such as Asia/Seoul")?;
        require(
            self.sections.len() <= limits::VENUE_SECTIONS,
            "/sections",
            &format!("must have at most {} sections", limits::VENUE_SECTIONS),
        )?;
        // Counted before anything walks over the seats: a row is a number, and the number may be anything.
        let seats = self.sections.iter().map(Section::seats).fold(0, usize::saturating_add);
        require(
            (1..=limits::VENUE_SEATS).contains(&seats),
            "/sections",
            &format!("must have 1 to {} seats", limits::VENUE_SEATS),
        )?;
        let mut seen = HashSet::new();
        for (i, section) in self.sections.iter().enumerate() {
            let pointer = format!("/sections/{i}");
            label(&format!("{pointer}/section"), &section.section)?;
            require(seen.insert(&section.section), &format!("{pointer}/section"), "is the name of another section")?;
            name(&format!("{pointer}/grade"), &section.grade)?;
            check_rows(section, &pointer)?;
        }
        Ok(())
    }
}

fn check_rows(section: &Section, pointer: &str) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for (i, row) in section.rows.iter().enumerate() {
        let pointer = format!("{pointer}/rows/{i}");
        label(&format!("{pointer}/row"), &row.row)?;
        require(seen.insert(&row.row), &format!("{pointer}/row"), "is the name of another row of the section")?;
        require(!row.seats.is_empty(), &format!("{pointer}/seats"), "must have at least one seat")?;
        if let RowSeats::Labels(labels) = &row.seats {
            check_labels(labels, &format!("{pointer}/seats"))?;
        }
    }
    Ok(())
}

fn check_labels(labels: &[String], pointer: &str) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for (i, text) in labels.iter().enumerate() {
        label(&format!("{pointer}/{i}"), text)?;
        if !seen.insert(text) {
            return Err(invalid(format!("{pointer}/{i}"), "is the label of another seat of the row"));
        }
    }
    Ok(())
}

/// Looks like `Area/City` or is `UTC`. Whether the zone exists is for those who compute local dates.
fn is_timezone(text: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+'))
    };
    text == "UTC" || (text.len() <= 64 && text.contains('/') && text.split('/').all(part))
}

impl Aggregate for Venue {
    const NOUN: &'static str = "venue";
    type State = State;
    type Event = VenueEvent;
    type Command = Command;
    type Part = Never;
    type Context = Nobody;
    type Notice = ();

    fn decide(
        state: &State,
        command: &Command,
        _: Option<&()>,
        asked: &Asked,
    ) -> Result<Decision<VenueEvent>, Refusal> {
        let Command::Create(create) = command;
        if let Some(created) = &state.created {
            return created_again(created.body, asked);
        }
        create.check()?;
        let created = Created {
            venue_id: create.venue_id.clone(),
            owner: asked.by.clone(),
            name: create.name.clone(),
            timezone: create.timezone.clone(),
            sections: create.sections.clone(),
            body: asked.body,
        };
        Ok(Decision::Append(vec![created.into()]))
    }

    fn evolve(state: &mut State, fact: Fact<'_, VenueEvent>) {
        let VenueEvent::Created(created) = fact.event;
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
    use crate::events::venue::Row;

    fn row(row: &str, seats: RowSeats) -> Row {
        Row { row: row.into(), seats }
    }

    fn with(change: impl FnOnce(&mut Create)) -> Command {
        let labels = RowSeats::Labels(vec!["왼쪽 1".into(), "7b".into()]);
        let rows = vec![row("1", RowSeats::Count(3)), row("2", labels)];
        let sections = vec![
            Section { section: "1루 석".into(), grade: "VIP".into(), rows: rows.clone() },
            Section { section: "B".into(), grade: "R/S".into(), rows },
        ];
        let mut create =
            Create { venue_id: VenueId::new("vn_1"), name: "Dome".into(), timezone: "Asia/Seoul".into(), sections };
        change(&mut create);
        Command::Create(create)
    }

    fn with_seats(seats: RowSeats) -> Command {
        with(|v| v.sections[1].rows[1].seats = seats)
    }

    #[test]
    fn what_is_a_house() {
        let created = || story::<Venue>().after(&with(|_| ())).slept();
        let labels = |labels: &[&str]| with_seats(RowSeats::Labels(labels.iter().map(|l| (*l).to_owned()).collect()));
        let many = |v: &mut Create| v.sections = vec![v.sections[0].clone(); limits::VENUE_SECTIONS + 1];
        check(vec![
            ("the same again", created(), with(|_| ()), Then::Replays(1)),
            ("same key, other body", created().body("other"), with(|_| ()), Then::Refuses(Refusal::KeyReused)),
            ("no name", story(), with(|v| v.name.clear()), Then::Invalid("/name")),
            ("no time zone", story(), with(|v| v.timezone.clear()), Then::Invalid("/timezone")),
            ("a country", story(), with(|v| v.timezone = "Korea".into()), Then::Invalid("/timezone")),
            ("a broken path", story(), with(|v| v.timezone = "Asia//Seoul".into()), Then::Invalid("/timezone")),
            ("no section", story(), with(|v| v.sections.clear()), Then::Invalid("/sections")),
            ("1,001 sections", story(), with(many), Then::Invalid("/sections")),
            ("a row of billions", story(), with_seats(RowSeats::Count(u32::MAX)), Then::Invalid("/sections")),
            ("a dash", story(), with(|v| v.sections[1].section = "B-1".into()), Then::Invalid("/sections/1/section")),
            ("no label", story(), with(|v| v.sections[1].section.clear()), Then::Invalid("/sections/1/section")),
            (
                "17 characters",
                story(),
                with(|v| v.sections[1].section = "x".repeat(17)),
                Then::Invalid("/sections/1/section"),
            ),
            (
                "twice a section",
                story(),
                with(|v| v.sections[1].section = "1루 석".into()),
                Then::Invalid("/sections/1/section"),
            ),
            ("no grade", story(), with(|v| v.sections[0].grade.clear()), Then::Invalid("/sections/0/grade")),
            (
                "a slash",
                story(),
                with(|v| v.sections[0].rows[1].row = "2/3".into()),
                Then::Invalid("/sections/0/rows/1/row"),
            ),
            (
                "a blank end",
                story(),
                with(|v| v.sections[0].rows[1].row = "2 ".into()),
                Then::Invalid("/sections/0/rows/1/row"),
            ),
            (
                "twice a row",
                story(),
                with(|v| v.sections[0].rows[1].row = "1".into()),
                Then::Invalid("/sections/0/rows/1/row"),
            ),
            ("an empty row", story(), with_seats(RowSeats::Count(0)), Then::Invalid("/sections/1/rows/1/seats")),
            ("twice a seat", story(), labels(&["1", "2", "1"]), Then::Invalid("/sections/1/rows/1/seats/2")),
            ("a dashed seat", story(), labels(&["1", "2-3"]), Then::Invalid("/sections/1/rows/1/seats/1")),
            ("no time zone but UTC", story(), with(|v| v.timezone = "UTC".into()), Then::Happens(&["venue.created"])),
            ("a good one", story(), with(|_| ()), Then::Happens(&["venue.created"])),
        ]);
    }
}
