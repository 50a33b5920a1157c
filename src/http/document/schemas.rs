//! What may a member of a body be? The bounds of `limits.rs` and the forms of times, money and positions, for readers and for
//! generated clients.
//!
//! Rules and handlers enforce them; here the document is told. Statuses in answers have no closed list: clients must
//! expect new ones.

use serde_json::{Map, Value, json};

use crate::limits;
use crate::money::Amount;

/// What requests may say: schema, member, and what its schema says besides its type.
fn bounds() -> Vec<(&'static str, &'static str, Value)> {
    let name = || json!({"minLength": 1, "maxLength": limits::NAME_CHARS});
    let label = || json!({"minLength": 1, "maxLength": limits::LABEL_CHARS});
    let reason = || json!({"minLength": 1, "maxLength": limits::REASON_CHARS});
    let password =
        || json!({"minLength": limits::PASSWORD_CHARS_MIN, "maxLength": limits::PASSWORD_CHARS, "format": "password"});
    let time = || json!({"format": "date-time"});
    let date = || json!({"format": "date"});
    let currency = || json!({"pattern": "^[A-Z]{3}$"});
    let money = |least: u64| json!({"minimum": least, "maximum": Amount::MAX.minor()});
    let prices = || json!({"minProperties": 1, "additionalProperties": {"type": "integer", "format": "int64", "minimum": 0, "maximum": Amount::MAX.minor()}});
    let count = |least: u64, most: u64| json!({"minimum": least, "maximum": most});
    let hold = || count(limits::HOLD_SECONDS_MIN.into(), limits::HOLD_SECONDS_MAX.into());
    let many = u64::from(u32::MAX);
    let mut all = vec![
        ("NewAccount", "email", json!({"minLength": 3, "maxLength": limits::EMAIL_BYTES})),
        ("NewAccount", "password", password()),
        ("NewAccount", "nickname", json!({"minLength": 1, "maxLength": limits::NICKNAME_CHARS})),
        ("NewAccount", "phone", json!({"maxLength": limits::PHONE_CHARS})),
        ("ChangedProfile", "nickname", json!({"minLength": 1, "maxLength": limits::NICKNAME_CHARS})),
        ("ChangedProfile", "phone", json!({"maxLength": limits::PHONE_CHARS})),
        ("NewVenue", "name", name()),
        ("NewVenue", "timezone", json!({"default": "Asia/Seoul", "maxLength": 64})),
        ("NewVenue", "sections", json!({"minItems": 1, "maxItems": limits::VENUE_SECTIONS})),
        ("NewSection", "section", label()),
        ("NewSection", "grade", name()),
        ("NewRow", "row", label()),
        ("NewShow", "title", name()),
        ("NewShow", "category", name()),
        ("NewShow", "place", name()),
        ("NewShow", "description", json!({"maxLength": limits::DESCRIPTION_CHARS})),
        ("NewShow", "starts_on", date()),
        ("NewShow", "ends_on", date()),
        ("NewPerformance", "currency", currency()),
        ("Reason", "reason", reason()),
        ("SeatsAndReason", "reason", reason()),
        ("SeatsAndReason", "seats", json!({"minItems": 1, "maxItems": limits::BLOCK_SEATS, "uniqueItems": true})),
        ("NewOrder", "seats", json!({"minItems": 1, "maxItems": limits::ORDER_SEATS, "uniqueItems": true})),
        ("OrderPayment", "amount", money(0)),
        (
            "OrderPayment",
            "payment_key",
            json!({"minLength": 1, "maxLength": limits::PAYMENT_KEY_BYTES, "pattern": "^[A-Za-z0-9_=-]+$"}),
        ),
        ("Settle", "as", json!({"enum": ["captured", "not-captured", "refunded"]})),
        ("Settle", "reason", reason()),
        ("Settle", "psp_reference", json!({"minLength": 1, "maxLength": limits::PAYMENT_KEY_BYTES})),
        ("NewCoupon", "name", name()),
        ("NewCoupon", "stock", count(1, limits::COUPON_STOCK)),
        ("NewCoupon", "per_member", count(1, limits::COUPON_PER_MEMBER.into())),
        ("NewCoupon", "opens_at", time()),
        ("NewCoupon", "closes_at", time()),
        ("NewCoupon", "valid_until", time()),
        ("NewCoupon", "shows", json!({"uniqueItems": true})),
        ("NewDiscount", "kind", json!({"enum": ["amount", "percent"]})),
        ("NewDiscount", "value", money(1)),
        ("NewDiscount", "currency", currency()),
        ("NewDiscount", "max_amount", money(0)),
        ("NewDiscount", "min_amount", money(0)),
        ("NewStore", "name", name()),
        ("NewPayment", "payment_id", json!({"minLength": 1, "maxLength": limits::PAYMENT_ID_CHARS})),
        ("NewPayment", "amount", money(1)),
        ("NewPayment", "currency", currency()),
        ("NewPayment", "method", name()),
        ("NewPayment", "paid_at", time()),
        ("NewPayment", "terminal_id", name()),
        ("CancelPayment", "amount", money(1)),
        ("NewStoreToken", "name", name()),
        ("NewTicket", "path", json!({"maxLength": limits::STREAM_PATH_BYTES, "pattern": "^/v1/[!-~]*/events$"})),
        ("Why", "reason", reason()),
    ];
    for schema in ["NewPerformance", "ChangedTerms"] {
        all.extend(
            ["starts_at", "sale_opens_at", "sale_closes_at", "cancel_until"].map(|member| (schema, member, time())),
        );
        all.push((schema, "prices", prices()));
        all.push((schema, "max_seats_per_order", count(1, limits::ORDER_SEATS as u64)));
        all.push((schema, "max_seats_per_member", count(1, many)));
        all.push((schema, "hold_seconds", hold()));
        all.push((schema, "max_live_orders_per_member", count(1, many)));
        all.push((schema, "max_unpaid_holds_per_member", count(1, limits::UNPAID_HOLDS.into())));
    }
    all
}

