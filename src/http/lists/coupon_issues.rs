//! Issued coupons as lists: what a member has, and who has one of a seller's coupons.

// Routes: GET /v1/accounts/me/coupons · GET /v1/coupons/{id}/issues

use std::collections::HashMap;
use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::coupons::own_coupon;
use crate::actors::Dispatch;
use crate::fault::Fault;
use crate::http::answer::{Answered, ProblemBody};
use crate::http::coupons::DiscountView;
use crate::http::extract::{At, By, ListOf, Listing, Members, Params, Sellers};
use crate::ids::{AccountId, CouponId, LogPosition, OrderId, TaskId};
use crate::projections::coupon_issues::{self, IssueRow};
use crate::projections::coupons::{self, CouponRow};
use crate::projections::reads::Reads;
use crate::timestamp::Timestamp;

// Responses

/// A revoked coupon is nothing else any more, though an order may still have it: `order_id` tells.
fn status(row: &IssueRow) -> &'static str {
    match (row.revoked, row.used, &row.order_id) {
        (true, ..) => "revoked",
        (false, true, _) => "used",
        (false, false, Some(_)) => "reserved",
        (false, false, None) => "issued",
    }
}

/// An issue as the coupon's seller sees it.
#[derive(Serialize, ToSchema)]
pub struct IssueItem {
    #[schema(value_type = String)]
    task_id: TaskId,
    #[schema(value_type = String)]
    coupon_id: CouponId,
    #[schema(value_type = String)]
    account_id: AccountId,
    serial: u64,
    #[schema(value_type = String)]
    issued_at: Timestamp,
    /// `issued`, `reserved`, `used` or `revoked`.
    status: &'static str,
    /// The order that has it, reserved or used.
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
    #[schema(value_type = String)]
    position: LogPosition,
}

impl From<IssueRow> for IssueItem {
    fn from(row: IssueRow) -> Self {
        let status = status(&row);
        let IssueRow { coupon_id, serial, task_id, account, issued_at, order_id, position, .. } = row;
        Self { task_id, coupon_id, account_id: account, serial, issued_at, status, order_id, position }
    }
}

/// A coupon in a member's hands.
#[derive(Serialize, ToSchema)]
pub struct OwnCouponItem {
    #[schema(value_type = String)]
    task_id: TaskId,
    #[schema(value_type = String)]
    coupon_id: CouponId,
    serial: u64,
    #[schema(value_type = String)]
    issued_at: Timestamp,
    /// `issued`, `reserved`, `used` or `revoked`.
    status: &'static str,
    /// The order that has it, reserved or used.
    #[schema(value_type = Option<String>)]
    order_id: Option<OrderId>,
    #[schema(value_type = String)]
    position: LogPosition,
    /// What the coupon is called and worth; null for the moment in which only its issue is known here.
    #[schema(value_type = Option<String>)]
    name: Option<Arc<str>>,
    #[schema(value_type = Option<String>)]
    valid_until: Option<Timestamp>,
    discount: Option<DiscountView>,
}

impl OwnCouponItem {
    fn of(row: IssueRow, coupon: Option<&CouponRow>) -> Result<Self, Fault> {
        let discount = coupon.map(|coupon| serde_json::from_str(&coupon.discount)).transpose();
        let discount = discount.map_err(|error| Fault::internal(error.to_string()))?;
        Ok(Self {
            status: status(&row),
            task_id: row.task_id,
            coupon_id: row.coupon_id,
            serial: row.serial,
            issued_at: row.issued_at,
            order_id: row.order_id,
            position: row.position,
            name: coupon.map(|coupon| coupon.name.clone()),
            valid_until: coupon.map(|coupon| coupon.valid_until),
            discount: discount.as_ref().map(DiscountView::of),
        })
    }
}

// Handlers

#[utoipa::path(get, path = "/v1/accounts/me/coupons", tag = "coupons",
    params(("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<OwnCouponItem>), (status = "4XX", body = ProblemBody)))]
pub async fn mine(by: By<Members>, listing: Listing, State(reads): State<Reads>) -> Answered {
    let build = listing.of(&reads, "coupon_issues").await?;
    let listed = coupon_issues::of_member(&*build, by.principal.account, listing.page()).await?;
    let mut ids: Vec<CouponId> = listed.rows.iter().map(|row| row.coupon_id.clone()).collect();
    ids.sort_unstable();
    ids.dedup();
    let known = coupons::some(&*listing.of(&reads, "coupons").await?, ids).await?;
    let known: HashMap<&CouponId, &CouponRow> = known.iter().map(|row| (&row.coupon_id, row)).collect();
    let items = listed.rows.into_iter().map(|row| {
        let coupon = known.get(&row.coupon_id).copied();
        OwnCouponItem::of(row, coupon)
    });
    let items = items.collect::<Result<Vec<_>, Fault>>()?;
    listing.items(items, listed.next.as_deref())
}

#[utoipa::path(get, path = "/v1/coupons/{id}/issues", tag = "coupons",
    params(("id" = String, Path,), ("account_id" = Option<String>, Query, description = "one member's"),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<IssueItem>), (status = "4XX", body = ProblemBody)))]
pub async fn of_coupon(
    by: By<Sellers>,
    At(id): At<CouponId>,
    params: Params,
    listing: Listing,
    State(dispatch): State<Dispatch>,
    State(reads): State<Reads>,
) -> Answered {
    let account = params.text("account_id")?.map(AccountId::new);
    own_coupon(&dispatch, &id, &by.principal).await?;
    let build = listing.of(&reads, "coupon_issues").await?;
    listing.answer(coupon_issues::of_coupon(&*build, id, account, listing.page()).await?, IssueItem::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issue_has_one_status() {
        let table = [
            (false, None, false, "issued"),
            (false, Some("o0_1"), false, "reserved"),
            (false, Some("o0_1"), true, "used"),
            (true, None, false, "revoked"),
            (true, Some("o0_1"), false, "revoked"),
            (true, Some("o0_1"), true, "revoked"),
        ];
        for (revoked, order, used, expected) in table {
            let row = IssueRow {
                coupon_id: CouponId::new("cp_1"),
                serial: 1,
                task_id: TaskId::new("ct_1_1"),
                account: AccountId::new("m1"),
                issued_at: Timestamp(1),
                revoked,
                order_id: order.map(OrderId::new),
                used,
                position: LogPosition::parse("0:1").expect("a position"),
            };
            let item = serde_json::to_value(IssueItem::from(row)).expect("items can be written");
            assert_eq!((item["status"].as_str(), item["order_id"].as_str()), (Some(expected), order));
        }
    }
}
