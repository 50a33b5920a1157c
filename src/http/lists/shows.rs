//! Shows, by category, days and title.

// Routes: GET /v1/shows

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::answer::{Answered, ProblemBody};
use crate::http::error::{Code, Problem};
use crate::http::extract::{ListOf, Listing, Params};
use crate::ids::{AccountId, LogPosition, ShowId};
use crate::projections::local;
use crate::projections::reads::Reads;
use crate::projections::shows::{self, Filter, ShowRow};

#[derive(Serialize, ToSchema)]
pub struct ShowItem {
    #[schema(value_type = String)]
    show_id: ShowId,
    #[schema(value_type = String)]
    owner: AccountId,
    title: String,
    category: String,
    description: String,
    place: String,
    starts_on: String,
    ends_on: String,
    #[schema(value_type = String)]
    position: LogPosition,
}

impl From<ShowRow> for ShowItem {
    fn from(row: ShowRow) -> Self {
        let ShowRow { show_id, owner, title, category, description, place, starts_on, ends_on, position, .. } = row;
        Self { show_id, owner, title, category, description, place, starts_on, ends_on, position }
    }
}

#[utoipa::path(get, path = "/v1/shows", tag = "catalogue",
    params(("category" = Option<String>, Query,),
        ("from" = Option<String>, Query, description = "YYYY-MM-DD: runs that day or later"),
        ("to" = Option<String>, Query, description = "YYYY-MM-DD: runs that day or earlier"),
        ("name" = Option<String>, Query, description = "part of the title"),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<ShowItem>), (status = "4XX", body = ProblemBody)))]
pub async fn list(params: Params, listing: Listing, State(reads): State<Reads>) -> Answered {
    let (category, title) = (params.text("category")?, params.text("name")?);
    let (from, to) = (day(&params, "from")?, day(&params, "to")?);
    let build = listing.of(&reads, "shows").await?;
    let filter = Filter { category: category.as_deref(), from, to, title: title.as_deref() };
    listing.answer(shows::list(&*build, &filter, listing.page()).await?, ShowItem::from)
}

/// A parameter that is a local date.
pub(in crate::http) fn day<'a>(params: &'a Params, name: &str) -> Result<Option<&'a str>, Problem> {
    let given = params.get(name);
    if given.is_some_and(|text| !local::is_date(text)) {
        return Err(Problem::new(Code::InvalidParameter, format!("{name} is a date: YYYY-MM-DD")));
    }
    Ok(given)
}
