//! Who may give tickets back, and what follows when the money is back?
//!
//! A ticket is void from the moment its refund is asked for; its seat is free when the refund is done, not before.

use std::time::Duration;

use super::pay;
use super::state::{Standing, State, Status};
use crate::domain::checks::invalid;
use crate::domain::performance::Terms;
use crate::domain::{Asked, Decision, Refusal};
use crate::events::OrderEvent;
use crate::events::order::{
    Cancelled, CheckedIn, CouponSettled, Placed, RefundDone, RefundReason, RefundRequested, Refunded, ReviewOf,
    ReviewOpened, ReviewSettled, Ruling,
};
use crate::ids::{Hash16, RefundId, TicketId};
use crate::money::Amount;
use crate::planted::{Bug, planted};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancel {
    /// None: the whole order.
    pub tickets: Vec<TicketId>,
    pub patience: Duration,
}

/// What the provider said of a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Returned {
    pub refund_id: RefundId,
    pub answer: Answer,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done {
        psp_reference: Option<String>,
    },
    /// It will not give the money back by being asked again.
    Refused {
        psp_code: String,
    },
}

/// What a person found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    pub ruling: Ruling,
    pub psp_reference: Option<String>,
    pub patience: Duration,
}

pub(super) struct Wanted {
    pub attempt: u32,
    pub amount: Amount,
    pub whole: bool,
    pub tickets: Vec<TicketId>,
    pub why: RefundReason,
    pub patience: Duration,
}

pub(super) fn request(state: &State, placed: &Placed, wanted: Wanted, asked: &Asked) -> RefundRequested {
    let refund_id = RefundId::of(&placed.order_id, state.refunds.len() + 1);
    RefundRequested {
        order_id: placed.order_id.clone(),
        psp_key: Hash16::of("refund", &[refund_id.as_str().as_bytes()]),
        refund_id,
        attempt: wanted.attempt,
        amount: wanted.amount,
        whole: wanted.whole,
        tickets: wanted.tickets,
        why: wanted.why,
        review_at: asked.at.plus(wanted.patience),
        body: asked.body,
    }
}

/// The tickets that a cancellation is about: the named ones, else all that are left.
pub(super) fn chosen(state: &State, named: &[TicketId]) -> Vec<TicketId> {
    let all = state.tickets.iter().filter(|ticket| ticket.standing != Standing::Void || planted(Bug::RefundTwice));
    let wanted = all.map(|ticket| &ticket.ticket_id);
    wanted.filter(|id| named.is_empty() || named.contains(id)).cloned().collect()
}

/// What was paid for these tickets.
pub(super) fn paid(state: &State, tickets: &[TicketId]) -> Amount {
    let ours = state.tickets.iter().filter(|ticket| tickets.contains(&ticket.ticket_id));
    ours.fold(Amount::ZERO, |sum, ticket| sum.checked_add(ticket.paid).unwrap_or(Amount::MAX))
}

pub(super) fn decide_cancel(
    state: &State,
    cancel: &Cancel,
    terms: Option<&Terms>,
    asked: &Asked,
) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    let for_owner = asked.may_act_for(&placed.owner);
    if placed.account_id != asked.by && !for_owner {
        return Err(Refusal::NotFound);
    }
    if let Some(answer) = state.answered(&asked.command).and_then(|done| done.again(asked)) {
        return answer;
    }
    check_named(state, &cancel.tickets)?;
    match state.status() {
        Status::AwaitingPayment => Ok(Decision::Append(vec![cancelled(placed, asked).into()])),
        Status::Paying | Status::Review => Err(Refusal::PaymentInFlight),
        Status::Cancelled | Status::Refunding | Status::Refunded => Ok(Decision::Unchanged),
        status @ (Status::Expired | Status::Failed) => Err(Refusal::OrderNotCancellable { status: status.as_str() }),
        Status::Completed => {
            let until = terms.map(|terms| terms.cancel_until.unwrap_or(terms.starts_at));
            if !for_owner && until.is_none_or(|until| asked.at > until) {
                return Err(Refusal::CancelClosed { cancel_until: until });
            }
            decide_give_back(state, placed, cancel, asked)
        }
    }
}

fn check_named(state: &State, named: &[TicketId]) -> Result<(), Refusal> {
    for (i, ticket) in named.iter().enumerate() {
        if !state.tickets.iter().any(|known| known.ticket_id == *ticket) {
            return Err(invalid(format!("/tickets/{i}"), "is not a ticket of this order"));
        }
        if named[..i].contains(ticket) {
            return Err(invalid(format!("/tickets/{i}"), "is named twice"));
        }
    }
    Ok(())
}

