//! Orders: seats held for a buyer, for a while.

// Routes: POST /v1/performances/{id}/orders · GET /v1/orders/{id} · GET /v1/orders/{id}/events · POST /v1/orders/{id}/cancel

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::{Code, Problem};
use super::extract::{Anyone, Ask, At, Body, Buyers, By, Cancellers, Checks, Input, Params, Prefer, Watcher};
use super::streams::{self, Stopping, Wish};
use crate::actors::{Dispatch, Outcome};
use crate::auth::{Principal, Role};
use crate::domain::order::{Command, Order, Place};
use crate::events::OrderEvent;
use crate::fault::Fault;
use crate::ids::{LogPosition, OrderId, PerformanceId, SeatId, StreamId};
use crate::limits;
use crate::live::{Hub, OrderView, Topic};

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    pub seats: Vec<String>,
    /// Not available yet.
    #[schema(value_type = Option<String>)]
    pub coupon_task_id: Option<Value>,
    /// The client's own order number.
    pub reference: Option<String>,
}

impl Input for NewOrder {}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOrder {
    pub reason: Option<String>,
    /// Not available yet.
    #[schema(value_type = Option<Vec<String>>)]
    pub tickets: Option<Value>,
}

impl Input for CancelOrder {
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

fn not_yet(member: &'static str, value: Option<&Value>) -> Result<(), Problem> {
    match value {
        None => Ok(()),
        Some(_) => Err(Problem::new(Code::NotAvailable, format!("{member} is not available yet"))),
    }
}

// Responses

/// The order as `live::OrderView` writes it, for the document.
#[derive(Serialize, ToSchema)]
#[schema(as = Order)]
#[allow(dead_code, reason = "describes what another type writes; a test compares the members")]
pub struct OrderBody {
    order_id: String,
    performance_id: String,
    /// `awaiting_payment`, `expired`, `cancelled`; more to come.
    status: String,
    seats: Vec<OrderSeatBody>,
    subtotal: u64,
    discount: u64,
    amount: u64,
    currency: String,
    coupon_task_id: Option<String>,
    reference: Option<String>,
    placed_at: String,
    hold_expires_at: String,
    attempts_left: u32,
    refunded: u64,
    tickets: Vec<TicketBody>,
    at: String,
    position: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderSeat)]
#[allow(dead_code, reason = "describes what another type writes")]
pub struct OrderSeatBody {
    seat_id: String,
    price: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Ticket)]
#[allow(dead_code, reason = "describes what another type writes")]
pub struct TicketBody {
    ticket_id: String,
    seat_id: String,
}

#[derive(Serialize, ToSchema)]
pub struct OrderAccepted {
    #[schema(value_type = String)]
    order_id: OrderId,
    status_url: String,
    events_url: String,
    #[schema(value_type = String)]
    position: LogPosition,
}

/// The buyer, the performance's seller and admins; to everybody else there is no such order.
fn may_see(who: &Principal, order: &OrderView) -> bool {
    (who.role == Role::Member && who.account == order.account_id) || who.may_act_for(&order.owner)
}

// Handlers

#[utoipa::path(post, path = "/v1/performances/{id}/orders", tag = "orders", params(("id" = String, Path,)),
    request_body = NewOrder, responses((status = 201, body = OrderBody), (status = 202, body = OrderAccepted),
        (status = "4XX", body = ProblemBody)))]
pub async fn place(
    ask: Ask<Buyers>,
    At(performance_id): At<PerformanceId>,
    prefer: Prefer,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    body: Body<NewOrder>,
) -> Answered {
    let request = ask.request(&body, None);
    not_yet("coupon_task_id", body.value.coupon_task_id.as_ref())?;
    let stream = StreamId::performance(&performance_id);
    let partition = stream.partition(dispatch.partitions()).ok_or_else(Problem::not_found)?;
    let order_id = OrderId::derive(partition, &ask.command);
    let seats = body.value.seats.into_iter().map(SeatId::new).collect();
    let place = Place { order_id: order_id.clone(), performance_id, seats, reference: body.value.reference };
    let command = dispatch.execute::<Order>(StreamId::order(&order_id), Command::Place(place), request);
    let outcome = prefer.patience(command).await?;
    let at_once = prefer.at_once() && !outcome.replayed;
    let answer = if at_once { accepted(order_id, outcome.position)? } else { placed(&hub, &order_id, outcome).await? };
    Ok(answer.preferred(prefer, at_once).done())
}

