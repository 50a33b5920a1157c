//! Coupons as a public list, and how one of them goes, for its owner.

// Routes: GET /v1/coupons · GET /v1/coupons/{id}/statistics

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::{Dispatch, Refusals};
use crate::auth::Principal;
use crate::domain::coupon::{Coupon, State as Coupons};
use crate::fault::Fault;
use crate::http::answer::{Answer, Answered, ProblemBody};
use crate::http::coupons::{CouponView, DiscountView, status};
use crate::http::error::Problem;
use crate::http::extract::{At, By, ListOf, Listing, Mine, Params, Sellers};
use crate::ids::{CouponId, LogPosition, Partition, StreamId};
use crate::projections::coupons::{self, CouponRow, Series, Status, Wanted};
use crate::projections::reads::Reads;
use crate::timestamp::Timestamp;

// Responses

/// The coupon of the contract, as its row has it.
fn item(row: CouponRow, now: Timestamp) -> Result<CouponView, Fault> {
    let unreadable = |error: serde_json::Error| Fault::internal(error.to_string());
    let discount = serde_json::from_str(&row.discount).map_err(unreadable)?;
    let mut view = CouponView {
        coupon_id: row.coupon_id,
        owner: row.owner,
        name: row.name.as_ref().to_owned(),
        stock: row.stock,
        per_member: row.per_member,
        opens_at: row.opens_at,
        closes_at: row.closes_at,
        valid_until: row.valid_until,
        discount: DiscountView::of(&discount),
        shows: serde_json::from_str(&row.shows).map_err(unreadable)?,
        issued: row.issued,
        remaining: row.remaining,
        status: "scheduled",
        at: now,
        position: Some(row.position),
    };
    view.status = status(&view, now);
    Ok(view)
}

#[derive(Serialize, ToSchema)]
pub struct CouponStatistics {
    #[schema(value_type = String)]
    coupon_id: CouponId,
    stock: u64,
    /// How many were ever issued, revoked ones included.
    issued: u64,
    revoked: u64,
    remaining: u64,
    #[schema(value_type = String)]
    opens_at: Timestamp,
    #[schema(value_type = Option<String>)]
    first_issued_at: Option<Timestamp>,
    #[schema(value_type = Option<String>)]
    last_issued_at: Option<Timestamp>,
    /// When none was left for the first time.
    #[schema(value_type = Option<String>)]
    sold_out_at: Option<Timestamp>,
    /// From the opening until then.
    seconds_to_sell_out: Option<f64>,
    /// The most that were issued within one second.
    peak_per_second: u64,
    /// How many seconds a point of the series covers.
    width_seconds: u64,
    /// From the first issue to the last; 600 points at the most.
    series: Vec<Point>,
    refused: Refused,
    #[schema(value_type = String)]
    position: LogPosition,
}

#[derive(Serialize, ToSchema)]
pub struct Point {
    /// The beginning of the point.
    #[schema(value_type = String)]
    at: Timestamp,
    issued: u64,
}

/// What this node refused: refusals are not in the log, so they are counted since it started, or since `since`.
#[derive(Serialize, ToSchema)]
pub struct Refused {
    #[schema(value_type = String)]
    since: Timestamp,
    total: u64,
    /// By the code of the refusal.
    #[schema(value_type = BTreeMap<String, u64>)]
    by_code: BTreeMap<&'static str, u64>,
}

impl From<Refusals> for Refused {
    fn from(refusals: Refusals) -> Self {
        let Refusals { since, by_code } = refusals;
        Self { since, total: by_code.iter().map(|(_, count)| count).sum(), by_code: by_code.into_iter().collect() }
    }
}

impl CouponStatistics {
    fn of(row: CouponRow, series: Series, refused: Refusals) -> Self {
        let points = series.points.into_iter().map(|(at, issued)| Point { at, issued });
        Self {
            coupon_id: row.coupon_id,
            stock: row.stock,
            issued: row.issued,
            revoked: row.revoked,
            remaining: row.remaining,
            opens_at: row.opens_at,
            first_issued_at: row.first_issued_at,
            last_issued_at: row.last_issued_at,
            sold_out_at: row.sold_out_at,
            seconds_to_sell_out: row.sold_out_at.map(|at| at.since(row.opens_at).as_secs_f64()),
            peak_per_second: series.peak,
            width_seconds: series.width_seconds,
            series: points.collect(),
            refused: refused.into(),
            position: row.position,
        }
    }
}

// Handlers

#[utoipa::path(get, path = "/v1/coupons", tag = "coupons",
    params(("name" = Option<String>, Query, description = "part of the name"),
        ("status" = Option<String>, Query, description = "`scheduled`, `open`, `sold_out`, `closed`"),
        ("owner" = Option<String>, Query, description = "`me`: one's own, with a seller's token"),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<CouponView>), (status = "4XX", body = ProblemBody)))]