fn decide_give_back(
    state: &State,
    placed: &Placed,
    cancel: &Cancel,
    asked: &Asked,
) -> Result<Decision<OrderEvent>, Refusal> {
    let tickets = chosen(state, &cancel.tickets);
    if tickets.is_empty() {
        return Ok(Decision::Unchanged);
    }
    if state.open_refund().is_some() {
        return Err(Refusal::PaymentInFlight);
    }
    if tickets.len() < cancel.tickets.len() {
        return Err(Refusal::TicketVoid);
    }
    let used = state.tickets.iter().filter(|ticket| ticket.standing == Standing::Used);
    let used: Vec<TicketId> = used.map(|t| t.ticket_id.clone()).filter(|id| tickets.contains(id)).collect();
    if !used.is_empty() {
        return Err(Refusal::TicketUsed { tickets: used });
    }
    Ok(Decision::Append(give_back(state, placed, tickets, RefundReason::Cancelled, cancel.patience, asked)))
}

/// Asks for the money of these tickets. Where none was paid, nobody needs to be asked, and they are back at once.
fn give_back(
    state: &State,
    placed: &Placed,
    tickets: Vec<TicketId>,
    why: RefundReason,
    patience: Duration,
    asked: &Asked,
) -> Vec<OrderEvent> {
    let (amount, attempt) = (paid(state, &tickets), state.paid_attempt());
    let whole = amount == state.left_of(attempt);
    let last = tickets.len() == state.live_tickets().count();
    let request = request(state, placed, Wanted { attempt, amount, whole, tickets, why, patience }, asked);
    if amount > Amount::ZERO {
        return vec![request.into()];
    }
    let done = RefundDone {
        order_id: placed.order_id.clone(),
        refund_id: request.refund_id.clone(),
        amount,
        tickets: request.tickets.clone(),
        psp_reference: None,
    };
    let ended = last.then(|| Refunded { order_id: placed.order_id.clone() }.into());
    [request.into(), done.into()].into_iter().chain(ended).collect()
}

pub(super) fn cancelled(placed: &Placed, asked: &Asked) -> Cancelled {
    Cancelled { order_id: placed.order_id.clone(), body: asked.body }
}

/// The performance does not take place. What is being settled right now is asked again later.
pub(super) fn decide_call_off(
    state: &State,
    patience: Duration,
    asked: &Asked,
) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    match state.status() {
        Status::AwaitingPayment => Ok(Decision::Append(vec![cancelled(placed, asked).into()])),
        Status::Completed if state.open_refund().is_none() => {
            let why = RefundReason::PerformanceCancelled;
            Ok(Decision::Append(give_back(state, placed, chosen(state, &[]), why, patience, asked)))
        }
        _ => Ok(Decision::Unchanged),
    }
}

pub(super) fn decide_returned(state: &State, returned: &Returned) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    let refund = state.refunds.iter().find(|refund| refund.refund_id == returned.refund_id && !refund.done);
    let Some(refund) = refund else { return Ok(Decision::Unchanged) };
    match &returned.answer {
        Answer::Done { psp_reference } => {
            Ok(Decision::Append(done(state, placed, refund, psp_reference.clone()).collect()))
        }
        Answer::Refused { .. } if state.review.is_some() => Ok(Decision::Unchanged),
        Answer::Refused { psp_code } => {
            let about = ReviewOf::Refund { refund_id: refund.refund_id.clone() };
            let psp_code = Some(psp_code.chars().take(crate::limits::PSP_CODE_CHARS).collect());
            Ok(Decision::Append(vec![ReviewOpened { order_id: placed.order_id.clone(), about, psp_code }.into()]))
        }
    }
}

fn done(
    state: &State,
    placed: &Placed,
    refund: &super::state::Refund,
    psp_reference: Option<String>,
) -> impl Iterator<Item = OrderEvent> {
    let order_id = placed.order_id.clone();
    let event = RefundDone {
        order_id: order_id.clone(),
        refund_id: refund.refund_id.clone(),
        amount: refund.amount,
        tickets: refund.tickets.clone(),
        psp_reference,
    };
    let last = !refund.tickets.is_empty() && state.live_tickets().next().is_none();
    std::iter::once(event.into()).chain(last.then(|| Refunded { order_id }.into()))
}

