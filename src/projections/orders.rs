//! Which orders and tickets are there? One row per order, and one per ticket that came of it.
//!
//! The order's own facts say all of it: what it holds, what was paid, which tickets came of it and what became of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::select::{Listed, Order, Page, Select};
use super::store::Build;
use super::table::{Cell, Row, Table, Value, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit};
use crate::events::order::{Completed, Placed, RefundDone, RefundRequested, ReviewOf};
use crate::events::{Event, OrderEvent};
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
        /// Those that are good.
        tickets: u32,
        /// How it would stand if people were not looking.
        stands: Arc<str>,
        /// What people look at: an attempt's number, or a refund.
        review: Option<Arc<str>>,
        changed_at: Timestamp,
        /// Of the order's last fact.
        position: LogPosition,
    }
}

table! {
    /// One ticket.
    pub struct TicketRow in "tickets" {
        key { ticket_id: TicketId }
        order_id: OrderId,
        seat_id: SeatId,
        performance_id: PerformanceId,
        account: AccountId,
        price: Amount,
        paid: Amount,
        currency: Currency,
        status: Arc<str>,
        sold_at: Timestamp,
        used_at: Option<Timestamp>,
        position: LogPosition,
    }
}

/// The words of the public contract.
pub mod status {
    pub const AWAITING_PAYMENT: &str = "awaiting_payment";
    pub const EXPIRED: &str = "expired";
    pub const CANCELLED: &str = "cancelled";
    pub const PAYING: &str = "paying";
    pub const COMPLETED: &str = "completed";
    pub const FAILED: &str = "failed";
    pub const REVIEW: &str = "review";
    /// Of orders and tickets.
    pub const REFUNDING: &str = "refunding";
    pub const REFUNDED: &str = "refunded";
    /// Of tickets.
    pub const VALID: &str = "valid";
    pub const USED: &str = "used";

    /// All that an order can be in.
    pub const OF_ORDERS: &[&str] =
        &[AWAITING_PAYMENT, PAYING, COMPLETED, EXPIRED, FAILED, CANCELLED, REFUNDING, REFUNDED, REVIEW];
}

// Fold

pub struct Orders;

impl Projection for Orders {
    fn name(&self) -> &'static str {
        "orders"
    }

    fn version(&self) -> u32 {
        3
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

    /// All of these stand in the stream of the order.
    fn follows(&self) -> &'static [&'static str] {
        &["order", "payment", "refund", "review", "ticket"]
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        let Event::Order(event) = &*fact.event else { return };
        let tickets: &[TicketId] = match event {
            OrderEvent::Placed(_) => return,
            OrderEvent::RefundRequested(refund) => &refund.tickets,
            OrderEvent::RefundDone(refund) => &refund.tickets,
            OrderEvent::CheckedIn(used) => std::slice::from_ref(&used.ticket_id),
            _ => &[],
        };
        needed.row::<OrderRow>(order_key(fact));
        tickets.iter().for_each(|ticket| needed.row::<TicketRow>(TicketRow::key(ticket.clone())));
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        let Event::Order(event) = &*fact.event else { return Ok(()) };
        let becomes = |rows: &mut Rows, word: &str| change(fact, rows, |row| row.stands = word.into());
        match event {
            OrderEvent::Placed(order) => placed(fact, order, rows),
            // No arm for "all others" here: a new fact of an order cannot be forgotten.
            OrderEvent::Expired(_) => becomes(rows, status::EXPIRED),
            OrderEvent::Cancelled(_) => becomes(rows, status::CANCELLED),
            OrderEvent::Failed(_) => becomes(rows, status::FAILED),
            OrderEvent::Refunded(_) => becomes(rows, status::REFUNDED),
            OrderEvent::Requested(_) => becomes(rows, status::PAYING),
            OrderEvent::Captured(captured) => change(fact, rows, |row| row.known(&attempt(captured.attempt))),
            OrderEvent::Declined(declined) => change(fact, rows, |row| {
                row.known(&attempt(declined.attempt));
                row.stands = status::AWAITING_PAYMENT.into();
                row.attempts_left = row.attempts_left.saturating_sub(1);
            }),
            OrderEvent::Completed(completed) => sold(fact, completed, rows),
            OrderEvent::RefundRequested(refund) => refund_requested(fact, refund, rows),
            OrderEvent::RefundDone(refund) => refund_done(fact, refund, rows),
            OrderEvent::ReviewOpened(review) => change(fact, rows, |row| {
                row.review = Some(match &review.about {
                    ReviewOf::Payment { attempt: number } => attempt(*number),
                    ReviewOf::Refund { refund_id } => refund_id.as_str().into(),
                });
            }),
            // What follows from the ruling stands in the same unit.
            OrderEvent::ReviewSettled(_) => change(fact, rows, |row| row.review = None),
            OrderEvent::CheckedIn(used) => {
                let ticket = std::slice::from_ref(&used.ticket_id);
                mark(fact, rows, ticket, |row| {
                    row.status = status::USED.into();
                    row.used_at = Some(fact.at());
                })?;
                change(fact, rows, |_| {})
            }
            OrderEvent::CouponSettled(_) => change(fact, rows, |_| {}),
        }
    }
}

