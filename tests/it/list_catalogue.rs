//! The catalogue as lists, how a sale goes, and rankings, through the real program.

use std::collections::BTreeSet;

use onsale::clock::{Clock, SystemClock};
use serde_json::{Value, json};

use crate::support::Client;
use crate::support::server::BOTH;
use crate::support::stage::{FAR, Stage, performance_body};
use crate::support::wait::until;

fn items(answer: &crate::support::http::Answer) -> Vec<Value> {
    answer.body["items"].as_array().unwrap_or_else(|| panic!("no items in {}", answer.text)).clone()
}

fn texts(answer: &crate::support::http::Answer, member: &str) -> Vec<String> {
    items(answer).iter().map(|item| item[member].as_str().unwrap_or_default().to_owned()).collect()
}

/// As a browser writes it.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// A list waits 2 s for a position; a slow machine may take more than one try.
async fn read(client: &Client, path: &str) -> crate::support::http::Answer {
    until(path, || client.get(path), |answer| answer.status != 503).await.expect(200)
}

async fn venue(seller: &Client, name: &str) -> (String, String) {
    let body = json!({"name": name, "sections": [{"section": "A", "grade": "R", "rows": [{"row": "1", "seats": 4}]}]});
    let made = seller.post("/v1/venues", &body).await.expect(201);
    (made.str("venue_id"), made.str("position"))
}

async fn show(seller: &Client, title: &str, category: &str, from: &str, to: &str) -> (String, String) {
    let body = json!({"title": title, "category": category, "description": "d", "place": "p", "starts_on": from, "ends_on": to});
    let made = seller.post("/v1/shows", &body).await.expect(201);
    (made.str("show_id"), made.str("position"))
}

#[tokio::test]
async fn venues_and_shows_are_found() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let mut wait = String::new();
        for name in ["예술의전당", "Olympic HALL", "olympic park", "잠실 체육관", "100%_\\ house"] {
            wait = format!("{wait}&min_position={}", venue(&stage.seller, name).await.1);
        }
        let list = |query: String| {
            let (client, wait) = (stage.anyone.clone(), wait.clone());
            async move { read(&client, &format!("/v1/venues?{query}{wait}")).await }
        };
        let found = texts(&list("limit=10".to_owned()).await, "name");
        assert_eq!(found.len(), 6);
        // Half a word, in another case, and in the pieces that some systems type.
        for (name, expected) in [
            ("olymPIC", vec!["Olympic HALL", "olympic park"]),
            ("잠실", vec!["잠실 주경기장", "잠실 체육관"]),
            ("\u{110c}\u{1161}\u{11b7}\u{1109}\u{1175}\u{11af}", vec!["잠실 주경기장", "잠실 체육관"]),
            ("%_\\", vec!["100%_\\ house"]),
            ("의전", vec!["예술의전당"]),
            ("none", vec![]),
        ] {
            assert_eq!(texts(&list(format!("name={}", encoded(name))).await, "name"), expected, "{name}");
        }
        let first = list("limit=4".to_owned()).await;
        let rest = list(format!("limit=4&cursor={}", first.str("next_cursor"))).await;
        assert_eq!([texts(&first, "name"), texts(&rest, "name")].concat(), found);
        assert_eq!(rest.body["next_cursor"], Value::Null);
        // A cursor belongs to its filter.
        let other = format!("/v1/venues?name=x&cursor={}", first.str("next_cursor"));
        stage.anyone.get(&other).await.problem(400, "invalid-parameter");
        for junk in ["limit=0", "limit=201", "limit=x", "cursor=x"] {
            stage.anyone.get(&format!("/v1/venues?{junk}")).await.problem(400, "invalid-parameter");
        }
        stage.anyone.get("/v1/venues?owner=me").await.problem(400, "unknown-parameter");

        let mut wait = String::new();
        for (title, category, from, to) in [
            ("봄밤", "concert", "2027-03-01", "2027-03-31"),
            ("결승전", "sport", "2027-03-31", "2027-03-31"),
            ("Summer Night", "concert", "2027-07-01", "2027-07-02"),
        ] {
            wait = format!("{wait}&min_position={}", show(&stage.seller, title, category, from, to).await.1);
        }
        for (query, expected) in [
            ("to=2027-12-31", vec!["봄밤", "결승전", "Summer Night"]),
            ("to=2027-12-31&category=concert", vec!["봄밤", "Summer Night"]),
            ("from=2027-03-31&to=2027-03-31", vec!["봄밤", "결승전"]),
            ("from=2027-04-01&to=2027-12-31", vec!["Summer Night"]),
            ("name=night", vec!["Summer Night"]),
            ("from=2027-08-01&to=2027-08-31", vec![]),
        ] {
            let found = read(&stage.anyone, &format!("/v1/shows?{query}{wait}")).await;
            assert_eq!(texts(&found, "title"), expected, "{query}");
        }
        stage.anyone.get("/v1/shows?from=2027-2-1").await.problem(400, "invalid-parameter");
    }
}

