//! Who may do what to whose things? Every operation of the document, tried by everybody on what is theirs, what is somebody
//! else's, and what is not there. What is somebody else's looks as if it were not there, to the byte.
//!
//! The table is the authorisation of the product; an operation without a line in it fails here.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::sse::Stream;
use crate::support::stage::{coupon_body, performance_body};
use crate::support::town::{Person, Side, Things, Town, payment_body, show_body};

/// Method, path, who may, and what they are answered.
///
/// Who: `*` everybody, also without a token; `m`ember, `s`eller, `c`ounsellor, `a`dmin, `p`os and `d`isplay may touch what
/// is theirs, as capitals what is anybody's. `+`: sellers need their second factor, too; `0`: not even admins need one.
const WHO_MAY: &[(&str, &str, &str, &str)] = &[
    // The catalogue is everybody's to read.
    ("POST", "/v1/venues", "sa", "201"),
    ("GET", "/v1/venues", "*", "200"),
    ("GET", "/v1/venues/{id}", "*", "200"),
    ("GET", "/v1/venues/{id}/sections", "*", "200"),
    ("GET", "/v1/venues/{id}/seats", "*", "200"),
    ("POST", "/v1/shows", "sa+", "201"),
    ("GET", "/v1/shows", "*", "200"),
    ("GET", "/v1/shows/{id}", "*", "200"),
    ("POST", "/v1/performances", "sa+", "201"),
    ("GET", "/v1/performances", "*", "200"),
    ("GET", "/v1/performances/{id}", "*", "200"),
    ("GET", "/v1/performances/{id}/seats", "*", "200"),
    ("GET", "/v1/performances/{id}/seats/events", "*", "200"),
    ("GET", "/v1/rankings/sold-out", "*", "200"),
    ("GET", "/v1/rankings/sold-out/events", "*", "200"),
    ("GET", "/v1/rankings/shows", "*", "200"),
    ("GET", "/v1/rankings/shows/events", "*", "200"),
    // Its seller conducts a sale.
    ("GET", "/v1/performances/{id}/sales", "sA", "200"),
    ("GET", "/v1/performances/{id}/orders", "sA", "200"),
    ("POST", "/v1/performances/{id}/pause", "sA", "200"),
    ("POST", "/v1/performances/{id}/resume", "sA", "200"),
    ("POST", "/v1/performances/{id}/seats/block", "sA", "200 409"),
    ("POST", "/v1/performances/{id}/seats/unblock", "sA", "200 409"),
    ("PATCH", "/v1/performances/{id}", "sA", "200"),
    // Members buy; the buyer, the seller and admins see it.
    ("POST", "/v1/performances/{id}/orders", "M", "201"),
    ("GET", "/v1/orders", "msa", "200"),
    ("GET", "/v1/orders/{id}", "mscApd", "200"),
    ("GET", "/v1/orders/{id}/events", "mscApd", "200"),
    ("GET", "/v1/orders/{id}/payments", "mscApd", "200"),
    ("GET", "/v1/tickets", "m", "200"),
    ("GET", "/v1/tickets/{id}", "msA", "200"),
    ("GET", "/v1/tickets/{id}/qr.svg", "msA", "200"),
    ("POST", "/v1/tickets/{id}/check-in", "sA", "200 409"),
    ("POST", "/v1/orders/{id}/payment", "m", "409"),
    ("POST", "/v1/orders/{id}/cancel", "msA", "200 409"),
    ("POST", "/v1/performances/{id}/cancel", "sA", "202"),
    ("GET", "/v1/performances/{id}/cancellation", "sA", "200"),
    ("POST", "/v1/psp/toss/webhook", "*", "200"),
    ("GET", "/v1/ticket-keys", "*", "200"),
    // Coupons are for every member, and how they go is their seller's business.
    ("POST", "/v1/coupons", "sa", "201"),
    ("GET", "/v1/coupons", "*", "200"),
    ("GET", "/v1/coupons/{id}", "*", "200"),
    ("GET", "/v1/coupons/{id}/statistics", "sA", "200"),
    ("GET", "/v1/coupons/{id}/issues", "sA", "200"),
    ("POST", "/v1/coupons/{id}/issue", "M", "201 409"),
    ("GET", "/v1/coupon-tasks/{id}", "mscApd", "200"),
    ("GET", "/v1/coupon-tasks/{id}/events", "mscApd", "200"),
    ("GET", "/v1/accounts/me/coupons", "m", "200"),
    ("GET", "/v1/accounts/me/notifications", "m", "200"),
    // A store is its owner's and its devices'.
    ("POST", "/v1/stores", "sa", "201"),
    ("GET", "/v1/stores", "sa", "200"),
    ("POST", "/v1/stores/{id}/payments", "p", "201"),
    ("GET", "/v1/stores/{id}/payments", "spdA", "200"),
    ("GET", "/v1/stores/{id}/payments/events", "sdA", "200"),
    ("POST", "/v1/stores/{id}/payments/{payment_id}/cancel", "p", "201 409"),
    ("GET", "/v1/stores/{id}/displays", "sA", "200"),
    ("POST", "/v1/stores/{id}/tokens", "sA", "201"),
    ("GET", "/v1/stores/{id}/tokens", "sA", "200"),
    ("DELETE", "/v1/stores/{id}/tokens/{token_id}", "sA", "204"),
    // One's own account. Who has none, since an operator signed the token, is told so.
    ("POST", "/v1/stream-tickets", "mscapd", "201"),
    ("GET", "/v1/accounts/me", "mscapd0", "200"),
    ("PATCH", "/v1/accounts/me", "msca0", "200 404"),
    ("POST", "/v1/sellers/apply", "m", "200 404"),
    ("POST", "/v1/auth/password/change", "msca0", "400"),
    ("POST", "/v1/auth/totp/enrol", "msca0", "400"),
    ("POST", "/v1/auth/totp/confirm", "msca0", "400"),
    ("POST", "/v1/auth/totp/disable", "msca0", "400"),
    // Here one comes without a token; that nothing is said of other people is shown elsewhere.
    ("POST", "/v1/accounts", "*", "400"),
    ("POST", "/v1/accounts/verify", "*", "400"),
    ("POST", "/v1/auth/login", "*", "400"),
    ("POST", "/v1/auth/refresh", "*", "400"),
    ("POST", "/v1/auth/password/forgot", "*", "400"),
    ("POST", "/v1/auth/password/reset", "*", "400"),
    ("POST", "/v1/auth/unlock", "*", "400"),
    // Operators.
    ("GET", "/v1/admin/review", "a", "200"),
    ("POST", "/v1/admin/review/{id}/settle", "A", "409"),
    ("GET", "/v1/admin/projections", "a", "200"),
    ("GET", "/v1/admin/parked", "a", "200"),
    ("POST", "/v1/admin/parked/{id}/retry", "a", "404"),
    ("POST", "/v1/admin/parked/{id}/skip", "a", "404"),
    ("GET", "/v1/admin/streams/{stream}", "A", "200"),
    ("GET", "/v1/admin/sellers", "a", "200"),
    ("GET", "/v1/admin/security", "a", "200"),
    ("POST", "/v1/admin/sellers/{id}/approve", "A", "200"),
    ("GET", "/livez", "*", "200"),
    ("GET", "/readyz", "*", "200"),
    ("GET", "/metrics", "*", "200"),
    ("GET", "/openapi.json", "*", "200"),
    ("GET", "/problems/{code}", "*", "200"),
    ("GET", "/onsale.js", "*", "200"),
    // Last, since nobody comes back from them.
    ("POST", "/v1/auth/logout", "msca0", "204"),
    ("POST", "/v1/auth/logout-all", "msca0", "204 404"),
    ("DELETE", "/v1/accounts/me", "msca0", "204 404"),
];

