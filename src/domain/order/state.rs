//! How does an order stand? What its facts came to, and what the world outside still has to be asked for.
//!
//! Holds what rules and the process read; whether something may happen next is decided by the files beside this one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::Fact;
use crate::domain::checks::Done;
use crate::events::OrderEvent;
use crate::events::order::{Completed, Placed, RefundRequested, Requested, ReviewOf, Ruling};
use crate::ids::{AccountId, CommandId, Hash16, OrderId, PaymentKey, RefundId, SeatId, TaskId, TicketId, Version};
use crate::limits;
use crate::money::{Amount, Currency};
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// The promise; never changes once made.
    pub placed: Option<Arc<Placed>>,
    pub placed_at: Timestamp,
    pub stage: Stage,
    pub attempts: Vec<Attempt>,
    pub tickets: Vec<Ticket>,
    pub refunds: Vec<Refund>,
    /// What people have to look at.
    pub review: Option<ReviewOf>,
    /// What the coupon knows of the order's end: used up, or given back.
    pub(super) coupon_used: Option<bool>,
    /// Accepted commands that have no other place to be remembered in.
    pub(super) acts: Vec<Done>,
}

/// Means something only once the order is placed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    #[default]
    Holding,
    Completed,
    Expired,
    Failed,
    Cancelled,
}

/// The words of the public contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    AwaitingPayment,
    Paying,
    Completed,
    Expired,
    Failed,
    Cancelled,
    Refunding,
    Refunded,
    Review,
}

impl Status {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingPayment => "awaiting_payment",
            Self::Paying => "paying",
            Self::Completed => "completed",
            Self::Expired => "expired",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
            Self::Review => "review",
        }
    }
}

/// One try to get the money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    pub payment_key: PaymentKey,
    pub psp_key: Hash16,
    pub amount: Amount,
    pub requested_at: Timestamp,
    pub review_at: Timestamp,
    pub outcome: Outcome,
    /// The command, to recognise its repetition.
    pub(super) done: Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    Open,
    Captured,
    Declined,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub ticket_id: TicketId,
    pub seat_id: SeatId,
    pub paid: Amount,
    pub standing: Standing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    Valid,
    Used,
    /// Given back, or about to be.
    Void,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    pub refund_id: RefundId,
    pub attempt: u32,
    pub amount: Amount,
    pub whole: bool,
    pub tickets: Vec<TicketId>,
    pub psp_key: Hash16,
    pub requested_at: Timestamp,
    pub review_at: Timestamp,
    pub done: bool,
}

