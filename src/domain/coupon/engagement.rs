//! Which order has an issued coupon? None, one that is being placed or paid for (reserved), or one that was completed (used).
//!
//! The order lives in another partition, so that this file never sees it: it only hears who reserves, and what a process says
//! came of the order. A revoked coupon stays with the order that has it, because that order's price is a promise.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Included, Unbounded};

use serde::{Deserialize, Serialize, Serializer};

use super::State;
use super::discount::Claim;
use crate::domain::{Asked, Authority, Decision, Refusal};
use crate::events::CouponEvent;
use crate::events::coupon::{Reserved, Returned, Used};
use crate::ids::{AccountId, OrderId, TaskId, Version};
use crate::limits;
use crate::timestamp::Timestamp;

// State

/// A coupon in an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Engagement {
    pub order_id: OrderId,
    pub until: Timestamp,
    pub used: bool,
    /// Of the fact that reserved it.
    pub version: Version,
}

/// By serial; who is not here is free.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "BTreeMap<u64, Engagement>")]
pub(super) struct Engagements {
    all: BTreeMap<u64, Engagement>,
    /// Made again from all: those not used, by the end of their claim. There may be millions of used ones.
    open: BTreeSet<(Timestamp, u64)>,
}

impl Engagements {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn get(&self, serial: u64) -> Option<&Engagement> {
        self.all.get(&serial)
    }

    pub fn reserve(&mut self, serial: u64, order_id: OrderId, until: Timestamp, version: Version) {
        self.release(serial);
        self.open.insert((until, serial));
        self.all.insert(serial, Engagement { order_id, until, used: false, version });
    }

    pub fn consume(&mut self, serial: u64) {
        if let Some(engagement) = self.all.get_mut(&serial) {
            engagement.used = true;
            self.open.remove(&(engagement.until, serial));
        }
    }

    pub fn release(&mut self, serial: u64) {
        if let Some(engagement) = self.all.remove(&serial) {
            self.open.remove(&(engagement.until, serial));
        }
    }
}

impl From<BTreeMap<u64, Engagement>> for Engagements {
    fn from(all: BTreeMap<u64, Engagement>) -> Self {
        let open = all.iter().filter(|(_, held)| !held.used).map(|(serial, held)| (held.until, *serial)).collect();
        Self { all, open }
    }
}

impl Serialize for Engagements {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(serializer)
    }
}

impl State {
    /// Is any coupon reserved and neither used nor returned yet?
    #[must_use]
    pub fn has_open(&self) -> bool {
        !self.engagements.open.is_empty()
    }

    /// The earliest end of an open reservation's claim that is later than `after`.
    #[must_use]
    pub fn next_until(&self, after: Timestamp) -> Option<Timestamp> {
        self.engagements.open.range((Excluded((after, u64::MAX)), Unbounded)).next().map(|(until, _)| *until)
    }

    /// Open reservations whose claim ended after `after` and not after `now`: what came of those orders is to be found out.
    #[must_use]
    pub fn overdue(&self, after: Timestamp, now: Timestamp) -> Vec<(TaskId, OrderId, AccountId)> {
        let Some(created) = self.created.as_ref().filter(|_| after < now) else { return Vec::new() };
        let ended = self.engagements.open.range((Excluded((after, u64::MAX)), Included((now, u64::MAX))));
        let found = ended.filter_map(|(_, serial)| {
            let (issue, held) = (self.issue(*serial)?, self.engagements.get(*serial)?);
            let task = TaskId::derive(&created.coupon_id, &issue.command);
            Some((task, held.order_id.clone(), issue.account_id.clone()))
        });
        found.collect()
    }

    /// What the order that reserved this coupon takes along. An order that used it has been placed before and gets the same.
    #[must_use]
    pub fn claim(&self, task: &TaskId, order: &OrderId) -> Option<Claim> {
        let created = self.created.as_ref()?;
        let held = self.engagements.get(self.task(task)?.serial).filter(|held| held.order_id == *order)?;
        Some(Claim {
            task_id: task.clone(),
            discount: created.discount.clone(),
            owner: created.owner.clone(),
            shows: created.shows.clone(),
            until: held.until,
        })
    }
}

// Refusal

pub(super) fn not_usable(reason: &'static str) -> Refusal {
    Refusal::CouponNotUsable { reason }
}

/// Only the process that follows orders says what came of one.
fn only_the_process(asked: &Asked) -> Result<(), Refusal> {
    if asked.authority == Authority::Any { Ok(()) } else { Err(Refusal::NotFound) }
}

// decide

/// The order is what makes a repetition, not the command: its id is known before, and it is placed at most once.
pub(super) fn decide_reserve(
    state: &State,
    task_id: &TaskId,
    order_id: &OrderId,
    asked: &Asked,
) -> Result<Decision<CouponEvent>, Refusal> {
    let mine = state.task(task_id).filter(|task| task.account_id == asked.by);
    let (Some(task), Some(created)) = (mine, &state.created) else { return Err(not_usable("unknown")) };
    let held = state.engagements.get(task.serial);
    if let Some(held) = held.filter(|held| held.order_id == *order_id) {
        return Ok(Decision::Replay(held.version));
    }
    if task.revoked {
        return Err(not_usable("revoked"));
    }
    if asked.at >= created.valid_until {
        return Err(not_usable("expired"));
    }
    if let Some(held) = held {
        return Err(taken(held));
    }
    let reserved = Reserved {
        account_id: task.account_id,
        serial: task.serial,
        task_id: task_id.clone(),
        order_id: order_id.clone(),
        until: asked.at.plus(limits::COUPON_CLAIM),
    };
    Ok(Decision::Append(vec![reserved.into()]))
}

fn taken(held: &Engagement) -> Refusal {
    not_usable(if held.used { "used" } else { "reserved" })
}

pub(super) fn decide_use(
    state: &State,
    task_id: &TaskId,
    order_id: &OrderId,
    asked: &Asked,
) -> Result<Decision<CouponEvent>, Refusal> {
    only_the_process(asked)?;
    let task = state.task(task_id).ok_or(Refusal::NotFound)?;
    match state.engagements.get(task.serial) {
        Some(held) if held.order_id != *order_id => Err(taken(held)),
        Some(held) if held.used => Ok(Decision::Unchanged),
        Some(_) => {
            let used = Used {
                account_id: task.account_id,
                serial: task.serial,
                task_id: task_id.clone(),
                order_id: order_id.clone(),
            };
            Ok(Decision::Append(vec![used.into()]))
        }
        // It is not reserved for this order any more: a free coupon is nobody's to use.
        None => Err(not_usable("reserved")),
    }
}

/// Nothing to give back is as good as given back: whoever tidies up may come twice, or for what never was.
pub(super) fn decide_return(
    state: &State,
    task_id: &TaskId,
    order_id: &OrderId,
    asked: &Asked,
) -> Result<Decision<CouponEvent>, Refusal> {
    only_the_process(asked)?;
    let Some(task) = state.task(task_id) else { return Ok(Decision::Unchanged) };
    match state.engagements.get(task.serial) {
        Some(held) if held.order_id == *order_id => {
            let returned = Returned {
                account_id: task.account_id,
                serial: task.serial,
                task_id: task_id.clone(),
                order_id: order_id.clone(),
            };
            Ok(Decision::Append(vec![returned.into()]))
        }
        Some(_) | None => Ok(Decision::Unchanged),
    }
}