pub async fn list(
    Mine(owner): Mine,
    params: Params,
    listing: Listing,
    State(dispatch): State<Dispatch>,
    State(reads): State<Reads>,
) -> Answered {
    let wanted = Wanted { name: params.text("name")?, owner, status: params.word("status", &Status::WORDS)? };
    // Coupons open and close by the log's time, and every partition's is the same but for a moment.
    let now = dispatch.at(Partition(0));
    let build = listing.of(&reads, "coupons").await?;
    let listed = coupons::list(&*build, wanted, now, listing.page()).await?;
    let items = listed.rows.into_iter().map(|row| item(row, now)).collect::<Result<Vec<_>, Fault>>()?;
    listing.items(items, listed.next.as_deref())
}

#[utoipa::path(get, path = "/v1/coupons/{id}/statistics", tag = "coupons", params(("id" = String, Path,)),
    responses((status = 200, body = CouponStatistics), (status = "4XX", body = ProblemBody)))]
pub async fn statistics(
    by: By<Sellers>,
    At(id): At<CouponId>,
    listing: Listing,
    State(dispatch): State<Dispatch>,
    State(reads): State<Reads>,
) -> Answered {
    own_coupon(&dispatch, &id, &by.principal).await?;
    let build = listing.of(&reads, "coupons").await?;
    // It exists; if it is not here yet, it will be in a moment.
    let row = coupons::one_coupon(&*build, &id).await?.ok_or_else(Problem::read_behind)?;
    let series = coupons::series(&*build, &row).await?;
    let refused = dispatch.refusals_of(&StreamId::coupon(&id));
    Ok(Answer::ok(&CouponStatistics::of(row, series, refused))?.done())
}

/// To other sellers the coupon's inner life does not exist.
pub(super) async fn own_coupon(dispatch: &Dispatch, id: &CouponId, who: &Principal) -> Result<(), Problem> {
    let owner = |state: &Coupons| state.created.as_ref().map(|created| created.owner.clone());
    let owner = dispatch.read::<Coupon, _>(StreamId::coupon(id), owner).await?.value;
    if owner.is_some_and(|owner| who.may_act_for(&owner)) { Ok(()) } else { Err(Problem::not_found()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AccountId, Hash16, Position};
    use serde_json::json;

    fn row() -> CouponRow {
        CouponRow {
            coupon_id: CouponId::derive(&Hash16::default()),
            owner: AccountId::new("seller"),
            name: "봄".into(),
            name_folded: "봄".into(),
            stock: 3,
            per_member: 1,
            opens_at: Timestamp(1_000),
            closes_at: Timestamp(5_000),
            valid_until: Timestamp(9_000),
            discount: r#"{"percent":{"value":10,"currency":null,"max_amount":null,"min_amount":null}}"#.into(),
            shows: r#"["sh_1"]"#.into(),
            created_at: Timestamp(1),
            issued: 4,
            revoked: 1,
            remaining: 0,
            first_issued_at: Some(Timestamp(1_001)),
            last_issued_at: Some(Timestamp(1_250)),
            sold_out_at: Some(Timestamp(1_250)),
            position: LogPosition { partition: Partition(1), position: Position(2) },
        }
    }

    #[test]
    fn an_item_is_the_coupon_as_it_is_read_alone() {
        let table = [(999, "scheduled"), (1_000, "sold_out"), (4_999, "sold_out"), (5_000, "closed")];
        for (now, expected) in table {
            assert_eq!(item(row(), Timestamp(now)).map(|item| item.status), Ok(expected), "{now}");
        }
        let open = item(CouponRow { remaining: 1, ..row() }, Timestamp(1_000)).map(|item| item.status);
        assert_eq!(open, Ok("open"));
        let written = serde_json::to_value(item(row(), Timestamp(0)).expect("a good row")).expect("JSON");
        assert_eq!(written["discount"]["kind"], json!("percent"));
        assert_eq!(written["shows"], json!(["sh_1"]));
        assert!(item(CouponRow { discount: "{}".into(), ..row() }, Timestamp(0)).is_err());
    }

    #[test]
    fn statistics_say_what_is_known_and_since_when() {
        let series = Series { width_seconds: 1, peak: 4, points: vec![(Timestamp(1_000), 4)] };
        let refused = Refusals { since: Timestamp(0), by_code: vec![("coupon-sold-out", 7), ("coupon-closed", 2)] };
        let written = serde_json::to_value(CouponStatistics::of(row(), series, refused)).expect("JSON");
        assert_eq!(written["seconds_to_sell_out"], json!(0.25));
        assert_eq!(written["series"], json!([{"at": "1970-01-01T00:00:01.000Z", "issued": 4}]));
        let by_code = json!({"coupon-closed": 2, "coupon-sold-out": 7});
        assert_eq!(written["refused"], json!({"since": "1970-01-01T00:00:00.000Z", "total": 9, "by_code": by_code}));
    }
}