fn accepted(order_id: OrderId, position: LogPosition) -> Result<Answer, Problem> {
    let status_url = format!("/v1/orders/{order_id}");
    let (events_url, location) = (format!("{status_url}/events"), status_url.clone());
    let body = OrderAccepted { order_id, status_url, events_url, position };
    Ok(Answer::json(StatusCode::ACCEPTED, &body)?.at(&location))
}

/// A new order is made of its own fact; a repetition gets the order as it was then, which is the same.
async fn placed(hub: &Hub, order_id: &OrderId, outcome: Outcome<OrderEvent>) -> Result<Answer, Problem> {
    let view = match outcome.events.first() {
        Some(OrderEvent::Placed(placed)) => OrderView::placed(placed, outcome.at, outcome.position),
        _ => at_version(hub, order_id, &outcome).await?,
    };
    Ok(Answer::created(&format!("/v1/orders/{order_id}"), &view)?.replayed(outcome.replayed))
}

async fn at_version(hub: &Hub, order_id: &OrderId, outcome: &Outcome<OrderEvent>) -> Result<OrderView, Fault> {
    let view = hub.order_at(order_id, outcome.version).await?;
    view.ok_or_else(|| Fault::internal("an order that was answered for is not in the log"))
}

#[utoipa::path(get, path = "/v1/orders/{id}", tag = "orders", params(("id" = String, Path,)),
    responses((status = 200, body = OrderBody), (status = 404, body = ProblemBody)))]
pub async fn get(by: By<Anyone>, At(id): At<OrderId>, State(hub): State<Hub>) -> Answered {
    Ok(Answer::ok(&visible(&hub, &id, &by.principal).await?)?.done())
}

async fn visible(hub: &Hub, id: &OrderId, who: &Principal) -> Result<OrderView, Problem> {
    let order = hub.order(id).await?.filter(|order| may_see(who, order));
    order.ok_or_else(Problem::not_found)
}

#[utoipa::path(get, path = "/v1/orders/{id}/events", tag = "orders", params(("id" = String, Path,),
        ("last_event_id" = Option<String>, Query,), ("heartbeat" = Option<String>, Query,), ("ticket" = Option<String>, Query,)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = ProblemBody)))]
pub async fn events(
    Watcher(who): Watcher,
    At(id): At<OrderId>,
    params: Params,
    headers: HeaderMap,
    State(hub): State<Hub>,
    State(stopping): State<Stopping>,
) -> Answered {
    let wish = Wish::of(&headers, &params)?;
    visible(&hub, &id, &who).await?;
    streams::open(&hub, stopping, Topic::Order(id), wish.resume(), wish.heartbeat).await
}

#[utoipa::path(post, path = "/v1/orders/{id}/cancel", tag = "orders", params(("id" = String, Path,)),
    request_body = CancelOrder, responses((status = 200, body = OrderBody), (status = "4XX", body = ProblemBody)))]
pub async fn cancel(
    ask: Ask<Cancellers>,
    At(id): At<OrderId>,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    body: Body<CancelOrder>,
) -> Answered {
    not_yet("tickets", body.value.tickets.as_ref())?;
    if let Some(reason) = &body.value.reason {
        let mut checks = Checks::default();
        checks.text("/reason", reason, limits::REASON_CHARS);
        checks.done()?;
    }
    let request = ask.request(&body, body.value.reason.clone());
    let outcome = dispatch.execute::<Order>(StreamId::order(&id), Command::Cancel, request).await?;
    let view = at_version(&hub, &id, &outcome).await?;
    Ok(Answer::ok(&view)?.replayed(outcome.replayed).done())
}
