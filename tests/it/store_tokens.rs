//! A store's owner gives its devices tokens and takes them back: at once here, soon at every node, open streams included.

use std::time::Duration;

use onsale::clock::{Clock, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::server::BOTH;
use crate::support::sse::Stream;
use crate::support::stage::Stage;
use crate::support::wait::until;
use crate::support::{Client, Kind, Server};

/// Stands in no log and no list but the owner's.
const NAME: &str = "카운터 marker-7f3a";

struct Token {
    id: String,
    client: Client,
}

async fn give(stage: &Stage, store: &str, role: &str) -> Token {
    let body = json!({"role": role, "name": NAME});
    let given = stage.seller.post(&format!("/v1/stores/{store}/tokens"), &body).await.expect(201);
    Token { id: given.str("token_id"), client: stage.anyone.with_token(&given.str("token")) }
}

async fn delete(who: &Client, path: &str) -> Answer {
    who.try_send(who.request(Method::DELETE, path)).await.expect("an answer")
}

fn payment(id: &str) -> Value {
    json!({"payment_id": id, "amount": 1_000, "currency": "KRW", "method": "card",
        "paid_at": SystemClock.wall().to_string()})
}

async fn pay(pos: &Client, store: &str, id: &str) -> Answer {
    pos.post(&format!("/v1/stores/{store}/payments"), &payment(id)).await
}

/// Reads a stream to its end, which must come.
async fn ended(mut stream: Stream) {
    let all = async { while stream.next().await.is_some() {} };
    tokio::time::timeout(Duration::from_secs(60), all).await.expect("its end, within a minute");
}

async fn refused(what: &str, who: &Client, path: &str) {
    until(what, || who.get(path), |answer| answer.status == 401).await.problem(401, "unauthorized");
}

#[tokio::test]
async fn a_token_is_given_by_name_listed_without_itself_and_the_same_for_one_key() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let (store, other) = (stage.store().await, stage.store().await);
        let path = format!("/v1/stores/{store}/tokens");
        let body = json!({"role": "pos", "name": NAME});
        let first = stage.seller.key("k").post(&path, &body).await.expect(201);
        assert_eq!(first.header("cache-control"), Some("no-store"));
        assert_eq!(first.header("location"), Some(format!("{path}/{}", first.str("token_id")).as_str()));
        let again = stage.seller.key("k").post(&path, &body).await.expect(201);
        assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &first.body));
        let reused = json!({"role": "display", "name": NAME});
        stage.seller.key("k").post(&path, &reused).await.problem(422, "idempotency-key-reused");
        for junk in [json!({"role": "admin", "name": "x"}), json!({"role": "pos"}), json!({"role": "pos", "name": 1})] {
            stage.seller.post(&path, &junk).await.problem(400, "malformed-body");
        }
        stage.seller.post(&path, &json!({"role": "pos", "name": ""})).await.problem(422, "invalid-value");

        let pos = stage.anyone.with_token(&first.str("token"));
        pay(&pos, &store, "p-1").await.expect(201);
        pay(&pos, &other, "p-1").await.problem(404, "not-found");
        pos.post(&path, &body).await.problem(403, "role-required");
        let me = pos.get("/v1/accounts/me").await.expect(200);
        assert_eq!((me.str("sub"), me.str("role")), (first.str("token_id"), "pos".to_owned()));

        let second = give(&stage, &store, "display").await;
        let mut seen = Vec::new();
        let mut page = stage.seller.get(&format!("{path}?limit=1")).await.expect(200);
        while let Some(item) = page.body["items"].get(0).cloned() {
            let members: Vec<&String> = item.as_object().expect("an object").keys().collect();
            assert_eq!(members, ["created_at", "name", "role", "token_id"], "and no token");
            assert_eq!(item["name"], NAME);
            seen.push((item["token_id"].as_str().expect("an id").to_owned(), item["role"].clone()));
            let Some(cursor) = page.body["next_cursor"].as_str().map(str::to_owned) else { break };
            page = stage.seller.get(&format!("{path}?limit=1&cursor={cursor}")).await.expect(200);
        }
        let mut expected = vec![(first.str("token_id"), json!("pos")), (second.id.clone(), json!("display"))];
        expected.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(seen, expected);

        // To others the store does not exist, and neither do its tokens.
        let stranger = stage.anyone.with_token(&stage.home.token("seller-2", "seller", None));
        let token = format!("{path}/{}", second.id);
        stranger.post(&path, &body).await.problem(404, "not-found");
        stranger.get(&path).await.problem(404, "not-found");
        delete(&stranger, &token).await.problem(404, "not-found");
        delete(&stage.seller, &format!("/v1/stores/{other}/tokens/{}", second.id)).await.problem(404, "not-found");
        delete(&stage.seller, &format!("{path}/dt_x")).await.problem(404, "not-found");
        delete(&stage.anyone, &token).await.problem(401, "unauthorized");
        stage.admin.get(&path).await.expect(200);

        let stage = stage.crash().await;
        assert_eq!(stage.seller.key("k").post(&path, &body).await.expect(201).body, first.body, "after a crash, too");
        let pos = stage.anyone.with_token(&first.str("token"));
        pay(&pos, &store, "p-2").await.expect(201);
        let log = stage.home.export();
        let paid = log.iter().filter(|event| event["kind"] == "store.payment_recorded");
        assert!(paid.clone().count() == 2 && paid.clone().all(|event| event["principal"] == first.body["token_id"]));
        assert!(log.iter().all(|event| !event.to_string().contains("marker-7f3a")), "names stay out of the log");
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn a_deleted_token_opens_nothing_and_what_it_opened_ends() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let store = stage.store().await;
        let (pos, display, stays) = (
            give(&stage, &store, "pos").await,
            give(&stage, &store, "display").await,
            give(&stage, &store, "pos").await,
        );
        let events = format!("/v1/stores/{store}/payments/events");
        let mut stream = Stream::open(&display.client, &events, None).await;
        let ticket =
            display.client.post("/v1/stream-tickets", &json!({"path": events})).await.expect(201).str("ticket");
        let by_ticket = format!("{events}?ticket={ticket}");
        let mut ticketed = Stream::open(&stage.anyone, &by_ticket, None).await;
        pay(&pos.client, &store, "p-1").await.expect(201);
        let frame = stream.frame().await;
        assert_eq!((&frame, frame.event.as_str()), (&ticketed.frame().await, "payment"));

        let tokens = format!("/v1/stores/{store}/tokens");
        for token in [&pos, &display] {
            for _ in 0..2 {
                assert_eq!(delete(&stage.seller, &format!("{tokens}/{}", token.id)).await.expect(204).text, "");
            }
        }
        pay(&pos.client, &store, "p-2").await.problem(401, "unauthorized");
        // The next frame goes to nobody whose token is gone: the streams end instead.
        pay(&stays.client, &store, "p-3").await.expect(201);
        assert_eq!((stream.next().await, ticketed.next().await), (None, None));
        assert_eq!(Stream::open(&display.client, &events, frame.id.as_deref()).await.status, 401);
        let reconnect = Stream::open(&stage.anyone, &by_ticket, frame.id.as_deref()).await;
        assert_eq!(reconnect.status, 401);
        let listed = stage.seller.get(&tokens).await.expect(200);
        assert_eq!(listed.body["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(listed.body["items"][0]["token_id"], stays.id);

        let stage = stage.crash().await;
        let at = |token: &Token| token.client.elsewhere(&stage.server.base);
        pay(&at(&pos), &store, "p-4").await.problem(401, "unauthorized");
        pay(&at(&stays), &store, "p-4").await.expect(201);
    }
}

