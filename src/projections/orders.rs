//! Which orders and tickets are there? One row per order, and one per ticket that came of it.
//!
//! An order and its seats share a partition, so a seat's facts may look at the row of the order that they name. Seats that
//! are only held, or kept from sale, leave no trace here: the order itself says what it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::select::{Listed, Order, Page, Select};
use super::store::Build;
use super::table::{Cell, Row, Table, Value, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit};
use crate::events::order::Placed;
use crate::events::seat::{ReleaseReason, Released, Sold};
use crate::events::{Event, OrderEvent, SeatEvent};
use crate::fault::Fault;
use crate::ids::{AccountId, LogPosition, OrderId, PerformanceId, SeatId, TaskId, TicketId};
use crate::limits;
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

// Rows

table! {
    /// One order as it stands.
    pub struct OrderRow in "orders" {
        key { order_id: OrderId }
        account: AccountId,
        performance_id: PerformanceId,
        /// The seller of the performance.
        owner: AccountId,
        status: Arc<str>,
        /// JSON: `[{"seat_id", "price"}]`.
        seats: Arc<str>,
        subtotal: Amount,
        discount: Amount,
        amount: Amount,
        currency: Currency,
        coupon_task_id: Option<TaskId>,
        reference: Option<Arc<str>>,
        placed_at: Timestamp,
        hold_until: Timestamp,
        attempts_left: u32,
        refunded: Amount,
        changed_at: Timestamp,
        /// Of the order's last fact.
        position: LogPosition,
    }
}

table! {
    /// One ticket. An order sells a seat once, so both together name it, and whoever releases the seat knows both.
    pub struct TicketRow in "tickets" {
        key { order_id: OrderId, seat_id: SeatId }
        ticket_id: TicketId,
        performance_id: PerformanceId,
        account: AccountId,
        price: Amount,
        currency: Currency,
        status: Arc<str>,
        sold_at: Timestamp,
        position: LogPosition,
    }
}

/// The words of the public contract.
pub mod status {
    pub const AWAITING_PAYMENT: &str = "awaiting_payment";
    pub const EXPIRED: &str = "expired";
    pub const CANCELLED: &str = "cancelled";
    /// Of tickets.
    pub const VALID: &str = "valid";
    pub const REFUNDED: &str = "refunded";
}

// Fold

pub struct Orders;

impl Projection for Orders {
    fn name(&self) -> &'static str {
        "orders"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/orders.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/orders.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[OrderRow::TABLE, TicketRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["order", "seat.sold", "seat.released"]
    }

    /// An order and its seats wait together.
    fn parking_key(&self, fact: &Fact) -> Arc<str> {
        match &fact.event {
            Event::Seat(SeatEvent::Held(held)) => held.order_id.as_str().into(),
            Event::Seat(SeatEvent::Released(released)) => released.order_id.as_str().into(),
            Event::Seat(SeatEvent::Sold(sold)) => sold.order_id.as_str().into(),
            Event::Order(_) => fact.record.stream.id().into(),
            _ => fact.record.stream.as_str().into(),
        }
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        match &fact.event {
            Event::Order(OrderEvent::Placed(_)) => {}
            Event::Order(_) => needed.row::<OrderRow>(order_key(fact)),
            Event::Seat(SeatEvent::Sold(sold)) => needed.row::<OrderRow>(OrderRow::key(sold.order_id.clone())),
            Event::Seat(SeatEvent::Released(released)) => {
                if let Some(seat_id) = refunded_seat(fact, released) {
                    needed.row::<TicketRow>(TicketRow::key(released.order_id.clone(), seat_id));
                }
            }
            _ => {}
        }
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        match &fact.event {
            Event::Order(OrderEvent::Placed(order)) => placed(fact, order, rows),
            // No arm for "all others" here: a new fact of an order cannot be forgotten.
            Event::Order(OrderEvent::Expired(_)) => change(fact, rows, |row| row.status = status::EXPIRED.into()),
            Event::Order(OrderEvent::Cancelled(_)) => change(fact, rows, |row| row.status = status::CANCELLED.into()),
            Event::Order(_) => Ok(()),
            Event::Seat(SeatEvent::Sold(seat)) => sold(fact, seat, rows),
            Event::Seat(SeatEvent::Released(seat)) => released(fact, seat, rows),
            Event::Seat(SeatEvent::Held(_) | SeatEvent::Blocked(_) | SeatEvent::Unblocked(_))
            | Event::Coupon(_)
            | Event::Store(_)
            | Event::Performance(_)
            | Event::Show(_)
            | Event::Venue(_) => Ok(()),
        }
    }
}

fn order_key(fact: &Fact) -> super::table::Key {
    OrderRow::key(OrderId::new(fact.record.stream.id()))
}

/// The seat whose ticket a release takes back; `None` where there never was one.
fn refunded_seat(fact: &Fact, released: &Released) -> Option<SeatId> {
    (released.reason == ReleaseReason::Refunded).then(|| fact.record.stream.seat_id()).flatten()
}

