//! Performances: what is on sale, and the seller's hand on it. Other terms and the cancellation are in `performance_terms`.

// Routes: POST /v1/performances · GET /v1/performances/{id} · POST /{id}/pause · /resume · /seats/block · /seats/unblock

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use axum::extract::State;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{Ask, At, Body, Checks, Creators, Input, Sellers, Whole};
use super::{shows, venues};
use crate::actors::{CommandError, Dispatch};
use crate::domain::performance::{Command, Performance, Schedule, Terms};
use crate::events::performance::GradePrice;
use crate::fault::Fault;
use crate::ids::{AccountId, LogPosition, PerformanceId, SeatId, ShowId, StreamId, VenueId};
use crate::limits;
use crate::live::{Hub, SeatMap};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPerformance {
    pub show_id: String,
    pub venue_id: String,
    pub starts_at: String,
    pub sale_opens_at: String,
    pub sale_closes_at: String,
    pub cancel_until: Option<String>,
    pub currency: String,
    /// By grade, in minor units.
    #[schema(value_type = BTreeMap<String, u64>)]
    pub prices: Prices,
    #[schema(value_type = Option<u32>)]
    pub max_seats_per_order: Option<Whole>,
    /// Seats that one member may hold and have, over all orders.
    #[schema(value_type = Option<u32>)]
    pub max_seats_per_member: Option<Whole>,
    #[schema(value_type = Option<u32>)]
    pub hold_seconds: Option<Whole>,
    /// Orders of one member that hold seats and are not paid for, at once.
    #[schema(value_type = Option<u32>)]
    pub max_live_orders_per_member: Option<Whole>,
    /// Holds that one member may let go unpaid within ten minutes; then no order is taken for a while.
    #[schema(value_type = Option<u32>)]
    pub max_unpaid_holds_per_member: Option<Whole>,
}

impl Input for NewPerformance {}

/// A map that does not swallow a grade named twice.
#[derive(Debug)]
pub struct Prices(Vec<(String, Whole)>);

impl<'de> Deserialize<'de> for Prices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Grades;
        impl<'de> Visitor<'de> for Grades {
            type Value = Prices;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of grades with their prices")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Prices, A::Error> {
                let mut prices: Vec<(String, Whole)> = Vec::new();
                while let Some((grade, price)) = map.next_entry::<String, Whole>()? {
                    if prices.iter().any(|(known, _)| *known == grade) {
                        return Err(A::Error::custom("a grade is named twice"));
                    }
                    prices.push((grade, price));
                }
                Ok(Prices(prices))
            }
        }
        deserializer.deserialize_map(Grades)
    }
}

impl Prices {
    pub(super) fn checked(self, checks: &mut Checks) -> Vec<GradePrice> {
        let price = |(grade, price): (String, Whole)| {
            let pointer = format!("/prices/{}", grade.replace('~', "~0").replace('/', "~1"));
            GradePrice { price: checks.amount(&pointer, price), grade }
        };
        self.0.into_iter().map(price).collect()
    }
}

impl NewPerformance {
    /// Everything but what the venue gives.
    fn schedule(self, performance_id: PerformanceId) -> Result<Schedule, Problem> {
        let mut checks = Checks::default();
        let mut count = |pointer, number: Option<Whole>, default| number.map_or(default, |n| checks.count(pointer, n));
        let max_seats_per_order = count("/max_seats_per_order", self.max_seats_per_order, DEFAULT_MAX_SEATS);
        let hold_seconds = count("/hold_seconds", self.hold_seconds, DEFAULT_HOLD_SECONDS);
        let mut per_member = |pointer, number: Option<Whole>| number.map(|n| checks.count(pointer, n));
        let max_seats_per_member = per_member("/max_seats_per_member", self.max_seats_per_member);
        let max_live_orders_per_member = per_member("/max_live_orders_per_member", self.max_live_orders_per_member);
        let max_unpaid_holds_per_member = per_member("/max_unpaid_holds_per_member", self.max_unpaid_holds_per_member);
        let schedule = Schedule {
            performance_id,
            show_id: ShowId::new(self.show_id),
            venue_id: VenueId::new(self.venue_id),
            timezone: String::new(),
            starts_at: checks.time("/starts_at", &self.starts_at),
            sale_opens_at: checks.time("/sale_opens_at", &self.sale_opens_at),
            sale_closes_at: checks.time("/sale_closes_at", &self.sale_closes_at),
            cancel_until: self.cancel_until.map(|text| checks.time("/cancel_until", &text)),
            currency: checks.currency("/currency", &self.currency),
            prices: self.prices.checked(&mut checks),
            max_seats_per_order,
            max_seats_per_member,
            hold_seconds,
            max_live_orders_per_member,
            max_unpaid_holds_per_member,
            layout: Vec::new(),
        };
        checks.done()?;
        Ok(schedule)
    }
}

