//! How does an order look from outside? One view for answers, reads and frames alike.
//!
//! The view is folded from the order's facts; it knows nothing of who may see it, but carries whose it is for those who
//! decide that.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::{Unit, damaged, unit_end};
use crate::events::order::{Completed, Placed, RefundDone, RefundRequested, ReviewOf, ReviewOpened};
use crate::events::{NounEvent, OrderEvent, Record};
use crate::fault::Fault;
use crate::ids::{
    AccountId, LogPosition, OrderId, PerformanceId, Position, RefundId, SeatId, StreamId, TaskId, TicketId, Version,
};
use crate::journal::Journal;
use crate::limits;
use crate::live::frame::{self, Frame};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SeatView {
    pub seat_id: SeatId,
    pub price: Amount,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TicketView {
    pub ticket_id: TicketId,
    pub seat_id: SeatId,
}

/// The payment provider's window, as pages may know it: the same for all orders of a node.
#[derive(Clone, Debug)]
pub struct PaymentWindow {
    pub provider: &'static str,
    pub client_key: Arc<str>,
}

/// What a page needs to open that window for an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Checkout {
    provider: &'static str,
    client_key: Arc<str>,
    order_id: OrderId,
    order_name: String,
}

impl PaymentWindow {
    /// `seats`: of the order, as it has them.
    pub fn of<'a>(&self, order_id: &OrderId, mut seats: impl ExactSizeIterator<Item = &'a SeatId>) -> Checkout {
        let first = seats.next().map(SeatId::to_string).unwrap_or_default();
        let order_name = match seats.len() {
            0 => first,
            others => format!("{first} + {others}"),
        };
        Checkout {
            provider: self.provider,
            client_key: self.client_key.clone(),
            order_id: order_id.clone(),
            order_name,
        }
    }
}

/// One attempt to get the money, or one giving back of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PaymentView {
    pub kind: &'static str,
    pub attempt: u32,
    pub refund_id: Option<RefundId>,
    /// Of payments: `requested`, `captured`, `declined`; of refunds: `requested`, `done`; of both: `review`.
    pub status: &'static str,
    pub amount: Amount,
    pub currency: Currency,
    pub psp_reference: Option<String>,
    pub code: Option<String>,
    pub at: Timestamp,
}

/// The order of the public contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OrderView {
    pub order_id: OrderId,
    pub performance_id: PerformanceId,
    pub status: OrderStatus,
    pub seats: Arc<[SeatView]>,
    pub subtotal: Amount,
    pub discount: Amount,
    pub amount: Amount,
    pub currency: Currency,
    pub coupon_task_id: Option<TaskId>,
    pub reference: Option<String>,
    pub placed_at: Timestamp,
    pub hold_expires_at: Timestamp,
    pub attempts_left: u32,
    pub refunded: Amount,
    pub checkout: Option<Checkout>,
    /// Those that are good; one that is being given back is not.
    pub tickets: Vec<TicketView>,
    /// The log's time of the last fact.
    pub at: Timestamp,
    /// Of the last event of the unit that the last fact belongs to.
    pub position: LogPosition,
    /// The buyer. Not part of the answer.
    #[serde(skip)]
    pub account_id: AccountId,
    /// The performance's seller. Not part of the answer.
    #[serde(skip)]
    pub owner: AccountId,
    /// Attempts and refunds. An answer of their own.
    #[serde(skip)]
    pub payments: Vec<PaymentView>,
    /// Every ticket that there ever was. Answers of their own.
    #[serde(skip)]
    pub sold: Vec<Sold>,
    /// How it would stand if people were not looking.
    #[serde(skip)]
    stands: OrderStatus,
    /// What people look at.
    #[serde(skip)]
    review: Option<ReviewOf>,
}

/// A ticket with what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sold {
    pub ticket_id: TicketId,
    pub seat_id: SeatId,
    pub price: Amount,
    pub paid: Amount,
    pub sold_at: Timestamp,
    /// `valid`, `used`, `refunding`, `refunded`.
    pub status: &'static str,
    pub used_at: Option<Timestamp>,
}

