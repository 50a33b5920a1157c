//! When the faults are over and everybody has waited: is nothing left in the air?

use std::collections::HashMap;

use serde_json::Value;

use super::Verdict;
use super::calls::Wish;
use super::log::millis;
use super::orders::{Order, State};

/// What the run says of itself: `ended_at`, the log's time when everything was over, `patience_ms`, how long it waited after
/// the last fault.
pub fn judge(run: &Value, orders: &HashMap<String, Order>, wishes: &[Wish<'_>], verdict: &mut Verdict) {
    let Some(ended) = run["ended_at"].as_str().and_then(millis) else { return };
    let late = run["late_ms"].as_i64().unwrap_or(1_000);
    for wish in wishes {
        if !wish.settled() {
            verdict.broken("settled", format!("{}: nobody found out what came of it", wish.first().name()));
        }
    }
    for order in orders.values() {
        let status = order.status();
        let open = order.attempts.values().any(|one| one.state == State::Open);
        let refunding = order.refunds.values().any(|one| !one.done);
        if status != "review" && (open || refunding) {
            verdict.broken("settled", format!("{} is {status}, and nobody looks at it", order.id));
        }
        let over = millis(&order.hold_until).is_some_and(|until| until + late < ended);
        if status == "awaiting_payment" && over {
            verdict.broken("settled", format!("{} holds its seats since {}", order.id, order.hold_until));
        }
        match status {
            "review" => verdict.saw("orders on the review list"),
            "awaiting_payment" => verdict.saw("orders that still hold"),
            _ => verdict.saw("orders that have ended"),
        }
    }
}
