//! A node stands still for longer than its lease, another one takes over, and then the first one wakes up. What it remembers
//! is not true any more: it must neither write nor answer from it.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::stage::Stage;
use crate::support::{Kind, Server};

/// Requests that wait in the sleeper's sockets, so that some are read before it finds out what it has missed.
const WAITING: usize = 40;

#[tokio::test]
async fn a_node_that_slept_through_its_lease_answers_nothing_from_memory() {
    let stage = Stage::set(Kind::Postgres).await;
    let (kim, lee) = (stage.member("kim"), stage.member("lee"));
    let body = json!({"seats": ["A-1-1"]});
    let held = kim.key("k").post(&stage.orders(), &body).await.expect(201).str("order_id");
    lee.key("before").post(&stage.orders(), &body).await.problem(409, "seat-unavailable");

    stage.server.signal(Signal::STOP);
    // Waits until the lease is over: nobody has to wake or end the sleeper first.
    let next = Server::start(&stage.home).await;
    let cancel = format!("/v1/orders/{held}/cancel");
    kim.elsewhere(&next.base).key("c").post(&cancel, &json!({})).await.expect(200);

    let mut waiting = JoinSet::new();
    for number in 0..WAITING {
        // Each on a connection of its own.
        let (client, path, body) = (stage.server.client().as_of(&lee), stage.orders(), body.clone());
        waiting.spawn(async move { client.key(&format!("while-{number}")).try_post(&path, &body).await });
    }
    let early = tokio::time::timeout(Duration::from_millis(500), waiting.join_next()).await;
    assert!(early.is_err(), "it sleeps, and all of them wait in its sockets");
    stage.server.signal(Signal::CONT);
    let mut answers = Vec::new();
    while let Some(answer) = waiting.join_next().await {
        // Some are cut off: it steps down.
        answers.extend(answer.expect("a client").map(|answer| (answer.status.as_u16(), answer.text)));
    }
    let wrong: Vec<_> = answers.iter().filter(|(status, _)| *status != 503).collect();
    assert!(wrong.is_empty(), "the seat has been free since, and not for the sleeper to sell: {wrong:?}");
    assert!(!answers.is_empty(), "nothing of what waited was read");

    lee.elsewhere(&next.base).key("after").post(&stage.orders(), &body).await.expect(201);
    let Stage { home, server, .. } = stage;
    let mut child = server.child;
    let ended = tokio::time::timeout(Duration::from_secs(20), child.wait()).await;
    ended.expect("it steps down by itself").expect("it ended");
    home.assert_audit_passes();
}
