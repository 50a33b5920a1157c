//! What does a request look like? One example of each body, with ids that stand for real ones.

use serde_json::{Map, Value, json};

const SHOW: &str = "sh_0123456789abcdef0123456789abcdef";
const VENUE: &str = "vn_0123456789abcdef0123456789abcdef";

fn all() -> Vec<(&'static str, Value)> {
    let (email, password) = ("minji@example.com", "a walnut that hums at noon");
    vec![
        ("NewAccount", json!({"email": email, "password": password, "nickname": "민지", "phone": "+82 10-1234-5678"})),
        ("Verification", json!({"email": email, "code": "12345678"})),
        ("ChangedProfile", json!({"nickname": "민지", "phone": null, "marketing_consent": true})),
        ("Credentials", json!({"email": email, "password": password, "totp": "123456"})),
        ("Address", json!({"email": email})),
        ("Reset", json!({"email": email, "code": "12345678", "new_password": "two walnuts that hum"})),
        ("ChangedPassword", json!({"current_password": password, "new_password": "two walnuts that hum"})),
        ("Unlock", json!({"email": email, "code": "12345678"})),
        (
            "NewVenue",
            json!({"name": "고척 스카이돔", "timezone": "Asia/Seoul", "sections": [
                {"section": "A", "grade": "VIP", "rows": [{"row": "1", "seats": 12}, {"row": "2", "seats": ["가", "나"]}]},
                {"section": "B", "grade": "R", "rows": [{"row": "1", "seats": 20}]},
            ]}),
        ),
        (
            "NewShow",
            json!({"title": "봄 콘서트", "category": "concert", "description": "이틀간", "place": "서울",
                "starts_on": "2027-04-01", "ends_on": "2027-04-02"}),
        ),
        (
            "NewPerformance",
            json!({"show_id": SHOW, "venue_id": VENUE, "starts_at": "2027-04-01T19:00:00+09:00",
                "sale_opens_at": "2027-03-01T20:00:00+09:00", "sale_closes_at": "2027-04-01T18:00:00+09:00",
                "cancel_until": "2027-03-31T23:59:59+09:00", "currency": "KRW", "prices": {"VIP": 150_000, "R": 90_000},
                "max_seats_per_order": 4, "max_seats_per_member": 4, "hold_seconds": 180}),
        ),
        ("ChangedTerms", json!({"sale_closes_at": "2027-04-01T17:00:00+09:00", "cancel_until": null})),
        ("Reason", json!({"reason": "the fire alarm"})),
        ("SeatsAndReason", json!({"seats": ["A-1-1", "A-1-2"], "reason": "a camera stands there"})),
        ("NewOrder", json!({"seats": ["A-1-1", "A-1-2"], "reference": "basket 17"})),
        ("CancelOrder", json!({"reason": "changed my mind"})),
        ("OrderPayment", json!({"payment_key": "tgen_20270301200001AbCd", "amount": 300_000})),
        ("Settle", json!({"as": "captured", "reason": "seen in the provider's books", "psp_reference": "tx-17"})),
        (
            "NewCoupon",
            json!({"name": "선착순 만 장", "stock": 10_000, "per_member": 1, "opens_at": "2026-11-01T12:00:00+09:00",
                "closes_at": "2027-03-01T12:00:00+09:00", "valid_until": "2027-04-01T00:00:00+09:00",
                "discount": {"kind": "percent", "value": 10, "max_amount": 20_000}}),
        ),
        ("NewStore", json!({"name": "1호점"})),
        ("NewStoreToken", json!({"role": "pos", "name": "counter 2"})),
        (
            "NewPayment",
            json!({"payment_id": "receipt-1", "amount": 4_500, "currency": "KRW", "method": "card",
                "paid_at": "2026-11-21T10:00:00+09:00", "terminal_id": "T1"}),
        ),
        ("CancelPayment", json!({"amount": 500})),
        ("NewTicket", json!({"path": "/v1/orders/o7_0123456789abcdef0123456789abcdef/events"})),
        ("Why", json!({"reason": "the row is there now"})),
    ]
}

pub fn put(schemas: &mut Map<String, Value>) {
    for (name, example) in all() {
        if let Some(schema) = schemas.get_mut(name) {
            schema["examples"] = json!([example]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn required(schema: &Value) -> Vec<&str> {
        schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
    }

    #[test]
    fn an_example_has_the_members_of_its_schema() {
        let document = super::super::written(crate::http::table().into_openapi());
        for (name, example) in all() {
            let schema = &document["components"]["schemas"][name];
            assert_eq!(schema["examples"][0], example, "{name}");
            let members = schema["properties"].as_object().unwrap_or_else(|| panic!("no schema {name}"));
            for member in example.as_object().expect("an object").keys() {
                assert!(members.contains_key(member), "{name}.{member}");
            }
            for member in required(schema) {
                assert!(!example[member].is_null(), "{name}.{member}");
            }
        }
    }
}