#[tokio::test]
async fn performances_are_listed_with_what_is_left() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let single = stage.anyone.get(&format!("/v1/performances/{}", stage.performance)).await.expect(200);
        let (show_id, venue_id) = (single.str("show_id"), single.str("venue_id"));
        let make = |change: Value| {
            let mut body = performance_body(&show_id, &venue_id);
            for (name, value) in change.as_object().expect("an object") {
                body[name] = value.clone();
            }
            let seller = stage.seller.clone();
            async move { seller.post("/v1/performances", &body).await.expect(201) }
        };
        let later = make(json!({"starts_at": "2098-12-31T12:00:00Z", "sale_opens_at": "2098-01-01T00:00:00Z"})).await;
        let over = make(json!({"sale_closes_at": "2020-01-02T00:00:00Z"})).await;
        let paused = make(json!({})).await;
        let pause = format!("/v1/performances/{}/pause", paused.str("performance_id"));
        let pause = stage.seller.post(&pause, &json!({"reason": "비"})).await.expect(200);
        let kim = stage.member("kim");
        let order = kim.key("1").post(&stage.orders(), &json!({"seats": ["A-1-1", "B-1-8"]})).await.expect(201);
        let block = format!("/v1/performances/{}/seats/block", stage.performance);
        let block = stage.seller.post(&block, &json!({"seats": ["A-2-가"], "reason": "x"})).await.expect(200);
        let wait: String = [&later, &over, &pause, &order, &block]
            .iter()
            .map(|answer| format!("&min_position={}", answer.str("position")))
            .collect();
        let list = |query: &str| {
            let (client, path) = (stage.anyone.clone(), format!("/v1/performances?{query}{wait}"));
            async move { read(&client, &path).await }
        };
        let ids = |answer: &crate::support::http::Answer| {
            texts(answer, "performance_id").into_iter().collect::<BTreeSet<_>>()
        };
        let one =
            |answer: &crate::support::http::Answer| [answer.str("performance_id")].into_iter().collect::<BTreeSet<_>>();
        let mine: BTreeSet<_> = [stage.performance.clone()].into_iter().collect();
        for (status, expected) in
            [("scheduled", one(&later)), ("closed", one(&over)), ("paused", one(&paused)), ("on_sale", mine.clone())]
        {
            let found = list(&format!("status={status}")).await;
            assert_eq!(ids(&found), expected, "{status}");
            assert_eq!(items(&found)[0]["status"], status);
        }
        assert!(ids(&list("status=sold_out").await).is_empty());
        stage.anyone.get("/v1/performances?status=cancelled_maybe").await.problem(400, "invalid-parameter");
        assert_eq!(ids(&list(&format!("show_id={show_id}")).await).len(), 4);
        assert_eq!(ids(&list(&format!("venue_id={venue_id}&to={FAR}")).await), one(&later));
        assert_eq!(ids(&list(&format!("from={FAR}")).await).len(), 3);
        let nobody = "sh_00000000000000000000000000000000";
        assert!(ids(&list(&format!("show_id={nobody}")).await).is_empty());
        // The same as when it is read alone, but for the moment of the reading.
        let alone = |path: String| {
            let client = stage.anyone.clone();
            async move { client.get(&path).await.expect(200).body }
        };
        for item in items(&list("").await) {
            let mut listed = item.clone();
            let mut single = alone(format!("/v1/performances/{}", item["performance_id"].as_str().unwrap())).await;
            for one in [&mut listed, &mut single] {
                one.as_object_mut().unwrap().remove("at");
            }
            assert_eq!(listed, single);
        }
        let open = items(&list("status=on_sale").await)[0].clone();
        assert_eq!(open["remaining"], json!({"R": 7, "VIP": 10}));

        // Everything held: sold out as far as buyers are concerned; cancelled again: on sale.
        let cancel = format!("/v1/orders/{}/cancel", order.str("order_id"));
        let cancelled = kim.key("2").post(&cancel, &json!({})).await.expect(200);
        let path = format!("/v1/performances?status=on_sale&min_position={}", cancelled.str("position"));
        assert_eq!(items(&read(&stage.anyone, &path).await)[0]["remaining"], json!({"R": 8, "VIP": 11}));
        assert!(stage.server.terminate().await.success());
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn a_seller_sees_how_the_sale_goes_and_others_do_not() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let kim = stage.member("kim");
        let one = kim.key("1").post(&stage.orders(), &json!({"seats": ["A-1-1", "B-1-8"]})).await.expect(201);
        kim.key("2").post(&stage.orders(), &json!({"seats": ["A-1-2"]})).await.expect(201);
        let cancel = format!("/v1/orders/{}/cancel", one.str("order_id"));
        let last = kim.key("3").post(&cancel, &json!({})).await.expect(200).str("position");
        let path = format!("/v1/performances/{}/sales?min_position={last}", stage.performance);
        let board = read(&stage.seller, &path).await.body;
        assert_eq!(board["seats"], json!({"total": 20, "available": 19, "held": 1, "sold": 0, "blocked": 0}));
        assert_eq!(board["grades"]["VIP"]["held"], 1);
        assert_eq!(board["orders"], json!({"awaiting_payment": 1, "cancelled": 1}));
        assert_eq!((&board["amount_sold"], &board["currency"]), (&json!(0), &json!("KRW")));
        let sum = |member: &str| -> i64 {
            board["series"].as_array().unwrap().iter().map(|point| point[member].as_i64().unwrap()).sum()
        };
        assert_eq!((sum("orders"), sum("seats_held"), sum("seats_released"), sum("seats_sold")), (2, 3, 2, 0));
        stage.admin.get(&path).await.expect(200);
        let other = stage.anyone.with_token(&stage.home.token("seller-2", "seller", None));
        other.get(&path).await.problem(404, "not-found");
        kim.get(&path).await.problem(403, "role-required");
        stage.anyone.get(&path).await.problem(401, "unauthorized");
    }
}

