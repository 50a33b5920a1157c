//! A shop that takes money: a server and the payment provider's stand-in as two processes, a performance, and the people.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::http::Answer;
use super::server::Home;
use super::stage::performance_body;
use super::wait::until;
use super::{Client, Kind, Server};

/// The shop's key at the provider.
pub const PSP_KEY: &str = "test_sk_marker_of_the_shop";

/// How a shop is set up; each test says only what matters to it.
pub struct Plan {
    pub kind: Kind,
    /// In section A, 500 to a row: `A-1-1`, …
    pub seats: usize,
    pub price: u64,
    /// What goes wrong at the provider.
    pub script: &'static str,
    /// A call of the provider is given up after this.
    pub call_ms: u64,
    pub review_after_seconds: u64,
    /// Alters the performance before it is created.
    pub change: fn(&mut Value),
    /// The server writes down everything it could say.
    pub tells: bool,
    /// More sections of its configuration.
    pub more: String,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            kind: Kind::Sqlite,
            seats: 12,
            price: 50_000,
            script: "",
            call_ms: 10_000,
            review_after_seconds: 600,
            change: |_| {},
            tells: false,
            more: String::new(),
        }
    }
}

pub struct Shop {
    pub home: Home,
    pub server: Server,
    pub psp: Psp,
    pub anyone: Client,
    pub seller: Client,
    pub admin: Client,
    pub performance: String,
    pub price: u64,
}

impl Shop {
    pub async fn open(plan: Plan) -> Self {
        let home = if plan.tells { Home::telling(plan.kind).await } else { Home::new(plan.kind).await };
        let psp = Psp::start(&home, "127.0.0.1:0", plan.script, None).await;
        let config = format!(
            "[psp]\nurl = \"{}\"\nsecret_key = \"{PSP_KEY}\"\nclient_key = \"test_ck_1\"\ncall_ms = {}\n\
             review_after_seconds = {}\n{}",
            psp.base, plan.call_ms, plan.review_after_seconds, plan.more
        );
        std::fs::write(home.config(), config).expect("the directory is ours");
        let server = Server::start(&home).await;
        let mut shop = Self::of(home, server, psp, String::new(), plan.price);
        shop.performance = shop.stage(&plan).await;
        shop
    }

    fn of(home: Home, server: Server, psp: Psp, performance: String, price: u64) -> Self {
        let anyone = server.client();
        let seller = anyone.with_token(&home.token("seller-1", "seller", None));
        let admin = anyone.with_token(&home.token("admin-1", "admin", None));
        Self { home, server, psp, anyone, seller, admin, performance, price }
    }

    async fn stage(&self, plan: &Plan) -> String {
        let rows: Vec<Value> = (0..plan.seats.div_ceil(500))
            .map(|row| json!({"row": format!("{}", row + 1), "seats": (plan.seats - row * 500).min(500)}))
            .collect();
        let venue = json!({"name": "체조경기장", "sections": [{"section": "A", "grade": "R", "rows": rows}]});
        let venue = self.seller.post("/v1/venues", &venue).await.expect(201).str("venue_id");
        let show = json!({"title": "가을 콘서트", "category": "concert", "description": "하루만", "place": "서울",
            "starts_on": "2099-01-01", "ends_on": "2099-01-02"});
        let show = self.seller.post("/v1/shows", &show).await.expect(201).str("show_id");
        let mut body = performance_body(&show, &venue);
        body["prices"] = json!({"R": plan.price});
        (plan.change)(&mut body);
        self.seller.post("/v1/performances", &body).await.expect(201).str("performance_id")
    }

    pub fn member(&self, sub: &str) -> Client {
        self.anyone.with_token(&self.home.token(sub, "member", None))
    }

    /// The id of a new order of these seats.
    pub async fn place(&self, who: &Client, seats: &[&str]) -> String {
        let path = format!("/v1/performances/{}/orders", self.performance);
        who.key(&format!("place-{}", seats.join("+")))
            .post(&path, &json!({"seats": seats}))
            .await
            .expect(201)
            .str("order_id")
    }

    /// Pays; the payment's key names the request, too.
    pub async fn pay(&self, who: &Client, order: &str, payment: &str, amount: u64) -> Answer {
        let body = json!({"payment_key": payment, "amount": amount});
        who.key(payment).post(&format!("/v1/orders/{order}/payment"), &body).await
    }

    /// An order of one seat that is paid for.
    pub async fn buy(&self, who: &Client, seat: &str, payment: &str) -> Answer {
        let order = self.place(who, &[seat]).await;
        let paid = self.pay(who, &order, payment, self.price).await.expect(200);
        assert_eq!(paid.body["status"], "completed", "{}", paid.text);
        paid
    }

    pub async fn order(&self, who: &Client, order: &str) -> Answer {
        who.get(&format!("/v1/orders/{order}")).await.expect(200)
    }

    pub async fn order_becomes(&self, who: &Client, order: &str, status: &str) -> Answer {
        let what = format!("the order to be {status}");
        until(&what, || self.order(who, order), |order| order.body["status"] == status).await
    }

