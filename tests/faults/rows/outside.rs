//! What is not ours: Redis, the payment provider, and the sockets of those who watch.

use std::time::Duration;

use serde_json::json;

use super::{Row, USUAL, mend};
use crate::base::proxy::Wire;
use crate::run::Run;
use crate::support::watcher::{ask, events};
use crate::wait::{pause, pause_between, within};

const DICE: &str = "[random]\nseed = 11\n";

fn provider(name: &'static str, promise: &'static str, script: &'static str, needs: &'static [&'static str]) -> Row {
    Row { name, promise, script, needs, strike: |run| Box::pin(mischief(run)), ..USUAL }
}

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        Row {
            name: "redis",
            promise: "Redis killed, flushed, frozen, forged: only latency changes",
            needs: &["done", "frames", "redis blows", "forged messages"],
            strike: |run| Box::pin(redis(run)),
            ..USUAL
        },
        Row {
            name: "psp-black-hole",
            promise: "the provider is a black hole: the seats stay, everything else goes on, nobody is charged twice",
            needs: &["done", "frames", "completed", "paying meanwhile"],
            strike: |run| Box::pin(black_hole(run)),
            ..USUAL
        },
        Row {
            name: "kill-purchase",
            promise: "SIGKILL between each two steps of a purchase and of a refund: it goes on and ends; PSP ledger = log",
            quick: true,
            needs: &["done", "unknown", "frames", "completed", "refunded", "asked and unheard", "heard and unanswered"],
            strike: |run| Box::pin(kill_purchase(run)),
            ..USUAL
        },
        Row {
            name: "sse-cut",
            promise: "streams are cut at any byte, or resumed from the future: no gap, no duplicate; `reset`",
            needs: &["done", "frames", "streams cut", "resets from the future"],
            strike: |run| Box::pin(streams(run)),
            ..USUAL
        },
    ];
    rows.extend([
        provider(
            "psp-reset",
            "captured, and then the connection is reset: unknown; one charge at most",
            "confirm = { done-reset = 0.5, reset = 0.2 }\nquery = { reset = 0.2 }\n",
            &["done", "frames", "completed", "refunded"],
        ),
        provider(
            "psp-errors",
            "500 again and again, then 200: not a no; one charge at most",
            "confirm = { error = 0.6, done-error = 0.3 }\nquery = { error = 0.3 }\ncancel = { error = 0.4 }\n",
            &["done", "frames", "completed", "refunded"],
        ),
        provider(
            "psp-wrong",
            "an answer for another order, amount, key or currency, or none at all: not believed",
            "confirm = { wrong-order = 0.2, wrong-amount = 0.2, wrong-key = 0.1, wrong-currency = 0.1, malformed = 0.1 }\n",
            &["done", "frames", "completed", "refunded"],
        ),
        provider(
            "psp-twice",
            "DONE twice, news twice, late, contradictory and forged: one charge at most",
            "confirm = { duplicate = 0.6, delay = 0.2 }\n\
             webhook = { duplicated = 0.3, late = 0.2, contradictory = 0.2, forged = 0.2 }\n",
            &["done", "frames", "completed", "refunded"],
        ),
        provider(
            "psp-refund-unknown",
            "nobody knows of a refund whether it was done: one refund at most, and it ends",
            "cancel = { done-silence = 0.3, done-reset = 0.3, error = 0.2, silence = 0.1 }\n",
            &["done", "frames", "completed", "refunded"],
        ),
    ]);
    rows
}

/// The row's script for a while, after which the provider is well.
async fn mischief(run: &mut Run<'_>) -> Result<(), String> {
    let script = format!(
        "[webhook]\nurl = \"http://{}/v1/psp/toss/webhook\"\n{DICE}{}",
        run.stage.wires.front.address, run.script
    );
    run.stage.provider.again(&script).await?;
    run.crew.struck();
    let refunds = run.crew.state("done");
    pause(Duration::from_secs(6)).await;
    if run.crew.state("done") < refunds + 20 {
        run.broken("apart", "nothing else goes on".to_owned());
    }
    run.stage.provider.again("").await
}

async fn black_hole(run: &mut Run<'_>) -> Result<(), String> {
    run.stage.wires.provider.set(Wire::Silent);
    run.crew.struck();
    let before = *run.stage.wires.provider.sent.borrow();
    pause_between(&run.dice, 3_000, 6_000).await;
    let asked = *run.stage.wires.provider.sent.borrow() - before;
    run.crew.count_many("paying meanwhile", asked / 100);
    // Coupons and tills know no provider.
    run.done(30, Duration::from_secs(10)).await.ok_or("nothing else goes on")?;
    mend(&run.stage.wires.provider).await;
    Ok(())
}

