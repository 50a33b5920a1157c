//! Which payments does a store's counter report, and what may be given back? Each payment once, and never more than it was.
//!
//! A store remembers payments for `STORE_MEMORY`; what is older is refused by its `paid_at`, so nothing that was forgotten
//! can be recorded again. A payment's id is what a repetition is known by; the key under which it came names no other one
//! meanwhile. Which device may speak for the store is the edge's business.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::checks::{Done, created_again, name, require};
use super::{Aggregate, Asked, Decision, Fact, Never, Nobody, Refusal};
use crate::events::StoreEvent;
use crate::events::store::{Created, PaymentCancelled, PaymentRecorded};
use crate::ids::{AccountId, CommandId, Hash16, PaymentId, StoreId, Version};
use crate::limits;
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub enum Store {}

// State

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    pub created: Option<Arc<Created>>,
    payments: BTreeMap<PaymentId, Payment>,
    /// The same payments by the time from which on they are forgotten.
    forgotten_after: BTreeSet<(Timestamp, PaymentId)>,
    /// And by the command that recorded them.
    recorded_by: BTreeMap<CommandId, PaymentId>,
    /// Cancellations remembered, over all payments.
    cancellations: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Payment {
    /// Everything that the counter said about it; a repetition must say the same.
    content: Hash16,
    currency: Currency,
    remaining: Amount,
    recorded: Version,
    command: CommandId,
    remembered_until: Timestamp,
    cancellations: Vec<Done>,
}

impl State {
    /// What is left of a payment; `None` when the store does not remember it.
    #[must_use]
    pub fn remaining(&self, payment: &PaymentId) -> Option<Amount> {
        self.payments.get(payment).map(|payment| payment.remaining)
    }

    /// What is over is forgotten, whether or not a fact has come since that let it go: otherwise a cancellation could be
    /// accepted of which nobody would know any more when it is asked for again.
    fn known(&self, payment: &PaymentId, at: Timestamp) -> Option<&Payment> {
        self.payments.get(payment).filter(|payment| payment.remembered_until >= at)
    }

    /// The payment whose turn to be forgotten has come longest ago goes with the next fact, so it takes no room.
    fn is_full(&self, at: Timestamp) -> bool {
        let room = self.forgotten_after.first().is_some_and(|(until, _)| *until < at);
        Store::entries(self) > limits::STORE_PAYMENTS && !room
    }

    fn forget(&mut self, at: Timestamp) {
        while self.forgotten_after.first().is_some_and(|(until, _)| *until < at) {
            let Some((_, id)) = self.forgotten_after.pop_first() else { return };
            if let Some(payment) = self.payments.remove(&id) {
                self.cancellations -= payment.cancellations.len() as u64;
                if self.recorded_by.get(&payment.command) == Some(&id) {
                    self.recorded_by.remove(&payment.command);
                }
            }
        }
    }

    /// Did this command record a payment, and does it speak of another one now? Logs of before this was asked have commands
    /// that recorded several: each of them is repeated as it was.
    fn is_reused(&self, asked: &Asked, payment: &PaymentId, content: Hash16) -> bool {
        let is_this = |known: &Payment| known.command == asked.command && known.content == content;
        let before = self.recorded_by.get(&asked.command).and_then(|id| self.known(id, asked.at));
        before.is_some() && !self.known(payment, asked.at).is_some_and(is_this)
    }

    fn record(&mut self, recorded: &PaymentRecorded, fact: &Fact<'_, StoreEvent>) {
        let Fact { at, version, command, .. } = *fact;
        // `paid_at` may be ahead by PAID_AT_AHEAD, and only its age keeps a forgotten payment from being recorded again.
        let remembered_until = at.plus(limits::STORE_MEMORY).plus(limits::PAID_AT_AHEAD);
        let payment = Payment {
            content: content(recorded),
            currency: recorded.currency,
            remaining: recorded.amount,
            recorded: version,
            command,
            remembered_until,
            cancellations: Vec::new(),
        };
        self.forgotten_after.insert((remembered_until, recorded.payment_id.clone()));
        self.recorded_by.insert(command, recorded.payment_id.clone());
        self.payments.insert(recorded.payment_id.clone(), payment);
    }

    fn cancel(&mut self, cancelled: &PaymentCancelled, at: Timestamp, done: Done) {
        let id = &cancelled.payment_id;
        let Some(payment) = self.payments.get_mut(id) else { return };
        payment.remaining = cancelled.remaining;
        payment.cancellations.push(done);
        self.cancellations += 1;
        // The key of a late cancellation is remembered as long as any other.
        let until = payment.remembered_until.max(at.plus(limits::KEY_MEMORY));
        let before = std::mem::replace(&mut payment.remembered_until, until);
        self.forgotten_after.remove(&(before, id.clone()));
        self.forgotten_after.insert((until, id.clone()));
    }
}

fn content(payment: &PaymentRecorded) -> Hash16 {
    let terminal = payment.terminal_id.as_deref();
    Hash16::of(
        "store payment",
        &[
            &payment.amount.minor().to_le_bytes(),
            payment.currency.code().as_bytes(),
            payment.method.as_bytes(),
            &payment.paid_at.0.to_le_bytes(),
            &[u8::from(terminal.is_some())],
            terminal.unwrap_or_default().as_bytes(),
        ],
    )
}