/// Sold seats do not come about without payments yet: the log is written as a node would write it.
mod sold {
    use onsale::events::performance::{GradePrice, Scheduled};
    use onsale::events::seat::{Held, Sold};
    use onsale::events::venue::{Row, RowSeats, Section};
    use onsale::events::{Event, PerformanceEvent, SeatEvent, ShowEvent, show};
    use onsale::ids::{
        AccountId, Hash16, OrderId, Partition, PerformanceId, SeatId, ShowId, StreamId, TicketId, VenueId,
    };
    use onsale::money::{Amount, Currency};
    use onsale::timestamp::Timestamp;

    pub type Told = (StreamId, Event);

    pub fn show_id(n: u8) -> ShowId {
        ShowId::new(format!("sh_{}", Hash16([n; 16])))
    }

    pub fn performance_id(n: u8) -> PerformanceId {
        PerformanceId::new(format!("pf_{}", Hash16([n; 16])))
    }

    pub fn show(n: u8, title: &str) -> Told {
        let event = show::Created {
            show_id: show_id(n),
            owner: AccountId::new("seller-1"),
            title: title.to_owned(),
            category: "concert".to_owned(),
            description: String::new(),
            place: String::new(),
            starts_on: "2026-12-24".to_owned(),
            ends_on: "2026-12-24".to_owned(),
            body: Hash16::default(),
        };
        (StreamId::show(&show_id(n)), Event::Show(ShowEvent::from(event)))
    }

    pub fn performance(n: u8, of: u8, seats: u32, opens: Timestamp) -> Told {
        let rows = vec![Row { row: "1".to_owned(), seats: RowSeats::Count(seats) }];
        let event = Scheduled {
            performance_id: performance_id(n),
            owner: AccountId::new("seller-1"),
            show_id: show_id(of),
            venue_id: VenueId::new("vn_1"),
            timezone: "Asia/Seoul".to_owned(),
            starts_at: Timestamp::parse("2026-12-24T10:00:00Z").expect("a time"),
            sale_opens_at: opens,
            sale_closes_at: Timestamp::parse("2099-12-24T10:00:00Z").expect("a time"),
            cancel_until: None,
            currency: Currency::KRW,
            prices: vec![GradePrice { grade: "R".to_owned(), price: Amount::new(500).expect("small") }],
            max_seats_per_order: 4,
            max_seats_per_member: None,
            max_live_orders_per_member: None,
            max_unpaid_holds_per_member: None,
            hold_seconds: 180,
            layout: vec![Section { section: "A".to_owned(), grade: "R".to_owned(), rows }],
            body: Hash16::default(),
        };
        (StreamId::performance(&performance_id(n)), Event::Performance(PerformanceEvent::from(event)))
    }

    pub fn seat(n: u8, seat: u32, sold: bool) -> Told {
        let order_id = OrderId::derive(Partition(0), &Hash16([seat.to_le_bytes()[0]; 16]));
        let stream = StreamId::seat(&performance_id(n), &SeatId::new(format!("A-1-{seat}")));
        let event = if sold {
            let ticket_id = TicketId::new(format!("t{seat}"));
            SeatEvent::from(Sold { order_id, ticket_id, price: Amount::new(500).expect("small") })
        } else {
            SeatEvent::from(Held { order_id })
        };
        (stream, Event::Seat(event))
    }
}

