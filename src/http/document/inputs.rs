//! What does a route take besides its body? Parameters of the path and the query, and headers, with the values they may have.
//!
//! Which query parameters there are is asked of the table that refuses the others, so the two cannot differ.

use serde_json::{Value, json};

use super::Operation;
use crate::http::extract;
use crate::limits;
use crate::projections::ROSTER;
use crate::projections::coupons::Status as CouponStatus;
use crate::projections::rankings::Window;
use crate::projections::store_payments::status::WORDS as PAYMENTS;

pub const POSITION: &str = "^[0-9]{1,5}:[0-9]{1,20}$";

/// All parameters of a route, in the order in which readers look for them. What its handler says about one is kept.
pub fn parameters(operation: &Operation, written: &[Value]) -> Vec<Value> {
    let mut all = Vec::new();
    for name in operation.path_parameters() {
        all.push(parameter("path", name, true, path_value(operation, name)));
    }
    if operation.reads() {
        for name in extract::taken_params(&operation.template) {
            let required = name == "date";
            all.push(parameter("query", name, required, query_value(&operation.template, name)));
        }
    }
    for parameter in &mut all {
        let said = written.iter().find(|one| one["name"] == parameter["name"] && one["in"] == parameter["in"]);
        if let Some(description) = said.and_then(|one| one.get("description")) {
            parameter["description"] = description.clone();
        }
    }
    if operation.reads() && extract::takes_min_position(&operation.template) {
        all.push(min_position());
    }
    all.extend(headers(operation));
    all
}

fn parameter(place: &str, name: &str, required: bool, (schema, description): (Value, &str)) -> Value {
    let mut parameter = json!({"in": place, "name": name, "required": required, "schema": schema});
    if !description.is_empty() {
        parameter["description"] = description.into();
    }
    parameter
}

fn path_value(operation: &Operation, name: &str) -> (Value, &'static str) {
    match (name, operation.template.as_str()) {
        ("payment_id", _) => (text(limits::PAYMENT_ID_CHARS), "As its source named it."),
        ("code", _) => {
            (json!({"type": "string", "minLength": 1}), "A code of a problem, for example `seat-unavailable`.")
        }
        ("stream", _) => (json!({"type": "string", "minLength": 1}), ""),
        ("id", template) if template.starts_with("/v1/admin/review/") => (id(), "The id of an order."),
        _ => (id(), "Opaque."),
    }
}

/// Clients do not look into ids.
fn id() -> Value {
    json!({"type": "string", "minLength": 1})
}

fn text(most: usize) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": most})
}

fn word<'a>(words: impl IntoIterator<Item = &'a str>) -> Value {
    json!({"type": "string", "enum": words.into_iter().collect::<Vec<_>>()})
}

fn query_value(template: &str, name: &str) -> (Value, &'static str) {
    let (orders, payments) = (crate::http::lists::orders::STATUSES, "/v1/stores/{id}/payments");
    match (name, template) {
        ("limit", _) => {
            let schema =
                json!({"type": "integer", "minimum": 1, "maximum": limits::LIST_MAX, "default": limits::LIST_DEFAULT});
            (schema, "Items of one page.")
        }
        ("cursor", _) => (json!({"type": "string", "minLength": 1}), "`next_cursor` of the page before."),
        ("date", _) | ("from" | "to", "/v1/shows") => (json!({"type": "string", "format": "date"}), ""),
        ("from" | "to", _) => (json!({"type": "string", "format": "date-time"}), ""),
        ("window", _) => (word(Window::WORDS.map(|(word, _)| word)), ""),
        ("heartbeat", _) => (word(["event", "comment"]), "`event`: heartbeats that pages can see."),
        ("resume", _) => (word(["latest", "all"]), "Of what was missed: only the latest (when absent), or all."),
        ("owner", _) => (word(["me"]), ""),
        ("last_event_id", template) if template.starts_with("/v1/rankings/") => {
            (json!({"type": "string"}), "Without effect: every frame is whole.")
        }
        ("last_event_id", _) => {
            (json!({"type": "string", "pattern": POSITION}), "The id of the last frame that came; the header wins.")
        }
        ("ticket", _) => (json!({"type": "string"}), "In place of a token, from POST /v1/stream-tickets."),
        ("projection", _) => (word(ROSTER.iter().map(|projection| projection.name())), ""),
        ("status", "/v1/performances/{id}/seats") => {
            (word(crate::http::seats::STATUSES.iter().map(|(word, _)| *word)), "")
        }
        ("status", "/v1/performances") => {
            (word(crate::http::lists::performances::STATUSES.iter().map(|(word, _)| *word)), "")
        }
        ("status", "/v1/coupons") => (word(CouponStatus::WORDS.map(|(word, _)| word)), ""),
        ("status", template) if template == payments => (word(PAYMENTS), ""),
        ("status", _) => (word(orders.map(|(word, _)| word)), ""),
        ("section", _) => (json!({"type": "string"}), "Only the seats of this section."),
        ("account_id", "/v1/admin/security") => (json!({"type": "string"}), ""),
        ("show_id" | "venue_id" | "performance_id" | "order_id", _) => (id(), ""),
        _ => (text(limits::FILTER_CHARS), ""),
    }
}