pub(super) fn decide_rule(state: &State, rule: &Rule, asked: &Asked) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().filter(|placed| asked.may_act_for(&placed.owner)).ok_or(Refusal::NotFound)?;
    if let Some(answer) = state.answered(&asked.command).and_then(|done| done.again(asked)) {
        return answer;
    }
    let about = state.review.as_ref().ok_or(Refusal::NotInReview { status: state.status().as_str() })?;
    let settled = ReviewSettled {
        order_id: placed.order_id.clone(),
        ruling: rule.ruling,
        psp_reference: rule.psp_reference.clone(),
        body: asked.body,
    };
    let reference = rule.psp_reference.clone().unwrap_or_else(|| BY_HAND.to_owned());
    let follows: Vec<OrderEvent> = match (about, rule.ruling) {
        (ReviewOf::Payment { attempt }, Ruling::Captured) => pay::captured(state, placed, *attempt, &reference, asked),
        (ReviewOf::Payment { attempt }, Ruling::NotCaptured) => pay::declined(state, placed, *attempt, BY_HAND),
        (ReviewOf::Payment { attempt }, Ruling::Refunded) => taken_and_back(state, placed, *attempt, rule, asked),
        (ReviewOf::Refund { .. }, Ruling::Captured) => Vec::new(),
        (ReviewOf::Refund { refund_id }, Ruling::Refunded) => {
            let refund = state.refunds.iter().find(|refund| refund.refund_id == *refund_id);
            refund.map(|refund| done(state, placed, refund, Some(reference)).collect()).unwrap_or_default()
        }
        (ReviewOf::Refund { .. }, Ruling::NotCaptured) => return Err(Refusal::RulingUnfit),
    };
    Ok(Decision::Append(std::iter::once(settled.into()).chain(follows).collect()))
}

const BY_HAND: &str = "SETTLED_BY_HAND";

/// The money was taken and somebody has given it back already: the order comes to nothing.
fn taken_and_back(state: &State, placed: &Placed, attempt: u32, rule: &Rule, asked: &Asked) -> Vec<OrderEvent> {
    let reference = rule.psp_reference.clone().unwrap_or_else(|| BY_HAND.to_owned());
    let (amount, why) = (placed.amount, RefundReason::TooLate);
    let wanted = Wanted { attempt, amount, whole: true, tickets: Vec::new(), why, patience: rule.patience };
    let request = request(state, placed, wanted, asked);
    let done = RefundDone {
        order_id: placed.order_id.clone(),
        refund_id: request.refund_id.clone(),
        amount,
        tickets: Vec::new(),
        psp_reference: Some(reference.clone()),
    };
    vec![
        pay::money(state, placed, attempt, &reference).into(),
        request.into(),
        done.into(),
        cancelled(placed, asked).into(),
    ]
}

/// The gate of the seller: once only, and never with a ticket that is being given back.
pub(super) fn decide_check_in(
    state: &State,
    ticket_id: &TicketId,
    asked: &Asked,
) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().filter(|placed| asked.may_act_for(&placed.owner)).ok_or(Refusal::NotFound)?;
    let ticket = state.tickets.iter().find(|ticket| ticket.ticket_id == *ticket_id).ok_or(Refusal::NotFound)?;
    if let Some(answer) = state.answered(&asked.command).and_then(|done| done.again(asked)) {
        return answer;
    }
    match ticket.standing {
        Standing::Valid => {
            let (order_id, ticket_id) = (placed.order_id.clone(), ticket_id.clone());
            Ok(Decision::Append(vec![CheckedIn { order_id, ticket_id, body: asked.body }.into()]))
        }
        Standing::Used => Err(Refusal::TicketUsed { tickets: vec![ticket_id.clone()] }),
        Standing::Void => Err(Refusal::TicketVoid),
    }
}

/// The coupon has heard how the order ended.
pub(super) fn decide_coupon(state: &State, used: bool) -> Result<Decision<OrderEvent>, Refusal> {
    let placed = state.placed.as_ref().ok_or(Refusal::NotFound)?;
    match (&placed.coupon_task_id, state.coupon_used == Some(used)) {
        (Some(task_id), false) => {
            let (order_id, task_id) = (placed.order_id.clone(), task_id.clone());
            Ok(Decision::Append(vec![CouponSettled { order_id, task_id, used }.into()]))
        }
        _ => Ok(Decision::Unchanged),
    }
}
