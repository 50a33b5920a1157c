//! Other terms for a performance that is on sale, and its cancellation.

// Routes: PATCH /v1/performances/{id} · POST /v1/performances/{id}/cancel · GET /v1/performances/{id}/cancellation

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::Serialize;
use serde::de::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{Ask, At, Body, By, Checks, Input, Listing, Sellers, Whole};
use super::performances::{self, PerformanceView, Prices, Reason};
use crate::actors::Dispatch;
use crate::domain::performance::{Change, Command, Performance};
use crate::events::PerformanceEvent;
use crate::ids::{LogPosition, PerformanceId, StreamId};
use crate::limits;
use crate::live::Hub;
use crate::projections::orders;
use crate::projections::reads::Reads;

// Requests

/// What is not there stays as it is.
#[derive(Debug, serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangedTerms {
    #[serde(default, deserialize_with = "said")]
    pub starts_at: Option<String>,
    #[serde(default, deserialize_with = "said")]
    pub sale_opens_at: Option<String>,
    #[serde(default, deserialize_with = "said")]
    pub sale_closes_at: Option<String>,
    /// Null: until the performance starts. After this moment buyers cannot cancel by themselves.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>)]
    pub cancel_until: Option<Option<String>>,
    /// Of all grades, in minor units. Orders keep the prices that they were placed at.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<BTreeMap<String, u64>>)]
    pub prices: Option<Prices>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<u32>)]
    pub max_seats_per_order: Option<Whole>,
    /// Null: as many as they like. Limits per member begin before the sale opens or never; then they may be changed.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<u32>)]
    pub max_seats_per_member: Option<Option<Whole>>,
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<u32>)]
    pub hold_seconds: Option<Whole>,
    /// Null: as many as they like.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<u32>)]
    pub max_live_orders_per_member: Option<Option<Whole>>,
    /// Null: as many as they like.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<u32>)]
    pub max_unpaid_holds_per_member: Option<Option<Whole>>,
}

impl Input for ChangedTerms {}

/// A member that is there, even if it is null; whether it may be null is its own type's business.
fn said<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl ChangedTerms {
    fn change(self) -> Result<Change, Problem> {
        let mut checks = Checks::default();
        let mut time = |pointer, text: Option<String>| text.map(|text| checks.time(pointer, &text));
        let starts_at = time("/starts_at", self.starts_at);
        let sale_opens_at = time("/sale_opens_at", self.sale_opens_at);
        let sale_closes_at = time("/sale_closes_at", self.sale_closes_at);
        let cancel_until = self.cancel_until.map(|text| time("/cancel_until", text));
        let mut count = |pointer, number: Option<Whole>| number.map(|number| checks.count(pointer, number));
        let max_seats_per_order = count("/max_seats_per_order", self.max_seats_per_order);
        let max_seats_per_member = self.max_seats_per_member.map(|number| count("/max_seats_per_member", number));
        let hold_seconds = count("/hold_seconds", self.hold_seconds);
        let mut per_member = |pointer, said: Option<Option<Whole>>| said.map(|number| count(pointer, number));
        let max_live_orders_per_member = per_member("/max_live_orders_per_member", self.max_live_orders_per_member);
        let max_unpaid_holds_per_member = per_member("/max_unpaid_holds_per_member", self.max_unpaid_holds_per_member);
        let prices = self.prices.map(|prices| prices.checked(&mut checks));
        checks.done()?;
        Ok(Change {
            starts_at,
            sale_opens_at,
            sale_closes_at,
            cancel_until,
            prices,
            max_seats_per_order,
            max_seats_per_member,
            hold_seconds,
            max_live_orders_per_member,
            max_unpaid_holds_per_member,
        })
    }
}

// Responses

#[derive(Serialize, ToSchema)]
pub struct Cancellation {
    #[schema(value_type = String)]
    performance_id: PerformanceId,
    /// `cancelled`.
    status: &'static str,
    /// That were paid, or about to be.
    orders: u64,
    /// Whose money is back.
    refunded: u64,
    /// That are still to be ended, holds among them.
    pending: u64,
    /// That people have to look at.
    review: u64,
    #[schema(value_type = String)]
    position: LogPosition,
}

impl Cancellation {
    fn of(performance_id: PerformanceId, by_status: &BTreeMap<String, u64>, position: LogPosition) -> Self {
        let sum = |statuses: &[&str]| statuses.iter().filter_map(|status| by_status.get(*status)).sum();
        Self {
            performance_id,
            status: "cancelled",
            orders: sum(&["paying", "completed", "refunding", "refunded", "review"]),
            refunded: sum(&["refunded"]),
            pending: sum(&["awaiting_payment", "paying", "completed", "refunding"]),
            review: sum(&["review"]),
            position,
        }
    }
}

// Handlers

#[utoipa::path(patch, path = "/v1/performances/{id}", tag = "catalogue", params(("id" = String, Path,)),
    request_body = ChangedTerms, responses((status = 200, body = PerformanceView), (status = "4XX", body = ProblemBody)))]
