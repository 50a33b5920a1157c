//! Venues, by any part of their names.

// Routes: GET /v1/venues

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::answer::{Answered, ProblemBody};
use crate::http::extract::{ListOf, Listing, Params};
use crate::ids::{AccountId, LogPosition, VenueId};
use crate::projections::reads::Reads;
use crate::projections::venues::{self, VenueRow};
use crate::timestamp::Timestamp;

#[derive(Serialize, ToSchema)]
pub struct VenueItem {
    #[schema(value_type = String)]
    venue_id: VenueId,
    #[schema(value_type = String)]
    owner: AccountId,
    name: String,
    timezone: String,
    seats: u64,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    position: LogPosition,
}

impl From<VenueRow> for VenueItem {
    fn from(row: VenueRow) -> Self {
        let VenueRow { venue_id, owner, name, timezone, seats, created_at, position, .. } = row;
        Self { venue_id, owner, name, timezone, seats, created_at, position }
    }
}

#[utoipa::path(get, path = "/v1/venues", tag = "catalogue",
    params(("name" = Option<String>, Query, description = "part of the name"),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<VenueItem>), (status = "4XX", body = ProblemBody)))]
pub async fn list(params: Params, listing: Listing, State(reads): State<Reads>) -> Answered {
    let name = params.text("name")?;
    let build = listing.of(&reads, "venues").await?;
    listing.answer(venues::list(&*build, name.as_deref(), listing.page()).await?, VenueItem::from)
}
