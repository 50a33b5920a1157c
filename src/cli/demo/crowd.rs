//! What do four hundred people do at once? Each buyer is a task with dice of its own, so a seed repeats their choices.
//!
//! What they were told is kept in a [`Ledger`]; whether something was sold twice is judged from these answers alone, apart
//! from the audit, which judges from the log.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::stage::{HOLD, ROWS, SEATS_IN_ROW, SECTIONS, Stage};
use super::status::Counts;
use super::till::Till;
use crate::auth::keys::Keys;
use crate::auth::principal::Role;
use crate::cli::client::{Answer, Client};
use crate::cli::failure::Failure;
use crate::cli::token::sign;
use crate::clock::{Clock, Entropy, SystemClock};
use crate::timestamp::Timestamp;

/// Orders that one buyer tries before giving up.
const ATTEMPTS: u64 = 5;
/// How much later than its deadline a hold may be seen to end.
const GRACE: Duration = Duration::from_secs(2);

/// From when to when an order was told that it has a seat.
#[derive(Clone, Debug)]
struct Hold {
    order: String,
    from: Timestamp,
    until: Timestamp,
}

/// What the crowd was told.
#[derive(Default)]
pub struct Ledger {
    wanted: u64,
    issued: Mutex<Vec<u64>>,
    holds: Mutex<BTreeMap<String, Vec<Hold>>>,
}

impl Ledger {
    pub fn wanted_and_issued(&self) -> String {
        format!("wanted {} issued {}", self.wanted, self.issued.lock().len())
    }

    /// Coupons beyond the stock or with the same serial, and seats that two orders had at the same time.
    pub fn oversold(&self, stock: u64) -> usize {
        let mut serials = self.issued.lock().clone();
        serials.sort_unstable();
        let twice = serials.windows(2).filter(|pair| pair[0] == pair[1]).count();
        let beyond = serials.iter().filter(|serial| !(1..=stock).contains(*serial)).count();
        twice + beyond + self.holds.lock().values().map(|holds| overlaps(holds)).sum::<usize>()
    }
}

fn overlaps(holds: &[Hold]) -> usize {
    let mut holds = holds.to_vec();
    holds.sort_by_key(|hold| (hold.from, hold.until));
    holds.windows(2).filter(|pair| pair[0].order != pair[1].order && pair[1].from < pair[0].until).count()
}

/// Lets the crowd in and waits until everybody has left and the last hold has ended.
pub async fn play(
    client: &Client,
    stage: &Stage,
    keys: &Keys,
    buyers: u32,
    seed: u64,
    counts: &Arc<Counts>,
) -> Result<Ledger, Failure> {
    let ledger = Arc::new(Ledger { wanted: u64::from(buyers), ..Ledger::default() });
    let closing = CancellationToken::new();
    let mut counters = JoinSet::new();
    for (number, (store, token)) in stage.stores.iter().enumerate() {
        let dice = Entropy::seeded(seed ^ (0xc0ff_ee00 + number as u64));
        counters.spawn(counter(client.clone(), store.clone(), token.clone(), dice, counts.clone(), closing.clone()));
    }
    let mut people = JoinSet::new();
    for number in 1..=buyers {
        let buyer = Buyer {
            number,
            client: client.clone(),
            performance: stage.performance.clone(),
            coupon: stage.coupon.clone(),
            token: sign(keys, &format!("demo-buyer-{number}"), Role::Member, None)?,
            dice: Entropy::seeded(seed.wrapping_mul(1_000_003).wrapping_add(u64::from(number))),
            counts: counts.clone(),
            ledger: ledger.clone(),
        };
        people.spawn(buyer.go());
    }
    let mut ended = Ok(());
    while let Some(person) = people.join_next().await {
        let person = person.map_err(|e| Failure::of(format!("a buyer fell over: {e}"))).and_then(|went| went);
        ended = ended.and(person);
    }
    ended?;
    // Holds that nobody pays end by themselves; the screen shows them go.
    tokio::time::sleep(HOLD + GRACE).await;
    closing.cancel();
    while let Some(counter) = counters.join_next().await {
        counter.map_err(|e| Failure::of(format!("a counter fell over: {e}")))??;
    }
    Arc::into_inner(ledger).ok_or_else(|| Failure::of("a buyer is still in the house"))
}

struct Buyer {
    number: u32,
    client: Client,
    performance: String,
    coupon: String,
    token: String,
    dice: Entropy,
    counts: Arc<Counts>,
    ledger: Arc<Ledger>,
}

impl Buyer {
    async fn go(self) -> Result<(), Failure> {
        self.pause(400).await;
        self.take_coupon().await?;
        for attempt in 1..=ATTEMPTS {
            let answer = self.order(attempt).await?;
            if answer.status == 201 {
                return self.hold(&answer).await;
            }
            self.refused(&answer)?;
            self.pause(1_500).await;
        }
        Ok(())
    }

    /// A 5xx is the node's failure and ends the demo badly; a 4xx is what on-sales are made of.
    fn refused(&self, answer: &Answer) -> Result<(), Failure> {
        self.counts.refused.fetch_add(1, Ordering::Relaxed);
        match answer.status {
            409 | 429 | 503 => Ok(()),
            status => Err(Failure::of(format!("unexpected answer {status} {}", answer.text("code")))),
        }
    }

