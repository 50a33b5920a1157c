//! Stores: the payment feed of every counter. A device's token is good for its own store alone.

// Routes: POST, GET /v1/stores · POST /{id}/payments · POST /{id}/payments/{payment_id}/cancel · GET /{id}/payments/events

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{
    Ask, At, At2, Body, By, Checks, Counters, Gate, Input, ListOf, Listing, Params, Sellers, StoreWatchers, Watcher,
    Whole, require_role,
};
use super::streams::{self, Entrance, Wish};
use crate::actors::Dispatch;
use crate::auth::{Principal, Role};
use crate::domain::store::{Command, RecordPayment, Store};
use crate::events::StoreEvent;
use crate::ids::{AccountId, LogPosition, PaymentId, StoreId, StreamId};
use crate::live::{Hub, Resume};
use crate::money::Amount;
use crate::projections::reads::Reads;
use crate::projections::stores::{self, StoreRow};
use crate::timestamp::Timestamp;

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStore {
    pub name: String,
}

impl Input for NewStore {}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    pub payment_id: String,
    #[schema(value_type = u64)]
    pub amount: Whole,
    pub currency: String,
    pub method: String,
    pub paid_at: String,
    pub terminal_id: Option<String>,
}

impl Input for NewPayment {}

impl NewPayment {
    fn record(self) -> Result<RecordPayment, Problem> {
        let mut checks = Checks::default();
        let record = RecordPayment {
            amount: checks.amount("/amount", self.amount),
            currency: checks.currency("/currency", &self.currency),
            paid_at: checks.time("/paid_at", &self.paid_at),
            payment_id: PaymentId::new(self.payment_id),
            method: self.method,
            terminal_id: self.terminal_id,
        };
        checks.done()?;
        Ok(record)
    }
}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelPayment {
    /// All that is left when absent; a part needs an Idempotency-Key.
    #[schema(value_type = Option<u64>)]
    pub amount: Option<Whole>,
}

impl Input for CancelPayment {
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

// Responses

#[derive(Serialize, ToSchema)]
pub struct StoreCreated {
    #[schema(value_type = String)]
    store_id: StoreId,
    #[schema(value_type = String)]
    position: LogPosition,
}

#[derive(Serialize, ToSchema)]
pub struct PaymentRecorded {
    #[schema(value_type = String)]
    position: LogPosition,
}

#[derive(Serialize, ToSchema)]
pub struct PaymentCancelled {
    #[schema(value_type = String)]
    payment_id: PaymentId,
    /// What was given back now.
    #[schema(value_type = u64)]
    amount: Amount,
    #[schema(value_type = u64)]
    remaining: Amount,
    #[schema(value_type = String)]
    position: LogPosition,
}

#[derive(Serialize, ToSchema)]
pub struct StoreItem {
    #[schema(value_type = String)]
    store_id: StoreId,
    #[schema(value_type = String)]
    owner: AccountId,
    name: String,
    #[schema(value_type = String)]
    created_at: Timestamp,
    #[schema(value_type = String)]
    position: LogPosition,
}

impl From<StoreRow> for StoreItem {
    fn from(row: StoreRow) -> Self {
        let StoreRow { store_id, owner, name, created_at, position } = row;
        Self { store_id, owner, name, created_at, position }
    }
}

/// To the device of another store, this one does not exist.
fn own_store(who: &Principal, store: &StoreId) -> Result<(), Problem> {
    if who.store.as_ref() == Some(store) { Ok(()) } else { Err(Problem::not_found()) }
}

// Handlers

#[utoipa::path(post, path = "/v1/stores", tag = "stores", request_body = NewStore,
    responses((status = 201, body = StoreCreated), (status = "4XX", body = ProblemBody)))]
pub async fn create(ask: Ask<Sellers>, State(dispatch): State<Dispatch>, body: Body<NewStore>) -> Answered {
    let request = ask.request(&body, None);
    let store_id = StoreId::derive(&ask.command);
    let command = Command::Create { store_id: store_id.clone(), name: body.value.name };
    let outcome = dispatch.execute::<Store>(StreamId::store(&store_id), command, request).await?;
    let location = format!("/v1/stores/{store_id}");
    let body = StoreCreated { store_id, position: outcome.position };
    Ok(Answer::created(&location, &body)?.replayed(outcome.replayed).done())
}

