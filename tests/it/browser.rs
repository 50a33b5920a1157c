//! Does `/onsale.js` keep its word in a real browser? What a page sees equals the log, however the network behaves.
//!
//! The page reports what it is told; a front between it and the server cuts, refuses, swallows and loses.

use std::collections::BTreeMap;

use onsale::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::browser::Browser;
use crate::support::front::{Act, Front};
use crate::support::server::Home;
use crate::support::shop::{Plan, Shop};
use crate::support::stage::Stage;
use crate::support::{Client, Kind};

/// Reports everything; waits are short where the node has no wish.
const FOLLOW: &str = r#"
const watch = (name, options) => {
  const seats = (state) => (state.seats instanceof Map ? { ...state, seats: Object.fromEntries(state.seats) } : state);
  const following = follow({
    longestWait: 20,
    onEvent: (frame) => report(`${name} frame`, frame),
    onState: (state) => report(`${name} state`, seats(state)),
    onGap: (gap) => report(`${name} gap`, gap),
    onError: ({ status, code, retryIn }) => report(`${name} error`, { status, code, retryIn }),
    ...options,
  });
  following.ended.then(() => report(`${name} ended`, following.lastEventId ?? null));
  return following;
};
"#;

async fn visit(server: &str, script: &str, acts: Vec<Act>) -> (Front, Browser) {
    let front = Front::start(server, &format!("{FOLLOW}{script}")).await;
    front.plan(acts);
    let browser = Browser::open(&format!("{}/page", front.base));
    (front, browser)
}

fn column(values: &[Value], member: &str) -> Vec<Value> {
    values.iter().map(|value| value[member].clone()).collect()
}

/// The ids of the frames that the log's facts of seats make, and what the seats come to.
fn seats_in_the_log(home: &Home) -> (Vec<Value>, BTreeMap<String, Value>) {
    let (mut ids, mut seats, mut within) = (Vec::new(), BTreeMap::new(), false);
    for record in home.export() {
        let stream = record["stream"].as_str().expect("a stream");
        if let Some(seat) = stream.strip_prefix("seat/").and_then(|rest| rest.split_once('/')) {
            let status = match record["kind"].as_str().expect("a kind") {
                "seat.held" => "held",
                "seat.sold" => "sold",
                "seat.blocked" => "blocked",
                _ => "available",
            };
            within = true;
            seats.insert(seat.1.to_owned(), json!(status));
        }
        if record["unit_last"] == true && std::mem::take(&mut within) {
            ids.push(json!(format!("{}:{}", record["partition"], record["position"])));
        }
    }
    seats.retain(|_, status| *status != "available");
    (ids, seats)
}

/// Somebody holds a seat and lets the one before it go: one frame each.
async fn trade(stage: &Stage, kim: &Client, round: usize, before: Option<String>) -> String {
    let seat = format!("A-1-{}", round % 10 + 1);
    let placed = kim.key(&format!("place-{round}")).post(&stage.orders(), &json!({"seats": [seat]})).await.expect(201);
    if let Some(order) = before {
        let path = format!("/v1/orders/{order}/cancel");
        kim.key(&format!("cancel-{round}")).post(&path, &json!({})).await.expect(200);
    }
    placed.str("order_id")
}

async fn get_seats(stage: &Stage) -> (Value, BTreeMap<String, Value>) {
    let shown = stage.anyone.get(&format!("/v1/performances/{}/seats", stage.performance)).await.expect(200);
    let seats = shown.body["seats"].as_array().expect("seats").iter().filter(|seat| seat["status"] != "available");
    let seats = seats.map(|seat| (seat["seat_id"].as_str().expect("an id").to_owned(), seat["status"].clone()));
    (shown.body["position"].clone(), seats.collect())
}

/// The page's map is the log's and that of the GET, and every frame came once.
async fn assert_complete(stage: &Stage, front: &Front) {
    let (position, shown) = get_seats(stage).await;
    let (ids, folded) = seats_in_the_log(&stage.home);
    assert_eq!(shown, folded);
    let states = front.hears("map state", |seen| seen.last().is_some_and(|last| last["position"] == position)).await;
    let state = states.last().expect("a state");
    assert_eq!(state["seats"], json!(folded));
    let frames = front.told("map frame");
    let frames: Vec<Value> = frames.into_iter().filter(|frame| frame["event"] != "reset").collect();
    assert_eq!(frames[0]["event"], "snapshot");
    let begun = ids.iter().position(|id| *id == frames[0]["id"]).map_or(0, |at| at + 1);
    assert_eq!(column(&frames[1..], "id"), ids[begun..], "every change once, in order");
    assert_eq!(front.told("uncaught"), Vec::<Value>::new());
}

