//! What must people look at? Payments and refunds of which nobody knows in time whether they happened.

// Routes: GET /v1/admin/review · POST /v1/admin/review/{order_id}/settle

use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{Admins, Ask, At, Body, By, Checks, Input, ListOf, Listing};
use super::lists;
use super::orders::OrderBody;
use crate::actors::Dispatch;
use crate::domain::order::{Command, Order, Rule};
use crate::events::order::Ruling;
use crate::ids::{OrderId, StreamId};
use crate::limits;
use crate::live::Hub;
use crate::projections::orders::Wanted;
use crate::projections::reads::Reads;
use crate::sagas::Processes;

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Settle {
    /// What the provider's books say: `captured`, `not-captured` or `refunded`.
    #[serde(rename = "as")]
    #[schema(value_type = String)]
    pub ruling: Ruling,
    /// Kept with the decision.
    pub reason: String,
    /// The provider's name of the movement of money.
    pub psp_reference: Option<String>,
}

impl Input for Settle {}

// Handlers

#[utoipa::path(get, path = "/v1/admin/review", tag = "operators",
    params(("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<OrderBody>), (status = "4XX", body = ProblemBody)))]
pub async fn list(_by: By<Admins>, listing: Listing, State(reads): State<Reads>, State(hub): State<Hub>) -> Answered {
    let wanted = Wanted { status: Some("review"), ..Wanted::default() };
    lists::orders::answer(&listing, &reads, hub.payment_window(), wanted).await
}

#[utoipa::path(post, path = "/v1/admin/review/{id}/settle", tag = "operators", params(("id" = String, Path,)),
    request_body = Settle, responses((status = 200, body = OrderBody), (status = "4XX", body = ProblemBody)))]
pub async fn settle(
    ask: Ask<Admins>,
    At(id): At<OrderId>,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    State(processes): State<Processes>,
    body: Body<Settle>,
) -> Answered {
    let mut checks = Checks::default();
    checks.text("/reason", &body.value.reason, limits::REASON_CHARS);
    if let Some(reference) = &body.value.psp_reference {
        checks.text("/psp_reference", reference, limits::PAYMENT_KEY_BYTES);
    }
    checks.done()?;
    let request = ask.request(&body, Some(body.value.reason.clone()));
    let (ruling, psp_reference) = (body.value.ruling, body.value.psp_reference);
    let rule = Command::Rule(Rule { ruling, psp_reference, patience: processes.patience() });
    let stream = StreamId::order(&id);
    let outcome = dispatch.execute::<Order>(stream.clone(), rule, request).await?;
    processes.nudge(&stream);
    let order = hub.order_at(&id, outcome.version).await.map_err(Problem::unanswered)?;
    let order = order.ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&order)?.replayed(outcome.replayed).done())
}