/// How people go; each of them in one way.
const WAYS_OUT: [(&str, &str); 3] =
    [("POST", "/v1/auth/logout"), ("POST", "/v1/auth/logout-all"), ("DELETE", "/v1/accounts/me")];

/// What an operation is tried on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum On {
    /// The path names nothing.
    Nothing,
    Side(Side),
    Missing,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// Let in: what comes then is the business of the rules.
    Heard,
    Refused(u16, &'static str),
}

struct Row {
    method: &'static str,
    template: &'static str,
    who: &'static str,
    answers: &'static str,
}

fn table() -> impl Iterator<Item = Row> {
    WHO_MAY.iter().map(|(method, template, who, answers)| Row { method, template, who, answers })
}

impl Row {
    fn on(&self) -> &'static [On] {
        // What is parked depends on what went wrong; here nothing has.
        let names = self.template.contains('{') && !self.template.starts_with("/v1/admin/parked/");
        if names { &[On::Missing, On::Side(Side::One), On::Side(Side::Two)] } else { &[On::Nothing] }
    }

    fn verdict(&self, person: &Person, on: On) -> Verdict {
        const MISSING: Verdict = Verdict::Refused(404, "not-found");
        let capital = person.letter.to_ascii_uppercase();
        if self.who == "*" {
            return if on == On::Missing { MISSING } else { Verdict::Heard };
        }
        if person.letter == '-' {
            return Verdict::Refused(401, "unauthorized");
        }
        if !self.who.contains([person.letter, capital]) {
            return Verdict::Refused(403, "role-required");
        }
        let asks = self.who.contains('+') || (person.letter == 'a' && !self.who.contains('0'));
        if asks && !person.proven {
            return Verdict::Refused(403, "second-factor-required");
        }
        match on {
            On::Nothing => Verdict::Heard,
            On::Missing => MISSING,
            On::Side(side) if self.who.contains(capital) || self.owner(person) == Some(side) => Verdict::Heard,
            On::Side(_) => MISSING,
        }
    }

    /// Devices have nothing but their store.
    fn owner(&self, person: &Person) -> Option<Side> {
        let device = matches!(person.letter, 'p' | 'd');
        person.owns.filter(|_| !device || self.template.starts_with("/v1/stores/"))
    }

    fn path(&self, things: &Things, missing: bool) -> String {
        let segments: Vec<&str> = self.template.split('/').collect();
        let id = match segments[2..] {
            ["venues", ..] => &things.venue,
            ["shows", ..] => &things.show,
            ["performances", ..] => &things.performance,
            ["tickets", ..] => &things.ticket,
            ["coupons", ..] => &things.coupon,
            ["coupon-tasks", ..] => &things.task,
            ["stores", ..] => &things.store,
            ["admin", "sellers", ..] => &things.applicant,
            ["admin", "parked", ..] => "orders:0:1",
            _ => &things.order,
        };
        let query = if self.template.starts_with("/v1/rankings/sold-out") { "?date=2099-01-01" } else { "" };
        let path = self
            .template
            .replace("{id}", id)
            .replace("{payment_id}", &things.payment)
            .replace("{token_id}", &things.token)
            .replace("{code}", if missing { "nothing" } else { "not-found" })
            .replace("{stream}", &format!("order/{}", things.order));
        path + query
    }
}

