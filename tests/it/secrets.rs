//! Does a log ever say what nobody may read in it? A whole small sale under the most talkative log there is.

use std::path::PathBuf;

use serde_json::json;

use crate::base::postgres;
use crate::support::markers::Markers;
use crate::support::people::{PASSWORD, code, mail, sign_up, step, totp, totp_at};
use crate::support::redis::Redis;
use crate::support::server::{BOTH, Home, Kind, Server};
use crate::support::shop::{PSP_KEY, Plan, Shop};
use crate::support::sse::Stream;

/// What the node has in its files, and was told by its configuration.
fn of_the_node(shop: &Shop, markers: &mut Markers) {
    let seed = std::fs::read_to_string(shop.home.data().join("ticket_code.key")).expect("the seed of ticket codes");
    markers.mark("the seed of ticket codes", seed.trim());
    let keys = std::fs::read_to_string(shop.home.data().join("keys.json")).expect("the node's keys");
    let keys: serde_json::Value = serde_json::from_str(&keys).expect("JSON");
    let mut texts = Vec::new();
    leaves(&keys, &mut texts);
    let long: Vec<&String> = texts.iter().filter(|text| text.len() >= 32).collect();
    assert!(long.len() >= 4, "keys of tokens, tickets, devices, and of the seal");
    for key in long {
        markers.mark("a key of the node", key.as_str());
    }
    markers.mark("the provider's key", PSP_KEY);
    if shop.home.database_url().is_some() {
        markers.mark("the database's password", postgres::SERVER_PASSWORD);
    }
}

fn leaves(value: &serde_json::Value, texts: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => texts.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| leaves(item, texts)),
        serde_json::Value::Object(members) => members.values().for_each(|member| leaves(member, texts)),
        _ => {}
    }
}

async fn sale(shop: &Shop, markers: &mut Markers) {
    let token = |sub: &str, role: &str, store: Option<&str>| shop.home.token(sub, role, store);
    let kim = markers.mark_token("a member's token", token("kim", "member", None));
    let kim = shop.anyone.with_token(&kim);
    let key = |markers: &mut Markers, name: &str| markers.mark("an idempotency key", format!("marker-key-{name}"));
    let placing = key(markers, "place");
    let reference = markers.mark("an order's reference", "marker-reference-of-kim");
    let orders = format!("/v1/performances/{}/orders", shop.performance);
    let body = json!({"seats": ["A-1-1", "A-1-2"], "reference": reference});
    let order = kim.key(&placing).post(&orders, &body).await.expect(201).str("order_id");
    let again = markers.mark("another body", "marker-reference-reused");
    kim.key(&placing).post(&orders, &json!({"seats": ["A-1-1"], "reference": again})).await.expect(422);
    for (what, junk) in [
        ("a member nobody knows", json!({"seats": ["A-1-3"], "marker-member": "marker-of-unknown-member"})),
        ("a value of the wrong type", json!({"seats": "marker-of-wrong-type"})),
    ] {
        markers.mark(what, "marker-member");
        markers.mark(what, if what.contains("type") { "marker-of-wrong-type" } else { "marker-of-unknown-member" });
        kim.key(&key(markers, what.split(' ').next_back().expect("words"))).post(&orders, &junk).await.expect(400);
    }
    let broken = markers.mark("a body that is no JSON", "marker-of-broken-body");
    kim.key(&key(markers, "broken")).post_raw(&orders, format!("{{\"reference\": \"{broken}")).await.expect(400);

    // A browser: a ticket in the address.
    let path = format!("/v1/orders/{order}/events");
    let ticket = kim.post("/v1/stream-tickets", &json!({"path": path})).await.expect(201).str("ticket");
    let ticket = markers.mark_token("a stream's ticket", ticket);
    let mut stream = Stream::open(&shop.anyone, &format!("{path}?ticket={ticket}"), None).await;
    assert_eq!(stream.frame().await.event, "order");
    shop.anyone.get(&format!("/v1/orders?ticket={ticket}")).await.expect(400);
    let forged = markers.mark("a forged ticket", "marker.forged-ticket.signature");
    shop.anyone.get(&format!("{path}?ticket={forged}")).await.expect(401);

    // Paid, and given back with a reason.
    let body = json!({"payment_key": "pk_1", "amount": 2 * shop.price});
    kim.key(&key(markers, "pay")).post(&format!("/v1/orders/{order}/payment"), &body).await.expect(200);
    let paid = shop.order(&kim, &order).await;
    let code =
        kim.get(&format!("/v1/tickets/{}", paid.body["tickets"][0]["ticket_id"].as_str().expect("a ticket"))).await;
    markers.mark_token("a ticket's code", code.expect(200).str("code"));
    assert_eq!(stream.frame().await.event, "order");
    let reason = markers.mark("a reason of a person", "marker: 아파서 \"못\" 갑니다");
    let cancel = format!("/v1/orders/{order}/cancel");
    kim.key(&key(markers, "cancel")).post(&cancel, &json!({"reason": reason})).await.expect(200);
    let pause = markers.mark("a seller's reason", "marker-reason-of-pause");
    shop.seller
        .post(&format!("/v1/performances/{}/pause", shop.performance), &json!({"reason": pause}))
        .await
        .expect(200);

    // A coupon, and a counter.
    let body = crate::support::stage::coupon_body(3);
    let coupon = shop.seller.post("/v1/coupons", &body).await.expect(201).str("coupon_id");
    kim.key(&key(markers, "coupon")).post(&format!("/v1/coupons/{coupon}/issue"), &json!({})).await.expect(201);
    let store = shop.seller.post("/v1/stores", &json!({"name": "가게"})).await.expect(201).str("store_id");
    let till = shop.anyone.with_token(&markers.mark_token("a till's token", token("till-1", "pos", Some(&store))));
    let now = onsale::clock::Clock::wall(&onsale::clock::SystemClock).to_string();
    let payment = json!({"payment_id": "p1", "amount": 100, "currency": "KRW", "method": "card", "paid_at": now});
    till.post(&format!("/v1/stores/{store}/payments"), &payment).await.expect(201);

    // Who is nobody.
    for (what, wrong) in [
        ("a token that is none", "marker-malformed-token"),
        ("a token of another key", "eyJhbGciOiJIUzI1NiJ9.eyJtYXJrZXItc3ViIjoxfQ.marker-wrong-signature"),
    ] {
        let wrong = markers.mark_token(what, wrong);
        shop.anyone.with_token(&wrong).get("/v1/orders").await.expect(401);
    }
    let basic = markers.mark("a password of another scheme", "bWFya2VyLWJhc2ljLXBhc3N3b3Jk");
    shop.anyone.with("authorization", &format!("Basic {basic}")).get("/v1/orders").await.expect(401);
    let cookie = markers.mark("a cookie", "session=marker-cookie");
    shop.anyone.with("cookie", &cookie).get("/v1/orders").await.expect(401);
}

