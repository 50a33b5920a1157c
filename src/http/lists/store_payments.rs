//! The payments of a store as a list: for its devices, its owner and admins.

// Routes: GET /v1/stores/{id}/payments

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::Dispatch;
use crate::http::answer::{Answered, ProblemBody};
use crate::http::extract::{At, By, ListOf, Listing, Params, StoreReaders};
use crate::http::stores;
use crate::ids::{LogPosition, PaymentId, StoreId};
use crate::money::{Amount, Currency};
use crate::projections::reads::Reads;
use crate::projections::store_payments::{self, PaymentRow, Wanted, status};
use crate::timestamp::Timestamp;

// Responses

#[derive(Serialize, ToSchema)]
pub struct PaymentItem {
    #[schema(value_type = String)]
    payment_id: PaymentId,
    #[schema(value_type = u64)]
    amount: Amount,
    #[schema(value_type = String)]
    currency: Currency,
    #[schema(value_type = String)]
    method: Arc<str>,
    #[schema(value_type = String)]
    paid_at: Timestamp,
    #[schema(value_type = Option<String>)]
    terminal_id: Option<Arc<str>>,
    /// `paid`, `partially_cancelled`, `cancelled`.
    #[schema(value_type = String)]
    status: Arc<str>,
    #[schema(value_type = u64)]
    remaining: Amount,
    /// Of the last cancellation.
    #[schema(value_type = Option<String>)]
    cancelled_at: Option<Timestamp>,
    /// When it was recorded.
    #[schema(value_type = String)]
    at: Timestamp,
    #[schema(value_type = String)]
    position: LogPosition,
}

impl From<PaymentRow> for PaymentItem {
    fn from(row: PaymentRow) -> Self {
        let PaymentRow { payment_id, amount, currency, method, paid_at, terminal_id, .. } = row;
        let PaymentRow { at, remaining, status, cancelled_at, position, .. } = row;
        Self {
            payment_id,
            amount,
            currency,
            method,
            paid_at,
            terminal_id,
            status,
            remaining,
            cancelled_at,
            at,
            position,
        }
    }
}

// Handlers

#[utoipa::path(get, path = "/v1/stores/{id}/payments", tag = "stores",
    params(("id" = String, Path,), ("from" = Option<String>, Query, description = "paid then or later"),
        ("to" = Option<String>, Query, description = "paid before"), ("terminal_id" = Option<String>, Query,),
        ("status" = Option<String>, Query, description = "`paid`, `partially_cancelled`, `cancelled`"),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<PaymentItem>), (status = "4XX", body = ProblemBody)))]
pub async fn list(
    by: By<StoreReaders>,
    At(id): At<StoreId>,
    params: Params,
    listing: Listing,
    State(dispatch): State<Dispatch>,
    State(reads): State<Reads>,
) -> Answered {
    let wanted = Wanted {
        from: params.time("from")?,
        to: params.time("to")?,
        terminal_id: params.text("terminal_id")?,
        status: params.word("status", &status::WORDS.map(|word| (word, word)))?,
    };
    stores::admit(&dispatch, &id, &by.principal).await?;
    let build = listing.of(&reads, "store_payments").await?;
    listing.answer(store_payments::list(&*build, id, wanted, listing.page()).await?, PaymentItem::from)
}