/// One that would do something, if it were allowed.
fn body(row: &Row, things: &Things, number: u64) -> Option<Value> {
    let why = json!({"reason": "weil"});
    let seat = json!([format!("A-1-{}", 2 + number % 50)]);
    Some(match (row.method, row.template) {
        ("GET" | "DELETE", _) => return None,
        (_, "/v1/venues") => {
            let rows = json!([{"row": "1", "seats": 2}]);
            json!({"name": "Saal", "sections": [{"section": "A", "grade": "R", "rows": rows}]})
        }
        (_, "/v1/shows") => show_body(),
        (_, "/v1/performances") => {
            let mut body = performance_body(&things.show, &things.venue);
            body["prices"] = json!({"R": 1_000});
            body
        }
        ("PATCH", "/v1/performances/{id}") => json!({"max_seats_per_order": 3}),
        (_, "/v1/performances/{id}/seats/block" | "/v1/performances/{id}/seats/unblock") => {
            json!({"seats": ["A-1-60"], "reason": "weil"})
        }
        (_, "/v1/performances/{id}/orders") => json!({"seats": seat}),
        (_, "/v1/orders/{id}/payment") => json!({"payment_key": "pk_1", "amount": 1_000}),
        (_, "/v1/coupons") => coupon_body(5),
        (_, "/v1/stores") => json!({"name": "2호점"}),
        (_, "/v1/stores/{id}/payments") => payment_body(&format!("p-{number}")),
        (_, "/v1/stores/{id}/tokens") => json!({"role": "display", "name": "Anzeige"}),
        (_, "/v1/stream-tickets") => json!({"path": format!("/v1/orders/{}/events", things.order)}),
        (_, "/v1/admin/review/{id}/settle") => json!({"as": "captured", "reason": "weil"}),
        ("PATCH", "/v1/accounts/me") => json!({"nickname": "neu"}),
        (_, template) if template.starts_with("/v1/auth/") && !template.contains("logout") => json!({"x": 1}),
        (_, "/v1/accounts" | "/v1/accounts/verify") => json!({"x": 1}),
        (_, template) if template.ends_with("/pause") || template.ends_with("/resume") => why,
        (_, template) if template.starts_with("/v1/admin/parked/") || template == "/v1/performances/{id}/cancel" => why,
        _ => json!({}),
    })
}

