//! Orders and tickets as lists: the buyer's own, and those of a seller's performances.

// Routes: GET /v1/orders · GET /v1/performances/{id}/orders · GET /v1/tickets

use std::collections::HashMap;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::actors::Dispatch;
use crate::auth::Role;
use crate::fault::Fault;
use crate::http::answer::{Answered, ProblemBody};
use crate::http::error::Problem;
use crate::http::extract::{At, By, ListOf, Listing, Members, OrderReaders, Params, Sellers};
use crate::http::orders::OrderBody;
use crate::http::performances;
use crate::ids::{AccountId, LogPosition, OrderId, PerformanceId, SeatId, TaskId, TicketId};
use crate::live::{Checkout, Hub, PaymentWindow};
use crate::money::{Amount, Currency};
use crate::projections::orders::{self, OrderRow, TicketRow, Wanted};
use crate::projections::reads::Reads;
use crate::projections::store::Build;
use crate::timestamp::Timestamp;

// Requests

/// The statuses of the contract.
pub(in crate::http) const STATUSES: [(&str, &str); 9] = [
    ("awaiting_payment", "awaiting_payment"),
    ("paying", "paying"),
    ("completed", "completed"),
    ("expired", "expired"),
    ("failed", "failed"),
    ("cancelled", "cancelled"),
    ("refunding", "refunding"),
    ("refunded", "refunded"),
    ("review", "review"),
];

fn wanted(params: &Params) -> Result<Wanted, Problem> {
    Ok(Wanted {
        account: params.text("account_id")?.map(AccountId::new),
        performance_id: params.id("performance_id")?,
        status: params.word("status", &STATUSES)?,
        reference: params.text("reference")?,
        from: params.time("from")?,
        to: params.time("to")?,
        ..Wanted::default()
    })
}

// Responses

/// The order of the contract, as its row has it.
#[derive(Serialize)]
struct OrderItem {
    order_id: OrderId,
    performance_id: PerformanceId,
    status: std::sync::Arc<str>,
    seats: Vec<SeatPrice>,
    subtotal: Amount,
    discount: Amount,
    amount: Amount,
    currency: Currency,
    coupon_task_id: Option<TaskId>,
    reference: Option<std::sync::Arc<str>>,
    placed_at: Timestamp,
    hold_expires_at: Timestamp,
    attempts_left: u32,
    refunded: Amount,
    checkout: Option<Checkout>,
    tickets: Vec<OrderTicket>,
    at: Timestamp,
    position: LogPosition,
}

#[derive(Deserialize, Serialize)]
struct SeatPrice {
    seat_id: SeatId,
    price: Amount,
}

#[derive(Serialize)]
struct OrderTicket {
    ticket_id: TicketId,
    seat_id: SeatId,
}

impl OrderItem {
    fn of(row: OrderRow, mut tickets: Vec<OrderTicket>, window: Option<&PaymentWindow>) -> Result<Self, Fault> {
        let seats: Vec<SeatPrice> =
            serde_json::from_str(&row.seats).map_err(|error| Fault::internal(error.to_string()))?;
        // As the order itself has them: in the order in which its seats were asked for.
        tickets.sort_by_key(|ticket| seats.iter().position(|seat| seat.seat_id == ticket.seat_id));
        Ok(Self {
            checkout: window.map(|window| window.of(&row.order_id, seats.iter().map(|seat| &seat.seat_id))),
            seats,
            order_id: row.order_id,
            performance_id: row.performance_id,
            status: row.status,
            subtotal: row.subtotal,
            discount: row.discount,
            amount: row.amount,
            currency: row.currency,
            coupon_task_id: row.coupon_task_id,
            reference: row.reference,
            placed_at: row.placed_at,
            hold_expires_at: row.hold_until,
            attempts_left: row.attempts_left,
            refunded: row.refunded,
            tickets,
            at: row.changed_at,
            position: row.position,
        })
    }
}

/// A ticket as its row has it.
#[derive(Serialize, ToSchema)]
pub struct TicketItem {
    #[schema(value_type = String)]
    ticket_id: TicketId,
    #[schema(value_type = String)]
    order_id: OrderId,
    #[schema(value_type = String)]
    performance_id: PerformanceId,
    #[schema(value_type = String)]
    seat_id: SeatId,
    #[schema(value_type = u64)]
    price: Amount,
    #[schema(value_type = String)]
    currency: Currency,
    /// `valid`, `used`, `refunding` or `refunded`.
    #[schema(value_type = String)]
    status: std::sync::Arc<str>,
    /// What was paid for it: the face value without its share of the order's discount.
    #[schema(value_type = u64)]
    paid: Amount,
    #[schema(value_type = String)]
    sold_at: Timestamp,
    #[schema(value_type = Option<String>)]
    used_at: Option<Timestamp>,
    #[schema(value_type = String)]
    position: LogPosition,
}

impl From<TicketRow> for TicketItem {
    fn from(row: TicketRow) -> Self {
        let TicketRow {
            order_id,
            seat_id,
            ticket_id,
            performance_id,
            price,
            paid,
            currency,
            status,
            sold_at,
            used_at,
            position,
            ..
        } = row;
        Self { ticket_id, order_id, performance_id, seat_id, price, currency, status, paid, sold_at, used_at, position }
    }
}

// Handlers

#[utoipa::path(get, path = "/v1/orders", tag = "orders",
    params(("status" = Option<String>, Query,), ("performance_id" = Option<String>, Query,),
        ("reference" = Option<String>, Query,), ("account_id" = Option<String>, Query, description = "the buyer"),
        ("from" = Option<String>, Query, description = "placed then or later"),
        ("to" = Option<String>, Query, description = "placed before"),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<OrderBody>), (status = "4XX", body = ProblemBody)))]
