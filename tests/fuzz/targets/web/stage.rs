//! What is there to ask for? A sale with something of everything, and a good request for every route of the document.
//!
//! The document says which routes there are and what a body looks like, so a new route is tried without a line here.

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use http_body_util::BodyExt;
use onsale::auth::Role;
use serde_json::{Value, json};
use tower::ServiceExt;

use super::node::Node;

const FAR: &str = "2099-01-01T00:00:00Z";

pub struct Stage {
    /// What stands in a request for the token of somebody.
    tokens: Vec<(&'static str, String)>,
    pub requests: Vec<Vec<u8>>,
}

/// What exists, by the part of a path that stands before its id.
type Things = Vec<(&'static str, String)>;

impl Stage {
    pub async fn set(node: &Node) -> Self {
        let mut stage = Self { tokens: Vec::new(), requests: Vec::new() };
        for (name, role) in [("@seller", Role::Seller), ("@admin", Role::Admin), ("@member", Role::Member)] {
            stage.tokens.push((name, format!("Bearer {}", node.token(&name[1..], role, None))));
        }
        let things = stage.sale(node).await;
        let store = things.iter().find(|(noun, _)| *noun == "stores").map(|(_, id)| id.as_str());
        stage.tokens.push(("@pos", format!("Bearer {}", node.token("pos", Role::Pos, store))));
        let document = stage.ask(node, "GET", "/openapi.json", "@member", None).await;
        stage.requests = requests(&document, &things);
        assert!(stage.requests.len() > 80, "the document names the routes: {}", stage.requests.len());
        stage
    }

    pub fn token(&self, value: &HeaderValue) -> Option<HeaderValue> {
        let (_, token) = self.tokens.iter().find(|(name, _)| value == name)?;
        HeaderValue::from_str(token).ok()
    }

    async fn ask(&self, node: &Node, method: &str, path: &str, who: &str, body: Option<Value>) -> Value {
        let request = Request::builder().method(method).uri(path).header("idempotency-key", "stage");
        let token = self.token(&HeaderValue::from_str(who).expect("a name")).expect("a token");
        let request = request.header("authorization", token).header(CONTENT_TYPE, "application/json");
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let answer = node.front.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let status = answer.status();
        let bytes = answer.into_body().collect().await.expect("a whole answer").to_bytes();
        assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&bytes));
        serde_json::from_slice(&bytes).expect("JSON")
    }

    async fn post(&self, node: &Node, path: &str, who: &str, body: Value, id: &str) -> String {
        let answer = self.ask(node, "POST", path, who, Some(body)).await;
        answer[id].as_str().unwrap_or_else(|| panic!("{path} answers without {id}: {answer}")).to_owned()
    }

    /// A venue, a show on sale, an order with tickets, a coupon that somebody has, a store with a payment.
    async fn sale(&self, node: &Node) -> Things {
        let rows = json!([{"row": "1", "seats": 20}, {"row": "2", "seats": ["가", "나"]}]);
        let house = json!({"name": "고척", "sections": [{"section": "A", "grade": "VIP", "rows": rows}]});
        let venue = self.post(node, "/v1/venues", "@seller", house, "venue_id").await;
        let show = json!({"title": "봄", "category": "concert", "description": "이틀간", "place": "서울", "starts_on": "2099-01-01", "ends_on": "2099-01-02"});
        let show = self.post(node, "/v1/shows", "@seller", show, "show_id").await;
        let terms = json!({"show_id": show, "venue_id": venue, "starts_at": FAR, "sale_opens_at": "2020-01-01T00:00:00Z",
            "sale_closes_at": "2098-01-01T00:00:00Z", "currency": "KRW", "prices": {"VIP": 0}});
        let performance = self.post(node, "/v1/performances", "@seller", terms, "performance_id").await;
        let orders = format!("/v1/performances/{performance}/orders");
        let order = self.post(node, &orders, "@member", json!({"seats": ["A-1-1", "A-2-가"]}), "order_id").await;
        // It costs nothing, so nobody has to be asked for money.
        let paid =
            self.ask(node, "POST", &format!("/v1/orders/{order}/payment"), "@member", Some(json!({"amount": 0}))).await;
        let ticket = paid["tickets"][0]["ticket_id"].as_str().expect("a ticket").to_owned();
        let coupon = json!({"name": "만 장", "stock": 100, "per_member": 1, "opens_at": "2020-01-01T00:00:00Z",
            "closes_at": FAR, "valid_until": FAR, "discount": {"kind": "percent", "value": 10}});
        let coupon = self.post(node, "/v1/coupons", "@seller", coupon, "coupon_id").await;
        let task = self.post(node, &format!("/v1/coupons/{coupon}/issue"), "@member", json!({}), "task_id").await;
        let store = self.post(node, "/v1/stores", "@seller", json!({"name": "1호점"}), "store_id").await;
        vec![
            ("venues", venue),
            ("shows", show),
            ("performances", performance),
            ("orders", order.clone()),
            ("tickets", ticket),
            ("coupons", coupon),
            ("coupon-tasks", task),
            ("stores", store),
            ("review", order),
        ]
    }
}