    /// The payments and refunds of an order, as `kind attempt-or-nothing status`.
    pub async fn payments(&self, who: &Client, order: &str) -> Vec<String> {
        let answer = who.get(&format!("/v1/orders/{order}/payments")).await.expect(200);
        let items = answer.body["items"].as_array().expect("a list").iter();
        let word = |item: &Value, member: &str| item[member].as_str().unwrap_or_default().to_owned();
        items.map(|item| format!("{} {}", word(item, "kind"), word(item, "status"))).collect()
    }

    /// `available`, `held`, `sold` or `blocked`.
    pub async fn seat(&self, seat: &str) -> String {
        let answer = self.anyone.get(&format!("/v1/performances/{}/seats", self.performance)).await.expect(200);
        let seats = answer.body["seats"].as_array().expect("seats").iter();
        let found = seats.filter(|one| one["seat_id"] == seat).map(|one| one["status"].as_str().expect("a status"));
        found.map(str::to_owned).next().expect("a seat of this performance")
    }

    /// Tells the server to look at a payment, as the provider would; nobody has to believe it.
    pub async fn hint(&self, order: &str, payment: &str) {
        let answer = self.told(order, payment).await;
        // Until the payment is settled, the provider is asked to tell it again.
        assert!(matches!(answer.status.as_u16(), 200 | 503), "{}", answer.text);
    }

    /// What is answered to such a hint.
    pub async fn told(&self, order: &str, payment: &str) -> Answer {
        let body = json!({"eventType": "PAYMENT_STATUS_CHANGED", "data": {"orderId": order, "paymentKey": payment}});
        self.anyone.post("/v1/psp/toss/webhook", &body).await
    }

    /// The same provider with the same books at the same address, and this to go wrong from now on; its news go to the server.
    pub async fn restart_psp(mut self, script: &str) -> Self {
        let webhook = format!("{}/v1/psp/toss/webhook", self.server.base);
        let address = self.psp.base.trim_start_matches("http://").to_owned();
        self.psp.kill().await;
        self.psp = Psp::start(&self.home, &address, script, Some(&webhook)).await;
        self
    }

    /// Ends the server as a crash would, and starts another one on the same log; the provider goes on.
    pub async fn crash(self) -> Self {
        let Self { home, server, psp, performance, price, .. } = self;
        server.kill().await;
        let server = Server::start(&home).await;
        Self::of(home, server, psp, performance, price)
    }

    /// What the provider's books say of an order: taken, and given back.
    pub async fn money_of(&self, order: &str) -> (u64, u64) {
        let ledger = self.psp.ledger().await;
        let payments = ledger["payments"].as_array().expect("payments").iter();
        let ours = payments.filter(|one| one["order_id"] == order);
        ours.fold((0, 0), |(taken, back), one| (taken + number(one, "captured"), back + number(one, "cancelled")))
    }
}

pub fn number(of: &Value, member: &str) -> u64 {
    of[member].as_u64().unwrap_or_else(|| panic!("no number {member} in {of}"))
}

/// Does the log keep all promises, and do the provider's books say the same?
pub fn sound(shop: &Shop) {
    shop.home.assert_audit_passes();
    let ledger = shop.home.data().join("ledger.jsonl");
    let output = shop.home.run(&["audit", "--psp", ledger.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the books differ: {said}");
}

/// The payment provider's stand-in.
pub struct Psp {
    child: Child,
    pub base: String,
    client: Client,
}

impl Psp {
    async fn start(home: &Home, listen: &str, script: &str, webhook: Option<&str>) -> Self {
        let (ledger, file) = (home.data().join("ledger.jsonl"), home.data().join("script.toml"));
        std::fs::write(&file, script).expect("the directory is ours");
        let mut child = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["psp-simulator", "--listen", listen])
            .args([std::ffi::OsStr::new("--ledger"), ledger.as_os_str()])
            .args([std::ffi::OsStr::new("--script"), file.as_os_str()])
            .args(webhook.iter().flat_map(|url| ["--webhook", *url]))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .env("ONSALE_LOG__LEVEL", "error")
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is ours")).lines();
        let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
        let line = line.expect("it says something").expect("its output is text").expect("it listens");
        let base = line.strip_prefix("psp-simulator listening on ").unwrap_or_else(|| panic!("{line}")).to_owned();
        Self { child, client: Client::new(&base), base }
    }

    async fn kill(&mut self) {
        self.child.start_kill().expect("it runs");
        self.child.wait().await.expect("it ended");
    }

    pub async fn ledger(&self) -> Value {
        self.client.get("/ledger").await.expect(200).body
    }

    /// How often it was asked anything about payments since it started.
    pub async fn calls(&self) -> usize {
        self.client.get("/calls").await.expect(200).body["calls"].as_array().expect("calls").len()
    }

    /// How often anybody has looked at a payment since the provider started.
    pub async fn looks(&self) -> usize {
        let calls = self.client.get("/calls").await.expect(200).body;
        calls["calls"].as_array().expect("calls").iter().filter(|call| call["method"] == "GET").count()
    }

    /// What was taken and not given back, of everybody.
    pub async fn net(&self) -> u64 {
        number(&self.ledger().await, "net")
    }
}
