//! What can happen to a show? It is announced; performances refer to it.

use serde::{Deserialize, Serialize};

use super::noun_events;
use crate::ids::{AccountId, Hash16, ShowId};

noun_events!(ShowEvent in Show {
    Created("show.created", 1),
});

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub show_id: ShowId,
    pub owner: AccountId,
    pub title: String,
    pub category: String,
    pub description: String,
    pub place: String,
    /// Local dates, `YYYY-MM-DD`.
    pub starts_on: String,
    pub ends_on: String,
    pub body: Hash16,
}
