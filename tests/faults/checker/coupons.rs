//! I4: is no coupon given away twice? Stock, shares of members, serials in the order of the log, one order at a time for each.

use std::collections::{BTreeMap, HashMap};

use super::Verdict;
use super::log::{Event, Log};

#[derive(Clone, Debug, Default)]
pub struct Coupon {
    stock: u64,
    per_member: u64,
    serial: u64,
    /// Who has which, as of now.
    live: HashMap<u64, String>,
    shares: HashMap<String, u64>,
    /// Which order has which, and whether it used it.
    taken: HashMap<u64, (String, bool)>,
    /// By task: who, serial, and the end of its unit.
    pub issued: HashMap<String, (String, u64, u64)>,
    /// How many there were after each unit that issued or revoked one.
    pub counts: BTreeMap<u64, u64>,
}

pub fn judge(log: &Log, verdict: &mut Verdict) -> HashMap<String, Coupon> {
    let mut coupons: HashMap<String, Coupon> = HashMap::new();
    for unit in log.units() {
        let end = unit.last().map_or(0, |event| event.position);
        for event in unit {
            let Some(("coupon", id)) = event.stream.split_once('/') else { continue };
            coupons.entry(id.to_owned()).or_default().fact(event, end, verdict);
        }
    }
    coupons
}

impl Coupon {
    fn fact(&mut self, event: &Event, end: u64, verdict: &mut Verdict) {
        let (serial, member, order) = (event.number("serial"), event.text("account_id"), event.text("order_id"));
        let place = event.place();
        match event.kind.as_str() {
            "coupon.created" => {
                (self.stock, self.per_member) = (event.number("stock"), event.number("per_member"));
                self.counts.insert(end, 0);
            }
            "coupon.issued" => {
                verdict.saw("coupons issued");
                if serial != self.serial + 1 {
                    verdict.broken("I4", format!("{place}: serial {serial} after {}", self.serial));
                }
                self.serial = serial;
                self.live.insert(serial, member.to_owned());
                self.issued.insert(event.text("task_id").to_owned(), (member.to_owned(), serial, end));
                if self.live.len() as u64 > self.stock {
                    verdict.broken("I4", format!("{place}: {} are out of {}", self.live.len(), self.stock));
                }
                let share = self.shares.entry(member.to_owned()).or_default();
                *share += 1;
                if *share > self.per_member {
                    verdict.broken("I4", format!("{place}: {member} has {share} of {}", self.per_member));
                }
                self.counts.insert(end, self.live.len() as u64);
            }
            "coupon.revoked" => {
                if self.live.remove(&serial).as_deref() != Some(member) {
                    verdict.broken("I4", format!("{place}: serial {serial} is revoked, but {member} does not have it"));
                }
                if let Some(share) = self.shares.get_mut(member) {
                    *share = share.saturating_sub(1);
                }
                self.counts.insert(end, self.live.len() as u64);
            }
            "coupon.reserved" => {
                if self.live.get(&serial).map(String::as_str) != Some(member) {
                    verdict.broken("I4", format!("{place}: serial {serial} is reserved, but not {member}'s"));
                }
                if let Some((other, _)) = self.taken.insert(serial, (order.to_owned(), false)) {
                    verdict.broken("I4", format!("{place}: serial {serial} is reserved for {order}, {other} has it"));
                }
            }
            "coupon.used" => match self.taken.get_mut(&serial) {
                Some((other, used)) if other == order && !*used => *used = true,
                other => verdict.broken("I4", format!("{place}: {order} uses serial {serial} of {other:?}")),
            },
            "coupon.returned" => {
                let had = self.taken.remove(&serial);
                if had.as_ref().is_none_or(|(other, _)| other != order) {
                    verdict.broken("I4", format!("{place}: {order} returns serial {serial} of {had:?}"));
                }
            }
            _ => {}
        }
    }
}