#[tokio::test]
async fn rankings_are_listed_and_live() {
    use crate::projections::Scribe;
    use crate::support::server::{Home, Server};
    use crate::support::sse::Stream;
    use onsale::ids::Partition;
    use onsale::timestamp::Timestamp;

    for kind in BOTH {
        let home = Home::new(kind).await;
        let mut scribe = Scribe::open(&home).await;
        let partitions = scribe.journal.partitions();
        let now = SystemClock.wall();
        let at = |key: &str| Partition::of_key(key, partitions);
        for (n, title) in [(1, "겨울"), (2, "Summer")] {
            scribe.write(at(sold::show_id(n).as_str()), vec![sold::show(n, title)], |_| {}).await;
        }
        // Performance 1 of show 1: two seats, sold out 40 s after its opening. 2 of show 2: three seats, after 20 s.
        // 3 of show 1: five seats, one sold, and a day ago.
        for (n, of, seats, sold_seats, opened, sold_at) in
            [(1_u8, 1_u8, 2, 2, 60_000, 20_000), (2, 2, 3, 3, 60_000, 40_000), (3, 1, 5, 1, 86_400_000, 86_000_000)]
        {
            let partition = at(sold::performance_id(n).as_str());
            let opens = Timestamp(now.0 - opened);
            scribe.at(partition, opens);
            scribe.write(partition, vec![sold::performance(n, of, seats, opens)], |_| {}).await;
            scribe.at(partition, Timestamp(now.0 - sold_at));
            for seat in 1..=sold_seats {
                scribe.write(partition, vec![sold::seat(n, seat, false)], |_| {}).await;
                scribe.write(partition, vec![sold::seat(n, seat, true)], |_| {}).await;
            }
        }
        scribe.end().await;
        let server = Server::start(&home).await;
        let anyone = server.client();
        let ranking = || async { anyone.get("/v1/rankings/sold-out?date=2026-12-24").await.expect(200).body };
        let complete = |body: &Value| {
            body["items"].as_array().is_some_and(|items| items.len() == 2 && items[0]["title"].is_string())
        };
        let fastest = until("both sold out", ranking, complete).await;
        let told: Vec<_> = fastest["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| {
                (
                    item["rank"].as_u64().unwrap(),
                    item["title"].as_str().unwrap().to_owned(),
                    item["seconds_to_sell_out"].as_f64().unwrap(),
                )
            })
            .collect();
        assert_eq!(told, [(1, "Summer".to_owned(), 20.0), (2, "겨울".to_owned(), 40.0)]);
        assert!(
            anyone.get("/v1/rankings/sold-out?date=2026-12-25").await.expect(200).body["items"]
                .as_array()
                .unwrap()
                .is_empty()
        );
        anyone.get("/v1/rankings/sold-out").await.problem(400, "invalid-parameter");
        anyone.get("/v1/rankings/shows?window=2h").await.problem(400, "invalid-parameter");

        let tickets = |window: &str| {
            let (client, path) = (anyone.clone(), format!("/v1/rankings/shows?window={window}"));
            async move {
                let body = client.get(&path).await.expect(200).body;
                let items = body["items"].as_array().unwrap().clone();
                items
                    .iter()
                    .map(|item| (item["title"].as_str().unwrap().to_owned(), item["tickets"].as_u64().unwrap()))
                    .collect::<Vec<_>>()
            }
        };
        until("all tickets", || tickets("7d"), |found| found.iter().map(|(_, n)| n).sum::<u64>() == 6).await;
        assert_eq!(tickets("7d").await, [("겨울".to_owned(), 3), ("Summer".to_owned(), 3)], "as many: by id");
        assert_eq!(tickets("1h").await, [("Summer".to_owned(), 3), ("겨울".to_owned(), 2)]);
        assert_eq!(
            anyone.get("/v1/rankings/shows?window=1h&limit=1").await.expect(200).body["items"]
                .as_array()
                .unwrap()
                .len(),
            1
        );

        // Live: the whole frame at once, whatever id the watcher claims to have.
        for path in
            ["/v1/rankings/sold-out/events?date=2026-12-24", "/v1/rankings/shows/events?window=1h&last_event_id=junk"]
        {
            let mut stream = Stream::open(&anyone, path, Some("junk")).await;
            let frame = stream.frame().await;
            assert!(stream.retry.is_some());
            assert_eq!((frame.event.as_str(), frame.id.as_deref()), ("ranking", None));
            assert_eq!(frame.data["items"].as_array().unwrap().len(), 2);
        }
        anyone.get("/v1/rankings/sold-out/events").await.problem(400, "invalid-parameter");
        let metrics = || async { anyone.get("/metrics").await.expect(200).text };
        until("watchers have gone", metrics, |text| text.contains("onsale_watchers 0")).await;
    }
}