/// Members that may be left out but not be null.
const NEVER_NULL: &[(&str, &str)] = &[
    ("ChangedTerms", "starts_at"),
    ("ChangedTerms", "sale_opens_at"),
    ("ChangedTerms", "sale_closes_at"),
    ("ChangedTerms", "prices"),
    ("ChangedTerms", "max_seats_per_order"),
    ("ChangedTerms", "hold_seconds"),
];

/// The document's library says `int32` for what has no sign and goes up to twice that.
fn widen(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members.get("format").is_some_and(|format| format == "int32") {
                members.insert("format".to_owned(), "int64".into());
            }
            members.values_mut().for_each(widen);
        }
        Value::Array(items) => items.iter_mut().for_each(widen),
        _ => {}
    }
}

/// Members of answers that are left out rather than null, or the other way round, need no word: serde's own forms say so.
pub fn complete(schemas: &mut Map<String, Value>) {
    for (schema, member, bound) in bounds() {
        if let (Some(found), Value::Object(bound)) = (member_of(schemas, schema, member), bound) {
            found.extend(bound);
        }
    }
    for (schema, member) in NEVER_NULL {
        if let Some(kinds) = member_of(schemas, schema, member).and_then(|found| found.get_mut("type")) {
            let kind = kinds.as_array().and_then(|all| all.iter().find(|kind| *kind != "null")).cloned();
            *kinds = kind.unwrap_or_else(|| kinds.clone());
        }
    }
    for schema in schemas.values_mut() {
        widen(schema);
        let members = schema.get_mut("properties").and_then(Value::as_object_mut);
        for (name, member) in members.into_iter().flatten() {
            if let (Some(form), Some(member)) = (form(name), member.as_object_mut().filter(|member| is_text(member))) {
                member.extend(form);
            }
        }
    }
}

fn member_of<'a>(
    schemas: &'a mut Map<String, Value>,
    schema: &str,
    member: &str,
) -> Option<&'a mut Map<String, Value>> {
    schemas.get_mut(schema)?.get_mut("properties")?.get_mut(member)?.as_object_mut()
}

fn is_text(member: &Map<String, Value>) -> bool {
    let kind = member.get("type");
    kind.is_some_and(|kind| kind == "string" || kind.as_array().is_some_and(|all| all.contains(&json!("string"))))
}

/// What a member of this name is, wherever it stands.
fn form(name: &str) -> Option<Map<String, Value>> {
    let form = match name {
        "at" | "since" | "valid_until" | "cancel_until" => json!({"format": "date-time"}),
        time if time.ends_with("_at") => json!({"format": "date-time"}),
        "starts_on" | "ends_on" | "date" => json!({"format": "date"}),
        "position" => json!({"pattern": super::inputs::POSITION}),
        "currency" => json!({"pattern": "^[A-Z]{3}$"}),
        _ => return None,
    };
    form.as_object().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schemas() -> Map<String, Value> {
        let document = super::super::written(crate::http::table().into_openapi());
        document["components"]["schemas"].as_object().expect("schemas").clone()
    }

    #[test]
    fn every_bound_is_about_a_member_that_there_is() {
        let mut all = schemas();
        for (schema, member, bound) in bounds() {
            let found = member_of(&mut all, schema, member).unwrap_or_else(|| panic!("{schema}.{member}"));
            for (key, value) in bound.as_object().expect("an object") {
                assert_eq!(found.get(key), Some(value), "{schema}.{member}");
            }
        }
        for (schema, member) in NEVER_NULL {
            let found = member_of(&mut all, schema, member).unwrap_or_else(|| panic!("{schema}.{member}"));
            assert!(found["type"].is_string(), "{schema}.{member}");
        }
    }

    #[test]
    fn requests_are_closed_and_two_types_never_share_a_name() {
        let all = schemas();
        for schema in ["NewOrder", "OrderPayment", "NewPayment", "NewVenue", "NewRow", "Refresh", "ChangedTerms"] {
            assert_eq!(all[schema]["additionalProperties"], false, "{schema}");
        }
        let members = |schema: &str| all[schema]["properties"].as_object().expect("members").len();
        assert_eq!((members("NewPayment"), members("OrderPayment")), (6, 2));
        assert_eq!(all["Order"]["properties"]["hold_expires_at"]["format"], "date-time");
        assert_eq!(all["Order"]["properties"]["attempts_left"]["format"], "int64", "a u32 does not fit into an int32");
        assert_eq!(all["PerformanceView"]["properties"]["position"]["pattern"], super::super::inputs::POSITION);
    }
}