const DEFAULT_MAX_SEATS: u32 = 4;
const DEFAULT_HOLD_SECONDS: u32 = 180;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    pub reason: String,
}

impl Input for Reason {}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatsAndReason {
    pub seats: Vec<String>,
    pub reason: String,
}

impl Input for SeatsAndReason {}

// Responses

#[derive(Serialize, ToSchema)]
pub struct PerformanceCreated {
    #[schema(value_type = String)]
    performance_id: PerformanceId,
    seats: usize,
    #[schema(value_type = String)]
    position: LogPosition,
}

#[derive(Serialize, ToSchema)]
pub struct PerformanceView {
    #[schema(value_type = String)]
    pub(super) performance_id: PerformanceId,
    #[schema(value_type = String)]
    pub(super) owner: AccountId,
    #[schema(value_type = String)]
    pub(super) show_id: ShowId,
    #[schema(value_type = String)]
    pub(super) venue_id: VenueId,
    pub(super) timezone: String,
    #[schema(value_type = String)]
    pub(super) starts_at: Timestamp,
    #[schema(value_type = String)]
    pub(super) sale_opens_at: Timestamp,
    #[schema(value_type = String)]
    pub(super) sale_closes_at: Timestamp,
    #[schema(value_type = Option<String>)]
    pub(super) cancel_until: Option<Timestamp>,
    #[schema(value_type = String)]
    pub(super) currency: Currency,
    #[schema(value_type = BTreeMap<String, u64>)]
    pub(super) prices: BTreeMap<String, Amount>,
    pub(super) max_seats_per_order: u32,
    pub(super) max_seats_per_member: Option<u32>,
    pub(super) hold_seconds: u32,
    pub(super) max_live_orders_per_member: Option<u32>,
    pub(super) max_unpaid_holds_per_member: Option<u32>,
    pub(super) seats: usize,
    /// `scheduled`, `on_sale`, `paused`, `sold_out`, `closed`, `cancelled`.
    pub(super) status: &'static str,
    /// Seats that can be ordered, by grade.
    pub(super) remaining: BTreeMap<String, usize>,
    #[schema(value_type = String)]
    pub(super) at: Timestamp,
    #[schema(value_type = Option<String>)]
    pub(super) position: Option<LogPosition>,
}

#[derive(Serialize, ToSchema)]
pub struct SaleChanged {
    #[schema(value_type = String)]
    performance_id: PerformanceId,
    /// Is the sale paused now?
    paused: bool,
    #[schema(value_type = String)]
    at: Timestamp,
    #[schema(value_type = String)]
    position: LogPosition,
}

#[derive(Serialize, ToSchema)]
pub struct SeatsChanged {
    #[schema(value_type = String)]
    performance_id: PerformanceId,
    seats: Vec<String>,
    /// `blocked` or `available`.
    status: &'static str,
    #[schema(value_type = String)]
    at: Timestamp,
    #[schema(value_type = String)]
    position: LogPosition,
}

/// The sale's state is a function of time, pause and seats left.
pub(super) fn status(opens: Timestamp, closes: Timestamp, paused: bool, sold_out: bool, at: Timestamp) -> &'static str {
    if at >= closes {
        "closed"
    } else if paused {
        "paused"
    } else if at < opens {
        "scheduled"
    } else if sold_out {
        "sold_out"
    } else {
        "on_sale"
    }
}

