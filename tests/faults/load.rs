//! Who is in the sale while it breaks? Buyers, coupon hunters, tills, readers and watchers, all of them written down.
//!
//! Whoever is told nothing definite asks again with the same key until something definite is said: so everybody does what
//! people do in an outage, and at the end of a run no outcome is unknown any more.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use onsale::clock::{Clock, Entropy, SystemClock};
use parking_lot::Mutex;
use reqwest::Method;
use serde_json::{Value, json};

use crate::record::{Ask, Outcome, Recorder};
use crate::stage::world::{Person, World};
use crate::wait::{pause, pause_between};

/// A client gives up then; the server has promised to be earlier.
const PATIENCE: Duration = Duration::from_secs(14);
/// Seats at the end of the house that rows have for themselves.
const ASIDE: usize = 200;
/// A request may take so long, and a machine of two cores may be late a little.
pub const HANGS: Duration = Duration::from_millis(10_700);

/// The last word on a request.
#[derive(Clone, Debug)]
pub struct Heard {
    pub outcome: Outcome,
    pub status: u16,
    pub body: Value,
    replayed: bool,
}

/// What everybody shares.
pub struct Crew {
    pub recorder: Arc<Recorder>,
    pub world: World,
    base: Mutex<String>,
    stop: AtomicBool,
    states: Mutex<BTreeMap<&'static str, u64>>,
    /// When the last blow fell; 0: none has.
    struck_us: AtomicU64,
    slowest_us: AtomicU64,
    number: AtomicU64,
}

impl Crew {
    pub fn new(recorder: Arc<Recorder>, world: World, base: String) -> Arc<Self> {
        let (stop, states, number) = (AtomicBool::new(false), Mutex::default(), AtomicU64::new(0));
        let (struck_us, slowest_us) = (AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { recorder, world, base: Mutex::new(base), stop, states, struck_us, slowest_us, number })
    }

    pub fn count(&self, state: &'static str) {
        self.count_many(state, 1);
    }

    pub fn count_many(&self, state: &'static str, many: u64) {
        *self.states.lock().entry(state).or_default() += many;
    }

    pub fn state(&self, state: &str) -> u64 {
        self.states.lock().get(state).copied().unwrap_or_default()
    }

