//! Has the provider taken the money? Asks, looks, and asks again with the same key, until it is known.
//!
//! The order of the questions: ask; if the answer is not known, look at the payment; if that does not tell either, ask
//! again with the same idempotency key. While people look at it (review), nothing is asked any more, only looked at.

use std::sync::Arc;

use super::Inner;
use super::runner::Turn;
use crate::actors::CommandError;
use crate::domain::order::{Answer, Late, Order, PayStep, Settle, State, Step};
use crate::fault::Fault;
use crate::gateways::payments::{Confirm, Confirmation, Hint, Lookup, SharedPayments, Standing, Unknown};
use crate::ids::{OrderId, PaymentKey, StreamId};
use crate::planted::{Bug, planted};
use crate::{limits, telemetry};

pub async fn take(inner: &Arc<Inner>, stream: &StreamId, step: PayStep) -> Result<Turn, Fault> {
    let Some(payments) = &inner.parts.payments else {
        return Err(Fault::internal("an order waits for money, and no payment provider is configured"));
    };
    let asked = Confirm {
        payment_key: step.payment_key.clone(),
        order_id: step.order_id.clone(),
        amount: step.amount,
        currency: step.currency,
        idempotency_key: if planted(Bug::NewKeyOnRetry) { inner.parts.dispatch.fresh_command() } else { step.psp_key },
    };
    let known = if step.in_review {
        inner.under_review(stream);
        look(payments, &asked).await
    } else {
        match payments.confirm(&asked).await {
            Confirmation::Unknown { reason } => {
                unknown("confirm", &step.order_id, &reason);
                look(payments, &asked).await
            }
            known => known,
        }
    };
    let answer = match known {
        Confirmation::Confirmed(captured) => {
            let reference = captured.transaction_key.unwrap_or_else(|| captured.payment_key.to_string());
            Answer::Captured { psp_reference: reference }
        }
        Confirmation::Declined { psp_code } => Answer::Declined { psp_code },
        Confirmation::Unknown { reason } if planted(Bug::TimeoutIsRefusal) => {
            Answer::Declined { psp_code: reason.label().to_owned() }
        }
        Confirmation::Unknown { reason } => {
            unknown("look", &step.order_id, &reason);
            return Ok(Turn::Later(if step.in_review { limits::REVIEW_LOOK } else { limits::PROCESS_BACKOFF_MAX }));
        }
    };
    settle(inner, stream, &step, answer).await
}

async fn settle(inner: &Arc<Inner>, stream: &StreamId, step: &PayStep, answer: Answer) -> Result<Turn, Fault> {
    let (word, reference) = match &answer {
        Answer::Captured { psp_reference } => ("captured", Some(psp_reference.clone())),
        Answer::Declined { .. } => ("declined", None),
    };
    let settle = Settle { attempt: step.attempt, answer };
    let name: [&[u8]; 3] = [b"settle", &step.attempt.to_le_bytes(), word.as_bytes()];
    let settled = inner.insist::<Order>(stream, &name, crate::domain::order::Command::Settle(settle)).await?;
    if settled {
        metrics::counter!(telemetry::PAYMENTS, "outcome" => word).increment(1);
        tracing::info!(order = %step.order_id, attempt = step.attempt, outcome = word, "a payment is settled");
    } else if let Some(reference) = reference {
        // Somebody has ruled otherwise meanwhile: what was taken must not be lost sight of.
        late(inner, stream, &step.payment_key, reference).await?;
    }
    Ok(Turn::Again)
}

async fn late(inner: &Arc<Inner>, stream: &StreamId, key: &PaymentKey, psp_reference: String) -> Result<(), Fault> {
    let late = Late { payment_key: key.clone(), psp_reference, patience: inner.parts.patience };
    let name: [&[u8]; 2] = [b"late", key.as_str().as_bytes()];
    if inner.insist::<Order>(stream, &name, crate::domain::order::Command::Late(late)).await? {
        metrics::counter!(telemetry::PAYMENTS, "outcome" => "late").increment(1);
        tracing::warn!(%stream, "money came for something that was gone; it goes back");
    }
    Ok(())
}

async fn look(payments: &SharedPayments, asked: &Confirm) -> Confirmation {
    match payments.find_by_payment_key(&asked.payment_key).await {
        Lookup::Found(payment) => payment.settle(asked),
        Lookup::NotFound => {
            Confirmation::Unknown { reason: Unknown::NotSent { detail: "the payment is not known there" } }
        }
        Lookup::Unknown { reason } => Confirmation::Unknown { reason },
    }
}

pub fn unknown(call: &'static str, order: &OrderId, reason: &Unknown) {
    metrics::counter!(telemetry::PSP_UNKNOWN, "call" => call, "reason" => reason.label()).increment(1);
    tracing::info!(%order, call, %reason, "the payment provider's answer is not known yet");
}

/// A hint names a payment of ours: whoever waits for it looks at once. It may also be money that came too late, whether or
/// not somebody waits for another one. An error: the log does not know yet how the payment stands, so the news must come again.
/// People may still rule that no money came, and then these news are all that finds it.
pub async fn hinted(inner: &Arc<Inner>, hint: Hint) -> Result<(), Fault> {
    let stream = StreamId::order(&hint.order_id);
    if let Some(nudge) = inner.running.lock().get(&stream) {
        nudge.notify_one();
    }
    let Some(key) = hint.payment_key else { return Ok(()) };
    let busy = |_| Fault::unavailable("too many hints are followed already");
    let permit = inner.hints.clone().try_acquire_owned().map_err(busy)?;
    let inner = inner.clone();
    // Whoever told us may hang up: the look goes on.
    let look = inner.parts.tracker.clone().spawn(async move {
        let _permit = permit;
        let looked = look_for_late(&inner, &stream, &hint.order_id, &key).await;
        looked.inspect_err(|fault| tracing::info!(%fault, %stream, "a hint could not be followed"))
    });
    look.await.unwrap_or_else(|_| Err(Fault::unavailable("the node is shutting down")))
}

/// Only payments that were declined for us are looked at: nobody else's hints make us ask the provider.
async fn look_for_late(inner: &Arc<Inner>, stream: &StreamId, order: &OrderId, key: &PaymentKey) -> Result<(), Fault> {
    let wanted = key.clone();
    let view = move |state: &State| {
        let open = matches!(state.step(), Some(Step::Pay(step)) if step.payment_key == wanted);
        (open, state.is_declined(&wanted))
    };
    let (open, declined) = match inner.parts.dispatch.read::<Order, _>(stream.clone(), view).await {
        Ok(read) => read.value,
        // There is no such order, so nothing was asked for.
        Err(CommandError::Refused(_)) => return Ok(()),
        Err(CommandError::Failed(fault)) => return Err(fault),
    };
    if open {
        return Err(Fault::unavailable("the payment is being looked at"));
    }
    let (Some(payments), true) = (&inner.parts.payments, declined) else { return Ok(()) };
    match payments.find_by_payment_key(key).await {
        Lookup::Found(found)
            if found.standing == Standing::Captured && found.order_id == *order && found.payment_key == *key =>
        {
            let reference = found.transaction_key.unwrap_or_else(|| key.to_string());
            late(inner, stream, key, reference).await
        }
        Lookup::Found(_) | Lookup::NotFound => Ok(()),
        Lookup::Unknown { reason } => {
            unknown("hint", order, &reason);
            Err(Fault::unavailable("the payment provider does not say how the payment stands"))
        }
    }
}
