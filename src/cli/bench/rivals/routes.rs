//! What does a rival answer? The same routes with the same checks and the same answers as a node's, over whatever store it has.

// Routes: POST /v1/venues · /v1/shows · /v1/performances · /v1/coupons · /v1/coupons/{id}/issue
// POST /v1/performances/{id}/orders · GET /rival/books

use std::sync::Arc;

use axum::Router;
use axum::extract::{FromRef, State};
use axum::routing::{get, post};
use http::HeaderMap;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::stage::{NewCoupon, NewPerformance, NewShow, NewVenue, Stage};
use super::store::{By, Issue, Issuing, Order, Placing, Store, Wish};
use crate::auth::Verifier;
use crate::clock::{Clock, Entropy};
use crate::events::order::{OrderSeat, Placed};
use crate::http::answer::{Answer, Answered};
use crate::http::error::{Code, Problem};
use crate::http::extract::{At, Body, Buyers, By as Caller, Gate, Input, Members, Sellers};
use crate::ids::{
    CommandId, CouponId, Hash16, LogPosition, OrderId, Partition, PerformanceId, Position, ShowId, TaskId, VenueId,
};
use crate::limits;
use crate::live::{CouponTaskView, OrderView};
use crate::money::Amount;
use crate::timestamp::Timestamp;

/// A rival, behind one pointer: it is cloned for each request.
#[derive(Clone)]
pub struct Shared(Arc<Parts>);

pub struct Parts {
    pub stage: Stage,
    pub store: Store,
    pub verifier: Arc<Verifier>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
}

impl FromRef<Shared> for Arc<Verifier> {
    fn from_ref(shared: &Shared) -> Self {
        shared.0.verifier.clone()
    }
}

impl FromRef<Shared> for Arc<dyn Clock> {
    fn from_ref(shared: &Shared) -> Self {
        shared.0.clock.clone()
    }
}

pub fn routes(parts: Parts) -> Router {
    Router::new()
        .route("/v1/venues", post(venue))
        .route("/v1/shows", post(show))
        .route("/v1/performances", post(performance))
        .route("/v1/coupons", post(coupon))
        .route("/v1/coupons/{id}/issue", post(issue))
        .route("/v1/performances/{id}/orders", post(place))
        .route("/rival/books", get(books))
        .with_state(Shared(Arc::new(parts)))
}

// Requests

/// No member, or no body at all.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Input for Nothing {
    fn absent() -> Option<Self> {
        Some(Self {})
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewOrder {
    seats: Vec<String>,
    reference: Option<String>,
}

impl Input for NewOrder {}

impl Shared {
    /// The command's name by the same rule as a node's: subject, method, path and key; without a key, a random one.
    fn command<G: Gate>(&self, caller: &Caller<G>, path: &str, headers: &HeaderMap) -> Result<CommandId, Problem> {
        let invalid = || Problem::new(Code::KeyInvalid, "an Idempotency-Key is 1 to 255 visible ASCII characters");
        let Some(key) = headers.get("idempotency-key") else {
            return if G::KEYED {
                Err(Problem::new(Code::KeyRequired, "this route needs an Idempotency-Key"))
            } else {
                Ok(self.0.entropy.hash16())
            };
        };
        let key = key.to_str().map_err(|_| invalid())?;
        let sane = (1..=limits::KEY_BYTES).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic());
        if !sane {
            return Err(invalid());
        }
        let parts = [caller.principal.account.as_str(), "POST", path, key].map(str::as_bytes);
        Ok(Hash16::of("command", &parts))
    }

    fn fresh(&self) -> CommandId {
        self.0.entropy.hash16()
    }
}

/// The rivals have one log, or one count.
fn position(number: u64) -> LogPosition {
    LogPosition { partition: Partition(0), position: Position(number) }
}

fn created(name: &str, id: &str) -> Answered {
    Ok(Answer::created("", &json!({name: id, "position": position(0)}))?.done())
}

fn nonsense() -> Problem {
    Problem::new(Code::InvalidValue, "values of the body have no meaning here")
}

fn reused() -> Problem {
    Problem::new(Code::KeyReused, "the key came before with another body")
}

// Handlers

async fn venue(_: Caller<Sellers>, State(shop): State<Shared>, body: Body<NewVenue>) -> Answered {
    let id = VenueId::derive(&shop.fresh());
    shop.0.stage.venue(id.as_str(), body.value);
    created("venue_id", id.as_str())
}

async fn show(_: Caller<Sellers>, State(shop): State<Shared>, _: Body<NewShow>) -> Answered {
    created("show_id", ShowId::derive(&shop.fresh()).as_str())
}

async fn performance(by: Caller<Sellers>, State(shop): State<Shared>, body: Body<NewPerformance>) -> Answered {
    let id = PerformanceId::derive(&shop.fresh());
    let hall = shop.0.stage.build(&body.value, by.principal.account).ok_or_else(nonsense)?;
    shop.0.store.open_sale(&id, hall.seats()).await?;
    shop.0.stage.open(id.clone(), hall);
    created("performance_id", id.as_str())
}