/// Somebody's address, and whatever they type and are given in the course of a year.
struct Person {
    email: String,
    password: String,
    access: String,
    refresh: String,
}

const ACCOUNT: &str = "marker-kim@example.com";

/// The code in the newest mail, once there are so many.
async fn mailed(shop: &Shop, markers: &mut Markers, count: usize) -> String {
    markers.mark_code("a mailed code", code(&mail(&shop.home, ACCOUNT, count).await))
}

async fn signs_up(shop: &Shop, markers: &mut Markers) -> Person {
    let email = markers.mark("a mail address", ACCOUNT);
    let password = markers.mark("a password", "marker of a password 9");
    let nickname = markers.mark("a nickname", "마커별명");
    let phone = markers.mark("a telephone number", "010-9182-7364");
    markers.mark("a telephone number as it is kept", "01091827364");
    let weak = markers.mark("a password that is refused", "marker12");
    let body = |password: &str| json!({"email": email, "password": password, "nickname": nickname, "phone": phone});
    shop.anyone.post("/v1/accounts", &body(&weak)).await.expect(422);
    shop.anyone.key("marker-key-of-sign-up").post("/v1/accounts", &body(&password)).await.expect(201);
    let wrong = markers.mark_code("a wrong code", "90817263");
    let verify = |code: &str| json!({"email": email, "code": code});
    shop.anyone.post("/v1/accounts/verify", &verify(&wrong)).await.expect(422);
    let code = mailed(shop, markers, 1).await;
    shop.anyone.post("/v1/accounts/verify", &verify(&code)).await.expect(204);
    let signed_in = shop.anyone.post("/v1/auth/login", &json!({"email": email, "password": password})).await;
    let signed_in = signed_in.expect(200);
    let access = markers.mark_token("an access token", signed_in.str("access_token"));
    let refresh = markers.mark_token("a refresh token", signed_in.str("refresh_token"));
    Person { email, password, access, refresh }
}