#[utoipa::path(get, path = "/v1/stores", tag = "stores",
    params(("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<StoreItem>), (status = "4XX", body = ProblemBody)))]
pub async fn list(by: By<Sellers>, listing: Listing, State(reads): State<Reads>) -> Answered {
    let build = listing.of(&reads, "stores").await?;
    let owner = (by.principal.role != Role::Admin).then_some(&by.principal.account);
    listing.answer(stores::list(&*build, owner, listing.page()).await?, StoreItem::from)
}

#[utoipa::path(post, path = "/v1/stores/{id}/payments", tag = "stores", params(("id" = String, Path,)),
    request_body = NewPayment, responses((status = 201, body = PaymentRecorded),
        (status = 200, body = PaymentRecorded, description = "recorded before"), (status = "4XX", body = ProblemBody)))]
pub async fn record(
    ask: Ask<Counters>,
    At(store): At<StoreId>,
    State(dispatch): State<Dispatch>,
    body: Body<NewPayment>,
) -> Answered {
    own_store(ask.principal(), &store)?;
    let request = ask.request(&body, None);
    let record = body.value.record()?;
    let location = format!("/v1/stores/{store}/payments");
    let outcome = dispatch.execute::<Store>(StreamId::store(&store), Command::Record(record), request).await?;
    // The payment id is the key here: the same payment again is a 200 whether or not an Idempotency-Key came along.
    let status = if outcome.replayed { StatusCode::OK } else { StatusCode::CREATED };
    let answer = Answer::json(status, &PaymentRecorded { position: outcome.position })?.at(&location);
    Ok(answer.replayed(outcome.replayed).done())
}

#[utoipa::path(post, path = "/v1/stores/{id}/payments/{payment_id}/cancel", tag = "stores",
    params(("id" = String, Path,), ("payment_id" = String, Path,)), request_body = CancelPayment,
    responses((status = 201, body = PaymentCancelled), (status = "4XX", body = ProblemBody)))]
pub async fn cancel(
    ask: Ask<Counters>,
    At2(store, payment_id): At2<StoreId, PaymentId>,
    State(dispatch): State<Dispatch>,
    body: Body<CancelPayment>,
) -> Answered {
    own_store(ask.principal(), &store)?;
    let mut checks = Checks::default();
    let amount = body.value.amount.map(|amount| checks.amount("/amount", amount));
    checks.done()?;
    let command = Command::Cancel { payment_id: payment_id.clone(), amount, keyed: ask.keyed };
    let request = ask.request(&body, None);
    let location = format!("/v1/stores/{store}/payments");
    let outcome = dispatch.execute::<Store>(StreamId::store(&store), command, request).await?;
    let cancelled = outcome.events.iter().find_map(|event| match event {
        StoreEvent::PaymentCancelled(cancelled) => Some((cancelled.amount, cancelled.remaining)),
        StoreEvent::Created(_) | StoreEvent::PaymentRecorded(_) => None,
    });
    let (amount, remaining) = cancelled.unwrap_or_default();
    let body = PaymentCancelled { payment_id, amount, remaining, position: outcome.position };
    Ok(Answer::created(&location, &body)?.replayed(outcome.replayed).done())
}

#[utoipa::path(get, path = "/v1/stores/{id}/payments/events", tag = "stores", params(("id" = String, Path,),
        ("last_event_id" = Option<String>, Query,), ("heartbeat" = Option<String>, Query,),
        ("resume" = Option<String>, Query,), ("ticket" = Option<String>, Query,)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = ProblemBody)))]
pub async fn events(
    Watcher(who): Watcher,
    At(id): At<StoreId>,
    params: Params,
    headers: HeaderMap,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    entrance: Entrance,
) -> Answered {
    require_role(&who, StoreWatchers::ROLES)?;
    let wish = Wish::of(&headers, &params)?;
    let all = params.word("resume", &[("latest", false), ("all", true)])?.unwrap_or(false);
    admit(&dispatch, &id, &who).await?;
    let resume = wish.last.map_or(Resume::Fresh, if all { Resume::AllAfter } else { Resume::LatestAfter });
    streams::open_display(&hub, entrance, (id, &who), resume, wish).await
}

/// The store's own devices, its owner and admins.
pub(super) async fn admit(dispatch: &Dispatch, id: &StoreId, who: &Principal) -> Result<(), Problem> {
    let device = matches!(who.role, Role::Pos | Role::Display);
    if device {
        own_store(who, id)?;
    }
    let owner = |state: &crate::domain::store::State| state.created.as_ref().map(|created| created.owner.clone());
    let owner = dispatch.read::<Store, _>(StreamId::store(id), owner).await?.value.ok_or_else(Problem::not_found)?;
    if device || who.may_act_for(&owner) { Ok(()) } else { Err(Problem::not_found()) }
}