async fn coupon(_: Caller<Sellers>, State(shop): State<Shared>, body: Body<NewCoupon>) -> Answered {
    let id = CouponId::derive(&shop.fresh());
    shop.0.store.offer(&id, body.value.stock).await?;
    shop.0.stage.offer(id.clone(), &body.value);
    created("coupon_id", id.as_str())
}

async fn issue(
    caller: Caller<Members>,
    At(id): At<CouponId>,
    State(shop): State<Shared>,
    uri: http::Uri,
    headers: HeaderMap,
    body: Body<Nothing>,
) -> Answered {
    let command = shop.command(&caller, uri.path(), &headers)?;
    let coupon = shop.0.stage.coupon(&id).ok_or_else(Problem::not_found)?;
    let at = shop.0.clock.wall();
    if at < coupon.opens {
        return Err(Problem::new(Code::CouponNotOpen, "it opens later"));
    }
    if at >= coupon.closes {
        return Err(Problem::new(Code::CouponClosed, "it is not issued any more"));
    }
    let task = TaskId::derive(&id, &command);
    let by = By { command, body: body.hash, at };
    let wish = Wish { coupon: &id, stock: coupon.stock, account: &caller.principal.account, task: &task, by };
    let (issue, again) = match shop.0.store.issue(wish).await? {
        Issuing::Done(issue) => (issue, false),
        Issuing::Had(issue) if issue.by.command != command => {
            return Err(
                Problem::new(Code::CouponAlreadyIssued, "this member has it").with("serial", json!(issue.serial))
            );
        }
        Issuing::Had(issue) if issue.by.body != body.hash => return Err(reused()),
        Issuing::Had(issue) => (issue, true),
        Issuing::SoldOut => return Err(Problem::new(Code::CouponSoldOut, "all have been issued")),
    };
    let Issue { serial, task, position: place, by } = issue;
    let location = format!("/v1/coupon-tasks/{task}");
    let view = CouponTaskView::issued(task, serial, by.at, position(place));
    Ok(Answer::created(&location, &view)?.replayed(again).done())
}

async fn place(
    caller: Caller<Buyers>,
    At(id): At<PerformanceId>,
    State(shop): State<Shared>,
    uri: http::Uri,
    headers: HeaderMap,
    body: Body<NewOrder>,
) -> Answered {
    let command = shop.command(&caller, uri.path(), &headers)?;
    let hall = shop.0.stage.hall(&id).ok_or_else(Problem::not_found)?;
    let at = shop.0.clock.wall();
    if at < hall.opens {
        return Err(Problem::new(Code::SaleNotOpen, "it opens later"));
    }
    if at >= hall.closes {
        return Err(Problem::new(Code::SaleClosed, "nothing can be ordered any more"));
    }
    let NewOrder { mut seats, reference } = body.value;
    // All take seats in one order, so that no two wait for each other in a circle.
    seats.sort_unstable();
    let distinct = seats.windows(2).all(|pair| pair[0] != pair[1]);
    if seats.is_empty() || seats.len() > limits::ORDER_SEATS || !distinct {
        return Err(nonsense());
    }
    let seats: Vec<OrderSeat> = seats.iter().map(|seat| hall.seat(seat)).collect::<Option<_>>().ok_or_else(nonsense)?;
    let sum = seats.iter().try_fold(Amount::ZERO, |sum, seat| sum.checked_add(seat.price)).ok_or_else(nonsense)?;
    let placed = Placed {
        order_id: OrderId::derive(Partition(0), &command),
        account_id: caller.principal.account,
        performance_id: id,
        seats,
        subtotal: sum,
        discount: Amount::ZERO,
        amount: sum,
        currency: hall.currency,
        coupon_task_id: None,
        reference,
        hold_until: at.plus(hall.hold),
        owner: hall.owner.clone(),
        body: body.hash,
        counted: false,
    };
    let order = Order { placed, by: By { command, body: body.hash, at } };
    match shop.0.store.place(&order).await? {
        Placing::Done { position } => answer(&order.placed, at, position, false),
        Placing::Had { body: before, .. } if before != body.hash => Err(reused()),
        Placing::Had { order, at, position, .. } => answer(&order, at, position, true),
        Placing::Taken => Err(Problem::new(Code::SeatUnavailable, "some of the seats are taken")),
    }
}

fn answer(placed: &Placed, at: Timestamp, number: u64, again: bool) -> Answered {
    let view = OrderView::placed(placed, at, position(number));
    let location = format!("/v1/orders/{}", placed.order_id);
    Ok(Answer::created(&location, &view)?.replayed(again).done())
}

async fn books(_: Caller<Sellers>, State(shop): State<Shared>) -> Answered {
    #[derive(Serialize)]
    struct Told {
        books: Option<super::Books>,
    }
    Ok(Answer::ok(&Told { books: shop.0.store.books().await? })?.done())
}