#[tokio::test]
async fn a_seat_map_is_complete_though_its_stream_is_cut_at_changing_bytes() {
    let stage = Stage::set(Kind::Sqlite).await;
    let script = format!("watch('map', {{ seats: '{}' }});", stage.performance);
    let acts: Vec<Act> = (1..420).step_by(13).map(Act::Cut).collect();
    let cuts = acts.len();
    let (front, _browser) = visit(&stage.server.base, &script, acts).await;
    let kim = stage.member("kim");
    let mut order = None;
    front.hears("map state", |seen| !seen.is_empty()).await;
    for round in 0.. {
        order = Some(trade(&stage, &kim, round, order).await);
        let (position, _) = get_seats(&stage).await;
        front.hears("map state", |seen| seen.last().is_some_and(|last| last["position"] == position)).await;
        assert!(round < 500, "too few streams were asked for: {:?}", front.asked());
        // A browser asks again by itself where it was cut before it saw a byte, and tells no page: the front counts.
        if front.asked().len() > cuts {
            break;
        }
    }
    assert_complete(&stage, &front).await;
    assert_eq!(front.told("map gap"), Vec::<Value>::new());
    let errors = front.told("map error");
    assert!(errors.len() > cuts / 2 && errors.iter().all(|error| error["code"] == "cut"), "{errors:?}");
}

#[tokio::test]
async fn a_lost_frame_is_noticed_and_asked_for_again() {
    let stage = Stage::set(Kind::Sqlite).await;
    let script = format!("watch('map', {{ seats: '{}' }});", stage.performance);
    let (front, _browser) = visit(&stage.server.base, &script, vec![Act::Lose(2)]).await;
    let kim = stage.member("kim");
    front.hears("map state", |seen| !seen.is_empty()).await;
    let mut order = None;
    for round in 0..4 {
        order = Some(trade(&stage, &kim, round, order).await);
    }
    assert_complete(&stage, &front).await;
    let (ids, _) = seats_in_the_log(&stage.home);
    let gap = json!({"expected": ids[0], "prev": ids[1], "id": ids[2], "lost": false});
    assert_eq!(front.told("map gap"), [gap], "the second change was lost");
    let again = front.asked().last().cloned().expect("a reconnect");
    assert!(again.contains("last_event_id="), "from the last good frame: {again}");
}

#[tokio::test]
async fn what_is_lost_again_makes_the_page_begin_anew_and_a_reset_forgets() {
    let stage = Stage::set(Kind::Sqlite).await;
    let kim = stage.member("kim");
    let first = trade(&stage, &kim, 0, None).await;
    let partition = get_seats(&stage).await.0.as_str().expect("a position").split(':').next().map(str::to_owned);
    let script = format!(
        "const future = new AbortController();
         watch('map', {{ seats: '{0}' }});
         watch('future', {{ seats: '{0}', after: '{1}:999999', signal: future.signal,
             onState: (state) => {{ report('future state', state); future.abort(); }} }});",
        stage.performance,
        partition.expect("a partition")
    );
    let (front, _browser) = visit(&stage.server.base, &script, Vec::new()).await;
    front.hears("future ended", |seen| !seen.is_empty()).await;
    assert_eq!(column(&front.told("future frame"), "event"), ["reset", "snapshot"]);
    assert_eq!(front.told("future state").len(), 1, "a reset alone is no state");
    front.hears("map state", |seen| seen.len() == 1).await;
    // What the page missed while the front is down is two frames, of which it may not get the first, twice.
    front.down(true);
    front.hears("map error", |seen| seen.iter().any(|error| error["status"] == 503)).await;
    trade(&stage, &kim, 1, Some(first)).await;
    front.plan([Act::Lose(0), Act::Lose(0)]);
    front.down(false);
    let gaps = front.hears("map gap", |seen| seen.len() == 2).await;
    assert_eq!(column(&gaps, "lost"), [json!(false), json!(true)], "{:?}", front.asked());
    assert_eq!(gaps[0]["expected"], gaps[1]["expected"]);
    let (position, seats) = get_seats(&stage).await;
    let states = front.hears("map state", |seen| seen.last().is_some_and(|last| last["position"] == position)).await;
    assert_eq!(states.last().expect("a state")["seats"], json!(seats));
    let events = column(&front.told("map frame"), "event");
    assert_eq!(events, ["snapshot", "snapshot"], "it began anew and never showed what came after the gap");
}

