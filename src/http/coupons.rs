//! Coupons: a limited stock, first come, first served.

// Routes: POST /v1/coupons · GET /v1/coupons/{id} · POST /{id}/issue · GET /v1/coupon-tasks/{id} · /events

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{
    Anyone, Ask, At, Body, By, Checks, Input, Members, Object, Params, PathId, Prefer, Sellers, Watcher, Whole,
};
use super::shows;
use super::streams::{self, Entrance, Wish};
use crate::actors::Dispatch;
use crate::auth::{Principal, Role};
use crate::domain::coupon::{Command, Coupon, Create, State as Coupons};
use crate::events::CouponEvent;
use crate::events::coupon::Discount;
use crate::fault::Fault;
use crate::ids::{AccountId, CouponId, LogPosition, ShowId, StreamId, TaskId};
use crate::limits;
use crate::live::{CouponTaskView, Hub, Topic};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewCoupon {
    pub name: String,
    #[schema(value_type = u64)]
    pub stock: Whole,
    #[schema(value_type = Option<u32>)]
    pub per_member: Option<Whole>,
    pub opens_at: String,
    pub closes_at: String,
    pub valid_until: String,
    #[schema(value_type = NewDiscount)]
    pub discount: Object<NewDiscount>,
    /// One's own; absent: all of one's own. Admins may name anybody's.
    pub shows: Option<Vec<String>>,
}

impl Input for NewCoupon {}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewDiscount {
    /// `amount` or `percent`.
    pub kind: String,
    #[schema(value_type = u64)]
    pub value: Whole,
    pub currency: Option<String>,
    #[schema(value_type = Option<u64>)]
    pub max_amount: Option<Whole>,
    #[schema(value_type = Option<u64>)]
    pub min_amount: Option<Whole>,
}

impl NewDiscount {
    fn checked(&self, checks: &mut Checks) -> Discount {
        let currency = self.currency.as_ref().map(|text| checks.currency("/discount/currency", text));
        let min_amount = self.min_amount.map(|n| checks.amount("/discount/min_amount", n));
        let max_amount = self.max_amount.map(|n| checks.amount("/discount/max_amount", n));
        if self.kind == "percent" {
            return Discount::Percent {
                value: checks.count("/discount/value", self.value),
                currency,
                max_amount,
                min_amount,
            };
        }
        if self.kind != "amount" {
            checks.refuse("/discount/kind", "must be amount or percent");
        }
        if max_amount.is_some() {
            checks.refuse("/discount/max_amount", "has a meaning only for a percentage");
        }
        if currency.is_none() {
            checks.refuse("/discount/currency", "is required for an amount");
        }
        let value = checks.amount("/discount/value", self.value);
        Discount::Amount { value, currency: currency.unwrap_or(Currency::KRW), min_amount }
    }
}

impl NewCoupon {
    fn create(self, coupon_id: CouponId) -> Result<Create, Problem> {
        let mut checks = Checks::default();
        let create = Create {
            coupon_id,
            stock: checks.count("/stock", self.stock),
            per_member: self.per_member.map_or(1, |n| checks.count("/per_member", n)),
            opens_at: checks.time("/opens_at", &self.opens_at),
            closes_at: checks.time("/closes_at", &self.closes_at),
            valid_until: checks.time("/valid_until", &self.valid_until),
            discount: self.discount.0.checked(&mut checks),
            shows: self.shows.unwrap_or_default().into_iter().map(ShowId::new).collect(),
            name: self.name,
        };
        checks.done()?;
        Ok(create)
    }
}

/// No member, or no body at all.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

impl Input for Nothing {
    fn absent() -> Option<Self> {
        Some(Self {})
    }
}

// Responses

#[derive(Serialize, ToSchema)]
pub struct CouponCreated {
    #[schema(value_type = String)]
    coupon_id: CouponId,
    #[schema(value_type = String)]
    position: LogPosition,
}

