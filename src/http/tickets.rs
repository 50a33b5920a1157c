//! What is a ticket good for? The buyer shows it, the seller's gate takes it, once.

// Routes: GET /v1/tickets/{id} · GET /v1/tickets/{id}/qr.svg · POST /v1/tickets/{id}/check-in

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{Ask, At, Body, By, Input, OrderReaders, Sellers};
use super::orders::may_see;
use super::qr::svg;
use crate::actors::Dispatch;
use crate::auth::code::Claims;
use crate::auth::{Principal, TicketCode};
use crate::domain::Refusal;
use crate::domain::order::{Command, Order};
use crate::fault::Fault;
use crate::ids::{LogPosition, OrderId, PerformanceId, SeatId, StreamId, TicketId};
use crate::live::{Hub, OrderView};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

// Requests

#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckIn {}

impl Input for CheckIn {
    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

// Responses

#[derive(Serialize, ToSchema)]
pub struct Ticket {
    #[schema(value_type = String)]
    ticket_id: TicketId,
    #[schema(value_type = String)]
    order_id: OrderId,
    #[schema(value_type = String)]
    performance_id: PerformanceId,
    #[schema(value_type = String)]
    seat_id: SeatId,
    /// The opaque id of the buyer.
    owner: String,
    /// `valid`, `used`, `refunding`, `refunded`.
    status: &'static str,
    /// Face value.
    #[schema(value_type = u64)]
    price: Amount,
    /// What was paid for it: the face value without its share of the order's discount.
    #[schema(value_type = u64)]
    paid: Amount,
    #[schema(value_type = String)]
    currency: Currency,
    /// Signed: a gate checks it with the keys of `/v1/ticket-keys`, without asking us. `null` once the ticket is void.
    code: Option<String>,
    #[schema(value_type = String)]
    sold_at: Timestamp,
    #[schema(value_type = Option<String>)]
    used_at: Option<Timestamp>,
    #[schema(value_type = String)]
    position: LogPosition,
}

impl Ticket {
    fn of(order: &OrderView, id: &TicketId, codes: &TicketCode) -> Option<Self> {
        let sold = order.sold.iter().find(|sold| sold.ticket_id == *id)?;
        let good = matches!(sold.status, "valid" | "used");
        let claims =
            || Claims { tid: id.to_string(), pf: order.performance_id.to_string(), seat: sold.seat_id.to_string() };
        Some(Self {
            code: good.then(|| codes.sign(&claims())),
            ticket_id: id.clone(),
            order_id: order.order_id.clone(),
            performance_id: order.performance_id.clone(),
            seat_id: sold.seat_id.clone(),
            owner: order.account_id.to_string(),
            status: sold.status,
            price: sold.price,
            paid: sold.paid,
            currency: order.currency,
            sold_at: sold.sold_at,
            used_at: sold.used_at,
            position: order.position,
        })
    }
}

async fn visible(hub: &Hub, codes: &TicketCode, id: &TicketId, who: &Principal) -> Result<Ticket, Problem> {
    let order = id.order().ok_or_else(Problem::not_found)?;
    let order = hub.order(&order).await?.filter(|order| may_see(who, order)).ok_or_else(Problem::not_found)?;
    Ticket::of(&order, id, codes).ok_or_else(Problem::not_found)
}

// Handlers

#[utoipa::path(get, path = "/v1/tickets/{id}", tag = "orders", params(("id" = String, Path,)),
    responses((status = 200, body = Ticket), (status = 404, body = ProblemBody)))]
pub async fn get(
    by: By<OrderReaders>,
    At(id): At<TicketId>,
    State(hub): State<Hub>,
    State(codes): State<Arc<TicketCode>>,
) -> Answered {
    Ok(Answer::ok(&visible(&hub, &codes, &id, &by.principal).await?)?.no_store().done())
}

#[utoipa::path(get, path = "/v1/tickets/{id}/qr.svg", tag = "orders", params(("id" = String, Path,)),
    responses((status = 200, content_type = "image/svg+xml", body = String), (status = "4XX", body = ProblemBody)))]
pub async fn qr(
    by: By<OrderReaders>,
    At(id): At<TicketId>,
    State(hub): State<Hub>,
    State(codes): State<Arc<TicketCode>>,
) -> Answered {
    let ticket = visible(&hub, &codes, &id, &by.principal).await?;
    let code = ticket.code.ok_or(Refusal::TicketVoid)?;
    let picture = svg(&code).ok_or_else(|| Fault::internal("a ticket's code does not fit into a picture"))?;
    let mut response = Response::new(picture.into());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("image/svg+xml"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

#[utoipa::path(post, path = "/v1/tickets/{id}/check-in", tag = "orders", params(("id" = String, Path,)),
    request_body = CheckIn, responses((status = 200, body = Ticket), (status = "4XX", body = ProblemBody)))]
pub async fn check_in(
    ask: Ask<Sellers>,
    At(id): At<TicketId>,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    State(codes): State<Arc<TicketCode>>,
    body: Body<CheckIn>,
) -> Answered {
    let order = id.order().ok_or_else(Problem::not_found)?;
    let command = Command::CheckIn { ticket_id: id.clone() };
    let request = ask.request(&body, None);
    let outcome = dispatch.execute::<Order>(StreamId::order(&order), command, request).await?;
    let view = hub.order_at(&order, outcome.version).await.map_err(Problem::unanswered)?;
    let view = view.ok_or_else(Problem::not_found)?;
    let ticket = Ticket::of(&view, &id, &codes).ok_or_else(Problem::not_found)?;
    Ok(Answer::ok(&ticket)?.replayed(outcome.replayed).done())
}
