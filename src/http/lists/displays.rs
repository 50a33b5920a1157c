//! Which screens of a store are connected? For the owner, who cannot look at each of them.

// Routes: GET /v1/stores/{id}/displays

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::Dispatch;
use crate::http::answer::{Answer, Answered, ProblemBody};
use crate::http::extract::{At, By, ListOf, Sellers};
use crate::http::stores;
use crate::ids::{AccountId, LogPosition, NodeId, StoreId};
use crate::live::{Connected, Display, Hub};
use crate::timestamp::Timestamp;

// Responses

#[derive(Serialize, ToSchema)]
pub struct DisplayItem {
    #[schema(value_type = String)]
    account: AccountId,
    /// `display`, or who else follows the feed: `seller`, `admin`.
    role: String,
    /// The node to which it is connected.
    #[schema(value_type = String)]
    node: NodeId,
    #[schema(value_type = String)]
    connected_at: Timestamp,
    /// The last frame that it was sent, or had when it came; null before the first.
    #[schema(value_type = Option<String>)]
    position: Option<LogPosition>,
}

impl From<Connected> for DisplayItem {
    fn from(Connected { node, display }: Connected) -> Self {
        let Display { account, role, connected_at, position, .. } = display;
        Self { account, role, node, connected_at, position }
    }
}

// Handlers

#[utoipa::path(get, path = "/v1/stores/{id}/displays", tag = "stores", params(("id" = String, Path,)),
    responses((status = 200, body = ListOf<DisplayItem>, description = "who follows the store's feed now"),
        (status = "4XX", body = ProblemBody)))]
pub async fn list(
    by: By<Sellers>,
    At(id): At<StoreId>,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
) -> Answered {
    stores::admit(&dispatch, &id, &by.principal).await?;
    let items = hub.displays(&id).await?.into_iter().map(DisplayItem::from).collect();
    Ok(Answer::ok(&ListOf { items, next_cursor: None })?.done())
}
