//! M1 and M2: what was taken and given back, by the provider's books and by the log, and what is there for it.
//!
//! Has a model of its own of what an order has to show for its money; the product's audit has another.

use std::collections::BTreeMap;

use onsale::audit::{Payment, psp};
use onsale::events::{Event, OrderEvent, Record};
use onsale::ids::{OrderId, TicketId};

use crate::world::World;

/// An order as far as money goes.
#[derive(Debug, Default)]
pub struct Order {
    amount: u64,
    /// What was paid for each ticket that is not given back.
    pub live: BTreeMap<TicketId, u64>,
    /// An open question to people.
    pub review: bool,
    /// Something that was asked for and is not known yet.
    open: i64,
    ended: bool,
}

pub fn orders(records: &[Record]) -> BTreeMap<OrderId, Order> {
    let mut orders: BTreeMap<OrderId, Order> = BTreeMap::new();
    for record in records {
        let Ok(Event::Order(event)) = record.event() else { continue };
        let order = orders.entry(OrderId::new(record.stream.id())).or_default();
        match event {
            OrderEvent::Placed(placed) => order.amount = placed.amount.minor(),
            OrderEvent::Completed(completed) => {
                order.ended = true;
                order.live = completed.tickets.into_iter().map(|t| (t.ticket_id, t.paid.minor())).collect();
            }
            OrderEvent::Expired(_) | OrderEvent::Cancelled(_) | OrderEvent::Failed(_) => order.ended = true,
            OrderEvent::Requested(_) | OrderEvent::RefundRequested(_) => order.open += 1,
            // Money that came late was settled once before: only its way back is open then.
            OrderEvent::Captured(_) if order.open > 0 => order.open -= 1,
            OrderEvent::Declined(_) => order.open -= 1,
            OrderEvent::RefundDone(done) => {
                order.open -= 1;
                order.live.retain(|ticket, _| !done.tickets.contains(ticket));
            }
            OrderEvent::ReviewOpened(_) => order.review = true,
            OrderEvent::ReviewSettled(_) => order.review = false,
            _ => {}
        }
        // What was found out without people needs them no more.
        order.review &= order.open > 0;
    }
    orders
}

pub fn judge(world: &World, records: &[Record], payments: &[Payment]) -> Vec<String> {
    let booked = world.provider.booked();
    let mut violations: Vec<String> = psp::compare(payments, &booked).violations;
    let orders = orders(records);
    let mut net: BTreeMap<&OrderId, (u64, u64)> = BTreeMap::new();
    for row in &booked {
        let (captured, cancelled) = net.entry(&row.order).or_default();
        *captured += row.captured;
        *cancelled += row.cancelled;
    }
    for (id, order) in &orders {
        if order.review {
            world.tally.count("left for people");
            continue;
        }
        if order.open != 0 {
            violations.push(format!("M1: {id} still waits for money ({}) 60 s after the faults ended", order.open));
        }
        if !order.ended {
            violations.push(format!("M1: {id} has not ended 60 s after the faults ended"));
        }
        let (captured, cancelled) = net.get(id).copied().unwrap_or_default();
        let shown: u64 = order.live.values().sum();
        if cancelled > captured || captured - cancelled != shown {
            violations.push(format!(
                "M2: the provider took {captured} and gave back {cancelled} for {id}, whose tickets are worth {shown} of {}",
                order.amount
            ));
        }
    }
    for (order, (captured, _)) in net {
        if captured > 0 && !orders.contains_key(order) {
            violations.push(format!("M1: money was taken for {order}, which nobody placed"));
        }
    }
    violations
}