/// From the counts of the layout minus what is taken: far fewer steps than walking the house.
fn remaining(terms: &Terms, map: &SeatMap) -> BTreeMap<String, usize> {
    let mut left: BTreeMap<String, usize> = BTreeMap::new();
    for section in terms.layout.sections() {
        *left.entry(section.grade.clone()).or_default() += section.seats();
    }
    for seat in map.taken.keys().filter_map(|seat| terms.seat(seat)) {
        if let Some(count) = left.get_mut(seat.grade) {
            *count = count.saturating_sub(1);
        }
    }
    left
}

// Handlers

/// The terms, where the performance's own stream stands, and the log's time.
pub(super) async fn load(
    dispatch: &Dispatch,
    id: &PerformanceId,
) -> Result<Option<(Arc<Terms>, Option<LogPosition>, Timestamp)>, CommandError> {
    let read = dispatch.read::<Performance, _>(StreamId::performance(id), |state| state.terms.clone()).await?;
    Ok(read.value.map(|terms| (terms, read.position, read.at)))
}

/// Any seller may use any venue, but only their own shows.
async fn furnish(dispatch: &Dispatch, ask: &Ask<Creators>, schedule: &mut Schedule) -> Result<(), Problem> {
    let mut checks = Checks::default();
    let show = shows::load(dispatch, &schedule.show_id).await?;
    if !show.is_some_and(|(show, _)| ask.principal().may_act_for(&show.owner)) {
        checks.refuse("/show_id", "there is no such show of yours");
    }
    match venues::load(dispatch, &schedule.venue_id).await? {
        Some((venue, _)) => {
            schedule.timezone.clone_from(&venue.timezone);
            schedule.layout.clone_from(&venue.sections);
        }
        None => checks.refuse("/venue_id", "there is no such venue"),
    }
    checks.done()
}

#[utoipa::path(post, path = "/v1/performances", tag = "catalogue", request_body = NewPerformance,
    responses((status = 201, body = PerformanceCreated), (status = "4XX", body = ProblemBody)))]
pub async fn create(ask: Ask<Creators>, State(dispatch): State<Dispatch>, body: Body<NewPerformance>) -> Answered {
    let request = ask.request(&body, None);
    let performance_id = PerformanceId::derive(&ask.command);
    let mut schedule = body.value.schedule(performance_id.clone())?;
    furnish(&dispatch, &ask, &mut schedule).await?;
    let seats = schedule.layout.iter().map(crate::events::venue::Section::seats).sum();
    let (stream, command) = (StreamId::performance(&performance_id), Command::Schedule(schedule));
    let outcome = dispatch.execute::<Performance>(stream, command, request).await?;
    let location = format!("/v1/performances/{performance_id}");
    let body = PerformanceCreated { performance_id, seats, position: outcome.position };
    Ok(Answer::created(&location, &body)?.replayed(outcome.replayed).done())
}

#[utoipa::path(get, path = "/v1/performances/{id}", tag = "catalogue", params(("id" = String, Path,)),
    responses((status = 200, body = PerformanceView), (status = 404, body = ProblemBody)))]
pub async fn get(At(id): At<PerformanceId>, State(dispatch): State<Dispatch>, State(hub): State<Hub>) -> Answered {
    let (terms, position, at) = load(&dispatch, &id).await?.ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&view(&hub, &terms, at, position).await?)?.done())
}

/// The performance under these terms, with the seats that are left now.
pub(super) async fn view(
    hub: &Hub,
    terms: &Terms,
    at: Timestamp,
    position: Option<LogPosition>,
) -> Result<PerformanceView, Fault> {
    let remaining = remaining(terms, &*hub.seat_map(&terms.performance_id).await?);
    let sold_out = remaining.values().all(|left| *left == 0);
    let status = if terms.cancelled {
        "cancelled"
    } else {
        status(terms.sale_opens_at, terms.sale_closes_at, terms.paused, sold_out, at)
    };
    Ok(PerformanceView {
        performance_id: terms.performance_id.clone(),
        owner: terms.owner.clone(),
        show_id: terms.show_id.clone(),
        venue_id: terms.venue_id.clone(),
        timezone: terms.timezone.clone(),
        starts_at: terms.starts_at,
        sale_opens_at: terms.sale_opens_at,
        sale_closes_at: terms.sale_closes_at,
        cancel_until: terms.cancel_until,
        currency: terms.currency,
        prices: terms.prices.iter().map(|p| (p.grade.clone(), p.price)).collect(),
        max_seats_per_order: terms.max_seats_per_order,
        max_seats_per_member: terms.max_seats_per_member,
        hold_seconds: terms.hold_seconds,
        max_live_orders_per_member: terms.max_live_orders_per_member,
        max_unpaid_holds_per_member: terms.max_unpaid_holds_per_member,
        seats: terms.seat_count(),
        status,
        remaining,
        at,
        position,
    })
}