    async fn take_coupon(&self) -> Result<(), Failure> {
        let path = format!("/v1/coupons/{}/issue", self.coupon);
        let answer = self.client.post(&path, &self.token, Some("coupon"), &json!({})).await?;
        match (answer.status, answer.body.get("serial").and_then(Value::as_u64)) {
            (201, Some(serial)) => {
                self.counts.issued.fetch_add(1, Ordering::Relaxed);
                self.ledger.issued.lock().push(serial);
                Ok(())
            }
            _ => self.refused(&answer),
        }
    }

    /// One to four neighbours; everybody prefers the front, which is where it hurts.
    async fn order(&self, attempt: u64) -> Result<Answer, Failure> {
        let section = SECTIONS[usize::try_from(self.dice.below(SECTIONS.len() as u64)).unwrap_or(0)];
        let row = 1 + self.dice.below(ROWS).min(self.dice.below(ROWS));
        let many = 1 + self.dice.below(4);
        let first = 1 + self.dice.below(SEATS_IN_ROW - many + 1);
        let seats: Vec<String> = (first..first + many).map(|seat| format!("{section}-{row}-{seat}")).collect();
        let path = format!("/v1/performances/{}/orders", self.performance);
        let key = format!("order-{attempt}");
        self.client.post(&path, &self.token, Some(&key), &json!({"seats": seats})).await
    }

    /// One of six changes their mind, one lets the hold run out, the others pay.
    async fn hold(&self, order: &Answer) -> Result<(), Failure> {
        let id = order.text("order_id").to_owned();
        let time = |answer: &Answer, member: &str| Timestamp::parse(answer.text(member));
        let (Some(from), Some(mut until)) = (time(order, "placed_at"), time(order, "hold_expires_at")) else {
            return Err(Failure::of("an order came without its times"));
        };
        self.counts.orders.fetch_add(1, Ordering::Relaxed);
        let (client, token) = (&self.client, self.token.as_str());
        let till = Till { buyer: self.number, client, token, counts: &self.counts, dice: &self.dice, order };
        self.pause(3_000).await;
        match self.dice.below(6) {
            0 => self.change_of_mind(&id).await?,
            1 => {}
            _ => till.pay().await?,
        }
        let now = till.look().await?;
        match (now.text("status"), time(&now, "at")) {
            ("completed" | "refunding", _) => until = Timestamp(i64::MAX),
            ("cancelled", Some(at)) => until = at,
            ("failed" | "refunded", Some(at)) => {
                until = at;
                self.counts.returned.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        let seats = order.body.get("seats").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut holds = self.ledger.holds.lock();
        for seat in seats.iter().filter_map(|seat| seat.get("seat_id").and_then(Value::as_str)) {
            holds.entry(seat.to_owned()).or_default().push(Hold { order: id.clone(), from, until });
        }
        Ok(())
    }

    async fn change_of_mind(&self, id: &str) -> Result<(), Failure> {
        let path = format!("/v1/orders/{id}/cancel");
        let answer = self.client.post(&path, &self.token, Some("cancel"), &json!({})).await?;
        if answer.status != 200 {
            self.refused(&answer)?;
        }
        self.counts.cancelled.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn pause(&self, at_most: u64) {
        tokio::time::sleep(Duration::from_millis(self.dice.below(at_most))).await;
    }
}

/// A store counter: a payment now and then, until the house closes.
async fn counter(
    client: Client,
    store: String,
    token: String,
    dice: Entropy,
    counts: Arc<Counts>,
    closing: CancellationToken,
) -> Result<(), Failure> {
    let path = format!("/v1/stores/{store}/payments");
    for number in 1_u64.. {
        tokio::select! {
            biased;
            () = closing.cancelled() => break,
            () = tokio::time::sleep(Duration::from_millis(100 + dice.below(300))) => {}
        }
        let body = json!({
            "payment_id": format!("demo-{number}"), "amount": 1_000 * (1 + dice.below(30)), "currency": "KRW",
            "method": "card", "paid_at": SystemClock.wall(),
        });
        client.create(&path, &token, &body).await?;
        counts.payments.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_sold_twice_is_seen() {
        let hold =
            |order: &str, from, until| Hold { order: order.to_owned(), from: Timestamp(from), until: Timestamp(until) };
        let ledger = Ledger::default();
        ledger.issued.lock().extend([1, 2, 3]);
        ledger.holds.lock().insert("A-1-1".to_owned(), vec![hold("b", 20, 30), hold("a", 10, 20)]);
        assert_eq!(ledger.oversold(3), 0);
        assert_eq!(ledger.oversold(2), 1, "a serial beyond the stock");
        ledger.issued.lock().push(2);
        assert_eq!(ledger.oversold(3), 1, "a serial twice");
        ledger.holds.lock().insert("A-1-2".to_owned(), vec![hold("b", 19, 30), hold("a", 10, 20)]);
        assert_eq!(ledger.oversold(3), 2, "two holds at the same time");
    }
}