#[tokio::test]
async fn refusals_are_waited_out_and_silence_is_noticed() {
    let stage = Stage::set(Kind::Sqlite).await;
    let script = format!("watch('map', {{ seats: '{}', silence: 700 }});", stage.performance);
    let refuse = |status, code, retry_after| Act::Refuse { status, code, retry_after };
    let acts = vec![
        refuse(503, "too-many-watchers", Some(1)),
        refuse(429, "rate-limited", Some(1)),
        refuse(401, "ticket-invalid", None),
        refuse(502, "", None),
        Act::Swallow,
    ];
    let (front, _browser) = visit(&stage.server.base, &script, acts).await;
    front.hears("map state", |seen| !seen.is_empty()).await;
    let errors = front.told("map error");
    let seen: Vec<_> =
        errors.iter().take(5).map(|e| (e["status"].as_u64(), e["code"].as_str().unwrap_or(""))).collect();
    let expected =
        [(503, "too-many-watchers"), (429, "rate-limited"), (401, "ticket-invalid"), (502, ""), (0, "silent")];
    assert_eq!(seen, expected.map(|(status, code)| (Some(status), code)));
    for (at, error) in errors.iter().take(5).enumerate() {
        let wait = error["retryIn"].as_f64().expect("a time");
        let asked = if at < 2 { 1_000.0..=1_250.0 } else { 0.0..=20.0 };
        assert!(asked.contains(&wait), "{at}: {wait}");
    }
    // A heartbeat comes every 15 s: without one for 0.7 s the page comes back, from where it was.
    front.hears("map error", |seen| seen.iter().filter(|error| error["code"] == "silent").count() > 2).await;
    assert_complete(&stage, &front).await;
}

#[tokio::test]
async fn an_order_is_followed_by_ticket_from_its_hold_to_its_end() {
    let shop = Shop::open(Plan::default()).await;
    let kim = shop.member("kim");
    let token = shop.home.token("kim", "member", None);
    let order = shop.place(&kim, &["A-1-1", "A-1-2"]).await;
    let script = format!(
        "watch('order', {{ order: '{order}', token: async () => '{token}' }});
         watch('nobody', {{ order: '{order}' }});
         watch('none', {{ order: 'o1_0', token: '{token}' }});"
    );
    let (front, _browser) = visit(&shop.server.base, &script, Vec::new()).await;
    front.hears("order state", |seen| !seen.is_empty()).await;
    for (name, status) in [("nobody", 401), ("none", 404)] {
        front.hears(&format!("{name} ended"), |seen| !seen.is_empty()).await;
        let errors = front.told(&format!("{name} error"));
        assert_eq!((errors.len(), &errors[0]["status"], &errors[0]["retryIn"]), (1, &json!(status), &Value::Null));
    }
    // Back in the middle of it, with a new ticket.
    front.plan([Act::Cut(200)]);
    front.down(true);
    front.hears("order error", |seen| seen.iter().any(|error| error["status"] == 503)).await;
    front.down(false);
    shop.pay(&kim, &order, "pk_1", 2 * shop.price).await.expect(200);
    let completed = |seen: &Vec<Value>| seen.last().is_some_and(|last| last["status"] == "completed");
    let states = front.hears("order state", completed).await;
    let mut statuses = column(&states, "status");
    statuses.dedup();
    assert_eq!(statuses.first(), Some(&json!("awaiting_payment")));
    let shown = shop.order(&kim, &order).await;
    let last = states.last().expect("a state");
    for member in ["order_id", "status", "amount", "seats", "tickets", "position"] {
        assert_eq!(last[member], shown.body[member], "{member}");
    }
    let ids = column(&front.told("order frame"), "id");
    assert_eq!(ids.iter().collect::<std::collections::HashSet<_>>().len(), ids.len(), "no frame came twice");
    assert_eq!(front.told("order gap"), Vec::<Value>::new());
    let asked = front.asked();
    assert!(asked.iter().all(|url| !url.contains(&token)), "a token never stands in a URL");
    assert!(asked.iter().filter(|url| url.contains("ticket=")).count() >= 3);
}

