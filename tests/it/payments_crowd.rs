//! Many buyers at once, at the last moment, and all of them given back: nobody pays without a seat, no seat goes unpaid.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use onsale::clock::{Clock, SystemClock};
use onsale::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::support::Client;
use crate::support::shop::{Plan, Shop, number, sound};
use crate::support::wait::until;

/// What the provider has of each order: net amount by order id.
async fn net_by_order(shop: &Shop) -> BTreeMap<String, u64> {
    let ledger = shop.psp.ledger().await;
    let mut net = BTreeMap::new();
    for payment in ledger["payments"].as_array().unwrap() {
        *net.entry(payment["order_id"].as_str().unwrap().to_owned()).or_default() += number(payment, "net");
    }
    net.retain(|_, amount| *amount > 0);
    net
}

/// A buyer who wants one seat, any seat, and tries until one is theirs or none is left.
struct Buyer {
    client: Client,
    performance: String,
    name: usize,
    tries: usize,
}

impl Buyer {
    /// The order that was paid for.
    async fn buy(mut self) -> Option<String> {
        let mut ticks = tokio::time::interval(Duration::from_millis(200));
        loop {
            ticks.tick().await;
            let seats = self.client.get(&format!("/v1/performances/{}/seats", self.performance)).await.expect(200);
            let seats = seats.body["seats"].as_array().expect("seats").clone();
            let of = |status: &str| seats.iter().filter(|seat| seat["status"] == status).collect::<Vec<_>>();
            let free = of("available");
            if free.is_empty() {
                if of("held").is_empty() {
                    return None;
                }
                continue;
            }
            self.tries += 1;
            let seat = free[(self.name * 7 + self.tries) % free.len()]["seat_id"].clone();
            let path = format!("/v1/performances/{}/orders", self.performance);
            let placed = self.client.key(&format!("o{}", self.tries)).post(&path, &json!({"seats": [seat]})).await;
            if placed.status == 409 {
                placed.problem(409, "seat-unavailable");
                continue;
            }
            if let Some(order) = self.pay(&placed.expect(201).str("order_id")).await {
                return Some(order);
            }
        }
    }

    /// Tries another card after each refusal, as often as one may.
    async fn pay(&self, order: &str) -> Option<String> {
        for card in 1.. {
            let key = format!("pk_{}_{}_{card}", self.name, self.tries);
            let body = json!({"payment_key": key, "amount": 50_000});
            let path = format!("/v1/orders/{order}/payment");
            let client = self.client.key(&key);
            let asked = || client.post(&path, &body);
            let answer = until("the payment's end", asked, |answer| answer.status != 202).await;
            if answer.status == 200 {
                assert_eq!(answer.body["status"], "completed", "{}", answer.text);
                return Some(order.to_owned());
            }
            let refused = answer.problem(402, "payment-declined");
            if refused.body["attempts_left"] == 0 {
                return None;
            }
        }
        None
    }
}

#[tokio::test]
async fn two_hundred_buyers_want_fifty_seats_and_cards_fail() {
    let script = "[random]\nseed = 7\nms = 300\n\
        confirm = { decline = 0.35, done-reset = 0.1, reset = 0.1, error = 0.05, done-error = 0.05, late = 0.05 }\n\
        query = { reset = 0.2 }\nwebhook = { duplicated = 0.2, early = 0.1, contradictory = 0.1, forged = 0.1 }\n";
    let shop = Shop::open(Plan { seats: 50, ..Plan::default() }).await.restart_psp(script).await;
    let tokens = shop.home.tokens("fan", "member", 200);
    let mut crowd = tokio::task::JoinSet::new();
    for (name, token) in tokens.into_iter().enumerate() {
        let (client, performance) = (shop.anyone.with_token(&token), shop.performance.clone());
        crowd.spawn(Buyer { client, performance, name, tries: 0 }.buy());
    }
    let bought: Vec<String> = crowd.join_all().await.into_iter().flatten().collect();
    assert_eq!(bought.len(), 50);
    let seats = shop.anyone.get(&format!("/v1/performances/{}/seats", shop.performance)).await.expect(200);
    assert!(seats.body["seats"].as_array().unwrap().iter().all(|seat| seat["status"] == "sold"), "{}", seats.text);
    let charged = net_by_order(&shop).await;
    assert_eq!(charged, bought.into_iter().map(|order| (order, 50_000)).collect(), "charged, and who has a ticket");
    let declined = shop.home.export().iter().filter(|event| event["kind"] == "payment.declined").count();
    assert!(declined >= 5, "cards failed {declined} times");
    sound(&shop);
}

/// How many orders are paid for around the end of their holds.
const ROUNDS: usize = 1_000;

/// Waits for a moment by the wall clock: only for tests whose subject is that moment.
async fn moment(at: Timestamp) {
    let left = at.since(SystemClock.wall());
    // Nothing else is waited for, so the time always runs out.
    let _ = tokio::time::timeout(left, std::future::pending::<()>()).await;
}