pub async fn list(
    by: By<OrderReaders>,
    params: Params,
    listing: Listing,
    State(reads): State<Reads>,
    State(hub): State<Hub>,
) -> Answered {
    let mut wanted = wanted(&params)?;
    match by.principal.role {
        Role::Member => wanted.buyer = Some(by.principal.account),
        Role::Admin => {}
        _ => wanted.owner = Some(by.principal.account),
    }
    answer(&listing, &reads, hub.payment_window(), wanted).await
}

#[utoipa::path(get, path = "/v1/performances/{id}/orders", tag = "orders",
    params(("id" = String, Path,), ("status" = Option<String>, Query,), ("reference" = Option<String>, Query,),
        ("account_id" = Option<String>, Query, description = "the buyer"),
        ("from" = Option<String>, Query, description = "placed then or later"),
        ("to" = Option<String>, Query, description = "placed before"),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<OrderBody>), (status = "4XX", body = ProblemBody)))]
pub async fn of_performance(
    by: By<Sellers>,
    At(id): At<PerformanceId>,
    params: Params,
    listing: Listing,
    State(dispatch): State<Dispatch>,
    State(reads): State<Reads>,
    State(hub): State<Hub>,
) -> Answered {
    let wanted = Wanted { performance_id: Some(id.clone()), ..wanted(&params)? };
    let terms = performances::load(&dispatch, &id).await?.map(|(terms, _, _)| terms);
    if !terms.is_some_and(|terms| by.principal.may_act_for(&terms.owner)) {
        return Err(Problem::not_found());
    }
    answer(&listing, &reads, hub.payment_window(), wanted).await
}

pub(in crate::http) async fn answer(
    listing: &Listing,
    reads: &Reads,
    window: Option<&PaymentWindow>,
    wanted: Wanted,
) -> Answered {
    let build = listing.of(reads, "orders").await?;
    let listed = orders::list(&*build, wanted, listing.page()).await?;
    let mut tickets = tickets_of(&*build, &listed.rows).await?;
    let items = listed.rows.into_iter().map(|row| {
        let own = tickets.remove(&row.order_id).unwrap_or_default();
        OrderItem::of(row, own, window)
    });
    let items = items.collect::<Result<Vec<_>, Fault>>()?;
    listing.items(items, listed.next.as_deref())
}

/// By their orders.
async fn tickets_of(build: &dyn Build, orders: &[OrderRow]) -> Result<HashMap<OrderId, Vec<OrderTicket>>, Fault> {
    let mut found: HashMap<OrderId, Vec<OrderTicket>> = HashMap::new();
    let ids = orders.iter().map(|row| row.order_id.clone()).collect();
    for ticket in orders::tickets_of(build, ids).await? {
        let TicketRow { order_id, ticket_id, seat_id, .. } = ticket;
        found.entry(order_id).or_default().push(OrderTicket { ticket_id, seat_id });
    }
    Ok(found)
}

#[utoipa::path(get, path = "/v1/tickets", tag = "orders",
    params(("performance_id" = Option<String>, Query,), ("order_id" = Option<String>, Query,),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<TicketItem>), (status = "4XX", body = ProblemBody)))]
pub async fn tickets(by: By<Members>, params: Params, listing: Listing, State(reads): State<Reads>) -> Answered {
    let (performance_id, order_id) = (params.id("performance_id")?, params.id("order_id")?);
    let build = listing.of(&reads, "orders").await?;
    let listed = orders::tickets(&*build, by.principal.account, performance_id, order_id, listing.page()).await?;
    listing.answer(listed, TicketItem::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{Hash16, Partition, Position};
    use std::collections::BTreeSet;

    fn row(seats: &str) -> OrderRow {
        OrderRow {
            order_id: OrderId::derive(Partition(1), &Hash16::default()),
            account: AccountId::new("kim"),
            performance_id: PerformanceId::derive(&Hash16::default()),
            owner: AccountId::new("seller"),
            status: "awaiting_payment".into(),
            seats: seats.into(),
            subtotal: Amount::ZERO,
            discount: Amount::ZERO,
            amount: Amount::ZERO,
            currency: Currency::KRW,
            coupon_task_id: None,
            reference: None,
            placed_at: Timestamp(1),
            hold_until: Timestamp(2),
            attempts_left: 3,
            refunded: Amount::ZERO,
            tickets: 0,
            stands: "awaiting_payment".into(),
            review: None,
            changed_at: Timestamp(1),
            position: LogPosition { partition: Partition(1), position: Position(2) },
        }
    }

    #[test]
    fn an_item_has_the_members_of_the_order() {
        let document = serde_json::to_value(crate::http::table().into_openapi()).expect("a document");
        let said = document["components"]["schemas"]["Order"]["properties"].as_object().expect("a schema");
        let item = OrderItem::of(row(r#"[{"seat_id":"A-1-1","price":5}]"#), Vec::new(), None).expect("a good row");
        let item = serde_json::to_value(item).expect("JSON");
        let written: BTreeSet<_> = item.as_object().expect("an object").keys().collect();
        assert_eq!(written, said.keys().collect());
        assert_eq!(item["seats"], serde_json::json!([{"seat_id": "A-1-1", "price": 5}]));
        assert!(OrderItem::of(row("junk"), Vec::new(), None).is_err());
    }

    #[test]
    fn every_status_of_a_row_can_be_asked_for() {
        use crate::projections::orders::status;
        assert_eq!(STATUSES.len(), status::OF_ORDERS.len());
        for word in status::OF_ORDERS {
            assert!(STATUSES.contains(&(*word, *word)), "{word}");
        }
    }
}
