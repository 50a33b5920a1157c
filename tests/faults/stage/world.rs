//! What is sold in a run, and to whom: a house of seats, two coupons, a store, and people with tokens.

use serde_json::{Value, json};

use super::{Plan, Stage};
use crate::support::Client;
use crate::support::stage::{FAR, coupon_body, performance_body};

pub const PRICE: u64 = 1_000;
const ROW: usize = 500;

/// Somebody with a token, as the log calls them.
#[derive(Clone)]
pub struct Person {
    pub name: String,
    pub client: Client,
}

pub struct World {
    pub performance: String,
    pub seats: usize,
    /// Few of them, one each.
    pub hot: String,
    /// Plenty.
    pub wide: String,
    pub store: String,
    pub seller: Person,
    pub till: Person,
    pub display: String,
    pub buyers: Vec<Person>,
    pub hunters: Vec<Person>,
}

impl World {
    pub async fn build(stage: &Stage, plan: &Plan) -> Result<Self, String> {
        let base = format!("http://{}", stage.wires.front.address);
        let anyone = Client::new(&base);
        let seller = anyone.with_token(&tokens(stage, "seller", "seller", &[])?[0]);
        let rows: Vec<Value> = (0..plan.seats.div_ceil(ROW))
            .map(|row| json!({"row": format!("{}", row + 1), "seats": (plan.seats - row * ROW).min(ROW)}))
            .collect();
        let venue = json!({"name": "홀", "sections": [{"section": "A", "grade": "R", "rows": rows}]});
        let venue = made(&seller, "/v1/venues", &venue, "venue_id").await?;
        let show = json!({"title": "쇼", "category": "concert", "description": "하루만", "place": "서울",
            "starts_on": &FAR[..10], "ends_on": &FAR[..10]});
        let show = made(&seller, "/v1/shows", &show, "show_id").await?;
        let mut body = performance_body(&show, &venue);
        body["prices"] = json!({"R": PRICE});
        body["hold_seconds"] = json!(plan.hold_seconds);
        let performance = made(&seller, "/v1/performances", &body, "performance_id").await?;
        let hot = made(&seller, "/v1/coupons", &coupon_body(plan.hot_stock), "coupon_id").await?;
        let mut body = coupon_body(1_000_000);
        body["per_member"] = json!(100);
        let wide = made(&seller, "/v1/coupons", &body, "coupon_id").await?;
        let store = made(&seller, "/v1/stores", &json!({"name": "1호점"}), "store_id").await?;
        let till = anyone.with_token(&tokens(stage, "till", "pos", &["--store", &store])?[0]);
        let display = tokens(stage, "screen", "display", &["--store", &store])?.remove(0);
        let people = |sub: &'static str, tokens: Vec<String>| -> Vec<Person> {
            let named = tokens.iter().enumerate();
            named
                .map(|(n, token)| Person { name: format!("{sub}-{}", n + 1), client: anyone.with_token(token) })
                .collect()
        };
        let buyers = people("buyer", tokens(stage, "buyer", "member", &["--count", "12"])?);
        let hunters = people("hunter", tokens(stage, "hunter", "member", &["--count", "300"])?);
        let (seller, till) =
            (Person { name: "seller".to_owned(), client: seller }, Person { name: "till".to_owned(), client: till });
        Ok(Self { performance, seats: plan.seats, hot, wide, store, seller, till, display, buyers, hunters })
    }

    /// The n-th seat of the house.
    pub fn seat(&self, n: usize) -> String {
        format!("A-{}-{}", n / ROW + 1, n % ROW + 1)
    }

    pub fn orders(&self) -> String {
        format!("/v1/performances/{}/orders", self.performance)
    }
}

async fn made(who: &Client, path: &str, body: &Value, member: &str) -> Result<String, String> {
    let answer = who.try_post(path, body).await.ok_or_else(|| format!("no answer to POST {path}"))?;
    match (answer.status.as_u16(), answer.body[member].as_str()) {
        (201, Some(id)) => Ok(id.to_owned()),
        _ => Err(format!("POST {path}: {}", answer.text)),
    }
}

pub fn tokens(stage: &Stage, sub: &str, role: &str, more: &[&str]) -> Result<Vec<String>, String> {
    // Good for a day: nodes whose clock is ahead take them, too.
    let output = stage.tokens(&[&["--sub", sub, "--role", role, "--ttl", "1d"], more].concat());
    if !output.status.success() {
        return Err(format!("token: {}", String::from_utf8_lossy(&output.stderr)));
    }
    Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
}