impl OrderView {
    /// A new order, as the answer to the command that placed it.
    #[must_use]
    pub fn placed(placed: &Placed, at: Timestamp, position: LogPosition) -> Self {
        let seats = placed.seats.iter().map(|s| SeatView { seat_id: s.seat_id.clone(), price: s.price }).collect();
        Self {
            order_id: placed.order_id.clone(),
            performance_id: placed.performance_id.clone(),
            status: OrderStatus::AwaitingPayment,
            seats,
            subtotal: placed.subtotal,
            discount: placed.discount,
            amount: placed.amount,
            currency: placed.currency,
            coupon_task_id: placed.coupon_task_id.clone(),
            reference: placed.reference.clone(),
            placed_at: at,
            hold_expires_at: placed.hold_until,
            attempts_left: limits::PAYMENT_ATTEMPTS,
            refunded: Amount::ZERO,
            checkout: None,
            tickets: Vec::new(),
            at,
            position,
            account_id: placed.account_id.clone(),
            owner: placed.owner.clone(),
            payments: Vec::new(),
            sold: Vec::new(),
            stands: OrderStatus::AwaitingPayment,
            review: None,
        }
    }

    /// With what a page needs to have it paid, where there is a window for that.
    #[must_use]
    pub fn payable_in(mut self, window: Option<&PaymentWindow>) -> Self {
        self.checkout = window.map(|window| window.of(&self.order_id, self.seats.iter().map(|seat| &seat.seat_id)));
        self
    }

    /// Goes one fact further. `position` is that of the unit's last event.
    pub fn apply(&mut self, event: &OrderEvent, at: Timestamp, position: LogPosition) {
        match event {
            OrderEvent::Placed(placed) => *self = Self::placed(placed, at, position),
            OrderEvent::Expired(_) => self.stands = OrderStatus::Expired,
            OrderEvent::Cancelled(_) => self.stands = OrderStatus::Cancelled,
            OrderEvent::Failed(_) => self.stands = OrderStatus::Failed,
            OrderEvent::Refunded(_) => self.stands = OrderStatus::Refunded,
            OrderEvent::Completed(completed) => self.completed(completed, at),
            OrderEvent::Requested(requested) => {
                self.stands = OrderStatus::Paying;
                self.payments.push(PaymentView {
                    kind: "payment",
                    attempt: requested.attempt,
                    refund_id: None,
                    status: "requested",
                    amount: requested.amount,
                    currency: requested.currency,
                    psp_reference: None,
                    code: None,
                    at,
                });
            }
            OrderEvent::Captured(captured) => {
                self.known(&ReviewOf::Payment { attempt: captured.attempt });
                let reference = Some(captured.psp_reference.clone());
                self.payment(captured.attempt, "captured", reference, None, at);
            }
            OrderEvent::Declined(declined) => {
                self.stands = OrderStatus::AwaitingPayment;
                self.known(&ReviewOf::Payment { attempt: declined.attempt });
                self.attempts_left = self.attempts_left.saturating_sub(1);
                self.payment(declined.attempt, "declined", None, Some(declined.psp_code.clone()), at);
            }
            OrderEvent::RefundRequested(refund) => self.refund_requested(refund, at),
            OrderEvent::RefundDone(done) => self.refund_done(done, at),
            OrderEvent::ReviewOpened(review) => self.review(review, at),
            OrderEvent::ReviewSettled(_) => {
                self.review = None;
                self.payments.iter_mut().filter(|one| one.status == "review").for_each(|one| one.status = "requested");
            }
            OrderEvent::CheckedIn(used) => {
                self.mark(std::slice::from_ref(&used.ticket_id), "used");
                let ours = self.sold.iter_mut().find(|sold| sold.ticket_id == used.ticket_id);
                if let Some(sold) = ours {
                    sold.used_at = Some(at);
                }
            }
            OrderEvent::CouponSettled(_) => {}
        }
        self.status = if self.review.is_some() { OrderStatus::Review } else { self.stands };
        self.at = at;
        self.position = position;
    }

