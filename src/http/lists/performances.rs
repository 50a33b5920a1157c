//! Performances as a public list with the seats that are left, and how one of them sells, for its seller.

// Routes: GET /v1/performances · GET /v1/performances/{id}/sales

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::actors::Dispatch;
use crate::fault::Fault;
use crate::http::answer::{Answer, Answered, ProblemBody};
use crate::http::error::Problem;
use crate::http::extract::{At, By, ListOf, Listing, Params, Sellers};
use crate::http::performances::{self as single, PerformanceView};
use crate::ids::{Partition, PerformanceId};
use crate::money::Currency;
use crate::projections::performances::{self, Filter, PerformanceRow, SectionRow, Status};
use crate::projections::reads::Reads;
use crate::projections::sales::{self, Point, Series};
use crate::projections::store::Build;
use crate::projections::{orders, select};
use crate::timestamp::Timestamp;

pub(in crate::http) const STATUSES: &[(&str, Status)] = &[
    ("scheduled", Status::Scheduled),
    ("on_sale", Status::OnSale),
    ("paused", Status::Paused),
    ("sold_out", Status::SoldOut),
    ("closed", Status::Closed),
    ("cancelled", Status::Cancelled),
];

// Responses

/// The performance of the contract, as its rows have it.
fn item(row: PerformanceRow, sections: &[SectionRow], now: Timestamp) -> Result<PerformanceView, Fault> {
    let mut remaining: BTreeMap<String, usize> = BTreeMap::new();
    for section in sections {
        let left = usize::try_from(section.available()).unwrap_or(0);
        *remaining.entry(section.grade.as_ref().to_owned()).or_default() += left;
    }
    let sold_out = row.available <= 0;
    Ok(PerformanceView {
        status: match row.cancelled {
            true => "cancelled",
            false => single::status(row.sale_opens_at, row.sale_closes_at, row.paused, sold_out, now),
        },
        prices: serde_json::from_str(&row.prices).map_err(|error| Fault::internal(error.to_string()))?,
        performance_id: row.performance_id,
        owner: row.owner,
        show_id: row.show_id,
        venue_id: row.venue_id,
        timezone: row.timezone,
        starts_at: row.starts_at,
        sale_opens_at: row.sale_opens_at,
        sale_closes_at: row.sale_closes_at,
        cancel_until: row.cancel_until,
        currency: row.currency,
        max_seats_per_order: row.max_seats_per_order,
        max_seats_per_member: row.max_seats_per_member,
        hold_seconds: row.hold_seconds,
        max_live_orders_per_member: row.max_live_orders_per_member,
        max_unpaid_holds_per_member: row.max_unpaid_holds_per_member,
        seats: usize::try_from(row.seats).unwrap_or(usize::MAX),
        remaining,
        at: now,
        position: Some(row.position),
    })
}

#[derive(Serialize, ToSchema)]
pub struct SalesBoard {
    #[schema(value_type = String)]
    performance_id: PerformanceId,
    seats: SeatCounts,
    /// The same by grade.
    grades: BTreeMap<String, SeatCounts>,
    /// Orders by their status now.
    orders: BTreeMap<String, u64>,
    #[schema(value_type = String)]
    currency: Currency,
    /// Of all seats sold so far, in minor units; refunds are counted in `seats_refunded` of the series.
    amount_sold: i64,
    /// How many seconds a point of the series covers.
    width_seconds: i64,
    /// From the first order to the last; 600 points at the most, those without anything left out.
    series: Vec<SalesPoint>,
    #[schema(value_type = String)]
    at: Timestamp,
}

#[derive(Clone, Copy, Default, Serialize, ToSchema)]
pub struct SeatCounts {
    total: i64,
    available: i64,
    held: i64,
    sold: i64,
    blocked: i64,
}

impl SeatCounts {
    fn add(&mut self, section: &SectionRow) {
        self.total += section.seats;
        self.available += section.available();
        self.held += section.held;
        self.sold += section.sold;
        self.blocked += section.blocked;
    }
}

#[derive(Serialize, ToSchema)]
pub struct SalesPoint {
    /// The beginning of the point.
    #[schema(value_type = String)]
    at: Timestamp,
    orders: i64,
    seats_held: i64,
    seats_released: i64,
    seats_sold: i64,
    seats_refunded: i64,
    amount_sold: i64,
}

