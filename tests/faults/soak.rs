//! Does anything grow, hang or stay behind when load and faults go on for a long time? A node under everything at once, looked
//! at from outside every few seconds, and judged like any other run at its end.

mod blows;
mod people;
pub mod samples;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use onsale::clock::{Clock, Entropy, SystemClock};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::arguments::Soak;
use crate::checker;
use crate::load::{self, Crew};
use crate::record::Recorder;
use crate::stage::world::World;
use crate::stage::{House, Plan, Stage};
use crate::wait::{pause, within};
use crate::watch::Watcher;
use samples::Sample;

const EVERY: Duration = Duration::from_secs(5);
/// So soon after the faults nothing may be left over.
const BACK: Duration = Duration::from_secs(60);
const BUYERS: usize = 6;
/// They have all that they may have within minutes, and go on asking.
const HUNTERS: usize = 20;

pub fn soak(asked: &Soak) -> ExitCode {
    match crate::runtime().block_on(run(asked)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            println!("soak: {why}");
            ExitCode::FAILURE
        }
    }
}

struct Soaking {
    house: House,
    stage: Stage,
    crew: Arc<Crew>,
    dice: Entropy,
    samples: Vec<Sample>,
    blows: blows::Tally,
    wrong: Vec<String>,
    began: Duration,
}

async fn run(asked: &Soak) -> Result<bool, String> {
    let house = House::open().await;
    let dir = std::env::temp_dir().join(format!("onsale-soak-{}", std::process::id()));
    let plan = Plan { seats: 2_000, ..Plan::default() };
    let stage = Stage::set(&house, house.cluster.clone(), dir.clone(), &plan).await?;
    let world = World::build(&stage, &plan).await?;
    let recorder = Recorder::create(&stage.dir).map_err(|e| e.to_string())?;
    let crew = Crew::new(recorder, world, format!("http://{}", stage.wires.front.address));
    let (dice, began) = (Entropy::seeded(asked.seed), SystemClock.elapsed());
    let (samples, blows, wrong) = (Vec::new(), blows::Tally::new(), Vec::new());
    let mut soaking = Soaking { house, stage, crew, dice, samples, blows, wrong, began };
    println!("soak: {} minutes from seed {}, in {}", asked.minutes, asked.seed, dir.display());
    let (mut people, mut watching, watchers) = soaking.let_in();
    soaking.strike_until(Duration::from_secs(asked.minutes * 60)).await?;
    soaking.settle(&mut people).await?;
    // Holds that were left run out first: what comes last is to be the last.
    soaking.rest().await?;
    soaking.last_words(&watchers).await;
    watching.shutdown().await;
    let end = soaking.rest().await?;
    soaking.judge();
    soaking.wrong.extend(samples::judge(&soaking.samples, &end));
    Ok(soaking.report(asked, &end))
}

impl Soaking {
    fn let_in(&self) -> (JoinSet<()>, JoinSet<()>, Vec<Watcher>) {
        let (mut people, mut watching) = (JoinSet::new(), JoinSet::new());
        let crew = &self.crew;
        let seeded = || Entropy::seeded(self.dice.below(u64::MAX));
        for who in crew.world.buyers.iter().take(BUYERS).cloned() {
            people.spawn(people::regular(crew.clone(), who, seeded()));
        }
        people.spawn(load::hunter(crew.clone(), crew.world.hunters[..HUNTERS].to_vec(), seeded()));
        people.spawn(load::till(crew.clone(), seeded(), (500, 1_500)));
        let live = Arc::new(Mutex::new(format!("http://{}", self.stage.wires.live.address)));
        let watchers = Watcher::all(crew);
        for watcher in watchers.clone() {
            watching.spawn(watcher.watch(crew.clone(), live.clone(), seeded()));
        }
        (people, watching, watchers)
    }

    async fn sample(&mut self) -> Result<Option<Sample>, String> {
        if !self.stage.node.runs() {
            return Err("the node has ended by itself".to_owned());
        }
        let pid = self.stage.node.pid().ok_or("the node has no process")?;
        Ok(Sample::take(&self.stage, pid, (SystemClock.elapsed() - self.began).as_secs_f64()).await)
    }

    async fn strike_until(&mut self, length: Duration) -> Result<(), String> {
        let (mut look, mut blow) = (Duration::ZERO, Duration::from_secs(10));
        loop {
            let now = SystemClock.elapsed() - self.began;
            if now >= length {
                return Ok(());
            }
            if now >= look {
                look = now + EVERY;
                if let Some(sample) = self.sample().await? {
                    if self.samples.len().is_multiple_of(12) {
                        println!("{}", sample.line());
                    }
                    self.samples.push(sample);
                }
            }
            if now >= blow {
                blow = now + Duration::from_millis(4_000 + self.dice.below(9_000));
                let which = blows::strike(&mut self.house, &mut self.stage, &self.crew, &self.dice).await?;
                *self.blows.entry(which).or_default() += 1;
            }
            pause(Duration::from_millis(100)).await;
        }
    }

