//! What does a log of this size cost? Appends through the journal's own append, large and small ones by turns; loads of
//! streams that were not looked at before; the start of a node; and bytes.

use std::time::Duration;

use super::Growth;
use super::database::Database;
use super::fill::Filler;
use crate::app;
use crate::cli::bench::author::Author;
use crate::cli::bench::child::Child;
use crate::cli::bench::history::History;
use crate::cli::bench::line::{ASK_AGAIN, Line, Parts};
use crate::cli::bench::report::{Check, Measured};
use crate::cli::bench::tally::Latency;
use crate::cli::bench::target::address;
use crate::cli::failure::Failure;
use crate::cli::fresh::Fresh;
use crate::clock::{Clock, Entropy, SystemClock};
use crate::config::Config;
use crate::journal::SharedJournal;
use crate::journal::open::Role;
use crate::limits;

/// Events of an append.
const LARGE: usize = 500;
const SMALL: usize = 10;
/// Rounds that are not measured: the statement is prepared, and the pages that every append touches are in memory.
const WARM_UP: u32 = 10;
/// Loads of as many streams as a node loads at once, and of one stream.
const MANY: usize = limits::LOAD_BATCH;
const LOADS_OF_MANY: u32 = 20;
const LOADS_OF_ONE: u32 = 500;
const READY_WITHIN: Duration = Duration::from_secs(120);

/// What an event of an append costs, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub large: f64,
    pub small: f64,
}

/// One step's figures, its costs, and whether everything was there.
pub struct Step {
    pub measured: Measured,
    pub cost: Cost,
    pub checks: Vec<Check>,
}

pub async fn measure(
    growth: &Growth,
    config: &Config,
    database: &mut Database,
    filler: &Filler,
) -> Result<Step, Failure> {
    let mut measured = Measured { title: "a log of that size", ..Measured::default() };
    let journal = app::open_journal(config, Role::Serve).await?;
    let before = events(&journal).await?;
    measured.figure("events in the log", before as f64, "");
    let size = database.size().await?;
    measured.figure("table", size.table / before as f64, "bytes/event");
    measured.figure("indexes", size.indexes / before as f64, "bytes/event");
    let found = loads(&journal, filler, &mut measured).await?;
    let written = database.written_ahead().await?;
    let (cost, appended) = appends(growth.rounds, journal, &mut measured).await?;
    let written = database.written_ahead().await? - written;
    measured.figure("written ahead", written / appended as f64, "bytes/event");
    measured.figure("start of a node", start(config).await?.as_secs_f64() * 1_000.0, "ms");

    let after = events(&app::open_journal(config, Role::Read).await?).await?;
    let wrong = database.wrong_heads().await?;
    let detail = format!("{before} and {appended} that were appended make {after}; {wrong} heads are wrong");
    let heads = Check { name: "heads", ok: before + appended == after && wrong == 0, detail };
    let due = u64::from(LOADS_OF_MANY) * MANY as u64 + u64::from(LOADS_OF_ONE);
    let detail = format!("{found} of {due} streams were found");
    let streams = Check { name: "streams", ok: found == due, detail };
    Ok(Step { measured, cost, checks: vec![heads, streams] })
}

async fn events(journal: &SharedJournal) -> Result<u64, Failure> {
    Ok(journal.heads().await?.iter().map(|head| head.0).sum())
}

/// Large and small appends by turns; also how many events they wrote, warm-up and all.
async fn appends(rounds: u32, journal: SharedJournal, measured: &mut Measured) -> Result<(Cost, u64), Failure> {
    let entropy = Entropy::from_system();
    let mut history = History::new(entropy.clone(), journal.partitions(), SystemClock.wall());
    let mut author = Author::claim(journal, entropy).await?;
    let (large, small) = (Latency::default(), Latency::default());
    let mut took = [(0, Duration::ZERO); 2];
    let mut appended = 0;
    for round in 0..WARM_UP + rounds {
        for (place, (size, latency)) in [(LARGE, &large), (SMALL, &small)].into_iter().enumerate() {
            let drafts = history.take(size);
            let events: usize = drafts.iter().map(|draft| draft.facts.len()).sum();
            let batches = author.batches(drafts)?;
            let begun = SystemClock.elapsed();
            author.append(&batches).await?;
            let time = SystemClock.elapsed().saturating_sub(begun);
            appended += events as u64;
            if round >= WARM_UP {
                latency.record(time);
                took[place] = (took[place].0 + events, took[place].1 + time);
            }
        }
    }
    author.release().await?;
    let [large_cost, small_cost] = took.map(|(events, time)| time.as_secs_f64() * 1e6 / events.max(1) as f64);
    measured.figure("appended in batches of 500", 1e6 / large_cost, "events/s");
    measured.figure("appended in batches of 10", 1e6 / small_cost, "events/s");
    measured.latencies.push(large.row("append of 500"));
    measured.latencies.push(small.row("append of 10"));
    Ok((Cost { large: large_cost, small: small_cost }, appended))
}

/// Of orders that nobody has asked for since they were filled in; gives how many were there.
async fn loads(journal: &SharedJournal, filler: &Filler, measured: &mut Measured) -> Result<u64, Failure> {
    let mut found = 0;
    for (name, streams, times) in [("load of 512 streams", MANY, LOADS_OF_MANY), ("load of 1 stream", 1, LOADS_OF_ONE)]
    {
        let latency = Latency::default();
        for _ in 0..times {
            let wanted: Vec<_> = (0..streams).map(|_| filler.order()).collect();
            let begun = SystemClock.elapsed();
            let loaded = journal.load(&wanted).await?;
            latency.record(SystemClock.elapsed().saturating_sub(begun));
            found += loaded.iter().filter(|loaded| !loaded.tail.is_empty()).count() as u64;
        }
        measured.latencies.push(latency.row(name));
    }
    Ok(found)
}

/// From the start of the process until it is ready; without read models, which fillers are nothing for.
async fn start(config: &Config) -> Result<Duration, Failure> {
    let fresh = Fresh::new("bench")?;
    let data = fresh.path().display().to_string();
    let arguments = ["serve", "--listen", "127.0.0.1:0", "--data", &data].map(str::to_owned);
    let environment = vec![
        ("ONSALE_DATABASE__URL", config.database.url.expose().to_owned()),
        ("ONSALE_SERVER__ADMIN_LISTEN", String::new()),
        ("ONSALE_PROJECTIONS__RUN", "false".to_owned()),
    ];
    let begun = SystemClock.elapsed();
    let node = Child::start(&arguments, &environment).await?;
    let mut line = Line::new(address(&node.base).await?);
    loop {
        let reply = line.get("/readyz", Parts::default()).await;
        let took = SystemClock.elapsed().saturating_sub(begun);
        match reply {
            Ok(reply) if reply.status == 200 => {
                node.stop().await;
                return Ok(took);
            }
            _ if took > READY_WITHIN => return Err(Failure::of("a node on this log does not become ready")),
            _ => tokio::time::sleep(ASK_AGAIN / 10).await,
        }
    }
}
