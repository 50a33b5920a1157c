//! One run: start everything, let people in, break something, repair it, wait, and hand what was written down to the judge.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use onsale::clock::{Clock, Entropy, SystemClock};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::base::cluster::Cluster;
use crate::base::postgres;
use crate::checker;
use crate::load::{self, Crew, HANGS};
use crate::record::Recorder;
use crate::rows::Row;
use crate::stage::world::World;
use crate::stage::{House, Stage};
use crate::wait::{pause, within};
use crate::watch::Watcher;

/// So soon after the faults everything is as before, and every order is at its end or on the review list.
const BACK: Duration = Duration::from_secs(60);
const BUYERS: usize = 8;

/// Something that must not be, and who says so.
#[derive(Clone, Debug)]
pub struct Finding {
    pub rule: String,
    pub detail: String,
}

/// What came of a round.
#[derive(Clone, Debug, Default)]
pub struct Round {
    pub seed: u64,
    pub states: BTreeMap<&'static str, u64>,
    pub slowest: Duration,
    /// From the end of the faults to fresh answers.
    pub back: Duration,
    pub findings: Vec<Finding>,
    /// Interesting states that were never reached: the round shows nothing.
    pub missed: Vec<&'static str>,
    /// Why it could not be tried at all.
    pub not_run: Option<String>,
    /// Where its files are, if something was wrong.
    pub evidence: Option<PathBuf>,
}

/// What a row gets to break things with.
pub struct Run<'a> {
    pub house: &'a mut House,
    pub stage: Stage,
    pub crew: Arc<Crew>,
    pub dice: Entropy,
    /// Of the row.
    pub script: &'static str,
    pub findings: Vec<Finding>,
    live: Arc<Mutex<String>>,
    people: JoinSet<()>,
    watchers: Vec<Watcher>,
    watching: JoinSet<()>,
}

impl Run<'_> {
    pub fn broken(&mut self, rule: &str, detail: String) {
        self.findings.push(Finding { rule: rule.to_owned(), detail });
    }

    /// From now on clients and watchers go there.
    pub fn turn_to(&self, listen: &str) {
        let base = format!("http://{listen}");
        self.crew.turn_to(base.clone());
        *self.live.lock() = base;
    }

    /// One more who takes part until the end.
    pub fn join(&mut self, person: impl Future<Output = ()> + Send + 'static) {
        self.people.spawn(person);
    }

    /// Waits for so many more commands that were done.
    pub async fn done(&mut self, more: u64, patience: Duration) -> Option<Duration> {
        let crew = self.crew.clone();
        let wanted = crew.state("done") + more;
        within(patience, async || crew.state("done") >= wanted).await
    }

    fn let_in(&mut self, base: &str) {
        let crew = &self.crew;
        let seeded = || Entropy::seeded(self.dice.below(u64::MAX));
        for who in crew.world.buyers.iter().take(BUYERS).cloned() {
            self.people.spawn(load::buyer(crew.clone(), who, seeded()));
        }
        for hunters in crew.world.hunters.chunks(crew.world.hunters.len() / 3) {
            self.people.spawn(load::hunter(crew.clone(), hunters.to_vec(), seeded()));
        }
        self.people.spawn(load::till(crew.clone(), seeded(), (10, 80)));
        let reader = crew.world.buyers[BUYERS].clone();
        self.people.spawn(load::reader(crew.clone(), reader, seeded()));
        *self.live.lock() = base.to_owned();
        self.watchers = Watcher::all(crew);
        for watcher in self.watchers.clone() {
            self.watching.spawn(watcher.watch(crew.clone(), self.live.clone(), seeded()));
        }
    }

    /// After the faults: fresh answers soon, no outcome unknown any more, every order at its end.
    async fn settle(&mut self) -> Duration {
        let back = self.done(30, BACK).await;
        if back.is_none() {
            self.broken("back to normal", format!("no 30 commands were done within {BACK:?} after the faults"));
        }
        pause(Duration::from_millis(500)).await;
        self.crew.stop();
        let people = &mut self.people;
        let ended = tokio::time::timeout(BACK, async { while people.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            self.broken("settled", format!("{} clients have no definite answer after {BACK:?}", self.people.len()));
            self.people.abort_all();
        }
        let stage = &self.stage;
        // Nobody works any more: whatever is still in a transaction was forgotten in it.
        let open = format!(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND state LIKE 'idle in transaction%' \
             AND state_change < clock_timestamp() - interval '1 second'",
            stage.database.name()
        );
        let url = stage.cluster.url();
        let quiet = within(Duration::from_secs(10), async || postgres::number(&url, &open).await == Some(0)).await;
        let rest = within(BACK, async || stage.export().is_ok_and(|log| restless(&log).is_empty())).await;
        if rest.is_none() {
            let restless = stage.export().map(|log| restless(&log)).unwrap_or_default();
            self.broken("60 s", format!("orders neither at their end nor on the review list: {restless:?}"));
        }
        if quiet.is_none() {
            self.broken("pool", "a session stays idle in a transaction".to_owned());
        }
        back.unwrap_or_default()
    }

    /// One last change of each topic, which every watcher must see.
    async fn watchers_see_the_end(&mut self) {
        let crew = self.crew.clone();
        let world = &crew.world;
        let last_seat = world.seat(world.seats - 1);
        let block = json!({"seats": [last_seat], "reason": "the end"});
        let path = format!("/v1/performances/{}/seats/block", world.performance);
        let key = crew.fresh_key("end");
        let seats = crew.insist(&world.seller, "block", &world.performance, &path, &key, &block).await;
        let paid_at = SystemClock.wall().to_string();
        let payment =
            json!({"payment_id": "the-end", "amount": 1, "currency": "KRW", "method": "card", "paid_at": paid_at});
        let (path, key) = (format!("/v1/stores/{}/payments", world.store), crew.fresh_key("end"));
        let store = crew.insist(&world.till, "store-payment", &world.store, &path, &key, &payment).await;
        let (seats, store) = (seats.body["position"].clone(), store.body["position"].clone());
        for watcher in self.watchers.clone() {
            let end = if watcher.topic == "seats" { &seats } else { &store };
            let seen = within(Duration::from_secs(30), async || watcher.last().as_deref() == end.as_str()).await;
            if seen.is_none() {
                let last = watcher.last();
                self.broken("C4", format!("{} never saw {end}, the last change; its last is {last:?}", watcher.name));
            } else {
                crew.recorder.complete(&watcher.name, watcher.topic, &watcher.target, end.as_str());
            }
        }
        self.watching.shutdown().await;
    }
}