fn min_position() -> Value {
    json!({
        "in": "query",
        "name": extract::MIN_POSITION,
        "required": false,
        "description": "Wait, 2 s at the most, until the log has reached this position of an earlier answer. May repeat.",
        "schema": {"type": "array", "items": {"type": "string", "pattern": POSITION}, "maxItems": limits::MIN_POSITIONS},
    })
}

fn headers(operation: &Operation) -> Vec<Value> {
    let mut all = Vec::new();
    let mut header = |name: &str, required: bool, schema: Value, description: &str| {
        all.push(parameter("header", name, required, (schema, "")));
        if let Some(last) = all.last_mut() {
            last["description"] = description.into();
        }
    };
    if operation.takes_keys() {
        let schema = json!({"type": "string", "minLength": 1, "maxLength": limits::KEY_BYTES, "pattern": "^[!-~]+$"});
        let description = "The same key with the same body has one effect and one answer.";
        header("Idempotency-Key", operation.needs_key(), schema, description);
    }
    if operation.takes_preferences() {
        header(
            "Prefer",
            false,
            json!({"type": "string"}),
            "`respond-async`, `wait=N` (RFC 7240); anything else is ignored.",
        );
    }
    if operation.has_etag() {
        header(
            "If-None-Match",
            false,
            json!({"type": "string"}),
            "An ETag of an earlier answer: 304 if it is still the one.",
        );
    }
    if operation.is_stream() && !operation.template.starts_with("/v1/rankings/") {
        let schema = json!({"type": "string", "pattern": POSITION});
        header("Last-Event-ID", false, schema, "The id of the last frame that came: what was missed comes first.");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::super::tests::operations;
    use super::*;

    fn of(method: &str, template: &str) -> Vec<Value> {
        let all = operations();
        let one = all.iter().find(|one| one.method == method && one.template == template).expect("a route");
        parameters(one, &[json!({"in": "query", "name": "from", "description": "then or later"})])
    }

    fn names(all: &[Value]) -> Vec<(&str, bool)> {
        all.iter().map(|one| (one["name"].as_str().expect("a name"), one["required"] == true)).collect()
    }

    #[test]
    fn a_route_takes_what_its_table_says() {
        let orders = of("GET", "/v1/orders");
        assert!(names(&orders).contains(&("min_position", false)) && names(&orders).contains(&("limit", false)));
        let from = orders.iter().find(|one| one["name"] == "from").expect("a filter");
        assert_eq!((&from["description"], &from["schema"]["format"]), (&json!("then or later"), &json!("date-time")));
        let stream = of("GET", "/v1/orders/{id}/events");
        assert!(!names(&stream).iter().any(|(name, _)| *name == "min_position"));
        assert!(names(&stream).contains(&("id", true)) && names(&stream).contains(&("ticket", false)));
        assert!(names(&of("GET", "/v1/rankings/sold-out")).contains(&("date", true)));
    }

    #[test]
    fn commands_take_keys_and_some_insist() {
        for (method, template, required) in [
            ("POST", "/v1/performances/{id}/orders", true),
            ("POST", "/v1/orders/{id}/payment", true),
            ("POST", "/v1/stores", false),
            ("PATCH", "/v1/performances/{id}", false),
            ("DELETE", "/v1/accounts/me", false),
        ] {
            assert!(names(&of(method, template)).contains(&("Idempotency-Key", required)), "{method} {template}");
        }
        assert!(names(&of("POST", "/v1/psp/toss/webhook")).is_empty(), "the provider sends none");
    }
}
