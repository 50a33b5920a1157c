//! Shows: titles with their run, to which performances refer.

// Routes: POST /v1/shows · GET /v1/shows/{id}

use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{Ask, At, Body, Creators, Input};
use crate::actors::{CommandError, Dispatch};
use crate::domain::show::{Command, Create, Show};
use crate::events::show::Created;
use crate::ids::{AccountId, LogPosition, ShowId, StreamId};

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewShow {
    pub title: String,
    pub category: String,
    pub description: String,
    pub place: String,
    /// Local date, `YYYY-MM-DD`.
    pub starts_on: String,
    pub ends_on: String,
}

impl Input for NewShow {}

// Responses

#[derive(Serialize, ToSchema)]
pub struct ShowCreated {
    #[schema(value_type = String)]
    show_id: ShowId,
    #[schema(value_type = String)]
    position: LogPosition,
}

#[derive(Serialize, ToSchema)]
pub struct ShowView {
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
    #[schema(value_type = Option<String>)]
    position: Option<LogPosition>,
}

// Handlers

pub(super) async fn load(
    dispatch: &Dispatch,
    id: &ShowId,
) -> Result<Option<(Arc<Created>, Option<LogPosition>)>, CommandError> {
    let read = dispatch.read::<Show, _>(StreamId::show(id), |state| state.created.clone()).await?;
    Ok(read.value.map(|created| (created, read.position)))
}

#[utoipa::path(post, path = "/v1/shows", tag = "catalogue", request_body = NewShow,
    responses((status = 201, body = ShowCreated), (status = "4XX", body = ProblemBody)))]
pub async fn create(ask: Ask<Creators>, State(dispatch): State<Dispatch>, body: Body<NewShow>) -> Answered {
    let request = ask.request(&body, None);
    let show_id = ShowId::derive(&ask.command);
    let NewShow { title, category, description, place, starts_on, ends_on } = body.value;
    let show = Create { show_id: show_id.clone(), title, category, description, place, starts_on, ends_on };
    let outcome = dispatch.execute::<Show>(StreamId::show(&show_id), Command::Create(show), request).await?;
    let location = format!("/v1/shows/{show_id}");
    let body = ShowCreated { show_id, position: outcome.position };
    Ok(Answer::created(&location, &body)?.replayed(outcome.replayed).done())
}

#[utoipa::path(get, path = "/v1/shows/{id}", tag = "catalogue", params(("id" = String, Path,)),
    responses((status = 200, body = ShowView), (status = 404, body = ProblemBody)))]
pub async fn get(At(id): At<ShowId>, State(dispatch): State<Dispatch>) -> Answered {
    let (show, position) = load(&dispatch, &id).await?.ok_or_else(Problem::not_found)?;
    let body = ShowView {
        show_id: id,
        owner: show.owner.clone(),
        title: show.title.clone(),
        category: show.category.clone(),
        description: show.description.clone(),
        place: show.place.clone(),
        starts_on: show.starts_on.clone(),
        ends_on: show.ends_on.clone(),
        position,
    };
    Ok(Answer::ok(&body)?.done())
}
