//! Two of everything, each with an owner, and somebody of every kind: a small town in which everybody can try everything.

use serde_json::{Value, json};

use super::http::Answer;
use super::people::{enrol, login, sign_up, step, totp_at};
use super::shop::{Plan, Shop};
use super::stage::{FAR, coupon_body, performance_body};
use super::wait::until;
use super::{Client, Kind};

/// One of each thing, all of one seller; order, ticket and task are one member's.
#[derive(Clone, Debug)]
pub struct Things {
    pub venue: String,
    pub show: String,
    pub performance: String,
    pub order: String,
    pub ticket: String,
    pub coupon: String,
    pub task: String,
    pub store: String,
    pub payment: String,
    /// A device's token that nobody uses.
    pub token: String,
    pub applicant: String,
}

impl Things {
    /// What of it concerns its owners alone.
    pub fn private(&self) -> [&str; 6] {
        [&self.order, &self.ticket, &self.task, &self.store, &self.payment, &self.token]
    }

    /// The same kinds of names, and nothing behind them.
    pub fn missing(&self) -> Self {
        let Self { venue, show, performance, order, ticket, coupon, task, store, token, applicant, .. } = self;
        Self {
            venue: unlike(venue),
            show: unlike(show),
            performance: unlike(performance),
            order: unlike(order),
            ticket: unlike(ticket),
            coupon: unlike(coupon),
            task: unlike(task),
            store: unlike(store),
            payment: "payment-that-never-was".to_owned(),
            token: unlike(token),
            applicant: unlike(applicant),
        }
    }
}

/// Another id of the same kind: the hashes in it are others.
pub fn unlike(id: &str) -> String {
    let other = |part: &str| match (part.len() == 32, part.strip_prefix('0')) {
        (false, _) => part.to_owned(),
        (true, Some(rest)) => format!("1{rest}"),
        (true, None) => format!("0{}", &part[1..]),
    };
    let unlike: Vec<String> = id.split('_').map(other).collect();
    let unlike = unlike.join("_");
    assert_ne!(unlike, id, "an id has a hash in it");
    unlike
}

/// Whose things somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    One,
    Two,
}

pub struct Person {
    pub name: &'static str,
    /// `m`ember, `s`eller, `c`ounsellor, `a`dmin, `p`os, `d`isplay; `-`: nobody that we know.
    pub letter: char,
    /// Has shown a second factor, or needs none.
    pub proven: bool,
    pub owns: Option<Side>,
    pub client: Client,
}

pub struct Town {
    pub shop: Shop,
    pub one: Things,
    pub two: Things,
    pub people: Vec<Person>,
}

impl Town {
    /// Side one has accounts, side two the tokens that operators sign.
    pub async fn build() -> Self {
        let shop = Shop::open(Plan { kind: Kind::Sqlite, ..Plan::default() }).await;
        let admin = shop.anyone.with_token(&proven(&shop, "chae@example.com", "admin").await);
        let anna = shop.anyone.with_token(&proven(&shop, "anna@example.com", "seller").await);
        let kim = account(&shop, "kim@example.com", None).await;
        let operator = |sub: &str, role: &str| shop.anyone.with_token(&shop.home.token(sub, role, None));
        let (lee, other) = (operator("lee", "member"), operator("seller-2", "seller"));
        let applicant = sign_up(&shop.home, &shop.server, "gil@example.com").await;
        let gil = shop.anyone.with_token(&login(&shop.anyone, "gil@example.com", None).await.access);
        gil.post("/v1/sellers/apply", &json!({})).await.expect(200);
        let (one, [pos, display]) = things(&anna, &kim, &shop.anyone, &applicant, "payment-of-one").await;
        let (two, [pos_two, display_two]) = things(&other, &lee, &shop.anyone, &applicant, "payment-of-two").await;
        let till = shop.anyone.with_token(&shop.home.token("till-9", "pos", Some(&one.store)));
        let person = |name, letter, owns, client: &Client| {
            let proven = !matches!(name, "bora" | "dana");
            Person { name, letter, proven, owns, client: client.clone() }
        };
        let people = vec![
            person("nobody", '-', None, &shop.anyone),
            person("a broken token", '-', None, &shop.anyone.with_token("x.y.z")),
            person("kim", 'm', Some(Side::One), &kim),
            person("lee", 'm', Some(Side::Two), &lee),
            person("fay", 'm', None, &account(&shop, "fay@example.com", None).await),
            person("anna", 's', Some(Side::One), &anna),
            person("the other seller", 's', Some(Side::Two), &other),
            person("bora", 's', None, &account(&shop, "bora@example.com", Some("seller")).await),
            person("eun", 'c', None, &account(&shop, "eun@example.com", Some("counsellor")).await),
            person("chae", 'a', None, &admin),
            person("an operator", 'a', None, &operator("root", "admin")),
            person("dana", 'a', None, &account(&shop, "dana@example.com", Some("admin")).await),
            person("a counter", 'p', Some(Side::One), &pos),
            person("the other counter", 'p', Some(Side::Two), &pos_two),
            person("a counter with a signed token", 'p', Some(Side::One), &till),
            person("a display", 'd', Some(Side::One), &display),
            person("the other display", 'd', Some(Side::Two), &display_two),
        ];
        let town = Self { shop, one, two, people };
        town.shown().await;
        town
    }