pub async fn change(
    ask: Ask<Sellers>,
    At(id): At<PerformanceId>,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    body: Body<ChangedTerms>,
) -> Answered {
    let request = ask.request(&body, None);
    let command = Command::Change { change: body.value.change()?, keyed: ask.keyed };
    let outcome = dispatch.execute::<Performance>(StreamId::performance(&id), command, request).await?;
    let loaded = performances::load(&dispatch, &id).await.map_err(Problem::unanswered)?;
    let (mut terms, _, _) = loaded.ok_or_else(Problem::not_found)?;
    // A repetition is told what it came to, whatever was changed since.
    if let Some(PerformanceEvent::Changed(changed)) = outcome.events.first() {
        Arc::make_mut(&mut terms).change(changed);
    }
    let view =
        performances::view(&hub, &terms, outcome.at, Some(outcome.position)).await.map_err(Problem::unanswered)?;
    Ok(Answer::ok(&view)?.replayed(outcome.replayed).done())
}

#[utoipa::path(post, path = "/v1/performances/{id}/cancel", tag = "catalogue", params(("id" = String, Path,)),
    request_body = Reason, responses((status = 202, body = Cancellation), (status = "4XX", body = ProblemBody)))]
pub async fn cancel(
    ask: Ask<Sellers>,
    At(id): At<PerformanceId>,
    State(dispatch): State<Dispatch>,
    State(reads): State<Reads>,
    body: Body<Reason>,
) -> Answered {
    let mut checks = Checks::default();
    checks.text("/reason", &body.value.reason, limits::REASON_CHARS);
    checks.done()?;
    let request = ask.request(&body, Some(body.value.reason.clone()));
    let outcome = dispatch.execute::<Performance>(StreamId::performance(&id), Command::Cancel, request).await?;
    // It is cancelled either way: orders that are not counted yet when the time is over are counted at the location.
    let _ = tokio::time::timeout(limits::READ_WAIT, reads.reached("orders", outcome.position)).await;
    let rows = reads.of("orders").map_err(Problem::unanswered)?;
    let by_status = orders::by_status(&*rows, &id).await.map_err(Problem::unanswered)?;
    let location = format!("/v1/performances/{id}/cancellation");
    let body = Cancellation::of(id, &by_status, outcome.position);
    Ok(Answer::json(StatusCode::ACCEPTED, &body)?.at(&location).replayed(outcome.replayed).done())
}

#[utoipa::path(get, path = "/v1/performances/{id}/cancellation", tag = "catalogue", params(("id" = String, Path,)),
    responses((status = 200, body = Cancellation), (status = "4XX", body = ProblemBody)))]
pub async fn cancellation(
    by: By<Sellers>,
    At(id): At<PerformanceId>,
    listing: Listing,
    State(dispatch): State<Dispatch>,
    State(reads): State<Reads>,
) -> Answered {
    let (terms, position, _) = performances::load(&dispatch, &id).await?.ok_or_else(Problem::not_found)?;
    let (Some(position), true) = (position, terms.cancelled && by.principal.may_act_for(&terms.owner)) else {
        return Err(Problem::not_found());
    };
    let by_status = orders::by_status(&*listing.of(&reads, "orders").await?, &id).await?;
    Ok(Answer::ok(&Cancellation::of(id, &by_status, position))?.done())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Partition, Position};

    #[test]
    fn holds_are_pending_but_were_no_orders_of_money() {
        let counts = [
            ("awaiting_payment", 1),
            ("paying", 2),
            ("completed", 4),
            ("refunding", 8),
            ("refunded", 16),
            ("review", 32),
            ("expired", 64),
            ("cancelled", 128),
        ];
        let by_status = counts.map(|(status, count)| (status.to_owned(), count)).into();
        let position = LogPosition { partition: Partition(1), position: Position(2) };
        let told = Cancellation::of(PerformanceId::new("pf_1"), &by_status, position);
        assert_eq!((told.orders, told.refunded, told.pending, told.review), (62, 16, 15, 32));
    }

    #[test]
    fn null_takes_away_only_what_may_be_missing() {
        let change = |text: &str| serde_json::from_str::<ChangedTerms>(text);
        let taken = change(r#"{"cancel_until": null, "max_seats_per_member": null}"#).expect("both may be missing");
        let taken = taken.change().unwrap_or_else(|_| panic!("nothing without sense"));
        let expected = Change { cancel_until: Some(None), max_seats_per_member: Some(None), ..Change::default() };
        assert_eq!(taken, expected);
        for member in [
            "starts_at",
            "sale_opens_at",
            "sale_closes_at",
            "prices",
            "max_seats_per_order",
            "hold_seconds",
            "currency",
        ] {
            assert!(change(&format!("{{\"{member}\": null}}")).is_err(), "{member}");
        }
    }
}