/// Orders of the log that are not at their end, and by what.
fn restless(log: &str) -> Vec<String> {
    let mut orders: BTreeMap<String, (&'static str, i64)> = BTreeMap::new();
    for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let Some(id) = event["stream"].as_str().and_then(|stream| stream.strip_prefix("order/")) else { continue };
        let entry = orders.entry(id.to_owned()).or_insert(("new", 0));
        match event["kind"].as_str().unwrap_or_default() {
            "order.placed" => entry.0 = "placed",
            "order.completed" | "order.expired" | "order.failed" | "order.cancelled" | "order.refunded" => entry.0 = "",
            // People look at it.
            "review.opened" => *entry = ("", 0),
            "refund.requested" => entry.1 += 1,
            "refund.done" => entry.1 = (entry.1 - 1).max(0),
            _ => {}
        }
    }
    let open = orders.into_iter().filter(|(_, (state, refunds))| !state.is_empty() || *refunds != 0);
    open.map(|(id, (state, refunds))| format!("{id} ({state}, {refunds} refunds open)")).collect()
}

/// What can be seen in the log only.
fn count_log(crew: &Crew, log: &str) {
    let mut epochs = BTreeSet::new();
    for event in log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        match event["kind"].as_str().unwrap_or_default() {
            "order.expired" => crew.count("expired"),
            "order.completed" => crew.count("completed"),
            "refund.done" => crew.count("refunded"),
            "payment.declined" => crew.count("payments declined"),
            _ => {}
        }
        crew.count("events");
        epochs.insert(event["epoch"].as_u64());
    }
    crew.count_many("epochs", epochs.len() as u64);
}

/// Where the files of this process's runs are.
pub fn evidence() -> PathBuf {
    std::env::temp_dir().join(format!("onsale-faults-{}", std::process::id()))
}

