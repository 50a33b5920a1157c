//! How is an order paid for? The buyer's payment, the list of what was tried, and the provider's hints.

// Routes: POST, GET /v1/orders/{id}/payment(s) · POST /v1/psp/toss/webhook

use std::pin::pin;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::{Code, Problem};
use super::extract::{Anyone, Ask, At, Body, By, Checks, Input, Payers, Prefer, Raw, Whole};
use super::orders::{OrderBody, visible};
use crate::actors::{Dispatch, Outcome};
use crate::domain::order::{Command, Order, Pay};
use crate::events::OrderEvent;
use crate::ids::{OrderId, PaymentKey, StreamId, Version};
use crate::limits;
use crate::live::{Hub, OrderStatus, OrderView, PaymentView};
use crate::money::Amount;
use crate::planted::{Bug, planted};
use crate::sagas::Processes;

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = OrderPayment)]
#[serde(deny_unknown_fields)]
pub struct NewPayment {
    /// As the provider's window gave it; an order that costs nothing needs none.
    pub payment_key: Option<String>,
    /// What the buyer saw: another amount than the order's is refused.
    #[schema(value_type = u64)]
    pub amount: Whole,
}

impl Input for NewPayment {}

// Responses

#[derive(Serialize, ToSchema)]
pub struct Payments {
    items: Vec<PaymentBody>,
}

/// As `live::PaymentView` writes it.
#[derive(Serialize, ToSchema)]
#[schema(as = Payment)]
#[allow(dead_code, reason = "describes what another type writes")]
pub struct PaymentBody {
    /// `payment` or `refund`.
    kind: String,
    attempt: u32,
    refund_id: Option<String>,
    /// Of payments: `requested`, `captured`, `declined`; of refunds: `requested`, `done`; of both: `review`.
    status: String,
    amount: u64,
    currency: String,
    psp_reference: Option<String>,
    code: Option<String>,
    at: String,
}

// Handlers

#[utoipa::path(post, path = "/v1/orders/{id}/payment", tag = "orders", params(("id" = String, Path,)),
    request_body = NewPayment, responses((status = 200, body = OrderBody), (status = 202, body = OrderBody),
        (status = 402, body = ProblemBody), (status = "4XX", body = ProblemBody)))]
pub async fn pay(
    ask: Ask<Payers>,
    At(id): At<OrderId>,
    prefer: Prefer,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    State(processes): State<Processes>,
    body: Body<NewPayment>,
) -> Answered {
    let pay = wanted(&body.value, &processes)?;
    let needs_provider = pay.amount > Amount::ZERO;
    if needs_provider && !processes.can_pay() {
        return Err(Problem::payments_unavailable());
    }
    let stream = StreamId::order(&id);
    let mut watch = processes.watch(&stream);
    let mut patience = pin!(tokio::time::sleep(prefer.bounded()));
    let request = ask.request(&body, None);
    if planted(Bug::PspBeforeLog) {
        processes.ask_too_early(&id, &pay).await;
    }
    let outcome = dispatch.execute::<Order>(stream, Command::Pay(pay), request).await?;
    let Some(OrderEvent::Requested(requested)) = outcome.events.first() else {
        let order = hub.order_at(&id, outcome.version).await.map_err(Problem::unanswered)?;
        let order = order.ok_or_else(Problem::not_found)?;
        return Ok(Answer::ok(&order)?.replayed(outcome.replayed).done());
    };
    let attempt = requested.attempt;
    let at_once = prefer.at_once() && !outcome.replayed;
    // A new attempt has nothing to show yet.
    let mut look = outcome.replayed || at_once || watch.told_within(patience.as_mut()).await;
    loop {
        let order = hub.order(&id).await.map_err(Problem::unanswered)?.ok_or_else(Problem::not_found)?;
        let tried = order.payments.iter().find(|one| one.kind == "payment" && one.attempt == attempt).cloned();
        let open = tried.as_ref().is_some_and(|one| one.status == "requested");
        if open && look && !at_once {
            look = watch.told_within(patience.as_mut()).await;
            continue;
        }
        let order = first_answer(&hub, order, &outcome).await?;
        let answer = answer(order, tried.as_ref(), outcome.replayed)?;
        return Ok(answer.preferred(prefer, at_once && open).done());
    }
}

fn wanted(asked: &NewPayment, processes: &Processes) -> Result<Pay, Problem> {
    let mut checks = Checks::default();
    let amount = checks.amount("/amount", asked.amount);
    let payment_key = asked.payment_key.as_deref().and_then(|key| {
        let parsed = PaymentKey::parse(key);
        if parsed.is_none() {
            let most = limits::PAYMENT_KEY_BYTES;
            checks.refuse("/payment_key", format!("must be 1 to {most} letters, digits, - _ ="));
        }
        parsed
    });
    checks.done()?;
    Ok(Pay { payment_key, amount, patience: processes.patience() })
}

/// What a repetition is told: the order as it was when this payment completed it, whatever came afterwards.
async fn first_answer(hub: &Hub, now: OrderView, outcome: &Outcome<OrderEvent>) -> Result<OrderView, Problem> {
    if !outcome.replayed || now.sold.is_empty() {
        return Ok(now);
    }
    // Captured and completed follow the request, unless people had to look.
    let then = hub.order_at(&now.order_id, Version(outcome.version.0 + 2)).await.map_err(Problem::unanswered)?;
    Ok(then.filter(|then| then.status == OrderStatus::Completed).unwrap_or(now))
}

fn answer(order: OrderView, tried: Option<&PaymentView>, replayed: bool) -> Result<Answer, Problem> {
    match tried.map(|one| (one.status, one)) {
        Some(("captured", _)) => Ok(Answer::ok(&order)?.replayed(replayed)),
        Some(("declined", one)) => Err(declined(&order, one, replayed)),
        _ => Ok(Answer::json(StatusCode::ACCEPTED, &order)?
            .at(&format!("/v1/orders/{}", order.order_id))
            .replayed(replayed)),
    }
}

/// Attempts follow each other, so what is left after this one does not depend on when somebody asks again.
fn declined(order: &OrderView, tried: &PaymentView, replayed: bool) -> Problem {
    let problem = Problem::new(Code::PaymentDeclined, "the payment provider refused this payment; nothing was taken")
        .with("psp_code", json!(tried.code))
        .with("attempts_left", json!(limits::PAYMENT_ATTEMPTS.saturating_sub(tried.attempt)))
        .with("hold_expires_at", json!(order.hold_expires_at));
    if replayed { problem.replayed() } else { problem }
}

#[utoipa::path(get, path = "/v1/orders/{id}/payments", tag = "orders", params(("id" = String, Path,)),
    responses((status = 200, body = Payments), (status = 404, body = ProblemBody)))]
pub async fn list(by: By<Anyone>, At(id): At<OrderId>, State(hub): State<Hub>) -> Answered {
    let order = visible(&hub, &id, &by.principal).await?;
    Ok(Answer::ok(&json!({ "items": order.payments }))?.no_store().done())
}

#[utoipa::path(post, path = "/v1/psp/toss/webhook", tag = "orders", request_body = String,
    responses((status = 200, description = "heard; what it says is not believed, the payment was looked up"),
              (status = 503, body = ProblemBody, description = "it is not known yet how the payment stands; tell it again")))]
pub async fn webhook(State(processes): State<Processes>, body: Raw) -> Result<StatusCode, Problem> {
    processes.hint(&body.0).await?;
    Ok(StatusCode::OK)
}