#[utoipa::path(post, path = "/v1/performances/{id}/pause", tag = "catalogue", params(("id" = String, Path,)),
    request_body = Reason, responses((status = 200, body = SaleChanged), (status = "4XX", body = ProblemBody)))]
pub async fn pause(
    ask: Ask<Sellers>,
    At(id): At<PerformanceId>,
    State(dispatch): State<Dispatch>,
    body: Body<Reason>,
) -> Answered {
    change_sale(id, &ask, &dispatch, body, true).await
}

#[utoipa::path(post, path = "/v1/performances/{id}/resume", tag = "catalogue", params(("id" = String, Path,)),
    request_body = Reason, responses((status = 200, body = SaleChanged), (status = "4XX", body = ProblemBody)))]
pub async fn resume(
    ask: Ask<Sellers>,
    At(id): At<PerformanceId>,
    State(dispatch): State<Dispatch>,
    body: Body<Reason>,
) -> Answered {
    change_sale(id, &ask, &dispatch, body, false).await
}

async fn change_sale(
    id: PerformanceId,
    ask: &Ask<Sellers>,
    dispatch: &Dispatch,
    body: Body<Reason>,
    paused: bool,
) -> Answered {
    let mut checks = Checks::default();
    checks.text("/reason", &body.value.reason, limits::REASON_CHARS);
    checks.done()?;
    let request = ask.request(&body, Some(body.value.reason.clone()));
    let command = if paused { Command::Pause { keyed: ask.keyed } } else { Command::Resume { keyed: ask.keyed } };
    let outcome = dispatch.execute::<Performance>(StreamId::performance(&id), command, request).await?;
    let body = SaleChanged { performance_id: id, paused, at: outcome.at, position: outcome.position };
    Ok(Answer::ok(&body)?.replayed(outcome.replayed).done())
}

#[utoipa::path(post, path = "/v1/performances/{id}/seats/block", tag = "catalogue", params(("id" = String, Path,)),
    request_body = SeatsAndReason, responses((status = 200, body = SeatsChanged), (status = "4XX", body = ProblemBody)))]
pub async fn block(
    ask: Ask<Sellers>,
    At(id): At<PerformanceId>,
    State(dispatch): State<Dispatch>,
    body: Body<SeatsAndReason>,
) -> Answered {
    change_seats(id, &ask, &dispatch, body, true).await
}

#[utoipa::path(post, path = "/v1/performances/{id}/seats/unblock", tag = "catalogue", params(("id" = String, Path,)),
    request_body = SeatsAndReason, responses((status = 200, body = SeatsChanged), (status = "4XX", body = ProblemBody)))]
pub async fn unblock(
    ask: Ask<Sellers>,
    At(id): At<PerformanceId>,
    State(dispatch): State<Dispatch>,
    body: Body<SeatsAndReason>,
) -> Answered {
    change_seats(id, &ask, &dispatch, body, false).await
}

async fn change_seats(
    id: PerformanceId,
    ask: &Ask<Sellers>,
    dispatch: &Dispatch,
    body: Body<SeatsAndReason>,
    block: bool,
) -> Answered {
    let mut checks = Checks::default();
    checks.text("/reason", &body.value.reason, limits::REASON_CHARS);
    checks.done()?;
    let request = ask.request(&body, Some(body.value.reason.clone()));
    let seats: Vec<SeatId> = body.value.seats.iter().map(|seat| SeatId::new(seat.as_str())).collect();
    let command = if block { Command::Block { seats } } else { Command::Unblock { seats } };
    let outcome = dispatch.execute::<Performance>(StreamId::performance(&id), command, request).await?;
    let status = if block { "blocked" } else { "available" };
    let (seats, at, position) = (body.value.seats, outcome.at, outcome.position);
    Ok(Answer::ok(&SeatsChanged { performance_id: id, seats, status, at, position })?.replayed(outcome.replayed).done())
}