    fn completed(&mut self, completed: &Completed, at: Timestamp) {
        self.stands = OrderStatus::Completed;
        for ticket in &completed.tickets {
            let (ticket_id, seat_id) = (ticket.ticket_id.clone(), ticket.seat_id.clone());
            self.tickets.push(TicketView { ticket_id: ticket_id.clone(), seat_id: seat_id.clone() });
            let (price, paid) = (ticket.price, ticket.paid);
            self.sold.push(Sold { ticket_id, seat_id, price, paid, sold_at: at, status: "valid", used_at: None });
        }
    }

    fn refund_requested(&mut self, refund: &RefundRequested, at: Timestamp) {
        self.tickets.retain(|ticket| !refund.tickets.contains(&ticket.ticket_id));
        self.mark(&refund.tickets, "refunding");
        if !refund.tickets.is_empty() && self.tickets.is_empty() {
            self.stands = OrderStatus::Refunding;
        }
        self.payments.push(PaymentView {
            kind: "refund",
            attempt: refund.attempt,
            refund_id: Some(refund.refund_id.clone()),
            status: "requested",
            amount: refund.amount,
            currency: self.currency,
            psp_reference: None,
            code: None,
            at,
        });
    }

    fn refund_done(&mut self, done: &RefundDone, at: Timestamp) {
        self.refunded = self.refunded.checked_add(done.amount).unwrap_or(self.refunded);
        self.mark(&done.tickets, "refunded");
        self.known(&ReviewOf::Refund { refund_id: done.refund_id.clone() });
        if let Some(refund) = self.refund(&done.refund_id) {
            (refund.status, refund.at) = ("done", at);
            refund.psp_reference.clone_from(&done.psp_reference);
        }
    }

    /// What is known now ends the review about it; a review about another matter goes on.
    fn known(&mut self, about: &ReviewOf) {
        self.review.take_if(|open| open == about);
    }

    fn review(&mut self, review: &ReviewOpened, at: Timestamp) {
        self.review = Some(review.about.clone());
        match &review.about {
            ReviewOf::Payment { attempt } => self.payment(*attempt, "review", None, review.psp_code.clone(), at),
            ReviewOf::Refund { refund_id } => {
                if let Some(refund) = self.refund(refund_id) {
                    (refund.status, refund.at) = ("review", at);
                    refund.code.clone_from(&review.psp_code);
                }
            }
        }
    }

    fn payment(
        &mut self,
        attempt: u32,
        status: &'static str,
        reference: Option<String>,
        code: Option<String>,
        at: Timestamp,
    ) {
        let ours = self.payments.iter_mut().find(|one| one.refund_id.is_none() && one.attempt == attempt);
        if let Some(one) = ours {
            (one.status, one.psp_reference, one.code, one.at) = (status, reference, code, at);
        }
    }

    fn refund(&mut self, id: &RefundId) -> Option<&mut PaymentView> {
        self.payments.iter_mut().find(|one| one.refund_id.as_ref() == Some(id))
    }

    fn mark(&mut self, tickets: &[TicketId], status: &'static str) {
        self.sold.iter_mut().filter(|sold| tickets.contains(&sold.ticket_id)).for_each(|sold| sold.status = status);
    }

    /// The order after these records of its stream, of which the last belongs to the unit that ends at `position`.
    pub fn of_records(records: &[Record], position: LogPosition) -> Result<Option<Self>, Fault> {
        let mut view = None;
        for record in records {
            step(&mut view, record, position)?;
        }
        Ok(view)
    }
}

fn step(view: &mut Option<OrderView>, record: &Record, position: LogPosition) -> Result<(), Fault> {
    let event = record.event().map_err(|e| damaged(record, e))?;
    let event = OrderEvent::from_event(event).ok_or_else(|| damaged(record, "not a fact of an order"))?;
    match (view.as_mut(), &event) {
        (Some(view), event) => view.apply(event, record.at, position),
        (None, OrderEvent::Placed(placed)) => *view = Some(OrderView::placed(placed, record.at, position)),
        (None, _) => return Err(damaged(record, "an order that was never placed")),
    }
    Ok(())
}