    /// Everything is repaired; nobody begins anything new, and everybody finds out what came of the rest.
    async fn settle(&mut self, people: &mut JoinSet<()>) -> Result<(), String> {
        self.stage.heal(&mut self.house.redis).await?;
        self.crew.stop();
        if tokio::time::timeout(BACK, async { while people.join_next().await.is_some() {} }).await.is_err() {
            self.wrong.push(format!("{} clients have no definite answer after {BACK:?}", people.len()));
            people.abort_all();
        }
        Ok(())
    }

    /// One last change of each topic, which every watcher must see.
    async fn last_words(&mut self, watchers: &[Watcher]) {
        let (crew, mut last) = (self.crew.clone(), Vec::new());
        let world = &crew.world;
        let (seat, key) = (world.seat(world.seats - 1), crew.fresh_key("end"));
        let path = format!("/v1/performances/{}/seats/block", world.performance);
        let body = json!({"seats": [seat], "reason": "the end"});
        last.push(("seats", crew.insist(&world.seller, "block", &world.performance, &path, &key, &body).await));
        let (path, key) = (format!("/v1/stores/{}/payments", world.store), crew.fresh_key("end"));
        let body = json!({"payment_id": key, "amount": 1, "currency": "KRW", "method": "card",
            "paid_at": SystemClock.wall().to_string()});
        last.push(("store", crew.insist(&world.till, "store-payment", &world.store, &path, &key, &body).await));
        for watcher in watchers {
            let Some((_, end)) = last.iter().find(|(topic, _)| *topic == watcher.topic) else { continue };
            let end = end.body["position"].as_str();
            if within(BACK, async || watcher.last().as_deref() == end).await.is_some() {
                crew.recorder.complete(&watcher.name, watcher.topic, &watcher.target, end);
            } else {
                self.wrong.push(format!("{} never saw {end:?}, its last is {:?}", watcher.name, watcher.last()));
            }
        }
    }

    /// Waits until there is nothing left to do; what the node uses then.
    async fn rest(&mut self) -> Result<Sample, String> {
        let begun = SystemClock.elapsed();
        loop {
            let sample = self.sample().await?.ok_or("the node cannot be looked at")?;
            let idle = sample.behind == 0.0 && sample.processes == 0.0 && sample.in_flight == 0.0;
            // Those who let their holds run out have to be waited for, too.
            let waited = SystemClock.elapsed() - begun;
            if (idle && waited > Duration::from_secs(15)) || waited > BACK {
                return Ok(sample);
            }
            pause(Duration::from_secs(1)).await;
        }
    }

    fn judge(&mut self) {
        let run = json!({"ended_at": SystemClock.wall().to_string()});
        let written = std::fs::write(self.stage.dir.join(checker::RUN), run.to_string());
        let judged = written.map_err(|e| e.to_string()).and_then(|()| self.stage.export());
        match judged.and_then(|_| checker::judge_directory(&self.stage.dir)) {
            Ok(verdict) => {
                println!("{verdict}");
                self.wrong.extend(verdict.violations.into_iter().map(|one| format!("{}: {}", one.rule, one.detail)));
            }
            Err(why) => self.wrong.push(why),
        }
        let ledger = self.stage.ledger().display().to_string();
        let audit = self.stage.run(&["audit", "--psp", &ledger]);
        print!("{}", String::from_utf8_lossy(&audit.stdout));
        if !audit.status.success() {
            self.wrong.push(format!("the audit: {}", String::from_utf8_lossy(&audit.stderr)));
        }
    }

    fn report(&self, asked: &Soak, end: &Sample) -> bool {
        let slope = samples::slope(&self.samples);
        let codes = self.crew.recorder.counts();
        println!("{}", end.line());
        println!("memory: {slope:+.1} MiB an hour after the first third (at most {})", samples::MIB_PER_HOUR);
        for (which, times) in &self.blows {
            println!("{times:>6}  {which}");
        }
        for ((what, outcome, status, code), count) in &codes {
            println!("{count:>9}  {what:<14} {outcome:?} {status} {code}");
        }
        println!("slowest answer: {:?}", self.crew.slowest());
        for wrong in &self.wrong {
            println!("WRONG {wrong}");
        }
        if let Some(path) = &asked.json {
            let all: Vec<Value> = self.samples.iter().map(Sample::json).collect();
            let codes: Vec<Value> = codes
                .iter()
                .map(|((what, outcome, status, code), count)| {
                    json!({"what": what, "outcome": format!("{outcome:?}"), "status": status, "code": code, "count": count})
                })
                .collect();
            let whole = json!({"minutes": asked.minutes, "seed": asked.seed, "slope_mib_per_hour": slope,
                "samples": all, "end": end.json(), "blows": self.blows, "answers": codes, "wrong": self.wrong});
            std::fs::write(path, whole.to_string()).expect("the file can be written");
        }
        if self.wrong.is_empty() {
            let _left = std::fs::remove_dir_all(&self.stage.dir);
            println!("soak: nothing grows, hangs or stays behind");
        } else {
            println!("soak: {} things are wrong; the files are in {}", self.wrong.len(), self.stage.dir.display());
        }
        self.wrong.is_empty()
    }
}