/// An answer, without what differs from request to request.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    status: u16,
    headers: BTreeMap<String, String>,
    text: String,
}

impl Seen {
    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.text).unwrap_or_default();
        body["code"].as_str().unwrap_or_default().to_owned()
    }
}

struct Trial {
    town: Town,
    missing: Things,
    requests: Cell<u64>,
}

impl Trial {
    async fn send(&self, row: &Row, person: &Person, on: On) -> Seen {
        let number = self.requests.replace(self.requests.get() + 1);
        let things = match on {
            On::Missing => &self.missing,
            On::Side(side) => self.town.things(side),
            // What somebody makes, they make of their own things.
            On::Nothing => self.town.things(person.owns.unwrap_or(Side::One)),
        };
        let method = Method::from_bytes(row.method.as_bytes()).expect("a method");
        let request = person.client.request(method, &row.path(things, on == On::Missing));
        let request = request.header("idempotency-key", format!("try-{number}"));
        let request = match body(row, things, number) {
            Some(body) => request.json(&body),
            None => request,
        };
        let response = request.send().await.expect("an answer");
        let header = |(name, value): (&reqwest::header::HeaderName, &reqwest::header::HeaderValue)| {
            (name.to_string(), value.to_str().expect("text").to_owned())
        };
        let mut headers: BTreeMap<String, String> = response.headers().iter().map(header).collect();
        let request_id = headers.remove("x-request-id").unwrap_or_default();
        headers.remove("date");
        let status = response.status().as_u16();
        // Nobody waits for the end of a stream.
        let stream = headers.get("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"));
        let text = if stream { String::new() } else { response.text().await.expect("a whole body") };
        Seen { status, headers, text: text.replace(&request_id, "the request") }
    }

    /// Everybody tries what they may not.
    async fn refusals(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        for row in table() {
            for person in &self.town.people {
                let mut missing = None;
                for on in row.on() {
                    let Verdict::Refused(status, code) = row.verdict(person, *on) else { continue };
                    let seen = self.send(&row, person, *on).await;
                    let said = || format!("{} {} by {} on {on:?}", row.method, row.template, person.name);
                    if (seen.status, seen.code().as_str()) != (status, code) {
                        wrong.push(format!("{}: {status} {code}, not {} {}", said(), seen.status, seen.text));
                    } else if missing.get_or_insert_with(|| seen.clone()) != &seen {
                        wrong.push(format!("{}: {seen:?} tells it from what is missing: {missing:?}", said()));
                    }
                }
            }
        }
        wrong
    }

    /// Everybody does what they may, and hears nothing of others: everything but the ways out, or those.
    async fn doings(&self, out: bool) -> Vec<String> {
        let mut wrong = Vec::new();
        for row in table() {
            let answers: Vec<u16> = row.answers.split(' ').map(|status| status.parse().expect("a status")).collect();
            let way = WAYS_OUT.iter().position(|way| *way == (row.method, row.template));
            if way.is_some() != out {
                continue;
            }
            for (place, person) in self.town.people.iter().enumerate() {
                for on in row.on() {
                    if row.verdict(person, *on) != Verdict::Heard || way.is_some_and(|way| place % 3 != way) {
                        continue;
                    }
                    let seen = self.send(&row, person, *on).await;
                    let said = format!("{} {} by {} on {on:?}", row.method, row.template, person.name);
                    if !answers.contains(&seen.status) {
                        wrong.push(format!("{said}: {answers:?}, not {} {}", seen.status, seen.text));
                    }
                    let others = [Side::One, Side::Two].into_iter().filter(|side| person.owns != Some(*side));
                    let private = others.flat_map(|side| self.town.things(side).private());
                    for id in private.filter(|id| person.letter != 'a' && seen.text.contains(id)) {
                        wrong.push(format!("{said}: shows {id}, which is somebody else's: {}", seen.text));
                    }
                }
            }
        }
        wrong
    }

    /// Everything that a command could have changed.
    async fn state(&self) -> (usize, Vec<String>) {
        let admin = &self.town.person("chae").client;
        let mut seen = Vec::new();
        for side in [Side::One, Side::Two] {
            let store = &self.town.things(side).store;
            for path in [format!("/v1/stores/{store}/tokens"), "/v1/admin/sellers".to_owned()] {
                seen.push(admin.get(&path).await.expect(200).text);
            }
        }
        for person in self.town.people.iter().filter(|person| person.letter != '-') {
            seen.push(person.client.get("/v1/accounts/me").await.expect(200).text);
        }
        (self.town.shop.home.export().len(), seen)
    }
}