/// A second factor, shown in every way.
async fn proves(shop: &Shop, markers: &mut Markers, person: &Person) {
    let Person { email, password, access, refresh } = person;
    let who = shop.anyone.with_token(access);
    let enrolled = who.post("/v1/auth/totp/enrol", &json!({"password": password})).await.expect(200);
    let secret = markers.mark("the secret of a second factor", enrolled.str("secret"));
    let shown = markers.mark_code("a code of a second factor", totp(&secret));
    let confirmed = who.post("/v1/auth/totp/confirm", &json!({"code": shown})).await.expect(200);
    let codes = confirmed.body["recovery_codes"].as_array().expect("codes");
    for code in codes {
        markers.mark("a recovery code", code.as_str().expect("a text"));
    }
    let next = markers.mark_code("the next code of a second factor", totp_at(&secret, step() + 1));
    for totp in [next.as_str(), codes[0].as_str().expect("a text")] {
        let login = json!({"email": email, "password": password, "totp": totp});
        let tokens = shop.anyone.post("/v1/auth/login", &login).await.expect(200);
        markers.mark_token("an access token with a second factor", tokens.str("access_token"));
        markers.mark_token("its refresh token", tokens.str("refresh_token"));
    }
    let turned = shop.anyone.post("/v1/auth/refresh", &json!({"refresh_token": refresh})).await.expect(200);
    markers.mark_token("a turned access token", turned.str("access_token"));
    markers.mark_token("a turned refresh token", turned.str("refresh_token"));
    // Stolen: the second time the family goes.
    shop.anyone.post("/v1/auth/refresh", &json!({"refresh_token": refresh})).await.expect(401);
}

/// Passwords that are changed, forgotten and guessed, a locked account, a page's cookie, and the end.
async fn changes(shop: &Shop, markers: &mut Markers, person: &Person) {
    let Person { email, password, .. } = person;
    let reset = markers.mark("a new password", "marker of a new password 8");
    shop.anyone.post("/v1/auth/password/forgot", &json!({"email": email})).await.expect(204);
    let code = mailed(shop, markers, 2).await;
    let body = json!({"email": email, "code": code, "new_password": reset});
    shop.anyone.post("/v1/auth/password/reset", &body).await.expect(204);
    let guess = markers.mark("a wrong password", "marker of a wrong guess");
    for password in [password, &guess] {
        shop.anyone.post("/v1/auth/login", &json!({"email": email, "password": password})).await.expect(401);
    }
    shop.anyone.post("/v1/auth/unlock", &json!({"email": email})).await.expect(204);
    let code = mailed(shop, markers, 3).await;
    shop.anyone.post("/v1/auth/unlock", &json!({"email": email, "code": code})).await.expect(204);

    // Another person, in a browser.
    let page = sign_up(&shop.home, &shop.server, &markers.mark("another address", "marker-lee@example.com")).await;
    assert!(page.starts_with("ac_"));
    let body = json!({"email": "marker-lee@example.com", "password": PASSWORD, "cookie": true});
    let origin = shop.anyone.with("origin", &shop.server.base);
    let answer = origin.post("/v1/auth/login", &body).await.expect(200);
    let cookie = answer.header("set-cookie").and_then(|set| set.split(';').next()).expect("a cookie").to_owned();
    markers.mark_token("a session's cookie", cookie.split_once('=').expect("a pair").1);
    let access = markers.mark_token("a page's access token", answer.str("access_token"));
    let lee = shop.anyone.with_token(&access);
    let newer = markers.mark("a changed password", "marker of a changed password 7");
    let body = json!({"current_password": PASSWORD, "new_password": newer});
    lee.post("/v1/auth/password/change", &body).await.expect(204);
    let body = json!({"nickname": markers.mark("a new nickname", "새마커별명"), "phone": null});
    lee.patch("/v1/accounts/me", &body).await.expect(200);
    let page = origin.with("cookie", &cookie);
    let turned = page.post("/v1/auth/refresh", &json!({})).await.expect(200);
    markers.mark_token("a page's next access token", turned.str("access_token"));
    let next = turned.header("set-cookie").and_then(|set| set.split(';').next()).expect("a cookie").to_owned();
    markers.mark_token("the next cookie", next.split_once('=').expect("a pair").1);
    origin.with("cookie", &next).post("/v1/auth/logout", &json!({})).await.expect(204);
}

/// A store's owner gives a token to a display.
async fn device(shop: &Shop, markers: &mut Markers) {
    let store = shop.seller.post("/v1/stores", &json!({"name": "가게 2"})).await.expect(201).str("store_id");
    let name = markers.mark("a device's name", "marker-name-of-display");
    let path = format!("/v1/stores/{store}/tokens");
    let given = shop.seller.post(&path, &json!({"role": "display", "name": name})).await.expect(201);
    let display = shop.anyone.with_token(&markers.mark_token("a device's token", given.str("token")));
    display.get(&format!("/v1/stores/{store}/payments")).await.expect(200);
    let delete = shop.seller.request(reqwest::Method::DELETE, &format!("{path}/{}", given.str("token_id")));
    shop.seller.try_send(delete).await.expect("an answer").expect(204);
    display.get(&format!("/v1/stores/{store}/payments")).await.expect(401);
}