    pub fn states(&self) -> BTreeMap<&'static str, u64> {
        self.states.lock().clone()
    }

    /// Now something is broken: whoever waits for an answer may never get it.
    pub fn struck(&self) {
        self.struck_us.store(self.recorder.now_us(), Ordering::Relaxed);
        self.count("blows");
    }

    /// From now on everybody asks there.
    pub fn turn_to(&self, base: String) {
        *self.base.lock() = base;
    }

    pub fn slowest(&self) -> Duration {
        Duration::from_micros(self.slowest_us.load(Ordering::Relaxed))
    }

    /// Nobody begins anything new.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn next(&self) -> u64 {
        self.number.fetch_add(1, Ordering::Relaxed)
    }

    pub fn fresh_key(&self, what: &str) -> String {
        format!("{what}-{}", self.next())
    }

    /// One request and what came of it, and whether the blow fell meanwhile.
    async fn ask(&self, who: &Person, mut ask: Ask, method: Method, path: &str) -> (Heard, bool) {
        let base = self.base.lock().clone();
        ask.node.clone_from(&base);
        let mut client = who.client.elsewhere(&base);
        if let Some(key) = &ask.key {
            client = client.key(key);
        }
        let mut request = client.request(method.clone(), path);
        if method == Method::POST {
            request = request.json(&ask.asked);
        }
        let (begun, begun_us) = (SystemClock.elapsed(), self.recorder.now_us());
        let call = self.recorder.begin(ask);
        let answer = tokio::time::timeout(PATIENCE, client.try_send(request)).await.ok().flatten();
        let said = answer.as_ref().map(|answer| (answer.status.as_u16(), &answer.body));
        let outcome = self.recorder.answered(&call, said);
        let took = SystemClock.elapsed() - begun;
        self.slowest_us.fetch_max(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        if took > HANGS {
            self.count("hung");
        }
        let struck = self.struck_us.load(Ordering::Relaxed);
        let heard = Heard {
            outcome,
            status: said.map_or(0, |(status, _)| status),
            replayed: answer.as_ref().is_some_and(|answer| answer.header("idempotent-replayed").is_some()),
            body: answer.map_or(Value::Null, |answer| answer.body),
        };
        (heard, struck != 0 && begun_us <= struck && self.recorder.now_us() >= struck)
    }

    /// A command, again and again with the same key, until there is a definite answer.
    pub async fn insist(
        &self,
        who: &Person,
        what: &'static str,
        target: &str,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Heard {
        let (mut doubts, mut caught) = (0, false);
        let dice = Entropy::seeded(self.next());
        loop {
            let node = "a".to_owned();
            let (client, target, key) = (who.name.clone(), target.to_owned(), Some(key.to_owned()));
            let ask = Ask { client, what, target, node, key, asked: body.clone() };
            let (heard, by_blow) = self.ask(who, ask, Method::POST, path).await;
            match heard.outcome {
                Outcome::Unknown => {
                    self.count("unknown");
                    doubts += 1;
                    caught |= by_blow;
                    pause_between(&dice, 40, 250).await;
                }
                Outcome::Refused if matches!(heard.status, 429 | 503) => {
                    self.count("shed");
                    pause_between(&dice, 40, 250).await;
                }
                definite => {
                    self.count(if definite == Outcome::Ok { "done" } else { "refused" });
                    if heard.replayed {
                        self.count("replayed");
                    }
                    if doubts > 0 {
                        self.count(if heard.replayed { "doubt: it was there" } else { "doubt: it was not there" });
                    }
                    if caught {
                        self.count(if heard.replayed { "blow: it was there" } else { "blow: it was not there" });
                    }
                    return heard;
                }
            }
        }
    }

    /// Looks once; what is not answered is not asked again.
    pub async fn read(&self, who: &Person, what: &'static str, target: &str, path: &str, known: Option<&str>) -> Heard {
        let asked = known.map_or(Value::Null, |position| json!({"min_position": position}));
        let path = known.map_or(path.to_owned(), |position| format!("{path}?min_position={position}"));
        let (client, target, node) = (who.name.clone(), target.to_owned(), "a".to_owned());
        let ask = Ask { client, what, target, node, key: None, asked };
        let (heard, _) = self.ask(who, ask, Method::GET, &path).await;
        self.count(if heard.outcome == Outcome::Ok { "read" } else { "not read" });
        heard
    }
}

/// Buys, pays, cancels, gives back, forgets: as people do.
pub async fn buyer(crew: Arc<Crew>, who: Person, dice: Entropy) {
    while !crew.stopped() {
        let placed = place(&crew, &who, &dice).await;
        if placed.status == 201 {
            let order = placed.body["order_id"].as_str().unwrap_or_default().to_owned();
            let path = format!("/v1/orders/{order}");
            if dice.below(3) == 0 {
                crew.read(&who, "read-order", &order, &path, placed.body["position"].as_str()).await;
            }
            match dice.below(100) {
                0..60 => purchase(&crew, &who, &dice, &order, &placed.body["amount"]).await,
                60..75 => cancel(&crew, &who, &order, &json!({})).await,
                _ => {}
            }
        }
        pause_between(&dice, 20, 120).await;
    }
}

async fn place(crew: &Crew, who: &Person, dice: &Entropy) -> Heard {
    let world = &crew.world;
    // Most go where there is room, some all want the same.
    let zone = if dice.below(10) < 3 { 40 } else { world.seats - ASIDE };
    let first = usize::try_from(dice.below(zone as u64)).expect("small");
    let many = usize::try_from(1 + dice.below(3)).expect("small");
    let seats: Vec<String> = (first..first + many).map(|n| world.seat(n)).collect();
    let key = crew.fresh_key("place");
    // By its reference the judge finds what a refused request must not have done.
    let body = json!({"seats": seats, "reference": key});
    let path = world.orders();
    let one = || crew.insist(who, "place", &world.performance, &path, &key, &body);
    if dice.below(10) == 0 {
        crew.count("twins");
        return tokio::join!(one(), one()).0;
    }
    one().await
}

async fn purchase(crew: &Crew, who: &Person, dice: &Entropy, order: &str, amount: &Value) {
    let path = format!("/v1/orders/{order}/payment");
    for _ in 0..2 {
        let key = crew.fresh_key("pay");
        let body = json!({"payment_key": format!("pk_{key}"), "amount": amount});
        let paid = crew.insist(who, "pay", order, &path, &key, &body).await;
        match paid.status {
            402 => crew.count("declined"),
            200 => match dice.below(100) {
                0..35 => return cancel(crew, who, order, &json!({})).await,
                35..50 => return share(crew, who, order, &paid.body).await,
                _ => return,
            },
            _ => return,
        }
    }
}

async fn cancel(crew: &Crew, who: &Person, order: &str, body: &Value) {
    let key = crew.fresh_key("cancel");
    crew.insist(who, "cancel", order, &format!("/v1/orders/{order}/cancel"), &key, body).await;
}

/// One of several tickets is given back.
async fn share(crew: &Crew, who: &Person, order: &str, paid: &Value) {
    let tickets = paid["tickets"].as_array().map(Vec::as_slice).unwrap_or_default();
    if let [first, _, ..] = tickets {
        crew.count("shares given back");
        cancel(crew, who, order, &json!({"tickets": [first["ticket_id"]]})).await;
    }
}

/// Takes one of the few coupons for each hunter in turn, each twice at once, and many of the plenty.
pub async fn hunter(crew: Arc<Crew>, hunters: Vec<Person>, dice: Entropy) {
    for who in hunters.iter().cycle() {
        if crew.stopped() {
            return;
        }
        let world = &crew.world;
        let coupon = if dice.below(4) == 0 { &world.hot } else { &world.wide };
        let (path, key) = (format!("/v1/coupons/{coupon}/issue"), crew.fresh_key("issue"));
        let body = json!({});
        let one = || crew.insist(who, "issue", coupon, &path, &key, &body);
        if dice.below(5) == 0 {
            crew.count("twins");
            tokio::join!(one(), one());
        } else {
            one().await;
        }
        pause_between(&dice, 5, 60).await;
    }
}

/// A store's payments, some of which are taken back; so many milliseconds between two of them.
pub async fn till(crew: Arc<Crew>, dice: Entropy, (least, most): (u64, u64)) {
    while !crew.stopped() {
        let (world, id) = (&crew.world, crew.fresh_key("payment"));
        let body = json!({"payment_id": id, "amount": 100, "currency": "KRW", "method": "card",
            "paid_at": SystemClock.wall().to_string()});
        let path = format!("/v1/stores/{}/payments", world.store);
        let key = crew.fresh_key("till");
        crew.insist(&world.till, "store-payment", &world.store, &path, &key, &body).await;
        if dice.below(5) == 0 {
            let (path, key) = (format!("{path}/{id}/cancel"), crew.fresh_key("till"));
            crew.insist(&world.till, "store-cancel", &world.store, &path, &key, &json!({"amount": 40})).await;
        }
        pause_between(&dice, least, most).await;
    }
}

/// Looks at everything that is public.
pub async fn reader(crew: Arc<Crew>, who: Person, dice: Entropy) {
    while !crew.stopped() {
        let world = &crew.world;
        if dice.below(4) == 0 {
            let path = format!("/v1/performances/{}/seats", world.performance);
            crew.read(&who, "read-seats", &world.performance, &path, None).await;
        } else {
            crew.read(&who, "read-coupon", &world.wide, &format!("/v1/coupons/{}", world.wide), None).await;
        }
        pause(Duration::from_millis(100 + dice.below(200))).await;
    }
}
