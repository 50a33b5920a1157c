//! What is a buyer told about their orders?

// Routes: GET /v1/accounts/me/notifications

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::answer::{Answered, ProblemBody};
use crate::http::extract::{By, ListOf, Listing, Members};
use crate::ids::{LogPosition, OrderId, PerformanceId};
use crate::money::{Amount, Currency};
use crate::projections::notifications::{self, NotificationRow};
use crate::projections::reads::Reads;
use crate::timestamp::Timestamp;

// Responses

#[derive(Serialize, ToSchema)]
pub struct NotificationItem {
    /// `order-completed`, `order-failed`, `order-cancelled` (by somebody else), `refunded`, `payment-under-review`.
    #[schema(value_type = String)]
    kind: std::sync::Arc<str>,
    #[schema(value_type = String)]
    order_id: OrderId,
    #[schema(value_type = String)]
    performance_id: PerformanceId,
    /// What was paid or given back.
    #[schema(value_type = Option<u64>)]
    amount: Option<Amount>,
    #[schema(value_type = String)]
    currency: Currency,
    #[schema(value_type = String)]
    at: Timestamp,
    #[schema(value_type = String)]
    position: LogPosition,
}

impl From<NotificationRow> for NotificationItem {
    fn from(row: NotificationRow) -> Self {
        let NotificationRow { position, kind, order_id, performance_id, amount, currency, at, .. } = row;
        Self { kind, order_id, performance_id, amount, currency, at, position }
    }
}

// Handlers

#[utoipa::path(get, path = "/v1/accounts/me/notifications", tag = "orders",
    params(("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<NotificationItem>), (status = "4XX", body = ProblemBody)))]
pub async fn mine(by: By<Members>, listing: Listing, State(reads): State<Reads>) -> Answered {
    let build = listing.of(&reads, "notifications").await?;
    let listed = notifications::of_member(&*build, by.principal.account, listing.page()).await?;
    listing.answer(listed, NotificationItem::from)
}