async fn trial() -> Trial {
    let town = Town::build().await;
    let missing = town.one.missing();
    Trial { town, missing, requests: Cell::new(0) }
}

#[tokio::test]
async fn everybody_may_what_the_table_says_and_what_is_foreign_looks_missing() {
    let trial = trial().await;
    let document = trial.town.shop.anyone.get("/openapi.json").await.expect(200).body;
    let paths = document["paths"].as_object().expect("paths").iter();
    let operations = paths.flat_map(|(path, item)| {
        let methods = item.as_object().expect("operations").iter().filter(|(_, it)| it.get("responses").is_some());
        methods.map(move |(method, _)| (method.to_uppercase(), path.clone()))
    });
    let judged: BTreeSet<_> = table().map(|row| (row.method.to_owned(), row.template.to_owned())).collect();
    let operations: BTreeSet<_> = operations.collect();
    let apart: Vec<_> = operations.symmetric_difference(&judged).collect();
    assert!(apart.is_empty(), "every operation has its line, and every line its operation: {apart:?}");

    let before = trial.state().await;
    let wrong = trial.refusals().await;
    assert!(wrong.is_empty(), "{} are wrong: {wrong:#?}", wrong.len());
    assert_eq!(trial.state().await, before, "a refused command has no effect");
    let wrong = trial.doings(false).await;
    assert!(wrong.is_empty(), "{} are wrong: {wrong:#?}", wrong.len());
    assert!(trial.town.shop.home.export().len() > before.0 + 30, "those who may do something have done it");
    // Now that everything has been paused, cancelled, used up.
    for wrong in [trial.refusals().await, trial.doings(true).await] {
        assert!(wrong.is_empty(), "{} are wrong: {wrong:#?}", wrong.len());
    }
}

