//! M1 and M2: is nobody charged twice, does money that bought nothing go back, and is what is left in the till what the
//! live tickets cost?
//!
//! Judges one unit at a time: what must stand together is looked for in it in whatever order it was written. Of seats it
//! knows nothing, and whether the provider did what the log says is asked in `psp`.

mod order;

use std::collections::{BTreeMap, HashMap};

use super::findings::Findings;
use super::{Payment, Row};
use crate::events::{Event, OrderEvent, Record};
use crate::ids::OrderId;
use order::Order;

#[derive(Default)]
pub(super) struct Money {
    orders: HashMap<OrderId, Order>,
}

/// What a unit did to one order that can be judged only when all of it is known.
struct Unit<'a> {
    last: &'a Record,
    /// Attempts whose money came, and where.
    captured: Vec<(u32, &'a Record)>,
    requested: Option<&'a Record>,
    refunded: Option<&'a Record>,
}

impl Money {
    pub fn judge(&mut self, unit: &[Row], findings: &mut Findings) {
        let mut facts: Vec<(&Record, &OrderEvent)> = Vec::new();
        for row in unit {
            if let Some(Event::Order(event)) = &row.event {
                facts.push((&row.record, event));
            }
        }
        facts.sort_by_key(|(_, event)| rank(event));
        let mut units = BTreeMap::new();
        for (record, event) in facts {
            self.fact(record, event, &mut units, findings);
        }
        for (id, unit) in units {
            if let Some(order) = self.orders.get_mut(id) {
                order.settle(id, &unit, findings);
            }
        }
    }

    fn fact<'a>(
        &mut self,
        record: &'a Record,
        event: &'a OrderEvent,
        units: &mut BTreeMap<&'a OrderId, Unit<'a>>,
        findings: &mut Findings,
    ) {
        let id = order_of(event);
        if let OrderEvent::Placed(placed) = event {
            self.orders.insert(id.clone(), Order::of(placed));
            return;
        }
        let Some(order) = self.orders.get_mut(id) else {
            findings.at(record, "M1", format!("{} of {id}, which was never placed", event.kind().name));
            return;
        };
        let unit =
            units.entry(id).or_insert(Unit { last: record, captured: Vec::new(), requested: None, refunded: None });
        unit.last = if unit.last.position < record.position { record } else { unit.last };
        match event {
            OrderEvent::Requested(requested) => {
                unit.requested = Some(record);
                order.request(record, requested, findings);
            }
            OrderEvent::Captured(captured) => {
                if order.capture(record, captured, findings) {
                    unit.captured.push((captured.attempt, record));
                }
            }
            OrderEvent::Declined(declined) => order.decline(record, declined, findings),
            OrderEvent::Completed(completed) => {
                let now: Vec<u32> = unit.captured.iter().map(|(attempt, _)| *attempt).collect();
                order.complete(record, completed, &now, findings);
            }
            OrderEvent::RefundRequested(refund) => order.request_refund(record, refund, findings),
            OrderEvent::RefundDone(done) => order.finish_refund(record, done, findings),
            OrderEvent::CheckedIn(checked) => order.check_in(record, checked, findings),
            OrderEvent::Refunded(_) => unit.refunded = Some(record),
            OrderEvent::Expired(_) | OrderEvent::Cancelled(_) | OrderEvent::Failed(_) => order.over = true,
            // No money moves with these.
            OrderEvent::Placed(_)
            | OrderEvent::CouponSettled(_)
            | OrderEvent::ReviewOpened(_)
            | OrderEvent::ReviewSettled(_) => {}
        }
    }

    /// What the log says of each payment, for comparison with the provider's books.
    pub fn payments(self) -> impl Iterator<Item = Payment> {
        self.orders.into_iter().flat_map(|(id, order)| order.payments(&id))
    }
}

/// In which order the facts of a unit are looked at: what gives before what takes.
fn rank(event: &OrderEvent) -> u8 {
    match event {
        OrderEvent::Placed(_) => 0,
        OrderEvent::Requested(_) => 1,
        OrderEvent::Captured(_) | OrderEvent::Declined(_) => 2,
        OrderEvent::Completed(_) => 3,
        OrderEvent::RefundRequested(_) => 4,
        OrderEvent::RefundDone(_) => 5,
        OrderEvent::Expired(_)
        | OrderEvent::Cancelled(_)
        | OrderEvent::Failed(_)
        | OrderEvent::Refunded(_)
        | OrderEvent::CouponSettled(_)
        | OrderEvent::ReviewOpened(_)
        | OrderEvent::ReviewSettled(_)
        | OrderEvent::CheckedIn(_) => 6,
    }
}

fn order_of(event: &OrderEvent) -> &OrderId {
    match event {
        OrderEvent::Placed(e) => &e.order_id,
        OrderEvent::Expired(e) => &e.order_id,
        OrderEvent::Cancelled(e) => &e.order_id,
        OrderEvent::Failed(e) => &e.order_id,
        OrderEvent::Completed(e) => &e.order_id,
        OrderEvent::Refunded(e) => &e.order_id,
        OrderEvent::CouponSettled(e) => &e.order_id,
        OrderEvent::Requested(e) => &e.order_id,
        OrderEvent::Captured(e) => &e.order_id,
        OrderEvent::Declined(e) => &e.order_id,
        OrderEvent::RefundRequested(e) => &e.order_id,
        OrderEvent::RefundDone(e) => &e.order_id,
        OrderEvent::ReviewOpened(e) => &e.order_id,
        OrderEvent::ReviewSettled(e) => &e.order_id,
        OrderEvent::CheckedIn(e) => &e.order_id,
    }
}