fn attempt(number: u32) -> Arc<str> {
    number.to_string().into()
}

fn order_key(fact: &Fact) -> super::table::Key {
    OrderRow::key(OrderId::new(fact.record.stream.id()))
}

fn placed(fact: &Fact, order: &Placed, rows: &mut Rows) -> Result<(), Unfit> {
    let seats = serde_json::to_string(&order.seats).map_err(|error| Unfit::Impossible(error.to_string()))?;
    rows.add(OrderRow {
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
        tickets: 0,
        stands: status::AWAITING_PAYMENT.into(),
        review: None,
        changed_at: fact.at(),
        position: fact.position(),
    });
    Ok(())
}

fn change(fact: &Fact, rows: &mut Rows, change: impl FnOnce(&mut OrderRow)) -> Result<(), Unfit> {
    let mut row: OrderRow = rows.expect(&order_key(fact))?;
    change(&mut row);
    row.status = if row.review.is_some() { status::REVIEW.into() } else { row.stands.clone() };
    (row.changed_at, row.position) = (fact.at(), fact.position());
    rows.put(row);
    Ok(())
}

fn sold(fact: &Fact, completed: &Completed, rows: &mut Rows) -> Result<(), Unfit> {
    let order: OrderRow = rows.expect(&order_key(fact))?;
    for ticket in &completed.tickets {
        rows.add(TicketRow {
            ticket_id: ticket.ticket_id.clone(),
            order_id: order.order_id.clone(),
            seat_id: ticket.seat_id.clone(),
            performance_id: order.performance_id.clone(),
            account: order.account.clone(),
            price: ticket.price,
            paid: ticket.paid,
            currency: order.currency,
            status: status::VALID.into(),
            sold_at: fact.at(),
            used_at: None,
            position: fact.position(),
        });
    }
    change(fact, rows, |row| {
        row.stands = status::COMPLETED.into();
        row.tickets = u32::try_from(completed.tickets.len()).unwrap_or(u32::MAX);
    })
}

fn refund_requested(fact: &Fact, refund: &RefundRequested, rows: &mut Rows) -> Result<(), Unfit> {
    mark(fact, rows, &refund.tickets, |row| row.status = status::REFUNDING.into())?;
    change(fact, rows, |row| {
        row.tickets = row.tickets.saturating_sub(u32::try_from(refund.tickets.len()).unwrap_or(u32::MAX));
        // Money that came too late is no matter of the tickets.
        if row.tickets == 0 && !refund.tickets.is_empty() {
            row.stands = status::REFUNDING.into();
        }
    })
}

fn refund_done(fact: &Fact, refund: &RefundDone, rows: &mut Rows) -> Result<(), Unfit> {
    mark(fact, rows, &refund.tickets, |row| row.status = status::REFUNDED.into())?;
    change(fact, rows, |row| {
        row.refunded = row.refunded.checked_add(refund.amount).unwrap_or(row.refunded);
        row.known(refund.refund_id.as_str());
    })
}

impl OrderRow {
    /// What is known now ends the review about it; a review about another matter goes on.
    fn known(&mut self, about: &str) {
        self.review.take_if(|open| **open == *about);
    }
}

fn mark(fact: &Fact, rows: &mut Rows, tickets: &[TicketId], change: impl Fn(&mut TicketRow)) -> Result<(), Unfit> {
    for ticket in tickets {
        let mut row: TicketRow = rows.expect(&TicketRow::key(ticket.clone()))?;
        change(&mut row);
        row.position = fact.position();
        rows.put(row);
    }
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
        .one_of("status", vec![status::VALID.to_owned(), status::USED.to_owned()])
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