#[tokio::test]
async fn what_a_body_names_is_judged_like_what_a_path_names() {
    let trial = trial().await;
    let Trial { town, missing, .. } = &trial;
    let (one, two) = (&town.one, &town.two);
    let client = |name: &str| &town.person(name).client;
    let (kim, anna) = (client("kim"), client("anna"));
    let order = |task: &str| json!({"seats": ["A-1-2"], "coupon_task_id": task});
    let performance = |show: &str| performance_body(show, &one.venue);
    let tickets = |id: &str| json!({"tickets": [id]});
    let (orders, cancel) =
        (format!("/v1/performances/{}/orders", one.performance), format!("/v1/orders/{}/cancel", one.order));
    let coupon = |show: &str| {
        let mut coupon = coupon_body(5);
        coupon["shows"] = json!([show]);
        coupon
    };
    let till = format!("/v1/stores/{}/payments", one.store);
    let give_back = |id: &str| format!("{till}/{id}/cancel");
    let nothing = json!({});
    let tries = [
        (kim, orders.clone(), order(&two.task), orders, order(&missing.task)),
        (
            anna,
            "/v1/performances".into(),
            performance(&two.show),
            "/v1/performances".into(),
            performance(&missing.show),
        ),
        (anna, "/v1/coupons".into(), coupon(&two.show), "/v1/coupons".into(), coupon(&missing.show)),
        (kim, cancel.clone(), tickets(&two.ticket), cancel, tickets(&missing.ticket)),
        (client("a counter"), give_back(&two.payment), nothing.clone(), give_back(&missing.payment), nothing),
    ];
    let before = town.shop.home.export().len();
    for (number, (who, foreign, its, none, nones)) in tries.into_iter().enumerate() {
        let seen = who.key(&format!("f-{number}")).post(&foreign, &its).await;
        let unseen = who.key(&format!("m-{number}")).post(&none, &nones).await;
        assert!(seen.status.is_client_error(), "{foreign} {its}: {}", seen.text);
        let without = |mut body: Value| {
            body.as_object_mut().expect("a problem").remove("request_id");
            body
        };
        assert_eq!((seen.status, without(seen.body)), (unseen.status, without(unseen.body)), "{foreign} {its}");
    }
    assert_eq!(town.shop.home.export().len(), before);

    anna.post("/v1/coupons", &coupon(&one.show)).await.expect(201);
    client("chae").post("/v1/coupons", &coupon(&two.show)).await.expect(201);
    // Nobody gives away what somebody else sells.
    let elsewhere = format!("/v1/performances/{}/orders", two.performance);
    let refused = kim.key("not-hers").post(&elsewhere, &order(&one.task)).await.problem(409, "coupon-not-usable");
    assert_eq!(refused.body["reason"], "show");
    for (who, path) in [
        (kim, format!("/v1/tickets?order_id={}", two.order)),
        (kim, format!("/v1/orders?performance_id={}", two.performance)),
        (anna, format!("/v1/orders?performance_id={}", two.performance)),
        (anna, "/v1/orders?account_id=lee".to_owned()),
    ] {
        assert_eq!(who.get(&path).await.expect(200).body["items"], json!([]), "{path}");
    }
    let token = format!("/v1/stores/{}/tokens/{}", one.store, two.token);
    anna.try_send(anna.request(Method::DELETE, &token)).await.expect("an answer").problem(404, "not-found");
    let tokens = client("the other seller").get(&format!("/v1/stores/{}/tokens", two.store)).await.expect(200);
    assert!(tokens.text.contains(&two.token), "it is still there");

    // A stream's ticket opens what its owner may open.
    for (who, path, status) in [
        ("kim", format!("/v1/orders/{}/events", one.order), 200),
        ("kim", format!("/v1/orders/{}/events", two.order), 404),
        ("a counter", format!("/v1/stores/{}/payments/events", one.store), 403),
        ("a display", format!("/v1/stores/{}/payments/events", one.store), 200),
        ("a display", format!("/v1/stores/{}/payments/events", two.store), 404),
        ("eun", format!("/v1/coupon-tasks/{}/events", one.task), 404),
    ] {
        let ticket = client(who).post("/v1/stream-tickets", &json!({"path": path})).await.expect(201).str("ticket");
        let stream = Stream::open(&town.shop.anyone, &format!("{path}?ticket={ticket}"), None).await;
        assert_eq!(stream.status, status, "{who} {path}");
    }
}
