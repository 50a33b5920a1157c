//! May this order be paid for, and what follows from the provider's answer?
//!
//! Asking the provider is not done here: the fact that it is about to be asked comes first, and the answer comes back as
//! a command that names the attempt. An answer about an attempt that is settled already changes nothing.

use std::time::Duration;

use super::refund;
use super::state::{State, Status};
use crate::domain::checks::invalid;
use crate::domain::performance::Terms;
use crate::domain::{Asked, Decision, Refusal};
use crate::events::OrderEvent;
use crate::events::order::{
    Captured, Completed, Declined, Failed, Placed, RefundReason, Requested, ReviewOf, ReviewOpened, SoldTicket,
};
use crate::ids::{Hash16, PaymentKey, TicketId};
use crate::limits;
use crate::money::{Amount, shares};
use crate::planted::{Bug, planted};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pay {
    /// `None` is enough for an order that costs nothing.
    pub payment_key: Option<PaymentKey>,
    /// What the buyer believes to pay.
    pub amount: Amount,
    /// When nothing is known after that long, people have to look.
    pub patience: Duration,
}

/// What the provider said of an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settle {
    pub attempt: u32,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Captured { psp_reference: String },
    Declined { psp_code: String },
}

/// The provider has the money of an attempt after it had said no.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    pub payment_key: PaymentKey,
    pub psp_reference: String,
    pub patience: Duration,
}

pub(super) fn decide_pay(
    state: &State,
    pay: &Pay,
    terms: Option<&Terms>,
    asked: &Asked,
) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().filter(|placed| placed.account_id == asked.by).ok_or(Refusal::NotFound)?;
    if let Some(answer) = state.answered(&asked.command).and_then(|done| done.again(asked)) {
        return answer;
    }
    match state.status() {
        Status::Paying | Status::Review => return Err(Refusal::PaymentInFlight),
        Status::AwaitingPayment if terms.is_some_and(|terms| terms.cancelled) => {
            return Err(Refusal::OrderNotPayable { status: Status::Cancelled.as_str() });
        }
        // Its deadline may have come while the command was on its way to be decided.
        Status::AwaitingPayment if placed.hold_until <= asked.at => {
            return Err(Refusal::OrderNotPayable { status: Status::Expired.as_str() });
        }
        Status::AwaitingPayment => {}
        status => return Err(Refusal::OrderNotPayable { status: status.as_str() }),
    }
    if pay.amount != placed.amount {
        return Err(Refusal::AmountMismatch { expected: placed.amount });
    }
    if placed.amount == Amount::ZERO {
        return Ok(Decision::Append(vec![completed(placed, asked.body).into()]));
    }
    let payment_key = pay.payment_key.clone().ok_or_else(|| invalid("/payment_key", "is needed"))?;
    // Its money came too late and goes back: asked once more, the provider would say that it has it, and tickets would be
    // given for money that is about to leave.
    if state.has_money_of(&payment_key) {
        return Err(invalid("/payment_key", "is a payment that goes back to the buyer"));
    }
    let attempt = u32::try_from(state.attempts.len() + 1).unwrap_or(u32::MAX);
    let requested = Requested {
        order_id: placed.order_id.clone(),
        attempt,
        amount: placed.amount,
        currency: placed.currency,
        payment_key,
        // New for each attempt, the same for each repetition of its call.
        psp_key: Hash16::of("payment", &[placed.order_id.as_str().as_bytes(), &attempt.to_le_bytes()]),
        review_at: asked.at.plus(pay.patience),
        body: asked.body,
    };
    Ok(Decision::Append(vec![requested.into()]))
}

/// Tickets and their paid shares, which add up to the order's amount.
pub(super) fn completed(placed: &Placed, body: Hash16) -> Completed {
    let prices: Vec<Amount> = placed.seats.iter().map(|seat| seat.price).collect();
    let discounts = shares(placed.discount, &prices);
    let tickets = (1..).zip(&placed.seats).zip(discounts).map(|((place, seat), discount)| SoldTicket {
        ticket_id: TicketId::of(&placed.order_id, place),
        seat_id: seat.seat_id.clone(),
        price: seat.price,
        paid: seat.price.checked_sub(discount).unwrap_or_default(),
    });
    Completed { order_id: placed.order_id.clone(), tickets: tickets.collect(), body }
}