#[tokio::test]
async fn a_deletion_reaches_other_nodes_and_their_idle_streams() {
    let stage = Stage::set(Kind::Postgres).await;
    let node = Server::follow(&stage.home, &[]).await;
    let store = stage.store().await;
    let (display, stays) = (give(&stage, &store, "display").await, give(&stage, &store, "display").await);
    let (there, staying) = (display.client.elsewhere(&node.base), stays.client.elsewhere(&node.base));
    let tokens = format!("/v1/stores/{store}/tokens");
    let refuses = stage.seller.elsewhere(&node.base);
    refuses.post(&tokens, &json!({"role": "pos", "name": "x"})).await.problem(503, "not-owner");
    let (list, events) = (format!("/v1/stores/{store}/payments"), format!("/v1/stores/{store}/payments/events"));
    let opens = || async { Stream::open(&there, &events, None).await };
    let stream = until("the store to be known there", opens, |stream| stream.status == 200).await;
    let mut other = Stream::open(&staying, &events, None).await;
    there.get(&list).await.expect(200);
    let began = SystemClock.elapsed();
    delete(&stage.seller, &format!("{tokens}/{}", display.id)).await.expect(204);
    refused("the other node to hear of it", &there, &list).await;
    // Nothing happens on this feed: the stream ends all the same.
    ended(stream).await;
    assert!((SystemClock.elapsed() - began).as_secs() < 60);
    assert_eq!(Stream::open(&there, &events, None).await.status, 401);
    let pos = give(&stage, &store, "pos").await;
    pay(&pos.client, &store, "p-1").await.expect(201);
    assert_eq!(other.frame().await.event, "payment", "the other display goes on");
    // A node that starts later knows at once.
    let late = Server::follow(&stage.home, &[]).await;
    display.client.elsewhere(&late.base).get(&list).await.problem(401, "unauthorized");
    stays.client.elsewhere(&late.base).get(&list).await.expect(200);
}
