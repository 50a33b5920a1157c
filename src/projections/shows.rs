//! Which shows are there? One row per show, by category, days and title.

use super::select::{Listed, Order, Page, Select};
use super::store::Build;
use super::table::{Row, Table, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit, text};
use crate::events::{Event, ShowEvent};
use crate::fault::Fault;
use crate::ids::{AccountId, LogPosition, ShowId};

// Rows

table! {
    /// One show.
    pub struct ShowRow in "shows" {
        key { show_id: ShowId }
        owner: AccountId,
        title: String,
        title_folded: String,
        category: String,
        description: String,
        place: String,
        /// Local dates, `YYYY-MM-DD`.
        starts_on: String,
        ends_on: String,
        position: LogPosition,
    }
}

// Fold

pub struct Shows;

impl Projection for Shows {
    fn name(&self) -> &'static str {
        "shows"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/shows.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/shows.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[ShowRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["show"]
    }

    fn reads(&self, _fact: &Fact, _needed: &mut Needed) {}

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        let Event::Show(ShowEvent::Created(show)) = &*fact.event else { return Ok(()) };
        rows.put(ShowRow {
            show_id: show.show_id.clone(),
            owner: show.owner.clone(),
            title: show.title.clone(),
            title_folded: text::folded(&show.title),
            category: show.category.clone(),
            description: show.description.clone(),
            place: show.place.clone(),
            starts_on: show.starts_on.clone(),
            ends_on: show.ends_on.clone(),
            position: fact.position(),
        });
        Ok(())
    }
}

// Lists

/// What a list of shows is limited to.
#[derive(Clone, Debug, Default)]
pub struct Filter<'a> {
    pub category: Option<&'a str>,
    /// The run touches these days, both included.
    pub from: Option<&'a str>,
    pub to: Option<&'a str>,
    /// Any part of the title.
    pub title: Option<&'a str>,
}

/// Shows by their first day.
pub async fn list(build: &dyn Build, filter: &Filter<'_>, page: &Page) -> Result<Listed<ShowRow>, Fault> {
    const BY_START: Order = Order::ascending(&["starts_on", "show_id"]);
    let title = filter.title.map(text::folded);
    Select::new()
        .maybe_equal("category", filter.category.map(str::to_owned))
        .at_least("ends_on", filter.from.map(str::to_owned))
        .at_most("starts_on", filter.to.map(str::to_owned))
        .contains("title_folded", title.as_deref())
        .page(build, BY_START, page)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::show::Created;
    use crate::ids::{Hash16, StreamId};
    use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter};

    #[test]
    fn a_show_is_a_row() {
        let created = |id: &str, title: &str| {
            let event = Created {
                show_id: ShowId::new(id),
                owner: AccountId::new("ann"),
                title: title.to_owned(),
                category: "concert".to_owned(),
                description: "하루만".to_owned(),
                place: "서울".to_owned(),
                starts_on: "2026-12-01".to_owned(),
                ends_on: "2026-12-03".to_owned(),
                body: Hash16::default(),
            };
            (StreamId::show(&event.show_id), ShowEvent::from(event).into())
        };
        let mut story = Story::default();
        story.unit(5, [created("sh_a", "Winter NIGHT")]).unit(7, [created("sh_b", "봄")]);
        let rows = Shelf::of(&Shows, &story.facts).rows::<ShowRow>();
        let told: Vec<_> = rows.iter().map(|row| (row.title_folded.as_str(), row.starts_on.as_str())).collect();
        assert_eq!(told, [("winter night", "2026-12-01"), ("봄", "2026-12-01")]);
        order_of_partitions_does_not_matter(&Shows, &story);
    }
}