// Command

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Create {
        store_id: StoreId,
        name: String,
    },
    Record(RecordPayment),
    /// Without an amount: all that remains. `keyed`: the caller can repeat it under the same command.
    Cancel {
        payment_id: PaymentId,
        amount: Option<Amount>,
        keyed: bool,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPayment {
    pub payment_id: PaymentId,
    pub amount: Amount,
    pub currency: Currency,
    pub method: String,
    pub paid_at: Timestamp,
    pub terminal_id: Option<String>,
}

// Refusal

fn check_payment(payment: &PaymentRecorded, at: Timestamp) -> Result<(), Refusal> {
    name("/payment_id", payment.payment_id.as_str())?;
    require(payment.amount > Amount::ZERO, "/amount", "must be at least 1")?;
    name("/method", &payment.method)?;
    payment.terminal_id.as_ref().map_or(Ok(()), |terminal| name("/terminal_id", terminal))?;
    let oldest = at.minus(limits::STORE_MEMORY);
    if payment.paid_at < oldest {
        return Err(Refusal::PaymentTooOld { oldest });
    }
    require(payment.paid_at <= at.plus(limits::PAID_AT_AHEAD), "/paid_at", "is in the future")
}

impl Aggregate for Store {
    const NOUN: &'static str = "store";
    const SNAPSHOT_VERSION: u16 = 2;
    type State = State;
    type Event = StoreEvent;
    type Command = Command;
    type Part = Never;
    type Context = Nobody;
    type Notice = ();

    fn decide(
        state: &State,
        command: &Command,
        _: Option<&()>,
        asked: &Asked,
    ) -> Result<Decision<StoreEvent>, Refusal> {
        match command {
            Command::Create { store_id, name } => decide_create(state, store_id, name, asked),
            Command::Record(payment) => decide_record(state, payment, asked),
            Command::Cancel { payment_id, amount, keyed } => decide_cancel(state, payment_id, *amount, *keyed, asked),
        }
    }

    fn evolve(state: &mut State, fact: Fact<'_, StoreEvent>) {
        state.forget(fact.at);
        match fact.event {
            StoreEvent::Created(created) => state.created = Some(Arc::new(created.clone())),
            StoreEvent::PaymentRecorded(recorded) => state.record(recorded, &fact),
            StoreEvent::PaymentCancelled(cancelled) => {
                let done = Done { command: fact.command, body: cancelled.body, version: fact.version };
                state.cancel(cancelled, fact.at, done);
            }
        }
    }

    fn owner(state: &State) -> Option<AccountId> {
        state.created.as_ref().map(|created| created.owner.clone())
    }

    fn entries(state: &State) -> usize {
        1 + state.payments.len() + usize::try_from(state.cancellations).unwrap_or(usize::MAX)
    }
}

fn decide_create(
    state: &State,
    store_id: &StoreId,
    text: &str,
    asked: &Asked,
) -> Result<Decision<StoreEvent>, Refusal> {
    if let Some(created) = &state.created {
        return created_again(created.body, asked);
    }
    name("/name", text)?;
    let created =
        Created { store_id: store_id.clone(), owner: asked.by.clone(), name: text.to_owned(), body: asked.body };
    Ok(Decision::Append(vec![created.into()]))
}

fn decide_record(state: &State, payment: &RecordPayment, asked: &Asked) -> Result<Decision<StoreEvent>, Refusal> {
    if state.created.is_none() {
        return Err(Refusal::NotFound);
    }
    let recorded = PaymentRecorded {
        payment_id: payment.payment_id.clone(),
        amount: payment.amount,
        currency: payment.currency,
        method: payment.method.clone(),
        paid_at: payment.paid_at,
        terminal_id: payment.terminal_id.clone(),
    };
    let content = content(&recorded);
    if state.is_reused(asked, &payment.payment_id, content) {
        return Err(Refusal::KeyReused);
    }
    if let Some(known) = state.known(&payment.payment_id, asked.at) {
        let same = known.content == content;
        return if same { Ok(Decision::Replay(known.recorded)) } else { Err(Refusal::PaymentMismatch) };
    }
    check_payment(&recorded, asked.at)?;
    if state.is_full(asked.at) {
        return Err(Refusal::StoreFull);
    }
    Ok(Decision::Append(vec![recorded.into()]))
}

fn decide_cancel(
    state: &State,
    payment_id: &PaymentId,
    amount: Option<Amount>,
    keyed: bool,
    asked: &Asked,
) -> Result<Decision<StoreEvent>, Refusal> {
    let payment = state.known(payment_id, asked.at).ok_or(Refusal::NotFound)?;
    if let Some(answer) = payment.cancellations.iter().find_map(|done| done.again(asked)) {
        return answer;
    }
    if amount.is_some() && !keyed {
        return Err(Refusal::KeyRequired);
    }
    require(amount != Some(Amount::ZERO), "/amount", "must be at least 1")?;
    if payment.remaining == Amount::ZERO {
        return Err(Refusal::AlreadyCancelled);
    }
    let amount = amount.unwrap_or(payment.remaining);
    let Some(remaining) = payment.remaining.checked_sub(amount) else {
        return Err(Refusal::AmountExceedsRemaining { remaining: payment.remaining });
    };
    // Partial cancellations are remembered one by one and so need room; the last one of a payment always goes through.
    if remaining > Amount::ZERO && state.is_full(asked.at) {
        return Err(Refusal::StoreFull);
    }
    let cancelled = PaymentCancelled {
        payment_id: payment_id.clone(),
        amount,
        currency: payment.currency,
        remaining,
        body: asked.body,
    };
    Ok(Decision::Append(vec![cancelled.into()]))
}

#[cfg(test)]
mod tests;
