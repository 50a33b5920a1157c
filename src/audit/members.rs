//! I5: has no member more seats of a performance than it granted when the order was placed, and do members' accounts say
//! what their orders did?
//!
//! The count is made from the orders alone; the accounts' own facts are held against it, unit by unit. Orders that were
//! placed before there were accounts are not counted, and say so themselves.

use std::collections::{BTreeSet, HashMap};

use super::Row;
use super::findings::Findings;
use crate::events::order::Placed;
use crate::events::seat::ReleaseReason;
use crate::events::{Event, MemberEvent, OrderEvent, PerformanceEvent, Record};
use crate::ids::{OrderId, PerformanceId, StreamId};

#[derive(Default)]
pub(super) struct Members {
    /// Performances that count their members, and how many seats each member may have there now.
    caps: HashMap<PerformanceId, Option<u32>>,
    /// Orders that are counted and have seats.
    orders: HashMap<OrderId, Order>,
    /// Accounts with seats.
    accounts: HashMap<StreamId, Account>,
}

struct Order {
    account: StreamId,
    count: Count,
}

#[derive(Default)]
struct Account {
    /// As the orders have it.
    due: Count,
    /// As the account's own facts have it.
    told: Count,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    held: i64,
    sold: i64,
}

impl Count {
    fn add(&mut self, other: Self) {
        self.held += other.held;
        self.sold += other.sold;
    }
}

impl Members {
    pub fn judge(&mut self, unit: &[Row], findings: &mut Findings) {
        let mut touched = BTreeSet::new();
        for Row { record, event } in unit {
            match event {
                Some(Event::Performance(event)) => self.terms(event, record),
                Some(Event::Order(event)) => touched.extend(self.order_fact(record, event, findings)),
                Some(Event::Member(event)) => {
                    self.accounts.entry(record.stream.clone()).or_default().told.add(told(event));
                    touched.insert(record.stream.clone());
                }
                _ => {}
            }
        }
        let Some(last) = unit.last() else { return };
        for stream in touched {
            let Some(account) = self.accounts.get_mut(&stream) else { continue };
            if account.told != account.due {
                let Account { due, told } = account;
                findings.at(&last.record, "I5", format!("{stream} comes to {told:?}, its orders to {due:?}"));
                account.told = account.due;
            }
            if account.due == Count::default() {
                self.accounts.remove(&stream);
            }
        }
    }

    fn terms(&mut self, event: &PerformanceEvent, record: &Record) {
        let (seats, others) = match event {
            PerformanceEvent::Scheduled(terms) => {
                (terms.max_seats_per_member, terms.max_live_orders_per_member.or(terms.max_unpaid_holds_per_member))
            }
            PerformanceEvent::Changed(terms) => {
                (terms.max_seats_per_member, terms.max_live_orders_per_member.or(terms.max_unpaid_holds_per_member))
            }
            _ => return,
        };
        // Once begun, the counting goes on whatever the terms.
        let performance = PerformanceId::new(record.stream.id());
        if seats.or(others).is_some() || self.caps.contains_key(&performance) {
            self.caps.insert(performance, seats);
        }
    }

    /// The account that it moves, if there is one.
    fn order_fact(&mut self, record: &Record, event: &OrderEvent, findings: &mut Findings) -> Option<StreamId> {
        if let OrderEvent::Placed(placed) = event {
            return self.placed(record, placed, findings);
        }
        let id = match event {
            OrderEvent::Completed(fact) => &fact.order_id,
            OrderEvent::Expired(fact) => &fact.order_id,
            OrderEvent::Cancelled(fact) => &fact.order_id,
            OrderEvent::Failed(fact) => &fact.order_id,
            OrderEvent::RefundDone(fact) => &fact.order_id,
            _ => return None,
        };
        let order = self.orders.get_mut(id)?;
        let by = match event {
            OrderEvent::Completed(fact) => Count { held: -order.count.held, sold: signed(fact.tickets.len()) },
            OrderEvent::RefundDone(fact) => Count { held: 0, sold: -signed(fact.tickets.len()) },
            _ => Count { held: -order.count.held, sold: 0 },
        };
        order.count.add(by);
        let (account, over) = (order.account.clone(), order.count == Count::default());
        if over {
            self.orders.remove(id);
        }
        self.accounts.entry(account.clone()).or_default().due.add(by);
        Some(account)
    }

    fn placed(&mut self, record: &Record, placed: &Placed, findings: &mut Findings) -> Option<StreamId> {
        let cap = self.caps.get(&placed.performance_id).copied();
        if !placed.counted {
            // Version 1 could not say it.
            if cap.is_some() && record.schema > 1 {
                findings.at(record, "I5", format!("{} is not counted for its member", placed.order_id));
            }
            return None;
        }
        let stream = StreamId::member(&placed.performance_id, &placed.account_id);
        let count = Count { held: signed(placed.seats.len()), sold: 0 };
        self.orders.insert(placed.order_id.clone(), Order { account: stream.clone(), count });
        let account = self.accounts.entry(stream.clone()).or_default();
        account.due.add(count);
        let Count { held, sold } = account.due;
        if let Some(cap) = cap.flatten()
            && held + sold > i64::from(cap)
        {
            findings.at(record, "I5", format!("{stream} has {held} held and {sold} sold seats of {cap} granted"));
        }
        Some(stream)
    }
}

fn told(event: &MemberEvent) -> Count {
    match event {
        MemberEvent::Held(held) => Count { held: i64::from(held.seats), sold: 0 },
        MemberEvent::Sold(sold) => Count { held: -i64::from(sold.seats), sold: i64::from(sold.seats) },
        MemberEvent::Released(released) => {
            let seats = -i64::from(released.seats);
            match released.reason {
                ReleaseReason::Refunded => Count { held: 0, sold: seats },
                ReleaseReason::Expired | ReleaseReason::Cancelled | ReleaseReason::Failed => {
                    Count { held: seats, sold: 0 }
                }
            }
        }
    }
}

fn signed(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
