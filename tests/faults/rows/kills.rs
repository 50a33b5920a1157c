//! SIGKILL and SIGTERM: at exact moments, which a wire makes wait, and at any.

use std::time::Duration;

use rustix::process::Signal;

use super::{Row, USUAL, mend};
use crate::base::proxy::Wire;
use crate::run::Run;
use crate::wait::{pause_between, within};

/// As long as a moment may let itself be waited for.
const MOMENT: Duration = Duration::from_secs(20);

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "kill-decided",
            promise: "SIGKILL the node, decided and not appended: no event; a retry runs once",
            needs: &["done", "unknown", "frames", "blow: it was not there"],
            strike: |run| Box::pin(decided(run)),
            ..USUAL
        },
        Row {
            name: "kill-committing",
            promise: "SIGKILL the node, append sent and answer not read: there or not; the retry agrees with the log",
            quick: true,
            needs: &["done", "unknown", "frames", "blow: it was there"],
            strike: |run| Box::pin(committing(run)),
            ..USUAL
        },
        Row {
            name: "kill-unanswered",
            promise: "SIGKILL the node, committed and HTTP answer not sent: in the log; the retry gets the same answer",
            needs: &["done", "unknown", "frames", "replayed", "blow: it was there"],
            silent: true,
            strike: |run| Box::pin(unanswered(run)),
            ..USUAL
        },
        Row {
            name: "kill-unheard",
            promise: "SIGKILL the node, committed and not fanned out: watchers get it from the log without a gap",
            needs: &["done", "frames", "committed unheard"],
            strike: |run| Box::pin(unheard(run)),
            ..USUAL
        },
        Row {
            name: "kill-any",
            promise: "SIGKILL the node at any moment, several times: nothing acknowledged is lost, nothing happens twice",
            quick: true,
            needs: &["done", "unknown", "frames", "doubt: it was not there", "expired", "refunded"],
            strike: |run| Box::pin(any(run)),
            ..USUAL
        },
        Row {
            name: "kill-all",
            promise: "SIGKILL everything of ours at once: the state after the restart is the log's",
            needs: &["done", "unknown", "frames", "expired"],
            strike: |run| Box::pin(everything(run)),
            ..USUAL
        },
        Row {
            name: "term",
            promise: "SIGTERM under load: it stops accepting, finishes within 10 s, and ends with 0",
            needs: &["done", "unknown", "frames"],
            strike: |run| Box::pin(terminate(run)),
            ..USUAL
        },
    ]
}

/// Units wait on the wire to Postgres, which takes them and passes nothing on.
async fn decided(run: &mut Run<'_>) -> Result<(), String> {
    run.stage.wires.database.set(Wire::Silent);
    // The lane waits for an answer to what it has sent; everything that is decided meanwhile waits for the lane.
    pause_between(&run.dice, 50, 1_500).await;
    run.crew.struck();
    run.stage.node.kill().await;
    run.stage.wires.open();
    run.stage.node.start().await.map(|_| ())
}

/// Postgres hears the append; what it says is lost.
async fn committing(run: &mut Run<'_>) -> Result<(), String> {
    let head = run.stage.head().await;
    run.stage.wires.database.set(Wire::AnswersLost);
    let stage = &run.stage;
    // If it does not move, that of which the answer was lost was appended a moment before.
    let _moved = within(Duration::from_secs(1), async || stage.head().await > head).await;
    run.crew.struck();
    run.stage.node.kill().await;
    mend(&run.stage.wires.database).await;
    run.stage.node.start().await.map(|_| ())
}

/// Commands are done and their answers get lost on their way to the clients.
async fn unanswered(run: &mut Run<'_>) -> Result<(), String> {
    let head = run.stage.head().await;
    run.stage.wires.front.set(Wire::AnswersLost);
    let stage = &run.stage;
    let moved = within(MOMENT, async || stage.head().await > head + 4).await;
    moved.ok_or("nothing was appended")?;
    pause_between(&run.dice, 0, 60).await;
    run.crew.struck();
    run.stage.node.kill().await;
    mend(&run.stage.wires.front).await;
    run.stage.node.start().await.map(|_| ())
}

/// Changes are in the log, and no watcher has heard of them.
async fn unheard(run: &mut Run<'_>) -> Result<(), String> {
    let (head, frames) = (run.stage.head().await, run.crew.state("frames"));
    run.stage.wires.live.set(Wire::AnswersLost);
    let stage = &run.stage;
    let moved = within(MOMENT, async || stage.head().await > head + 20).await;
    moved.ok_or("nothing was appended")?;
    run.crew.struck();
    run.stage.node.kill().await;
    let now = run.stage.head().await;
    let heard = run.crew.state("frames") - frames;
    let unheard = u64::try_from(now - head).unwrap_or_default().saturating_sub(heard);
    run.crew.count_many("committed unheard", unheard);
    mend(&run.stage.wires.live).await;
    run.stage.node.start().await.map(|_| ())
}

async fn any(run: &mut Run<'_>) -> Result<(), String> {
    for _ in 0..3 {
        pause_between(&run.dice, 100, 1_800).await;
        run.crew.struck();
        run.stage.node.kill().await;
        run.stage.node.start().await?;
    }
    Ok(())
}

async fn everything(run: &mut Run<'_>) -> Result<(), String> {
    pause_between(&run.dice, 0, 1_500).await;
    run.crew.struck();
    run.stage.node.signal(Signal::KILL);
    run.house.redis.stop().await;
    run.stage.provider.kill().await;
    run.stage.node.kill().await;
    run.stage.cluster.stop("immediate");
    pause_between(&run.dice, 0, 1_000).await;
    run.stage.cluster.start();
    run.house.redis.again().await;
    run.stage.provider.ensure().await?;
    run.stage.node.start().await.map(|_| ())
}

async fn terminate(run: &mut Run<'_>) -> Result<(), String> {
    for _ in 0..2 {
        pause_between(&run.dice, 100, 1_000).await;
        run.crew.struck();
        let ended = run.stage.node.terminate().await;
        match ended {
            Some((status, took)) if status.code() == Some(0) && took < Duration::from_millis(10_500) => {}
            other => run.broken("SIGTERM", format!("exit 0 within 10 s was promised: {other:?}")),
        }
        let begun = run.stage.node.start().await?;
        // What it owned was handed over: nobody waits for a lease.
        if begun > Duration::from_secs(3) {
            run.broken("SIGTERM", format!("the next node waited {begun:?}"));
        }
    }
    Ok(())
}
