//! I4: is nothing given away twice? Stock, the share of each member, serials in the order of the log,
//! and one order at a time for each.

use std::collections::HashMap;

use super::Row;
use super::findings::Findings;
use crate::events::{CouponEvent, Event, Record};
use crate::ids::{AccountId, OrderId, StreamId};

#[derive(Default)]
pub(super) struct Coupons {
    coupons: HashMap<StreamId, Coupon>,
}

struct Coupon {
    stock: u64,
    per_member: u32,
    last_serial: u64,
    /// Issued and not revoked, by serial.
    live: HashMap<u64, AccountId>,
    of_member: HashMap<AccountId, u32>,
    /// By serial, what orders have. Revoking does not take it away from them.
    taken: HashMap<u64, Taken>,
}

#[derive(Debug)]
struct Taken {
    member: AccountId,
    order: OrderId,
    used: bool,
}

impl Coupons {
    pub fn judge(&mut self, unit: &[Row], findings: &mut Findings) {
        for row in unit {
            if let Some(Event::Coupon(event)) = &row.event {
                self.fact(&row.record, event, findings);
            }
        }
    }

    fn fact(&mut self, record: &Record, event: &CouponEvent, findings: &mut Findings) {
        if let CouponEvent::Created(terms) = event {
            let (stock, per_member) = (terms.stock, terms.per_member);
            let (live, of_member, taken) = Default::default();
            let new = Coupon { stock, per_member, last_serial: 0, live, of_member, taken };
            if self.coupons.insert(record.stream.clone(), new).is_some() {
                findings.at(record, "I4", format!("{} is created a second time", record.stream));
            }
            return;
        }
        let Some(coupon) = self.coupons.get_mut(&record.stream) else {
            findings.at(record, "I4", format!("{} was never created", record.stream));
            return;
        };
        match event {
            CouponEvent::Created(_) => {}
            CouponEvent::Issued(issued) => coupon.issue(record, issued.serial, &issued.account_id, findings),
            CouponEvent::Revoked(revoked) => coupon.revoke(record, revoked.serial, &revoked.account_id, findings),
            CouponEvent::Reserved(r) => coupon.reserve(record, r.serial, &r.account_id, &r.order_id, findings),
            CouponEvent::Used(used) => {
                let found = coupon.taken_by(record, used.serial, &used.account_id, &used.order_id, findings);
                let Some(taken) = found else { return };
                if taken.used {
                    findings.at(record, "I4", format!("serial {} is used by {} again", used.serial, used.order_id));
                }
                taken.used = true;
            }
            CouponEvent::Returned(back) => {
                // Used or not: an order that is refunded gives its coupon back.
                if coupon.taken_by(record, back.serial, &back.account_id, &back.order_id, findings).is_some() {
                    coupon.taken.remove(&back.serial);
                }
            }
        }
    }
}

impl Coupon {
    fn issue(&mut self, record: &Record, serial: u64, member: &AccountId, findings: &mut Findings) {
        let due = self.last_serial + 1;
        if serial != due {
            findings.at(record, "I4", format!("serial {serial} where {due} is due"));
        }
        self.last_serial = serial;
        self.live.insert(serial, member.clone());
        if self.live.len() as u64 > self.stock {
            findings.at(record, "I4", format!("{} are issued of a stock of {}", self.live.len(), self.stock));
        }
        let share = self.of_member.entry(member.clone()).or_default();
        *share += 1;
        if *share > self.per_member {
            findings.at(record, "I4", format!("a member has {share}, allowed are {}", self.per_member));
        }
    }

    fn revoke(&mut self, record: &Record, serial: u64, member: &AccountId, findings: &mut Findings) {
        if self.live.get(&serial) != Some(member) {
            findings.at(record, "I4", format!("serial {serial} is revoked, but this member does not hold it"));
            return;
        }
        self.live.remove(&serial);
        if let Some(share) = self.of_member.get_mut(member) {
            *share -= 1;
        }
    }

    fn reserve(&mut self, record: &Record, serial: u64, member: &AccountId, order: &OrderId, findings: &mut Findings) {
        if self.live.get(&serial) != Some(member) {
            findings.at(record, "I4", format!("serial {serial} is kept for {order}, but its member does not hold it"));
        }
        let taken = Taken { member: member.clone(), order: order.clone(), used: false };
        if let Some(before) = self.taken.insert(serial, taken) {
            findings.at(record, "I4", format!("serial {serial} is kept for {order}, but {before:?} has it"));
        }
    }

    /// The serial, if this order of this member has it; told if not.
    fn taken_by(
        &mut self,
        record: &Record,
        serial: u64,
        member: &AccountId,
        order: &OrderId,
        findings: &mut Findings,
    ) -> Option<&mut Taken> {
        let found = self.taken.get_mut(&serial).filter(|taken| taken.order == *order && taken.member == *member);
        if found.is_none() {
            findings.at(record, "I4", format!("serial {serial} ends with {order}, which does not have it"));
        }
        found
    }
}