#[derive(Serialize, ToSchema)]
pub struct CouponView {
    #[schema(value_type = String)]
    pub(super) coupon_id: CouponId,
    #[schema(value_type = String)]
    pub(super) owner: AccountId,
    pub(super) name: String,
    pub(super) stock: u64,
    pub(super) per_member: u32,
    #[schema(value_type = String)]
    pub(super) opens_at: Timestamp,
    #[schema(value_type = String)]
    pub(super) closes_at: Timestamp,
    #[schema(value_type = String)]
    pub(super) valid_until: Timestamp,
    pub(super) discount: DiscountView,
    #[schema(value_type = Vec<String>)]
    pub(super) shows: Vec<ShowId>,
    pub(super) issued: u64,
    pub(super) remaining: u64,
    /// `scheduled`, `open`, `sold_out`, `closed`.
    pub(super) status: &'static str,
    #[schema(value_type = String)]
    pub(super) at: Timestamp,
    #[schema(value_type = Option<String>)]
    pub(super) position: Option<LogPosition>,
}

#[derive(Serialize, ToSchema)]
pub struct DiscountView {
    kind: &'static str,
    value: u64,
    #[schema(value_type = Option<String>)]
    currency: Option<Currency>,
    #[schema(value_type = Option<u64>)]
    max_amount: Option<Amount>,
    #[schema(value_type = Option<u64>)]
    min_amount: Option<Amount>,
}

impl DiscountView {
    pub(super) fn of(discount: &Discount) -> Self {
        match *discount {
            Discount::Amount { value, currency, min_amount } => {
                Self { kind: "amount", value: value.minor(), currency: Some(currency), max_amount: None, min_amount }
            }
            Discount::Percent { value, currency, max_amount, min_amount } => {
                Self { kind: "percent", value: value.into(), currency, max_amount, min_amount }
            }
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct TaskAccepted {
    #[schema(value_type = String)]
    task_id: TaskId,
    status_url: String,
    events_url: String,
    #[schema(value_type = String)]
    position: LogPosition,
}

/// The result as `live::CouponTaskView` writes it, for the document.
#[derive(Serialize, ToSchema)]
#[schema(as = CouponTask)]
#[allow(dead_code, reason = "describes what another type writes; a test compares the members")]
pub struct TaskBody {
    task_id: String,
    /// `issued`
    status: String,
    serial: u64,
    issued_at: String,
    position: String,
}

/// A state without `created` is that of a coupon that does not exist.
fn view(state: &Coupons) -> Option<CouponView> {
    let created = state.created.as_ref()?;
    Some(CouponView {
        coupon_id: created.coupon_id.clone(),
        owner: created.owner.clone(),
        name: created.name.clone(),
        stock: created.stock,
        per_member: created.per_member,
        opens_at: created.opens_at,
        closes_at: created.closes_at,
        valid_until: created.valid_until,
        discount: DiscountView::of(&created.discount),
        shows: created.shows.clone(),
        issued: state.issued(),
        remaining: state.remaining(),
        status: "scheduled",
        at: Timestamp::default(),
        position: None,
    })
}

pub(super) fn status(view: &CouponView, at: Timestamp) -> &'static str {
    if at >= view.closes_at {
        "closed"
    } else if at < view.opens_at {
        "scheduled"
    } else if view.remaining == 0 {
        "sold_out"
    } else {
        "open"
    }
}

// Handlers

/// Nobody gives away what somebody else sells. More than a coupon may name are refused by its rules.
async fn own_shows(dispatch: &Dispatch, who: &Principal, named: &[ShowId]) -> Result<(), Problem> {
    let mut checks = Checks::default();
    for (place, id) in named.iter().enumerate().take(limits::COUPON_SHOWS) {
        let known = if ShowId::parse(id.as_str()).is_some() { shows::load(dispatch, id).await? } else { None };
        if !known.is_some_and(|(show, _)| who.may_act_for(&show.owner)) {
            checks.refuse(format!("/shows/{place}"), "there is no such show of yours");
        }
    }
    checks.done()
}

#[utoipa::path(post, path = "/v1/coupons", tag = "coupons", request_body = NewCoupon,
    responses((status = 201, body = CouponCreated), (status = "4XX", body = ProblemBody)))]
pub async fn create(ask: Ask<Sellers>, State(dispatch): State<Dispatch>, body: Body<NewCoupon>) -> Answered {
    let request = ask.request(&body, None);
    let coupon_id = CouponId::derive(&ask.command);
    let create = body.value.create(coupon_id.clone())?;
    own_shows(&dispatch, ask.principal(), &create.shows).await?;
    let command = Command::Create(create);
    let outcome = dispatch.execute::<Coupon>(StreamId::coupon(&coupon_id), command, request).await?;
    let location = format!("/v1/coupons/{coupon_id}");
    let body = CouponCreated { coupon_id, position: outcome.position };
    Ok(Answer::created(&location, &body)?.replayed(outcome.replayed).done())
}