/// A request for each operation of the document, as somebody who may; and each once more with what is worth breaking.
fn requests(document: &Value, things: &Things) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for (template, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if Method::from_bytes(method.to_uppercase().as_bytes()).is_err() || operation.get("responses").is_none() {
                continue;
            }
            let path = concrete(template, things);
            let query = query(operation);
            let body = example(document, operation);
            for query in [String::new(), query] {
                let text = format!(
                    "{} {path}{query}\nauthorization: {}\nidempotency-key: k1\nlast-event-id: 1:1\nprefer: wait=1\n\
                     content-type: application/json\n\n{body}",
                    method.to_uppercase(),
                    who(method, template),
                );
                found.push(text.into_bytes());
            }
        }
    }
    found.sort();
    found.dedup();
    let deep = [format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)), "[".repeat(10_000)];
    for (body, path) in deep.iter().flat_map(|body| ["/v1/venues", "/v1/psp/toss/webhook"].map(|path| (body, path))) {
        found.push(
            format!("POST {path}\nauthorization: @seller\ncontent-type: application/json\n\n{body}").into_bytes(),
        );
    }
    found
}

/// The template with ids of what exists.
fn concrete(template: &str, things: &Things) -> String {
    let parts: Vec<&str> = template.split('/').collect();
    let part = |(place, part): (usize, &&str)| match *part {
        "{id}" => {
            let noun = parts.get(place.wrapping_sub(1)).copied().unwrap_or_default();
            let known = things.iter().find(|(known, _)| *known == noun).map(|(_, id)| id.clone());
            known.unwrap_or_else(|| "1".to_owned())
        }
        "{payment_id}" => "receipt-1".to_owned(),
        "{token_id}" => "dt_0123456789abcdef0123456789abcdef".to_owned(),
        "{code}" => "not-found".to_owned(),
        "{*stream}" => format!("order/{}", things[3].1),
        other => other.to_owned(),
    };
    parts.iter().enumerate().map(part).collect::<Vec<_>>().join("/")
}

/// All parameters at once, each with some value.
fn query(operation: &Value) -> String {
    let names = operation["parameters"].as_array().into_iter().flatten().filter(|one| one["in"] == "query");
    let pairs =
        names.filter_map(|one| one["name"].as_str()).filter(|name| *name != "min_position").map(|name| match name {
            "limit" => "limit=2".to_owned(),
            "from" | "to" | "date" => format!("{name}=2026-11-21T10:00:00%2B09:00"),
            "cursor" => "cursor=WyJhYmMiLDEsImEiXQ".to_owned(),
            "last_event_id" => "last_event_id=1:1".to_owned(),
            other => format!("{other}=%EA%B0%80"),
        });
    let pairs: Vec<String> = pairs.collect();
    if pairs.is_empty() { String::new() } else { format!("?{}", pairs.join("&")) }
}

/// The example of the body that the operation takes.
fn example(document: &Value, operation: &Value) -> String {
    let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
    let text = schema.to_string();
    let name = text.split("#/components/schemas/").nth(1).and_then(|rest| rest.split('"').next());
    let Some(name) = name else { return String::new() };
    let example = &document["components"]["schemas"][name]["examples"][0];
    if example.is_null() { "{}".to_owned() } else { example.to_string() }
}

/// Somebody who may ask for it.
fn who(method: &str, template: &str) -> &'static str {
    let command = method != "get";
    if template.contains("/admin/") {
        "@admin"
    } else if template.starts_with("/v1/stores/{id}/payments") && command {
        "@pos"
    } else if ["/v1/orders", "/v1/tickets", "/v1/accounts", "/v1/coupon-tasks", "/v1/sellers", "/v1/stream-tickets"]
        .iter()
        .any(|member| template.starts_with(member))
        || template.ends_with("/issue")
        || (template.ends_with("/orders") && command)
    {
        "@member"
    } else {
        "@seller"
    }
}
