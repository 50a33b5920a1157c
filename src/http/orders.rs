//! Orders: seats held for a buyer, for a while.

// Routes: POST /v1/performances/{id}/orders · GET /v1/orders/{id} · GET /v1/orders/{id}/events
// POST /v1/orders/{id}/cancel; how they are paid for is in `payments.rs`

use std::pin::pin;

use axum::extract::State;
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{Anyone, Ask, At, Body, Buyers, By, Cancellers, Checks, Input, Params, Prefer, Watcher};
use super::streams::{self, Entrance, Wish};
use crate::actors::{Dispatch, Outcome};
use crate::auth::{Principal, Role};
use crate::domain::order::{Cancel, Command, Order, Place};
use crate::events::OrderEvent;
use crate::fault::Fault;
use crate::ids::{LogPosition, OrderId, PerformanceId, SeatId, StreamId, TaskId, TicketId};
use crate::limits;
use crate::live::{Hub, OrderStatus, OrderView, Topic};
use crate::sagas::{Placing, Processes};

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    pub seats: Vec<String>,
    /// A coupon of the buyer's, which takes its discount off the sum.
    pub coupon_task_id: Option<String>,
    /// The client's own order number.
    pub reference: Option<String>,
}

impl Input for NewOrder {}

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelOrder {
    pub reason: Option<String>,
    /// Only these are given back; without it the whole order is.
    pub tickets: Option<Vec<String>>,
}

impl Input for CancelOrder {
    fn absent() -> Option<Self> {
        Some(Self::default())
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
    /// `awaiting_payment`, `paying`, `completed`, `expired`, `failed`, `cancelled`, `refunding`, `refunded`, `review`.
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
    /// What a page needs to open the payment window; `null` where no provider is configured.
    checkout: Option<CheckoutBody>,
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
#[schema(as = Checkout)]
#[allow(dead_code, reason = "describes what another type writes")]
pub struct CheckoutBody {
    provider: String,
    client_key: String,
    order_id: String,
    order_name: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = OrderTicket)]
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
pub fn may_see(who: &Principal, order: &OrderView) -> bool {
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
    State(processes): State<Processes>,
    body: Body<NewOrder>,
) -> Answered {
    let request = ask.request(&body, None);
    let stream = StreamId::performance(&performance_id);
    let partition = stream.partition(dispatch.partitions()).ok_or_else(Problem::not_found)?;
    let order_id = OrderId::derive(partition, &ask.command);
    let NewOrder { seats, coupon_task_id, reference } = body.value;
    let seats = seats.into_iter().map(SeatId::new).collect();
    let place = Place { order_id: order_id.clone(), performance_id, seats, reference, coupon: None };
    let command = async {
        match coupon_task_id {
            None => Ok(dispatch.execute::<Order>(StreamId::order(&order_id), Command::Place(place), request).await),
            Some(task) => match processes.place_with_coupon(place, TaskId::new(task), request).await {
                Placing::Done(result) => Ok(result),
                Placing::Twin => Err(Problem::key_in_use()),
            },
        }
    };
    let outcome = match tokio::time::timeout(prefer.bounded(), command).await {
        Ok(result) => result??,
        Err(_) => return Err(Problem::timed_out(true)),
    };
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
        Some(OrderEvent::Placed(placed)) => {
            OrderView::placed(placed, outcome.at, outcome.position).payable_in(hub.payment_window())
        }
        _ => at_version(hub, order_id, &outcome).await.map_err(Problem::unanswered)?,
    };
    Ok(Answer::created(&format!("/v1/orders/{order_id}"), &view)?.replayed(outcome.replayed))
}

pub async fn at_version(hub: &Hub, order_id: &OrderId, outcome: &Outcome<OrderEvent>) -> Result<OrderView, Fault> {
    let view = hub.order_at(order_id, outcome.version).await?;
    view.ok_or_else(|| Fault::internal("an order that was answered for is not in the log"))
}

#[utoipa::path(get, path = "/v1/orders/{id}", tag = "orders", params(("id" = String, Path,)),
    responses((status = 200, body = OrderBody), (status = 404, body = ProblemBody)))]
pub async fn get(by: By<Anyone>, At(id): At<OrderId>, State(hub): State<Hub>) -> Answered {
    let order = visible(&hub, &id, &by.principal).await?;
    Ok(Answer::ok(&order)?.done())
}

pub async fn visible(hub: &Hub, id: &OrderId, who: &Principal) -> Result<OrderView, Problem> {
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
    entrance: Entrance,
) -> Answered {
    let wish = Wish::of(&headers, &params)?;
    visible(&hub, &id, &who).await?;
    streams::open(&hub, entrance.of(&who), Topic::Order(id), wish.resume(), wish.heartbeat).await
}

#[utoipa::path(post, path = "/v1/orders/{id}/cancel", tag = "orders", params(("id" = String, Path,)),
    request_body = CancelOrder, responses((status = 200, body = OrderBody), (status = 202, body = OrderBody),
        (status = "4XX", body = ProblemBody)))]
pub async fn cancel(
    ask: Ask<Cancellers>,
    At(id): At<OrderId>,
    prefer: Prefer,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    State(processes): State<Processes>,
    body: Body<CancelOrder>,
) -> Answered {
    if let Some(reason) = &body.value.reason {
        let mut checks = Checks::default();
        checks.text("/reason", reason, limits::REASON_CHARS);
        checks.done()?;
    }
    if body.value.tickets.as_ref().is_some_and(|tickets| tickets.is_empty() || tickets.len() > limits::ORDER_SEATS) {
        let mut checks = Checks::default();
        checks.refuse("/tickets", format!("must name 1 to {} tickets", limits::ORDER_SEATS));
        checks.done()?;
    }
    let tickets = body.value.tickets.iter().flatten().map(|id| TicketId::new(id.as_str())).collect();
    let cancel = Command::Cancel(Cancel { tickets, patience: processes.patience() });
    let request = ask.request(&body, body.value.reason.clone());
    let stream = StreamId::order(&id);
    let mut watch = processes.watch(&stream);
    let mut patience = pin!(tokio::time::sleep(prefer.bounded()));
    let outcome = dispatch.execute::<Order>(stream, cancel, request).await?;
    let at_once = prefer.at_once() && !outcome.replayed;
    loop {
        let order = hub.order(&id).await.map_err(Problem::unanswered)?.ok_or_else(Problem::not_found)?;
        let open = order.payments.iter().any(|one| one.kind == "refund" && one.status != "done");
        let over = !open || at_once || order.status == OrderStatus::Review;
        if over || !watch.told_within(patience.as_mut()).await {
            let status = if open { StatusCode::ACCEPTED } else { StatusCode::OK };
            let answer = Answer::json(status, &order)?.replayed(outcome.replayed);
            let answer = if open { answer.at(&format!("/v1/orders/{id}")) } else { answer };
            return Ok(answer.preferred(prefer, at_once && open).done());
        }
    }
}