/// One round of a row.
pub async fn round(house: &mut House, row: &Row, seed: u64) -> Round {
    let mut round = Round { seed, ..Round::default() };
    let cluster = row.missing().map_or_else(|| (row.cluster)(house), Err);
    let cluster = match cluster {
        Ok(cluster) => cluster,
        Err(why) => {
            round.not_run = Some(why);
            return round;
        }
    };
    let dir = evidence().join(format!("{}-{seed}", row.name));
    let begun = begin(house, cluster, row, seed, dir.clone()).await;
    let mut run = match begun {
        Ok(run) => run,
        Err(why) => {
            round.findings.push(Finding { rule: "start".to_owned(), detail: why });
            round.evidence = Some(dir);
            return round;
        }
    };
    if run.done(40, BACK).await.is_none() {
        run.broken("start", "nobody gets anything".to_owned());
    }
    if let Err(why) = (row.strike)(&mut run).await {
        run.broken("strike", why);
    }
    if let Err(why) = run.stage.heal(&mut run.house.redis).await {
        run.broken("heal", why);
    }
    let front = run.stage.wires.front.address.to_string();
    run.crew.turn_to(format!("http://{front}"));
    *run.live.lock() = format!("http://{}", run.stage.wires.live.address);
    round.back = run.settle().await;
    run.watchers_see_the_end().await;
    judge(&mut run, row);
    run.crew.count_many("starts of the node", run.stage.node.starts);
    run.crew.count_many("ends of the node by itself", run.stage.node.gave_up);
    let Run { stage, crew, findings, .. } = run;
    round.states = crew.states();
    round.slowest = crew.slowest();
    round.findings = findings;
    round.missed = row.needs.iter().copied().filter(|&need| crew.state(need) == 0).collect();
    stage.strike().await;
    if round.findings.is_empty() {
        let _left = std::fs::remove_dir_all(&dir);
    } else {
        round.evidence = Some(dir);
    }
    round
}

async fn begin<'a>(
    house: &'a mut House,
    cluster: Arc<Cluster>,
    row: &Row,
    seed: u64,
    dir: PathBuf,
) -> Result<Run<'a>, String> {
    let plan = (row.plan)();
    let stage = Stage::set(house, cluster, dir, &plan).await?;
    let world = World::build(&stage, &plan).await?;
    let recorder = Recorder::create(&stage.dir).map_err(|e| e.to_string())?;
    let base = format!("http://{}", stage.wires.front.address);
    let live = format!("http://{}", stage.wires.live.address);
    let crew = Crew::new(recorder, world, base);
    let (people, watching) = (JoinSet::new(), JoinSet::new());
    let (findings, watchers) = (Vec::new(), Vec::new());
    let dice = Entropy::seeded(seed);
    let script = row.script;
    let mut run = Run { house, stage, crew, dice, script, findings, live: Arc::default(), people, watchers, watching };
    run.let_in(&live);
    Ok(run)
}

/// The judge reads the files; our own audit, and what clients felt, come beside it.
fn judge(run: &mut Run<'_>, row: &Row) {
    // A hold that ran out so long ago has been let go.
    let ended = json!({"ended_at": SystemClock.wall().to_string(), "late_ms": 3_000}).to_string();
    if let Err(why) = std::fs::write(run.stage.dir.join("run.json"), ended) {
        run.broken("judge", why.to_string());
    }
    match run.stage.export() {
        Ok(log) => count_log(&run.crew, &log),
        Err(why) => run.broken("export", why),
    }
    match checker::judge_directory(&run.stage.dir) {
        Ok(verdict) => {
            for violation in verdict.violations {
                run.broken(violation.rule, violation.detail);
            }
        }
        Err(why) => run.broken("judge", why),
    }
    let ledger = run.stage.ledger().display().to_string();
    let audit = run.stage.run(&["audit", "--psp", &ledger]);
    if !audit.status.success() {
        let said = String::from_utf8_lossy(&audit.stdout).into_owned() + &String::from_utf8_lossy(&audit.stderr);
        run.broken("audit", said);
    }
    let hung = run.crew.state("hung");
    if hung > 0 && !row.silent {
        let slowest = run.crew.slowest();
        run.broken("10 s", format!("{hung} requests took longer than {HANGS:?}, the longest {slowest:?}"));
    }
}