#[tokio::test]
async fn a_coupon_task_has_one_result_and_is_over() {
    let stage = Stage::set(Kind::Sqlite).await;
    let (kim, coupon) = (stage.member("kim"), stage.coupon(5).await);
    let token = stage.home.token("kim", "member", None);
    let issue = format!("/v1/coupons/{coupon}/issue");
    let task = kim.with("prefer", "respond-async").post(&issue, &json!({})).await.expect(202).str("task_id");
    let result = kim.get(&format!("/v1/coupon-tasks/{task}")).await.expect(200).body;
    let script = format!(
        "watch('task', {{ couponTask: '{task}', token: '{token}' }});
         watch('known', {{ couponTask: '{task}', token: '{token}', after: {} }});",
        result["position"]
    );
    // The first of them is cut within the result.
    let (front, _browser) = visit(&stage.server.base, &script, vec![Act::Cut(60), Act::Cut(60)]).await;
    front.hears("task ended", |seen| !seen.is_empty()).await;
    front.hears("known ended", |seen| !seen.is_empty()).await;
    let states = front.told("task state");
    assert_eq!(states.len(), 1);
    for member in ["task_id", "status", "serial", "issued_at", "position"] {
        assert_eq!(states[0][member], result[member], "{member}");
    }
    assert_eq!(front.told("known frame"), Vec::<Value>::new(), "who has it gets 204");
}

#[tokio::test]
async fn a_store_feed_shows_the_latest_missed_payment_or_all() {
    let stage = Stage::set(Kind::Sqlite).await;
    let store = stage.store().await;
    let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(&store)));
    let token = stage.home.token("screen-1", "display", Some(&store));
    let script = format!(
        "const latest = watch('latest', {{ store: '{store}', token: '{token}', onOpen: () => report('open', 1) }});
         const all = watch('all', {{ store: '{store}', token: '{token}', resume: 'all', onOpen: () => report('open', 1) }});
         const look = setInterval(() => {{
           if (latest.lastEventId && all.lastEventId) report('placed', clearInterval(look) ?? all.lastEventId);
         }}, 20);"
    );
    let (front, _browser) = visit(&stage.server.base, &script, Vec::new()).await;
    let pay = async |id: &str| {
        let body = json!({"payment_id": id, "amount": 500, "currency": "KRW", "method": "card",
            "paid_at": SystemClock.wall().to_string()});
        pos.post(&format!("/v1/stores/{store}/payments"), &body).await.expect(201);
    };
    // Who is cut before there was any frame has a place to come back to, too.
    front.hears("placed", |seen| seen.len() == 1).await;
    front.down(true);
    pay("p-1").await;
    front.hears("all error", |seen| seen.iter().any(|error| error["status"] == 503)).await;
    front.hears("latest error", |seen| seen.iter().any(|error| error["status"] == 503)).await;
    front.down(false);
    front.hears("open", |seen| seen.len() == 4).await;
    for name in ["latest frame", "all frame"] {
        front.hears(name, |seen| seen.len() == 1).await;
    }
    front.down(true);
    pay("p-2").await;
    pay("p-3").await;
    front.hears("open", |seen| seen.len() == 4).await;
    front.down(false);
    front.hears("open", |seen| seen.len() == 6).await;
    pay("p-4").await;
    let seen = front.hears("all frame", |seen| seen.len() == 4).await;
    let ids = |frames: &[Value]| column(&column(frames, "data"), "payment_id");
    assert_eq!(ids(&seen), ["p-1", "p-2", "p-3", "p-4"]);
    let seen = front.hears("latest frame", |seen| seen.len() == 3).await;
    assert_eq!(ids(&seen), ["p-1", "p-3", "p-4"]);
    assert_eq!(column(&seen, "skipped"), [json!(0), json!(1), Value::Null]);
    for name in ["latest gap", "all gap", "uncaught"] {
        assert_eq!(front.told(name), Vec::<Value>::new(), "{name}");
    }
}

#[tokio::test]
async fn frames_are_read_whichever_bytes_come_together() {
    let stage = Stage::set(Kind::Sqlite).await;
    let script = r#"
        const text = "\uFEFFretry: 30\r\n\r\nid: 1:2\revent: a\rdata: 한글🎫\r\r: c\n\nid:3\ndata: x\ndata:y\r\n\r\nid: 4\n\nid: 9\ndata: cut";
        const bytes = new TextEncoder().encode(text);
        const seen = new Set();
        for (let i = 0; i <= bytes.length; i++) {
          for (let j = i; j <= bytes.length; j++) {
            const got = [];
            const parse = parser((frame) => got.push(frame), (retry) => got.push(retry));
            for (const piece of [bytes.slice(0, i), bytes.slice(i, j), bytes.slice(j)]) parse(piece);
            seen.add(JSON.stringify(got));
          }
        }
        report("read", [...seen].map(JSON.parse));
    "#;
    let (front, _browser) = visit(&stage.server.base, script, Vec::new()).await;
    let read = front.hears("read", |seen| !seen.is_empty()).await;
    let first = json!({"event": "a", "data": "한글🎫", "id": "1:2"});
    let second = json!({"event": "message", "data": "x\ny", "id": "3"});
    assert_eq!(read, [json!([[30, first, second]])], "one reading, however it was cut");
}