async fn pay_at_the_last_moment(client: Client, path: String, round: usize) -> (String, bool) {
    let seat = format!("A-{}-{}", round / 500 + 1, round % 500 + 1);
    let placed = client.key(&seat).post(&path, &json!({"seats": [seat]})).await.expect(201);
    let (order, due) = (placed.str("order_id"), placed.str("hold_expires_at"));
    let due = Timestamp::parse(&due).expect("a time");
    // From 460 ms before to 20 ms after, most of them near; the request takes its time, too.
    let early = (round as u64 % 32).pow(2) / 2;
    moment(due.plus(Duration::from_millis(20)).minus(Duration::from_millis(early))).await;
    let body = json!({"payment_key": format!("pk_{round}"), "amount": 50_000});
    let path = format!("/v1/orders/{order}/payment");
    let client = client.key("pay");
    let asked = || client.post(&path, &body);
    let answer = until("the payment's end", asked, |answer| answer.status != 202).await;
    if answer.status == 200 {
        assert_eq!(answer.body["status"], "completed", "{}", answer.text);
        return (order, true);
    }
    let refused = answer.problem(409, "order-not-payable");
    assert_eq!(refused.body["order_status"], "expired");
    (order, false)
}

#[tokio::test]
async fn holds_run_out_while_they_are_paid_for() {
    let change = |body: &mut Value| body["hold_seconds"] = json!(5);
    // Money that was asked for in time may come when the hold would have been over.
    let script = "[random]\nseed = 3\nms = 300\nconfirm = { delay = 0.3, done-reset = 0.05 }\n";
    let shop = Shop::open(Plan { seats: ROUNDS, change, script, ..Plan::default() }).await;
    let tokens = shop.home.tokens("fan", "member", ROUNDS);
    let path = format!("/v1/performances/{}/orders", shop.performance);
    let rounds = tokens.into_iter().enumerate().map(|(round, token)| {
        tokio::spawn(pay_at_the_last_moment(shop.anyone.with_token(&token), path.clone(), round))
    });
    let ended: Vec<(String, bool)> = futures::future::join_all(rounds).await.into_iter().map(Result::unwrap).collect();
    let paid: BTreeMap<String, u64> =
        ended.iter().filter(|(_, paid)| *paid).map(|(order, _)| (order.clone(), 50_000)).collect();
    let late = ROUNDS - paid.len();
    assert!(paid.len() >= 20 && late >= 20, "{} in time, {late} too late: this shows nothing", paid.len());
    assert_eq!(net_by_order(&shop).await, paid);
    assert_eq!(shop.psp.net().await, 50_000 * paid.len() as u64);
    let seats = shop.anyone.get(&format!("/v1/performances/{}/seats", shop.performance)).await.expect(200);
    let sold = seats.body["seats"].as_array().unwrap().iter().filter(|seat| seat["status"] == "sold").count();
    assert_eq!(sold, paid.len());
    sound(&shop);
}

/// Orders of a performance that is cancelled.
const CALLED_OFF: usize = 10_000;
/// Buyers at work at once.
const AT_ONCE: usize = 64;

async fn buy_all(shop: &Shop) {
    let tokens = shop.home.tokens("fan", "member", AT_ONCE);
    let orders = (0..CALLED_OFF).map(|number| {
        let client = shop.anyone.with_token(&tokens[number % AT_ONCE]);
        async move {
            let seat = format!("A-{}-{}", number / 500 + 1, number % 500 + 1);
            shop.buy(&client, &seat, &format!("pk_{number}")).await;
        }
    });
    futures::stream::iter(orders).buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
}

#[tokio::test]
async fn a_performance_is_cancelled_and_the_server_dies_while_money_goes_back() {
    let shop = Shop::open(Plan { seats: CALLED_OFF, ..Plan::default() }).await;
    buy_all(&shop).await;
    let total = 50_000 * CALLED_OFF as u64;
    assert_eq!(shop.psp.net().await, total);
    let act = format!("/v1/performances/{}/cancel", shop.performance);
    shop.seller.key("off").post(&act, &json!({"reason": "storm"})).await.expect(202);
    until("money to go back", || shop.psp.net(), |net| *net <= total - total / 10).await;
    let shop = shop.crash().await;
    let left = shop.psp.net().await;
    assert!(left > 0, "it died too late to show anything");
    // However long it takes: as long as it goes on.
    let mut left = left;
    while left > 0 {
        left = until("more money to go back", || shop.psp.net(), |net| *net < left).await;
    }
    let path = format!("/v1/performances/{}/cancellation", shop.performance);
    let over = until("it to be over", || shop.seller.get(&path), |answer| answer.body["pending"] == 0).await;
    assert_eq!(
        (number(&over.body, "orders"), number(&over.body, "refunded"), number(&over.body, "review")),
        (CALLED_OFF as u64, CALLED_OFF as u64, 0)
    );
    let ledger = shop.psp.ledger().await;
    assert_eq!((number(&ledger, "captured"), number(&ledger, "cancelled")), (total, total));
    let payments = ledger["payments"].as_array().unwrap();
    let once = payments.iter().filter(|one| one["cancels"].as_array().map(Vec::len) == Some(1)).count();
    assert_eq!(once, CALLED_OFF);
    sound(&shop);
}