fn placed(fact: &Fact, order: &Placed, rows: &mut Rows) -> Result<(), Unfit> {
    let seats = serde_json::to_string(&order.seats).map_err(|error| Unfit::Impossible(error.to_string()))?;
    rows.put(OrderRow {
        order_id: order.order_id.clone(),
        account: order.account_id.clone(),
        performance_id: order.performance_id.clone(),
        owner: order.owner.clone(),
        status: status::AWAITING_PAYMENT.into(),
        seats: seats.into(),
        subtotal: order.subtotal,
        discount: order.discount,
        amount: order.amount,
        currency: order.currency,
        coupon_task_id: order.coupon_task_id.clone(),
        reference: order.reference.as_deref().map(Into::into),
        placed_at: fact.at(),
        hold_until: order.hold_until,
        attempts_left: limits::PAYMENT_ATTEMPTS,
        refunded: Amount::ZERO,
        changed_at: fact.at(),
        position: fact.position(),
    });
    Ok(())
}

fn change(fact: &Fact, rows: &mut Rows, change: impl FnOnce(&mut OrderRow)) -> Result<(), Unfit> {
    let mut row: OrderRow = rows.expect(&order_key(fact))?;
    change(&mut row);
    (row.changed_at, row.position) = (fact.at(), fact.position());
    rows.put(row);
    Ok(())
}

fn sold(fact: &Fact, sold: &Sold, rows: &mut Rows) -> Result<(), Unfit> {
    let order: OrderRow = rows.expect(&OrderRow::key(sold.order_id.clone()))?;
    let seat_id = fact.record.stream.seat_id();
    rows.put(TicketRow {
        order_id: order.order_id,
        seat_id: seat_id.ok_or_else(|| Unfit::Impossible("a seat's fact in another stream".to_owned()))?,
        ticket_id: sold.ticket_id.clone(),
        performance_id: order.performance_id,
        account: order.account,
        price: sold.price,
        currency: order.currency,
        status: status::VALID.into(),
        sold_at: fact.at(),
        position: fact.position(),
    });
    Ok(())
}

fn released(fact: &Fact, released: &Released, rows: &mut Rows) -> Result<(), Unfit> {
    let Some(seat_id) = refunded_seat(fact, released) else { return Ok(()) };
    let mut ticket: TicketRow = rows.expect(&TicketRow::key(released.order_id.clone(), seat_id))?;
    ticket.status = status::REFUNDED.into();
    ticket.position = fact.position();
    rows.put(ticket);
    Ok(())
}

// Lists

/// Which orders; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Whose orders may be seen: those of a buyer, or those of a seller's performances.
    pub buyer: Option<AccountId>,
    pub owner: Option<AccountId>,
    pub account: Option<AccountId>,
    pub performance_id: Option<PerformanceId>,
    pub status: Option<&'static str>,
    pub reference: Option<String>,
    /// When it was placed: not before, and before.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
}

/// Orders, the newest first.
pub async fn list(build: &dyn Build, wanted: Wanted, page: &Page) -> Result<Listed<OrderRow>, Fault> {
    const NEWEST: Order = Order::descending(&["placed_at", "order_id"]);
    Select::new()
        .maybe_equal("account", wanted.buyer)
        .maybe_equal("account", wanted.account)
        .maybe_equal("owner", wanted.owner)
        .maybe_equal("performance_id", wanted.performance_id)
        .maybe_equal("status", wanted.status.map(str::to_owned))
        .maybe_equal("reference", wanted.reference)
        .at_least("placed_at", wanted.from)
        .below("placed_at", wanted.to)
        .page(build, NEWEST, page)
        .await
}

/// A member's tickets, the newest first.
pub async fn tickets(
    build: &dyn Build,
    account: AccountId,
    performance_id: Option<PerformanceId>,
    order_id: Option<OrderId>,
    page: &Page,
) -> Result<Listed<TicketRow>, Fault> {
    const NEWEST: Order = Order::descending(&["sold_at", "ticket_id"]);
    Select::new()
        .equal("account", account)
        .maybe_equal("performance_id", performance_id)
        .maybe_equal("order_id", order_id)
        .page(build, NEWEST, page)
        .await
}

/// The tickets of some orders that are still good, in the order of their seats.
pub async fn tickets_of(build: &dyn Build, orders: Vec<OrderId>) -> Result<Vec<TicketRow>, Fault> {
    const SEATS: Order = Order::ascending(&["order_id", "seat_id"]);
    let all = Page { limit: orders.len() * limits::ORDER_SEATS, after: None };
    Ok(Select::new()
        .one_of("order_id", orders)
        .equal("status", status::VALID.to_owned())
        .page(build, SEATS, &all)
        .await?
        .rows)
}

/// How many orders of a performance are in which status.
pub async fn by_status(build: &dyn Build, performance: &PerformanceId) -> Result<BTreeMap<String, u64>, Fault> {
    let sql = "SELECT status, COUNT(*) FROM @.orders WHERE performance_id = $1 GROUP BY status ORDER BY status";
    let found = build.query(sql, &[performance.clone().into_value()]).await?;
    let one = |cells: &Vec<Value>| Some((String::from_value(cells.first()?)?, u64::from_value(cells.get(1)?)?));
    found.iter().map(one).collect::<Option<_>>().ok_or_else(|| Fault::internal("orders have another shape"))
}

#[cfg(test)]
mod tests;