impl From<Point> for SalesPoint {
    fn from(point: Point) -> Self {
        let Point { at, orders, seats_held, seats_released, seats_sold, seats_refunded, amount_sold } = point;
        Self { at, orders, seats_held, seats_released, seats_sold, seats_refunded, amount_sold }
    }
}

// Handlers

#[utoipa::path(get, path = "/v1/performances", tag = "catalogue",
    params(("show_id" = Option<String>, Query,), ("venue_id" = Option<String>, Query,),
        ("status" = Option<String>, Query, description = "`scheduled`, `on_sale`, `paused`, `sold_out`, `closed`, `cancelled`"),
        ("from" = Option<String>, Query, description = "starts then or later"),
        ("to" = Option<String>, Query, description = "starts before"),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<PerformanceView>), (status = "4XX", body = ProblemBody)))]
pub async fn list(
    params: Params,
    listing: Listing,
    State(dispatch): State<Dispatch>,
    State(reads): State<Reads>,
) -> Answered {
    // Sales open and close by the log's time, and every partition's is the same but for a moment.
    let now = dispatch.at(Partition(0));
    let filter = Filter {
        show: params.id("show_id")?,
        venue: params.id("venue_id")?,
        status: params.word("status", STATUSES)?.map(|status| (status, now)),
        from: params.time("from")?,
        to: params.time("to")?,
    };
    let build = listing.of(&reads, "performances").await?;
    let listed = performances::list(&*build, filter, listing.page()).await?;
    let ids: Vec<PerformanceId> = listed.rows.iter().map(|row| row.performance_id.clone()).collect();
    let sections = performances::sections(&*build, &ids).await?;
    let of = |row: PerformanceRow| {
        let sections = sections.get(&row.performance_id).map_or(&[][..], Vec::as_slice);
        item(row, sections, now)
    };
    let items = listed.rows.into_iter().map(of).collect::<Result<Vec<_>, Fault>>()?;
    listing.items(items, listed.next.as_deref())
}

#[utoipa::path(get, path = "/v1/performances/{id}/sales", tag = "catalogue", params(("id" = String, Path,)),
    responses((status = 200, body = SalesBoard), (status = "4XX", body = ProblemBody)))]
pub async fn sales(
    by: By<Sellers>,
    At(id): At<PerformanceId>,
    listing: Listing,
    State(dispatch): State<Dispatch>,
    State(reads): State<Reads>,
) -> Answered {
    let (terms, _, at) = single::load(&dispatch, &id).await?.ok_or_else(Problem::not_found)?;
    if !by.principal.may_act_for(&terms.owner) {
        return Err(Problem::not_found());
    }
    let houses = listing.of(&reads, "performances").await?;
    let (placed, minutes) = (listing.of(&reads, "orders").await?, listing.of(&reads, "sales").await?);
    Ok(Answer::ok(&board(&id, at, &*houses, &*placed, &*minutes).await?)?.done())
}

async fn board(
    id: &PerformanceId,
    at: Timestamp,
    houses: &dyn Build,
    placed: &dyn Build,
    minutes: &dyn Build,
) -> Result<SalesBoard, Problem> {
    let key = PerformanceRow::key(id.clone());
    // It exists; if it is not here yet, it will be in a moment.
    let row: PerformanceRow = select::one(houses, &key).await?.ok_or_else(Problem::read_behind)?;
    let sections = performances::sections(houses, std::slice::from_ref(id)).await?.remove(id).unwrap_or_default();
    let mut grades: BTreeMap<String, SeatCounts> = BTreeMap::new();
    let mut seats = SeatCounts::default();
    for section in &sections {
        seats.add(section);
        grades.entry(section.grade.as_ref().to_owned()).or_default().add(section);
    }
    let Series { width_seconds, points } = sales::series(minutes, id).await?;
    Ok(SalesBoard {
        performance_id: id.clone(),
        seats,
        grades,
        orders: orders::by_status(placed, id).await?,
        currency: row.currency,
        amount_sold: points.iter().map(|point| point.amount_sold).sum(),
        width_seconds,
        series: points.into_iter().map(SalesPoint::from).collect(),
        at,
    })
}
