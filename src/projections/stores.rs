//! Which stores are there? One row per store; its payments are another read model.

use super::select::{Listed, Order, Page, Select};
use super::store::Build;
use super::table::{Row, Table, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit};
use crate::events::{Event, StoreEvent};
use crate::fault::Fault;
use crate::ids::{AccountId, LogPosition, StoreId};
use crate::timestamp::Timestamp;

// Rows

table! {
    /// One store.
    pub struct StoreRow in "stores" {
        key { store_id: StoreId }
        owner: AccountId,
        name: String,
        created_at: Timestamp,
        position: LogPosition,
    }
}

// Fold

pub struct Stores;

impl Projection for Stores {
    fn name(&self) -> &'static str {
        "stores"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/stores.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/stores.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[StoreRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["store"]
    }

    fn reads(&self, _fact: &Fact, _needed: &mut Needed) {}

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        if let Event::Store(StoreEvent::Created(created)) = &*fact.event {
            rows.put(StoreRow {
                store_id: created.store_id.clone(),
                owner: created.owner.clone(),
                name: created.name.clone(),
                created_at: fact.at(),
                position: fact.position(),
            });
        }
        Ok(())
    }
}

// Lists

/// The stores of an owner, or all of them; the newest first.
pub async fn list(build: &dyn Build, owner: Option<&AccountId>, page: &Page) -> Result<Listed<StoreRow>, Fault> {
    const NEWEST: Order = Order::descending(&["created_at", "store_id"]);
    Select::new().maybe_equal("owner", owner.cloned()).page(build, NEWEST, page).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::store::Created;
    use crate::ids::{Hash16, StreamId};
    use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter};

    #[test]
    fn a_store_is_a_row() {
        let created = |id: &str| {
            let store_id = StoreId::new(id);
            let stream = StreamId::store(&store_id);
            let (owner, name) = (AccountId::new("ann"), format!("{id} 편의점"));
            (stream, StoreEvent::from(Created { store_id, owner, name, body: Hash16::default() }).into())
        };
        let mut story = Story::default();
        story.unit(5, [created("st_a")]).unit(7, [created("st_b")]);
        let shelf = Shelf::of(&Stores, &story.facts);
        let names: Vec<_> = shelf.rows::<StoreRow>().into_iter().map(|row| (row.name, row.created_at.0)).collect();
        assert_eq!(names, [("st_a 편의점".to_owned(), 5), ("st_b 편의점".to_owned(), 7)]);
        order_of_partitions_does_not_matter(&Stores, &story);
    }
}
