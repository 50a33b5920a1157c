//! Who may write? An owner that stands still and wakes up, and two nodes with one name.

use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use super::{Row, USUAL};
use crate::base::proxy::Proxy;
use crate::record::{Ask, Outcome};
use crate::run::Run;
use crate::stage::Plan;
use crate::stage::node::Node;
use crate::support::Client;
use crate::wait::{pause, pause_between};

/// Three leases.
const STILL: Duration = Duration::from_secs(9);

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "stop-owner",
            promise: "SIGSTOP the owner for three leases: a new owner works; the woken one appends nothing and steps down",
            needs: &["done", "frames", "taken over", "stepped down", "refused when woken"],
            silent: true,
            strike: |run| Box::pin(stopped(run)),
            ..USUAL
        },
        Row {
            name: "same-name",
            promise: "two nodes with one name: the second is refused, or the first is fenced",
            needs: &["done", "frames", "refused starts", "taken over", "stepped down"],
            silent: true,
            plan: || Plan { name: "twin", ..Plan::default() },
            strike: |run| Box::pin(same_name(run)),
            ..USUAL
        },
    ]
}

async fn same_name(run: &mut Run<'_>) -> Result<(), String> {
    let way = Proxy::to(run.stage.cluster.address()).await;
    let mut twin = run.stage.another("b", &way);
    run.crew.struck();
    match twin.try_start().await {
        Ok(()) => run.broken("one owner", "a second node of the same name serves beside the first".to_owned()),
        Err(_) => run.crew.count("refused starts"),
    }
    twin.kill().await;
    run.done(20, Duration::from_secs(10)).await.ok_or("the first node stopped serving")?;
    stopped(run).await
}

async fn stopped(run: &mut Run<'_>) -> Result<(), String> {
    pause_between(&run.dice, 0, 1_000).await;
    let way = Proxy::to(run.stage.cluster.address()).await;
    let mut next = run.stage.another("b", &way);
    run.crew.struck();
    run.stage.node.signal(Signal::STOP);
    // What comes while it sleeps is the first thing that it sees.
    let base = format!("http://{}", run.stage.node.listen);
    let zombie = Client::new(&base);
    pause(Duration::from_millis(200)).await;
    let took = next.start().await?;
    if took > Duration::from_secs(15) {
        run.broken("takeover", format!("the next owner was there after {took:?}"));
    }
    run.crew.count("taken over");
    run.turn_to(&next.listen);
    let crew = run.crew.clone();
    let world = &crew.world;
    let issue = format!("/v1/coupons/{}/issue", world.wide);
    let key = crew.fresh_key("marked");
    let marked = crew.insist(&world.hunters[250], "issue", &world.wide, &issue, &key, &json!({})).await;
    let known = place(marked.body["position"].as_str().unwrap_or_default());
    run.done(30, Duration::from_secs(20)).await.ok_or("the next owner does nothing")?;
    let path = format!("/v1/coupons/{}", world.wide);
    let mut asked = tokio::task::JoinSet::new();
    for n in 0..8_u64 {
        let (zombie, path) = (zombie.clone(), path.clone());
        asked.spawn(async move { zombie.try_send(zombie.request(Method::GET, &path)).await.map(|answer| (n, answer)) });
    }
    let writing = write_to(run, &base, &issue);
    pause(STILL.saturating_sub(took)).await;
    run.stage.node.signal(Signal::CONT);
    let (written, read) = tokio::join!(writing, asked.join_all());
    for (_, answer) in read.into_iter().flatten() {
        let shown = answer.body["position"].as_str().map(place);
        if answer.status != 200 {
            run.crew.count("refused when woken");
        } else if shown.is_none_or(|shown| shown < known) {
            run.broken("C3", format!("the woken node answered {} after {known} had been acknowledged", answer.text));
        }
    }
    if written {
        run.broken("one owner", "the woken node has done a command".to_owned());
    } else {
        run.crew.count("refused when woken");
    }
    step_down(run, next).await
}

/// A command to the node that sleeps, written down like all others; was it done?
async fn write_to(run: &Run<'_>, base: &str, path: &str) -> bool {
    let world = &run.crew.world;
    let who = &world.hunters[251];
    let key = run.crew.fresh_key("zombie");
    let (client, target) = (who.name.clone(), world.wide.clone());
    let (node, asked) = (base.to_owned(), json!({}));
    let ask = Ask { client, what: "issue", target, node, key: Some(key.clone()), asked: asked.clone() };
    let call = run.crew.recorder.begin(ask);
    let client = who.client.elsewhere(base).key(&key);
    let answer = client.try_post(path, &asked).await;
    let said = answer.as_ref().map(|answer| (answer.status.as_u16(), &answer.body));
    let outcome = run.crew.recorder.answered(&call, said);
    if outcome == Outcome::Unknown {
        // The one that owns it now says what became of it.
        run.crew.insist(who, "issue", &world.wide, path, &key, &asked).await;
    }
    outcome == Outcome::Ok
}

/// The old node ends by itself; then everything is handed back to one at its address.
async fn step_down(run: &mut Run<'_>, mut next: Node) -> Result<(), String> {
    if run.stage.node.ended(Duration::from_secs(20)).await.is_some() {
        run.crew.count("stepped down");
    } else {
        run.broken("steps down", "the woken node still runs after 20 s".to_owned());
        run.stage.node.kill().await;
    }
    run.done(10, Duration::from_secs(20)).await.ok_or("the next owner stopped")?;
    next.terminate().await.ok_or("the next owner does not end")?;
    run.stage.node.start().await.map(|_| ())
}

fn place(position: &str) -> u64 {
    position.rsplit(':').next().and_then(|n| n.parse().ok()).unwrap_or_default()
}