#[utoipa::path(get, path = "/v1/coupons/{id}", tag = "coupons", params(("id" = String, Path,)),
    responses((status = 200, body = CouponView), (status = 404, body = ProblemBody)))]
pub async fn get(At(id): At<CouponId>, State(dispatch): State<Dispatch>) -> Answered {
    let read = dispatch.read::<Coupon, _>(StreamId::coupon(&id), view).await?;
    let mut view = read.value.ok_or_else(Problem::not_found)?;
    view.status = status(&view, read.at);
    (view.at, view.position) = (read.at, read.position);
    Ok(Answer::ok(&view)?.done())
}

#[utoipa::path(post, path = "/v1/coupons/{id}/issue", tag = "coupons", params(("id" = String, Path,)), request_body = Nothing,
    responses((status = 201, body = TaskBody), (status = 202, body = TaskAccepted), (status = "4XX", body = ProblemBody)))]
pub async fn issue(
    ask: Ask<Members>,
    At(coupon_id): At<CouponId>,
    prefer: Prefer,
    State(dispatch): State<Dispatch>,
    body: Body<Nothing>,
) -> Answered {
    let (request, command) = (ask.request(&body, None), Command::Issue { keyed: ask.keyed });
    let outcome = prefer.patience(dispatch.execute::<Coupon>(StreamId::coupon(&coupon_id), command, request)).await?;
    let Some(CouponEvent::Issued(issued)) = outcome.events.into_iter().next() else {
        return Err(Fault::internal("an issue without its fact").into());
    };
    let status_url = format!("/v1/coupon-tasks/{}", issued.task_id);
    let at_once = prefer.at_once() && !outcome.replayed;
    let answer = if at_once {
        let (task_id, events_url) = (issued.task_id, format!("{status_url}/events"));
        let body = TaskAccepted { task_id, status_url: status_url.clone(), events_url, position: outcome.position };
        Answer::json(StatusCode::ACCEPTED, &body)?.at(&status_url)
    } else {
        let view = CouponTaskView::issued(issued.task_id, issued.serial, outcome.at, outcome.position);
        Answer::created(&status_url, &view)?.replayed(outcome.replayed)
    };
    Ok(answer.preferred(prefer, at_once).done())
}

/// The member it was issued to, the coupon's seller and admins; to everybody else there is no such task.
async fn admit(dispatch: &Dispatch, id: &TaskId, who: &Principal) -> Result<(), Problem> {
    let coupon = id.coupon().ok_or_else(Problem::not_found)?;
    let task = id.clone();
    let look = move |state: &Coupons| {
        let owner = state.created.as_ref()?.owner.clone();
        state.task(&task).map(|task| (task.account_id, owner))
    };
    let found = dispatch.read::<Coupon, _>(StreamId::coupon(&coupon), look).await?.value;
    let (member, owner) = found.ok_or_else(Problem::not_found)?;
    let theirs = who.role == Role::Member && who.account == member;
    if theirs || who.may_act_for(&owner) { Ok(()) } else { Err(Problem::not_found()) }
}

#[utoipa::path(get, path = "/v1/coupon-tasks/{id}", tag = "coupons", params(("id" = String, Path,)),
    responses((status = 200, body = TaskBody), (status = 404, body = ProblemBody)))]
pub async fn task(
    by: By<Anyone>,
    At(id): At<TaskId>,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
) -> Answered {
    admit(&dispatch, &id, &by.principal).await?;
    let view = hub.coupon_task(&id).await?.ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&view)?.done())
}

#[utoipa::path(get, path = "/v1/coupon-tasks/{id}/events", tag = "coupons", params(("id" = String, Path,),
        ("last_event_id" = Option<String>, Query,), ("heartbeat" = Option<String>, Query,), ("ticket" = Option<String>, Query,)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = 204), (status = "4XX", body = ProblemBody)))]
pub async fn task_events(
    Watcher(who): Watcher,
    At(id): At<TaskId>,
    params: Params,
    headers: HeaderMap,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    entrance: Entrance,
) -> Answered {
    let wish = Wish::of(&headers, &params)?;
    admit(&dispatch, &id, &who).await?;
    streams::open(&hub, entrance.of(&who), Topic::CouponTask(id), wish.resume(), wish.heartbeat).await
}
