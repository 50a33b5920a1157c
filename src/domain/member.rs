//! How many seats of one performance may a member hold and have, and how often let holds go? One member's account there.
//!
//! Only a performance that counts its members has these streams. The account moves in the unit of the order, with the
//! seats: so it is right at every position of the log, and two orders at the same instant cannot both be within a limit.
//! It knows orders and numbers, not which seats; the limits ride in the command, since they are the performance's.

use std::collections::{BTreeMap, VecDeque};

use serde::{Deserialize, Serialize};

use super::{Aggregate, Ask, Asked, Asks, Decision, Fact, Never, Nobody, Refusal};
use crate::events::MemberEvent;
use crate::events::member::{Held, Released, Sold};
use crate::events::seat::ReleaseReason;
use crate::ids::{AccountId, OrderId, StreamId};
use crate::limits;
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub enum Member {}

// State

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    account: Option<AccountId>,
    /// Orders that hold or have seats.
    orders: BTreeMap<OrderId, Share>,
    /// When the latest holds were let go unpaid, oldest first.
    unpaid: VecDeque<Timestamp>,
}

/// An order's seats: held at first, then sold, then given back one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Share {
    held: u32,
    sold: u32,
}

// Command

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Hold {
        order_id: OrderId,
        seats: u32,
        limits: Limits,
    },
    /// All that the order holds.
    Sell {
        order_id: OrderId,
    },
    /// A hold ends as a whole; of what was sold, so many seats are given back.
    Release {
        order_id: OrderId,
        seats: u32,
        reason: ReleaseReason,
    },
}

/// What the performance grants each of its members; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Held and sold together.
    pub seats: Option<u32>,
    /// Orders that hold seats and are not paid for.
    pub live_orders: Option<u32>,
    /// Holds let go unpaid within `limits::UNPAID_HOLDS_WINDOW`; with so many of them, no new one.
    pub unpaid_holds: Option<u32>,
}

impl Ask for Command {
    fn put(self, stream: StreamId, to: &mut impl Asks) {
        to.take::<Member>(stream, self);
    }
}

// Refusal

impl State {
    fn held(&self) -> u32 {
        self.orders.values().fold(0, |sum, share| sum.saturating_add(share.held))
    }

    fn sold(&self) -> u32 {
        self.orders.values().fold(0, |sum, share| sum.saturating_add(share.sold))
    }

    fn live_orders(&self) -> usize {
        self.orders.values().filter(|share| share.held > 0).count()
    }

    fn check(&self, seats: u32, granted: &Limits, at: Timestamp) -> Result<(), Refusal> {
        if let Some(limit) = granted.seats {
            let (held, sold) = (self.held(), self.sold());
            if held.saturating_add(sold).saturating_add(seats) > limit {
                return Err(Refusal::MemberLimit { limit, held, sold });
            }
        }
        if let Some(limit) = granted.live_orders
            && self.live_orders() >= limit as usize
        {
            return Err(Refusal::TooManyLiveOrders { limit });
        }
        if let Some(limit) = granted.unpaid_holds
            && let Some(until) = self.barred_until(limit).filter(|until| *until > at)
        {
            return Err(Refusal::TooManyHolds { limit, until, at });
        }
        Ok(())
    }

    /// When fewer than `limit` of the unpaid holds will be young enough to count.
    fn barred_until(&self, limit: u32) -> Option<Timestamp> {
        let oldest = self.unpaid.len().checked_sub(usize::try_from(limit).ok()?.max(1))?;
        self.unpaid.get(oldest).map(|ended| ended.plus(limits::UNPAID_HOLDS_WINDOW))
    }
}

impl Aggregate for Member {
    const NOUN: &'static str = "member";
    const RESTS: bool = true;
    type State = State;
    type Event = MemberEvent;
    type Command = Command;
    type Part = Never;
    type Context = Nobody;
    type Notice = ();

    fn decide(
        state: &State,
        command: &Command,
        _: Option<&()>,
        asked: &Asked,
    ) -> Result<Decision<MemberEvent>, Refusal> {
        let share = |order_id| state.orders.get(order_id).copied().unwrap_or_default();
        // The order decides whether there is anything to sell or to let go; what was never counted here is not missed.
        let some = |seats: u32, event: MemberEvent| match seats {
            0 => Ok(Decision::Unchanged),
            _ => Ok(Decision::Append(vec![event])),
        };
        match command {
            Command::Hold { order_id, seats, limits } => {
                state.check(*seats, limits, asked.at)?;
                let (order_id, account_id) = (order_id.clone(), asked.by.clone());
                some(*seats, Held { order_id, account_id, seats: *seats }.into())
            }
            Command::Sell { order_id } => {
                let seats = share(order_id).held;
                some(seats, Sold { order_id: order_id.clone(), seats }.into())
            }
            Command::Release { order_id, seats, reason } => {
                let (share, order_id, reason) = (share(order_id), order_id.clone(), *reason);
                let seats = match reason {
                    ReleaseReason::Refunded => share.sold.min(*seats),
                    ReleaseReason::Expired | ReleaseReason::Cancelled | ReleaseReason::Failed => share.held,
                };
                let unpaid = match reason {
                    ReleaseReason::Expired => true,
                    // A seller who cancels does not count against the member.
                    ReleaseReason::Cancelled => state.account.as_ref() == Some(&asked.by),
                    ReleaseReason::Failed | ReleaseReason::Refunded => false,
                };
                some(seats, Released { order_id, seats, reason, unpaid }.into())
            }
        }
    }

    fn evolve(state: &mut State, fact: Fact<'_, MemberEvent>) {
        match fact.event {
            MemberEvent::Held(held) => {
                state.account.get_or_insert_with(|| held.account_id.clone());
                state.edit(&held.order_id, |share| share.held = share.held.saturating_add(held.seats));
            }
            MemberEvent::Sold(sold) => state.edit(&sold.order_id, |share| {
                share.held = share.held.saturating_sub(sold.seats);
                share.sold = share.sold.saturating_add(sold.seats);
            }),
            MemberEvent::Released(released) => {
                state.edit(&released.order_id, |share| match released.reason {
                    ReleaseReason::Refunded => share.sold = share.sold.saturating_sub(released.seats),
                    ReleaseReason::Expired | ReleaseReason::Cancelled | ReleaseReason::Failed => {
                        share.held = share.held.saturating_sub(released.seats);
                    }
                });
                if released.unpaid {
                    state.remember_unpaid(fact.at);
                }
            }
        }
    }

    fn entries(state: &State) -> usize {
        1 + state.orders.len() + state.unpaid.len()
    }
}

impl State {
    /// Seats held and sold.
    #[cfg(test)]
    pub(in crate::domain) fn standing(&self) -> (usize, usize) {
        (self.held() as usize, self.sold() as usize)
    }

    /// An order with nothing left is forgotten.
    fn edit(&mut self, order_id: &OrderId, edit: impl FnOnce(&mut Share)) {
        let mut share = self.orders.remove(order_id).unwrap_or_default();
        edit(&mut share);
        if share != Share::default() {
            self.orders.insert(order_id.clone(), share);
        }
    }

    /// No performance can ask for more of them than are kept.
    fn remember_unpaid(&mut self, at: Timestamp) {
        self.unpaid.push_back(at);
        while self.unpaid.len() > limits::UNPAID_HOLDS as usize {
            self.unpaid.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
