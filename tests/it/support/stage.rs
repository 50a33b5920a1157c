//! A sale that is open: a venue, a show, a performance, and the people around it.

use serde_json::{Value, json};

use super::server::Home;
use super::{Client, Kind, Server};

pub struct Stage {
    pub home: Home,
    pub server: Server,
    pub anyone: Client,
    pub seller: Client,
    pub admin: Client,
    pub performance: String,
}

pub const OPEN: &str = "2020-01-01T00:00:00Z";
pub const FAR: &str = "2099-01-01T00:00:00Z";

pub fn performance_body(show: &str, venue: &str) -> Value {
    json!({
        "show_id": show, "venue_id": venue, "starts_at": FAR, "sale_opens_at": OPEN,
        "sale_closes_at": "2098-12-31T00:00:00Z", "currency": "KRW", "prices": {"VIP": 150_000, "R": 90_000},
    })
}

pub fn coupon_body(stock: u64) -> Value {
    json!({
        "name": "선착순 쿠폰", "stock": stock, "opens_at": OPEN, "closes_at": FAR, "valid_until": FAR,
        "discount": {"kind": "percent", "value": 10},
    })
}

impl Stage {
    pub async fn set(kind: Kind) -> Self {
        Self::set_with(kind, |_| {}).await
    }

    /// `change` may alter the performance before it is created.
    pub async fn set_with(kind: Kind, change: impl FnOnce(&mut Value)) -> Self {
        Self::set_on(Home::new(kind).await, change).await
    }

    pub async fn set_on(home: Home, change: impl FnOnce(&mut Value)) -> Self {
        let server = Server::start(&home).await;
        let anyone = server.client();
        let seller = anyone.with_token(&home.token("seller-1", "seller", None));
        let admin = anyone.with_token(&home.token("admin-1", "admin", None));
        let venue = json!({"name": "잠실 주경기장", "sections": [
            {"section": "A", "grade": "VIP", "rows": [{"row": "1", "seats": 10}, {"row": "2", "seats": ["가", "나"]}]},
            {"section": "B", "grade": "R", "rows": [{"row": "1", "seats": 8}]},
        ]});
        let venue = seller.post("/v1/venues", &venue).await.expect(201).str("venue_id");
        let show = json!({"title": "봄 콘서트", "category": "concert", "description": "하루만", "place": "서울",
            "starts_on": "2099-01-01", "ends_on": "2099-01-02"});
        let show = seller.post("/v1/shows", &show).await.expect(201).str("show_id");
        let mut body = performance_body(&show, &venue);
        change(&mut body);
        let created = seller.post("/v1/performances", &body).await.expect(201);
        assert_eq!(created.body["seats"], 20);
        let performance = created.str("performance_id");
        Self { home, server, anyone, seller, admin, performance }
    }

    pub fn member(&self, sub: &str) -> Client {
        self.anyone.with_token(&self.home.token(sub, "member", None))
    }

    pub fn orders(&self) -> String {
        format!("/v1/performances/{}/orders", self.performance)
    }

    pub async fn coupon(&self, stock: u64) -> String {
        self.seller.post("/v1/coupons", &coupon_body(stock)).await.expect(201).str("coupon_id")
    }

    pub async fn store(&self) -> String {
        self.seller.post("/v1/stores", &json!({"name": "1호점"})).await.expect(201).str("store_id")
    }

    /// Ends the server as a crash would, and starts another one on the same log.
    pub async fn crash(self) -> Self {
        let Self { home, server, performance, .. } = self;
        server.kill().await;
        Self::again(home, performance).await
    }

    pub async fn again(home: Home, performance: String) -> Self {
        let server = Server::start(&home).await;
        let anyone = server.client();
        let seller = anyone.with_token(&home.token("seller-1", "seller", None));
        let admin = anyone.with_token(&home.token("admin-1", "admin", None));
        Self { home, server, anyone, seller, admin, performance }
    }
}
