//! Tokens of a store's devices: its owner gives them out by name, sees which there are, and takes them back.

// Routes: POST, GET /v1/stores/{id}/tokens · DELETE /v1/stores/{id}/tokens/{token_id}

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{Ask, At, At2, Body, By, Checks, Input, ListOf, Listing, Sellers};
use super::stores;
use crate::accounts::devices::Listed;
use crate::accounts::{Devices, NewDevice};
use crate::actors::Dispatch;
use crate::auth::Role;
use crate::ids::{CredentialId, StoreId};
use crate::limits;
use crate::projections::table::Value;
use crate::timestamp::Timestamp;

// Requests

/// What the device is.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeviceRole {
    /// A payment source.
    Pos,
    /// A screen.
    Display,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewStoreToken {
    pub role: DeviceRole,
    /// By which its owner knows it, for example `counter 2`; nothing personal.
    pub name: String,
}

impl Input for NewStoreToken {}

// Responses

#[derive(Serialize, ToSchema)]
pub struct StoreTokenGiven {
    #[schema(value_type = String)]
    token_id: CredentialId,
    /// Shown this once; good until it is deleted.
    token: String,
}

#[derive(Serialize, ToSchema)]
pub struct StoreTokenItem {
    #[schema(value_type = String)]
    token_id: CredentialId,
    /// `pos` or `display`.
    #[schema(value_type = String)]
    role: Role,
    name: String,
    #[schema(value_type = String)]
    created_at: Timestamp,
}

impl From<Listed> for StoreTokenItem {
    fn from(Listed { id, role, name, created_at }: Listed) -> Self {
        Self { token_id: id, role, name, created_at }
    }
}

// Handlers

#[utoipa::path(post, path = "/v1/stores/{id}/tokens", tag = "stores", params(("id" = String, Path,)),
    request_body = NewStoreToken,
    responses((status = 201, body = StoreTokenGiven), (status = "4XX", body = ProblemBody)))]
pub async fn give(
    ask: Ask<Sellers>,
    At(store): At<StoreId>,
    State(dispatch): State<Dispatch>,
    State(devices): State<Devices>,
    body: Body<NewStoreToken>,
) -> Answered {
    let mut checks = Checks::default();
    checks.text("/name", &body.value.name, limits::NAME_CHARS);
    checks.done()?;
    stores::admit(&dispatch, &store, ask.principal()).await?;
    let role = match body.value.role {
        DeviceRole::Pos => Role::Pos,
        DeviceRole::Display => Role::Display,
    };
    let by = ask.principal().account.clone();
    let wanted =
        NewDevice { store: store.clone(), role, name: body.value.name, by, command: ask.command, body: body.hash };
    let given = devices.give(wanted).await?;
    let location = format!("/v1/stores/{store}/tokens/{}", given.id);
    let body = StoreTokenGiven { token_id: given.id, token: given.token };
    Ok(Answer::created(&location, &body)?.replayed(given.replayed).no_store().done())
}

#[utoipa::path(get, path = "/v1/stores/{id}/tokens", tag = "stores",
    params(("id" = String, Path,), ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<StoreTokenItem>, description = "in the order of their ids, without the tokens"),
        (status = "4XX", body = ProblemBody)))]
pub async fn list(
    by: By<Sellers>,
    At(store): At<StoreId>,
    listing: Listing,
    State(dispatch): State<Dispatch>,
    State(devices): State<Devices>,
) -> Answered {
    stores::admit(&dispatch, &store, &by.principal).await?;
    let limit = listing.page().limit;
    let after = match listing.page().after.as_deref() {
        Some([Value::Text(after)]) => after.as_ref().to_owned(),
        _ => String::new(),
    };
    // One more than wanted shows whether there is more.
    let mut found = devices.list(store, after, limit + 1).await?;
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|last| vec![Value::Text(last.id.as_str().into())]);
    listing.items(found.into_iter().map(StoreTokenItem::from).collect(), next.as_deref())
}

#[utoipa::path(delete, path = "/v1/stores/{id}/tokens/{token_id}", tag = "stores",
    params(("id" = String, Path,), ("token_id" = String, Path,)),
    responses((status = 204, description = "it is dead, everywhere within a minute; its open streams end"),
        (status = "4XX", body = ProblemBody)))]
pub async fn delete(
    ask: Ask<Sellers>,
    At2(store, token): At2<StoreId, CredentialId>,
    State(dispatch): State<Dispatch>,
    State(devices): State<Devices>,
) -> Answered {
    stores::admit(&dispatch, &store, ask.principal()).await?;
    if devices.delete(store, token, ask.principal().account.clone()).await? {
        Ok(Answer::empty().done())
    } else {
        Err(Problem::not_found())
    }
}