/// The provider is asked and never hears it, or hears it and its answer is lost; then the node is killed.
async fn kill_purchase(run: &mut Run<'_>) -> Result<(), String> {
    for (wire, state) in [(Wire::Silent, "asked and unheard"), (Wire::AnswersLost, "heard and unanswered")] {
        for _ in 0..2 {
            let wires = &run.stage.wires;
            let (before, books) = (*wires.provider.sent.borrow(), entries(run));
            wires.provider.set(wire);
            let reached = within(Duration::from_secs(20), async || match wire {
                Wire::Silent => *run.stage.wires.provider.sent.borrow() > before + 100,
                _ => entries(run) > books,
            });
            reached.await.ok_or_else(|| format!("never {state}"))?;
            run.crew.count(state);
            pause_between(&run.dice, 0, 50).await;
            run.crew.struck();
            run.stage.node.kill().await;
            mend(&run.stage.wires.provider).await;
            run.stage.node.start().await?;
            run.done(10, Duration::from_secs(30)).await.ok_or("nothing was done after the kill")?;
        }
    }
    Ok(())
}

/// Lines of the provider's books.
fn entries(run: &Run<'_>) -> usize {
    let books = std::fs::read(run.stage.ledger()).unwrap_or_default();
    books.iter().filter(|byte| **byte == b'\n').count()
}

async fn redis(run: &mut Run<'_>) -> Result<(), String> {
    let channel = format!("{}:heads", run.stage.database.name());
    let pid = run.stage.node.pid();
    for round in 0..5 {
        run.crew.struck();
        match round {
            0 => run.house.redis.freeze(),
            1 => {
                run.house.redis.stop().await;
            }
            2 => {
                for message in ["junk", "0:99999999999", "{}", "-1:-1", "65535:1"] {
                    if run.house.redis.said(&format!("PUBLISH {channel} {message}")).await.is_some() {
                        run.crew.count("forged messages");
                    }
                }
                run.house.redis.said("FLUSHALL").await;
            }
            3 => run.stage.wires.redis.set(Wire::Silent),
            _ => run.stage.wires.redis.set(Wire::AnswersLost),
        }
        run.crew.count("redis blows");
        let took = run.done(20, Duration::from_secs(10)).await.ok_or("Redis is missing, and nothing goes on")?;
        if took > Duration::from_secs(5) {
            run.broken("apart", format!("20 commands took {took:?} without Redis"));
        }
        pause_between(&run.dice, 100, 800).await;
        run.house.redis.again().await;
        mend(&run.stage.wires.redis).await;
    }
    if !run.stage.node.runs() || run.stage.node.pid() != pid {
        run.broken("apart", "the node ended for want of Redis".to_owned());
    }
    Ok(())
}

async fn streams(run: &mut Run<'_>) -> Result<(), String> {
    for _ in 0..25 {
        pause_between(&run.dice, 20, 250).await;
        match run.dice.below(4) {
            0 => run.stage.wires.live.set(Wire::AnswersLost),
            1 => run.stage.wires.live.set(Wire::HalfClosed),
            // At a byte in the middle of whatever comes.
            _ => {
                run.stage.wires.live.cut_at_random(3_000);
            }
        }
        pause_between(&run.dice, 20, 200).await;
        mend(&run.stage.wires.live).await;
        run.crew.count("streams cut");
    }
    let crew = run.crew.clone();
    let world = &crew.world;
    let key = crew.fresh_key("known");
    let path = format!("/v1/stores/{}/payments", world.store);
    let paid_at = onsale::clock::Clock::wall(&onsale::clock::SystemClock).to_string();
    let payment = json!({"payment_id": key, "amount": 1, "currency": "KRW", "method": "card", "paid_at": paid_at});
    let known = crew.insist(&world.till, "store-payment", &world.store, &path, &key, &payment).await;
    let partition = known.body["position"].as_str().unwrap_or("0:1").split(':').next().unwrap_or("0").to_owned();
    let base = format!("http://{}", run.stage.wires.live.address);
    let feed = format!("/v1/stores/{}/payments/events", world.store);
    let future = format!("{partition}:99999999");
    let mut socket = ask(&base, &feed, Some(&world.display), Some(&future)).await.ok_or("the stream does not open")?;
    let mut bytes = Vec::new();
    let reset = within(Duration::from_secs(5), async || {
        let _read = tokio::time::timeout(
            Duration::from_millis(200),
            tokio::io::AsyncReadExt::read_buf(&mut socket, &mut bytes),
        )
        .await;
        events(&mut bytes).iter().any(|told| told.event == "reset")
    });
    match reset.await {
        Some(_) => run.crew.count("resets from the future"),
        None => run.broken("reset", "an id from the future was taken without a reset".to_owned()),
    }
    Ok(())
}