/// Is there something that an answer about this attempt would settle?
pub(super) fn is_open(state: &State, attempt: u32) -> bool {
    state.open_attempt().is_some_and(|(number, _)| number == attempt)
}

pub(super) fn decide_settle(state: &State, settle: &Settle, asked: &Asked) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    if !is_open(state, settle.attempt) {
        return Ok(Decision::Unchanged);
    }
    Ok(Decision::Append(match &settle.answer {
        Answer::Captured { psp_reference } => captured(state, placed, settle.attempt, psp_reference, asked),
        Answer::Declined { psp_code } => declined(state, placed, settle.attempt, psp_code),
    }))
}

/// The money, the completion and the tickets are one unit.
pub(super) fn captured(
    state: &State,
    placed: &Placed,
    attempt: u32,
    psp_reference: &str,
    asked: &Asked,
) -> Vec<OrderEvent> {
    vec![money(state, placed, attempt, psp_reference).into(), completed(placed, asked.body).into()]
}

pub(super) fn money(state: &State, placed: &Placed, attempt: u32, psp_reference: &str) -> Captured {
    let key = state.attempt(attempt).map(|attempt| attempt.payment_key.clone());
    Captured {
        order_id: placed.order_id.clone(),
        attempt,
        amount: placed.amount,
        payment_key: key.unwrap_or_else(|| PaymentKey::new("")),
        psp_reference: psp_reference.to_owned(),
    }
}

/// After the last attempt the order has failed, and its seats are free.
pub(super) fn declined(state: &State, placed: &Placed, attempt: u32, psp_code: &str) -> Vec<OrderEvent> {
    let order_id = placed.order_id.clone();
    let psp_code = psp_code.chars().take(limits::PSP_CODE_CHARS).collect();
    let mut events = vec![Declined { order_id: order_id.clone(), attempt, amount: placed.amount, psp_code }.into()];
    if state.attempts_left() <= 1 {
        events.push(Failed { order_id }.into());
    }
    events
}

/// Money for something that is gone goes back, whole and once.
pub(super) fn decide_late(state: &State, late: &Late, asked: &Asked) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    let key = &late.payment_key;
    if planted(Bug::LateMoneyKept) {
        return Ok(Decision::Unchanged);
    }
    // The same key may have been tried twice; if any of those tries has the money, it is accounted for.
    if !state.is_declined(key) {
        return Ok(Decision::Unchanged);
    }
    let place = state.attempts.iter().rposition(|attempt| attempt.payment_key == *key);
    let Some(attempt) = place.and_then(|place| u32::try_from(place + 1).ok()) else { return Ok(Decision::Unchanged) };
    let back = refund::request(
        state,
        placed,
        refund::Wanted {
            attempt,
            amount: placed.amount,
            whole: true,
            tickets: Vec::new(),
            why: RefundReason::TooLate,
            patience: late.patience,
        },
        asked,
    );
    Ok(Decision::Append(vec![money(state, placed, attempt, &late.psp_reference).into(), back.into()]))
}

/// Nothing is known in time: seats and money stay as they are, and people look.
pub(super) fn overdue(state: &State, placed: &Placed, asked: &Asked) -> Option<OrderEvent> {
    if state.review.is_some() {
        return None;
    }
    let about = match (state.open_attempt(), state.open_refund()) {
        (Some((number, attempt)), _) if asked.at >= attempt.review_at => ReviewOf::Payment { attempt: number },
        (None, Some(refund)) if asked.at >= refund.review_at => {
            ReviewOf::Refund { refund_id: refund.refund_id.clone() }
        }
        _ => return None,
    };
    Some(ReviewOpened { order_id: placed.order_id.clone(), about, psp_code: None }.into())
}
