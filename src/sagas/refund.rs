//! Is the money back? Asks, looks, and asks again with the same key, until it is known.

use std::sync::Arc;

use super::Inner;
use super::payment::unknown;
use super::runner::Turn;
use crate::domain::order::{Command, Order, RefundAnswer, RefundStep, Returned};
use crate::fault::Fault;
use crate::gateways::payments::{Lookup, Refund, Refunding, Share, SharedPayments, Unknown};
use crate::ids::StreamId;
use crate::planted::{Bug, planted};
use crate::{limits, telemetry};

pub async fn take(inner: &Arc<Inner>, stream: &StreamId, step: RefundStep) -> Result<Turn, Fault> {
    let Some(payments) = &inner.parts.payments else {
        return Err(Fault::internal("a refund waits, and no payment provider is configured"));
    };
    let asked = Refund {
        payment_key: step.payment_key.clone(),
        order_id: step.order_id.clone(),
        refund_id: step.refund_id.clone(),
        share: if step.whole { Share::Whole } else { Share::Part },
        amount: step.amount,
        currency: step.currency,
        reason: "cancelled".to_owned(),
        idempotency_key: if planted(Bug::NewKeyOnRetry) { inner.parts.dispatch.fresh_command() } else { step.psp_key },
    };
    let known = if step.in_review {
        inner.under_review(stream);
        look(payments, &asked).await
    } else {
        match payments.cancel(&asked).await {
            Refunding::Unknown { reason } => {
                unknown("cancel", &step.order_id, &reason);
                look(payments, &asked).await
            }
            known => known,
        }
    };
    let (word, answer) = match known {
        Refunding::Refunded(back) => ("refunded", RefundAnswer::Done { psp_reference: back.transaction_key }),
        Refunding::Refused { psp_code } if !step.in_review => ("refused", RefundAnswer::Refused { psp_code }),
        Refunding::Refused { .. } => return Ok(Turn::Later(limits::REVIEW_LOOK)),
        Refunding::Unknown { reason } => {
            unknown("look", &step.order_id, &reason);
            return Ok(Turn::Later(if step.in_review { limits::REVIEW_LOOK } else { limits::PROCESS_BACKOFF_MAX }));
        }
    };
    let returned = Returned { refund_id: step.refund_id.clone(), answer };
    // A refund that was refused, reviewed and asked for again may be refused again: then that is another thing to say.
    let review = step.psp_key.0;
    let at = inner.parts.dispatch.fresh_command().0;
    let name: [&[u8]; 4] = [b"returned", step.refund_id.as_str().as_bytes(), word.as_bytes(), {
        if word == "refused" { &at } else { &review }
    }];
    if inner.insist::<Order>(stream, &name, Command::Returned(returned)).await? {
        metrics::counter!(telemetry::REFUNDS, "outcome" => word).increment(1);
        tracing::info!(order = %step.order_id, refund = %step.refund_id, outcome = word, "a refund is settled");
    }
    Ok(Turn::Again)
}

async fn look(payments: &SharedPayments, asked: &Refund) -> Refunding {
    match payments.find_by_payment_key(&asked.payment_key).await {
        Lookup::Found(payment) => payment.settle_refund(asked),
        Lookup::NotFound => {
            Refunding::Unknown { reason: Unknown::NotSent { detail: "the payment is not known there" } }
        }
        Lookup::Unknown { reason } => Refunding::Unknown { reason },
    }
}