/// The order as of version `up_to` of its stream (all of it: `Version(u64::MAX)`).
pub(in crate::live) async fn read(
    journal: &dyn Journal,
    order: &OrderId,
    up_to: Version,
    window: Option<&PaymentWindow>,
) -> Result<Option<OrderView>, Fault> {
    let mut records = records(journal, order).await?;
    records.retain(|record| record.version <= up_to);
    let Some(last) = records.last() else { return Ok(None) };
    let position = unit_end(journal, last).await?;
    let view = OrderView::of_records(&records, position)?;
    Ok(view.map(|view| view.payable_in(window)))
}

/// An order has a handful of facts; thousands would be a fault of ours, not a reason to read for ever.
async fn records(journal: &dyn Journal, order: &OrderId) -> Result<Vec<Record>, Fault> {
    journal.read_stream(&StreamId::order(order), Version(0), limits::RESUME_FRAMES).await
}

#[derive(Serialize)]
struct WithPrev<'a> {
    #[serde(flatten)]
    order: &'a OrderView,
    prev: LogPosition,
}

/// The order and the id of the frame before its last.
#[derive(Debug, Default)]
pub(in crate::live) struct Fold {
    view: Option<OrderView>,
    prev: Position,
    window: Option<PaymentWindow>,
}

impl Fold {
    pub(in crate::live) async fn load(
        journal: &dyn Journal,
        order: &OrderId,
        up_to: Position,
        window: Option<&PaymentWindow>,
    ) -> Result<Option<Self>, Fault> {
        let (fold, _) = Self::replay(journal, order, up_to, window).await?;
        Ok(fold.view.is_some().then_some(fold))
    }

    /// The order as of `up_to`, with every frame on the way.
    pub(in crate::live) async fn replay(
        journal: &dyn Journal,
        order: &OrderId,
        up_to: Position,
        window: Option<&PaymentWindow>,
    ) -> Result<(Self, Vec<Frame>), Fault> {
        let mut fold = Self { window: window.cloned(), ..Self::default() };
        let mut made = Vec::new();
        let mut unit: Option<Unit> = None;
        for record in records(journal, order).await?.into_iter().filter(|r| r.position <= up_to) {
            match &mut unit {
                Some(unit) if record.position <= unit.end.position => unit.records.push(Arc::new(record)),
                _ => {
                    let (end, at) = (unit_end(journal, &record).await?, record.at);
                    let next = Unit { records: vec![Arc::new(record)], end, at };
                    if let Some(done) = unit.replace(next) {
                        made.extend(fold.apply(&done, fold.last())?);
                    }
                }
            }
        }
        if let Some(done) = unit {
            made.extend(fold.apply(&done, fold.last())?);
        }
        Ok((fold, made))
    }

    pub(in crate::live) fn last(&self) -> Position {
        self.view.as_ref().map_or(Position(0), |view| view.position.position)
    }

    pub(in crate::live) fn apply(&mut self, unit: &Unit, prev: Position) -> Result<Vec<Frame>, Fault> {
        for record in &unit.records {
            step(&mut self.view, record, unit.end)?;
        }
        // What the first fact brought is all that it needs.
        self.view = self.view.take().map(|view| match view.checkout {
            Some(_) => view,
            None => view.payable_in(self.window.as_ref()),
        });
        self.prev = prev;
        let Some(order) = &self.view else { return Ok(Vec::new()) };
        let data = WithPrev { order, prev: frame::id(unit.end.partition, prev) };
        Ok(vec![Frame::new("order", unit.end, prev, unit.at, &data)?])
    }

    /// The same bytes as the frame that led here.
    pub(in crate::live) fn snapshot(&self) -> Result<Bytes, Fault> {
        let order = self.view.as_ref().ok_or_else(|| Fault::internal("a topic without its order"))?;
        let data = WithPrev { order, prev: frame::id(order.position.partition, self.prev) };
        frame::event("order", Some(order.position), &data)
    }
}