    pub fn person(&self, name: &str) -> &Person {
        self.people.iter().find(|person| person.name == name).expect("somebody of that name")
    }

    pub fn things(&self, side: Side) -> &Things {
        match side {
            Side::One => &self.one,
            Side::Two => &self.two,
        }
    }

    /// Waits until the lists have everything: from then on they say who may see what, not how far they are.
    async fn shown(&self) {
        let lists = ["/v1/orders", "/v1/tickets", "/v1/accounts/me/coupons", "/v1/stores"];
        for person in self.people.iter().filter(|person| matches!(person.letter, 'm' | 's')) {
            let Some(side) = person.owns else { continue };
            for list in lists {
                let wanted = match (list, person.letter) {
                    ("/v1/orders", _) => &self.things(side).order,
                    ("/v1/tickets", 'm') => &self.things(side).ticket,
                    ("/v1/accounts/me/coupons", 'm') => &self.things(side).task,
                    ("/v1/stores", 's') => &self.things(side).store,
                    _ => continue,
                };
                let what = format!("{wanted} in {list} of {}", person.name);
                until(&what, || person.client.get(list), |answer: &Answer| answer.text.contains(wanted)).await;
            }
        }
    }
}

/// Somebody with an account, signed in.
async fn account(shop: &Shop, email: &str, role: Option<&str>) -> Client {
    sign_up(&shop.home, &shop.server, email).await;
    if let Some(role) = role {
        let output = shop.home.run(&["account", "role", "--email", email, "--role", role]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    shop.anyone.with_token(&login(&shop.anyone, email, None).await.access)
}

/// The token of somebody who has shown a second factor.
async fn proven(shop: &Shop, email: &str, role: &str) -> String {
    let secret = enrol(&account(shop, email, Some(role)).await).await;
    login(&shop.anyone, email, Some(&totp_at(&secret, step() + 1))).await.access
}

/// What a seller puts up and a member buys; the store's counter and display.
async fn things(
    seller: &Client,
    member: &Client,
    anyone: &Client,
    applicant: &str,
    payment: &str,
) -> (Things, [Client; 2]) {
    let rows = json!([{"row": "1", "seats": 60}]);
    let venue = json!({"name": "홀", "sections": [{"section": "A", "grade": "R", "rows": rows}]});
    let venue = seller.post("/v1/venues", &venue).await.expect(201).str("venue_id");
    let show = seller.post("/v1/shows", &show_body()).await.expect(201).str("show_id");
    let mut body = performance_body(&show, &venue);
    body["prices"] = json!({"R": 1_000});
    let performance = seller.post("/v1/performances", &body).await.expect(201).str("performance_id");
    let orders = format!("/v1/performances/{performance}/orders");
    let order = member.key("first").post(&orders, &json!({"seats": ["A-1-1"]})).await.expect(201).str("order_id");
    let pay = json!({"payment_key": format!("pk_{payment}"), "amount": 1_000});
    let paid = member.key("pay").post(&format!("/v1/orders/{order}/payment"), &pay).await.expect(200);
    let ticket = paid.body["tickets"][0]["ticket_id"].as_str().expect("a ticket").to_owned();
    let coupon = seller.post("/v1/coupons", &coupon_body(50)).await.expect(201).str("coupon_id");
    let task = member.post(&format!("/v1/coupons/{coupon}/issue"), &json!({})).await.expect(201).str("task_id");
    let store = seller.post("/v1/stores", &json!({"name": "1호점"})).await.expect(201).str("store_id");
    let mut devices = Vec::new();
    for role in ["pos", "display", "pos"] {
        let body = json!({"role": role, "name": "기계"});
        devices.push(seller.post(&format!("/v1/stores/{store}/tokens"), &body).await.expect(201));
    }
    let [pos, display] = [0, 1].map(|index: usize| anyone.with_token(&devices[index].str("token")));
    pos.post(&format!("/v1/stores/{store}/payments"), &payment_body(payment)).await.expect(201);
    let (payment, token, applicant) = (payment.to_owned(), devices[2].str("token_id"), applicant.to_owned());
    let things = Things { venue, show, performance, order, ticket, coupon, task, store, payment, token, applicant };
    (things, [pos, display])
}

pub fn show_body() -> Value {
    json!({"title": "쇼", "category": "concert", "description": "하루만", "place": "서울", "starts_on": &FAR[..10],
        "ends_on": &FAR[..10]})
}

pub fn payment_body(id: &str) -> Value {
    let now = onsale::clock::Clock::wall(&onsale::clock::SystemClock).to_string();
    json!({"payment_id": id, "amount": 100, "currency": "KRW", "method": "card", "paid_at": now})
}
