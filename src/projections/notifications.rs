//! What do buyers have to be told? One row per piece of news about an order, for whoever sends mails and messages.
//!
//! A record, not a sender: who sends reads it by position and remembers how far they came. Nothing waits for it.

use std::sync::Arc;

use super::select::{Listed, Order, Page, Select};
use super::store::Build;
use super::table::{Row, Table, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit};
use crate::events::{Event, OrderEvent};
use crate::fault::Fault;
use crate::ids::{AccountId, LogPosition, OrderId, PerformanceId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

// Rows

table! {
    /// Whose order it is: what later facts do not repeat.
    pub struct BuyerRow in "buyers" {
        key { order_id: OrderId }
        account: AccountId,
        performance_id: PerformanceId,
        currency: Currency,
    }
}

table! {
    /// One piece of news; `position` is that of the fact that is told.
    pub struct NotificationRow in "notifications" {
        key { position: LogPosition }
        account: AccountId,
        kind: Arc<str>,
        order_id: OrderId,
        performance_id: PerformanceId,
        amount: Option<Amount>,
        currency: Currency,
        at: Timestamp,
    }
}

// Fold

pub struct Notifications;

impl Projection for Notifications {
    fn name(&self) -> &'static str {
        "notifications"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/notifications.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/notifications.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[BuyerRow::TABLE, NotificationRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["order.placed", "order.completed", "order.failed", "order.cancelled", "refund.done", "review.opened"]
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        if !matches!(*fact.event, Event::Order(OrderEvent::Placed(_))) {
            needed.row::<BuyerRow>(key(fact));
        }
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        let Event::Order(event) = &*fact.event else { return Ok(()) };
        let (kind, amount) = match event {
            OrderEvent::Placed(placed) => {
                rows.add(BuyerRow {
                    order_id: placed.order_id.clone(),
                    account: placed.account_id.clone(),
                    performance_id: placed.performance_id.clone(),
                    currency: placed.currency,
                });
                return Ok(());
            }
            OrderEvent::Completed(completed) => {
                let paid = completed.tickets.iter().try_fold(Amount::ZERO, |sum, one| sum.checked_add(one.paid));
                ("order-completed", paid)
            }
            OrderEvent::Failed(_) => ("order-failed", None),
            OrderEvent::RefundDone(done) => ("refunded", Some(done.amount)),
            OrderEvent::ReviewOpened(_) => ("payment-under-review", None),
            OrderEvent::Cancelled(_) => ("order-cancelled", None),
            _ => return Ok(()),
        };
        let buyer: BuyerRow = rows.expect(&key(fact))?;
        // Buyers know what they cancelled themselves.
        if kind == "order-cancelled" && fact.record.principal == buyer.account {
            return Ok(());
        }
        rows.add(NotificationRow {
            position: fact.position(),
            account: buyer.account,
            kind: kind.into(),
            order_id: buyer.order_id,
            performance_id: buyer.performance_id,
            amount,
            currency: buyer.currency,
            at: fact.at(),
        });
        Ok(())
    }
}

fn key(fact: &Fact) -> super::table::Key {
    BuyerRow::key(OrderId::new(fact.record.stream.id()))
}

// Lists

/// A member's news, the newest first.
pub async fn of_member(build: &dyn Build, account: AccountId, page: &Page) -> Result<Listed<NotificationRow>, Fault> {
    const NEWEST: Order = Order::descending(&["at", "position"]);
    Select::new().equal("account", account).page(build, NEWEST, page).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::order::{Cancelled, Completed, Failed, RefundDone, SoldTicket};
    use crate::ids::{Hash16, RefundId, SeatId, StreamId, TicketId};
    use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter, sale};

    #[test]
    fn buyers_are_told_what_became_of_their_orders() {
        let mut story = Story::default();
        sale::scheduled(&mut story, "pf_a", &[("A", "VIP", 3)]);
        let mut orders = Vec::new();
        for name in ["a", "b", "c"] {
            let (stream, event) = sale::placed("pf_a", name, &["A-1-1"]);
            orders.push(OrderId::new(stream.id()));
            story.unit(20, [(stream, event)]);
        }
        let fact = |order: &OrderId, event: OrderEvent| (StreamId::order(order), Event::Order(event));
        let sold = SoldTicket {
            ticket_id: TicketId::of(&orders[0], 1),
            seat_id: SeatId::new("A-1-1"),
            price: Amount::new(9).expect("small"),
            paid: Amount::new(7).expect("small"),
        };
        let [a, b, c] = [&orders[0], &orders[1], &orders[2]];
        let completed = Completed { order_id: a.clone(), tickets: vec![sold], body: Hash16::default() };
        let back = RefundDone {
            order_id: a.clone(),
            refund_id: RefundId::of(a, 1),
            amount: Amount::new(7).expect("small"),
            tickets: vec![TicketId::of(a, 1)],
            psp_reference: None,
        };
        story.unit(30, [fact(a, completed.into())]).unit(40, [fact(a, back.into())]);
        story.unit(50, [fact(b, Failed { order_id: b.clone() }.into())]);
        story.unit(60, [fact(c, Cancelled { order_id: c.clone(), body: Hash16::default() }.into())]);
        let shelf = Shelf::of(&Notifications, &story.facts);
        let mut told: Vec<_> = shelf
            .rows::<NotificationRow>()
            .into_iter()
            .map(|row| (row.at.0, row.kind.to_string(), row.amount.map(Amount::minor), row.account.to_string()))
            .collect();
        told.sort();
        let row = |at, kind: &str, amount| (at, kind.to_owned(), amount, "kim".to_owned());
        let expected = [
            row(30, "order-completed", Some(7)),
            row(40, "refunded", Some(7)),
            row(50, "order-failed", None),
            // Somebody else's doing: the facts of a story are nobody's.
            row(60, "order-cancelled", None),
        ];
        assert_eq!(told, expected);
        order_of_partitions_does_not_matter(&Notifications, &story);
    }
}