/// What the world outside has to be asked for next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    Pay(PayStep),
    Refund(RefundStep),
    /// Tell the coupon how the order ended.
    Coupon {
        task_id: TaskId,
        account_id: AccountId,
        used: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayStep {
    pub order_id: OrderId,
    pub attempt: u32,
    pub payment_key: PaymentKey,
    pub psp_key: Hash16,
    pub amount: Amount,
    pub currency: Currency,
    pub in_review: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundStep {
    pub order_id: OrderId,
    pub refund_id: RefundId,
    pub payment_key: PaymentKey,
    pub psp_key: Hash16,
    pub amount: Amount,
    pub whole: bool,
    pub currency: Currency,
    pub in_review: bool,
}

impl State {
    #[must_use]
    pub fn status(&self) -> Status {
        match self.stage {
            _ if self.review.is_some() => Status::Review,
            Stage::Holding if self.open_attempt().is_some() => Status::Paying,
            Stage::Holding => Status::AwaitingPayment,
            Stage::Completed if self.live_tickets().next().is_some() => Status::Completed,
            // Money that came too late is no matter of the tickets.
            Stage::Completed if self.refunds.iter().any(|one| !one.done && !one.tickets.is_empty()) => {
                Status::Refunding
            }
            Stage::Completed => Status::Refunded,
            Stage::Expired => Status::Expired,
            Stage::Failed => Status::Failed,
            Stage::Cancelled => Status::Cancelled,
        }
    }

    /// Attempts are one after another: only the last can be open.
    #[must_use]
    pub fn open_attempt(&self) -> Option<(u32, &Attempt)> {
        let (last, number) = (self.attempts.last()?, u32::try_from(self.attempts.len()).ok()?);
        (last.outcome == Outcome::Open).then_some((number, last))
    }

    #[must_use]
    pub fn open_refund(&self) -> Option<&Refund> {
        self.refunds.iter().find(|refund| !refund.done)
    }

    pub fn live_tickets(&self) -> impl Iterator<Item = &Ticket> {
        self.tickets.iter().filter(|ticket| ticket.standing != Standing::Void)
    }

    /// Does it hold its seats until a moment, and nobody is being asked for money?
    pub(super) fn holds(&self) -> bool {
        self.placed.is_some() && self.stage == Stage::Holding && self.open_attempt().is_none()
    }

    /// Has this payment been declined, and no other try with it is known to have the money?
    #[must_use]
    pub fn is_declined(&self, key: &PaymentKey) -> bool {
        let mut tries = self.attempts.iter().filter(|attempt| attempt.payment_key == *key).peekable();
        tries.peek().is_some() && tries.all(|attempt| attempt.outcome == Outcome::Declined)
    }

    /// Is a try with this payment known to have the money?
    pub(super) fn has_money_of(&self, key: &PaymentKey) -> bool {
        self.attempts.iter().any(|attempt| attempt.payment_key == *key && attempt.outcome == Outcome::Captured)
    }

    #[must_use]
    pub fn attempts_left(&self) -> u32 {
        // One whose money came late was declined too: it is not tried for again.
        let settled = self.attempts.iter().filter(|attempt| attempt.outcome != Outcome::Open).count();
        limits::PAYMENT_ATTEMPTS.saturating_sub(u32::try_from(settled).unwrap_or(u32::MAX))
    }

    pub(super) fn attempt(&self, number: u32) -> Option<&Attempt> {
        self.attempts.get(usize::try_from(number.checked_sub(1)?).ok()?)
    }

    /// The attempt whose money became the tickets. A money that came too late belongs to a declined one before it was captured.
    pub(super) fn paid_attempt(&self) -> u32 {
        let captured = self.attempts.iter().rposition(|attempt| attempt.outcome == Outcome::Captured);
        captured.and_then(|place| u32::try_from(place + 1).ok()).unwrap_or(0)
    }

    /// What of an attempt's money nobody has asked back.
    pub(super) fn left_of(&self, number: u32) -> Amount {
        let taken = self.attempt(number).filter(|attempt| attempt.outcome == Outcome::Captured);
        let back = self.refunds.iter().filter(|refund| refund.attempt == number).map(|refund| refund.amount);
        back.fold(taken.map_or(Amount::ZERO, |a| a.amount), |left, one| left.checked_sub(one).unwrap_or_default())
    }

    /// Since when the world outside has been waited for, if it is.
    pub(super) fn waits_since(&self) -> Option<Timestamp> {
        if let Some((_, attempt)) = self.open_attempt() {
            return Some(attempt.requested_at);
        }
        if let Some(refund) = self.open_refund() {
            return Some(refund.requested_at);
        }
        self.coupon_step().map(|_| self.placed_at)
    }

    /// What the world outside has to be asked for next: one thing at a time.
    #[must_use]
    pub fn step(&self) -> Option<Step> {
        let placed = self.placed.as_ref()?;
        let (order_id, currency, in_review) = (placed.order_id.clone(), placed.currency, self.review.is_some());
        if let Some((number, attempt)) = self.open_attempt() {
            return Some(Step::Pay(PayStep {
                order_id,
                attempt: number,
                payment_key: attempt.payment_key.clone(),
                psp_key: attempt.psp_key,
                amount: attempt.amount,
                currency,
                in_review,
            }));
        }
        if let Some(refund) = self.open_refund() {
            return Some(Step::Refund(RefundStep {
                order_id,
                refund_id: refund.refund_id.clone(),
                payment_key: self.attempt(refund.attempt)?.payment_key.clone(),
                psp_key: refund.psp_key,
                amount: refund.amount,
                whole: refund.whole,
                currency,
                in_review,
            }));
        }
        self.coupon_step()
    }

    fn coupon_step(&self) -> Option<Step> {
        let placed = self.placed.as_ref()?;
        let task_id = placed.coupon_task_id.clone()?;
        let used = match self.status() {
            Status::Expired if planted(Bug::CouponNotReturned) => return None,
            Status::Completed | Status::Refunding => true,
            Status::Expired | Status::Failed | Status::Cancelled | Status::Refunded => false,
            Status::AwaitingPayment | Status::Paying | Status::Review => return None,
        };
        let account_id = placed.account_id.clone();
        (self.coupon_used != Some(used)).then_some(Step::Coupon { task_id, account_id, used })
    }

    pub(super) fn answered(&self, command: &CommandId) -> Option<Done> {
        let paid = self.attempts.iter().map(|attempt| &attempt.done);
        paid.chain(&self.acts).find(|done| done.command == *command).copied()
    }
}

// Evolve

impl State {
    pub(super) fn evolve(&mut self, fact: &Fact<'_, OrderEvent>) {
        let act = |body: &Hash16| Done { command: fact.command, body: *body, version: fact.version };
        match fact.event {
            OrderEvent::Placed(placed) => {
                self.placed = Some(Arc::new(placed.clone()));
                self.placed_at = fact.at;
                self.stage = Stage::Holding;
            }
            OrderEvent::Expired(_) => self.stage = Stage::Expired,
            OrderEvent::Failed(_) => self.stage = Stage::Failed,
            OrderEvent::Cancelled(cancelled) => {
                self.stage = Stage::Cancelled;
                self.remember(act(&cancelled.body));
            }
            OrderEvent::Completed(completed) => self.completed(completed, act(&completed.body)),
            OrderEvent::Requested(requested) => self.requested(requested, fact.at, act(&requested.body)),
            OrderEvent::Captured(captured) => self.settled(captured.attempt, Outcome::Captured),
            OrderEvent::Declined(declined) => self.settled(declined.attempt, Outcome::Declined),
            OrderEvent::RefundRequested(refund) => self.refund_requested(refund, fact.at, act(&refund.body)),
            OrderEvent::RefundDone(done) => {
                self.reviewed(&ReviewOf::Refund { refund_id: done.refund_id.clone() });
                if let Some(refund) = self.refunds.iter_mut().find(|refund| refund.refund_id == done.refund_id) {
                    refund.done = true;
                }
            }
            OrderEvent::ReviewOpened(review) => self.review = Some(review.about.clone()),
            OrderEvent::ReviewSettled(settled) => {
                self.remember(act(&settled.body));
                // A refund that is said not to have happened is asked for again.
                if let (Some(ReviewOf::Refund { refund_id }), Ruling::Captured) = (&self.review, settled.ruling) {
                    let named = self.refunds.iter_mut().find(|refund| refund.refund_id == *refund_id);
                    if let Some(refund) = named {
                        let patience = refund.review_at.since(refund.requested_at);
                        (refund.requested_at, refund.review_at) = (fact.at, fact.at.plus(patience));
                    }
                    self.review = None;
                }
            }
            OrderEvent::CheckedIn(used) => {
                self.mark(std::slice::from_ref(&used.ticket_id), Standing::Used);
                self.remember(act(&used.body));
            }
            OrderEvent::CouponSettled(settled) => self.coupon_used = Some(settled.used),
            OrderEvent::Refunded(_) => {}
        }
        // The last fact of a command stands for all of it, also where that fact does not carry the request's hash.
        if let Some(done) = self.acts.iter_mut().rfind(|done| done.command == fact.command) {
            done.version = fact.version;
        }
    }

    fn remember(&mut self, done: Done) {
        self.acts.retain(|before| before.command != done.command);
        self.acts.push(done);
    }

    fn completed(&mut self, completed: &Completed, done: Done) {
        self.stage = Stage::Completed;
        self.tickets = completed
            .tickets
            .iter()
            .map(|sold| Ticket {
                ticket_id: sold.ticket_id.clone(),
                seat_id: sold.seat_id.clone(),
                paid: sold.paid,
                standing: Standing::Valid,
            })
            .collect();
        // A paid order remembers the command in its attempt; what completed it was the process, or a ruling.
        if self.attempts.iter().all(|attempt| attempt.outcome != Outcome::Captured) {
            self.remember(done);
        }
    }

    fn requested(&mut self, requested: &Requested, at: Timestamp, done: Done) {
        self.attempts.push(Attempt {
            payment_key: requested.payment_key.clone(),
            psp_key: requested.psp_key,
            amount: requested.amount,
            requested_at: at,
            review_at: requested.review_at,
            outcome: Outcome::Open,
            done,
        });
    }

    fn settled(&mut self, number: u32, outcome: Outcome) {
        self.reviewed(&ReviewOf::Payment { attempt: number });
        let place = usize::try_from(number).unwrap_or(0).wrapping_sub(1);
        if let Some(attempt) = self.attempts.get_mut(place) {
            attempt.outcome = outcome;
        }
    }

    /// What is known now ends the review about it; a review about another matter goes on.
    fn reviewed(&mut self, about: &ReviewOf) {
        self.review.take_if(|open| open == about);
    }

    fn refund_requested(&mut self, refund: &RefundRequested, at: Timestamp, done: Done) {
        self.mark(&refund.tickets, Standing::Void);
        self.refunds.push(Refund {
            refund_id: refund.refund_id.clone(),
            attempt: refund.attempt,
            amount: refund.amount,
            whole: refund.whole,
            tickets: refund.tickets.clone(),
            psp_key: refund.psp_key,
            requested_at: at,
            review_at: refund.review_at,
            done: false,
        });
        self.remember(done);
    }

    fn mark(&mut self, tickets: &[TicketId], standing: Standing) {
        for ticket in self.tickets.iter_mut().filter(|ticket| tickets.contains(&ticket.ticket_id)) {
            ticket.standing = standing;
        }
    }

    /// The version at which a repetition of this command is answered.
    #[must_use]
    pub fn version_of(&self, command: &CommandId) -> Option<Version> {
        self.answered(command).map(|done| done.version)
    }
}