async fn people(shop: &Shop, markers: &mut Markers) {
    let person = signs_up(shop, markers).await;
    proves(shop, markers, &person).await;
    changes(shop, markers, &person).await;
    device(shop, markers).await;
}

/// What somebody who steals the database has: its files, or a dump; not the keys, nor the mails that have left the house.
fn stolen(home: &Home) -> String {
    let Some(url) = home.owner_url() else {
        return read(&["log.db", "accounts.db", "read"].map(|name| home.data().join(name)));
    };
    postgres::dump(&url)
}

/// All of these, with what SQLite keeps beside them and what is in folders.
fn read(paths: &[PathBuf]) -> String {
    let entry = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").path();
    let mut all = String::new();
    for path in paths {
        if path.is_dir() {
            all += &read(&std::fs::read_dir(path).expect("ours").map(entry).collect::<Vec<_>>());
            continue;
        }
        for beside in ["", "-wal", "-journal"] {
            let path = PathBuf::from(format!("{}{beside}", path.display()));
            if beside.is_empty() || path.exists() {
                all += &String::from_utf8_lossy(&std::fs::read(path).expect("ours"));
            }
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_database_opens_nothing_and_says_who_nobody_is() {
    for kind in BOTH {
        let mut markers = Markers::default();
        let shop = Shop::open(Plan { kind, ..Plan::default() }).await;
        of_the_node(&shop, &mut markers);
        people(&shop, &mut markers).await;
        assert!(shop.server.terminate().await.success());
        let stolen = stolen(&shop.home);
        assert!(stolen.contains("$argon2id$") && stolen.contains("ac_"), "{kind:?}: the accounts are in it");
        // Its owner named it for the store's list, which is what the database is for.
        let found: Vec<String> =
            markers.found_in(&stolen).into_iter().filter(|found| !found.starts_with("a device's name")).collect();
        assert!(found.is_empty(), "{kind:?}: the database says {found:#?}");
    }
}

/// A second node, and what both have to say when their Redis goes away.
async fn elsewhere(shop: &Shop, mut redis: Redis, markers: &mut Markers) {
    let node = Server::follow(&shop.home, &[]).await;
    let lee = shop.home.token("lee", "member", None);
    let lee = shop.anyone.with_token(&markers.mark_token("a token at another node", lee)).elsewhere(&node.base);
    lee.get("/v1/orders").await.expect(200);
    let path = format!("/v1/performances/{}/seats/events", shop.performance);
    let ticket = lee.post("/v1/stream-tickets", &json!({"path": path})).await.expect(201).str("ticket");
    let ticket = markers.mark_token("a ticket of another node", ticket);
    let mut stream = Stream::open(&shop.anyone.elsewhere(&node.base), &format!("{path}?ticket={ticket}"), None).await;
    assert_eq!(stream.frame().await.event, "snapshot");
    redis.stop().await;
    let block = json!({"seats": ["A-1-9"], "reason": markers.mark("a reason to block", "marker-reason-of-block")});
    shop.seller.post(&format!("/v1/performances/{}/seats/block", shop.performance), &block).await.expect(200);
    assert_eq!(stream.frame().await.event, "seat.blocked");
    assert!(node.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_at_their_most_talkative_keep_secrets() {
    for kind in BOTH {
        let mut markers = Markers::default();
        let redis = Redis::start().await;
        let password = markers.mark("the password of Redis", "marker-of-redis");
        redis.said(&format!("CONFIG SET requirepass {password}")).await.expect("it runs");
        let url = redis.url.replace("redis://", &format!("redis://:{password}@"));
        let more = if kind == Kind::Postgres { format!("[redis]\nurl = \"{url}\"\n") } else { String::new() };
        let shop = Shop::open(Plan { kind, tells: true, more, ..Plan::default() }).await;
        of_the_node(&shop, &mut markers);
        sale(&shop, &mut markers).await;
        people(&shop, &mut markers).await;
        if kind == Kind::Postgres {
            elsewhere(&shop, redis, &mut markers).await;
        }
        assert!(shop.server.terminate().await.success());
        let told = std::fs::read_to_string(shop.home.told()).expect("the node's log");
        for word in ["\"TRACE\"", "\"DEBUG\"", "hyper", "\"ready\""] {
            assert!(told.contains(word), "{kind:?}: a log at trace says {word}");
        }
        let found = markers.found_in(&told);
        let lines = |secret: &String| {
            let value = secret.split_once(" (").map_or("", |(_, value)| value.trim_end_matches(')'));
            told.lines().find(|line| line.contains(value)).unwrap_or_default().to_owned()
        };
        let lines: Vec<String> = found.iter().map(lines).collect();
        assert!(found.is_empty(), "{kind:?}: the log says {found:#?}, for example {lines:#?}");
    }
}
