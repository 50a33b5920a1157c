//! `--against`: how fast is a node beside what people build instead? The same load on both by turns, in one run, since a
//! machine is never twice the same: node, rival, node, rival … Each turn has a warm-up and something of its own to ask for, and
//! whoever has no turn is idle.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use super::asking::{self, Asks};
use super::child::{Child, Environment};
use super::load::{Plan, Ran};
use super::machine::Watched;
use super::report::{Measured, Report};
use super::rivals::{self, Books, Kind, RedisServer};
use super::target::{Site, Target, address};
use crate::auth::principal::Role;
use crate::cli::Global;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::token::sign;

#[derive(clap::Args, Clone, Debug)]
pub struct Against {
    /// What people build instead, measured by turns with the node; several with commas. Those on Postgres use a schema of their
    /// own in the database that --database-url names.
    #[arg(long, value_name = "RIVAL", value_enum, value_delimiter = ',')]
    against: Vec<Kind>,
    /// Turns of each.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "against",
        value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Seconds for each number of database connections that is tried beforehand; 0: the middle one is taken untried.
    #[arg(long, value_name = "S", default_value_t = 2, requires = "against",
        value_parser = clap::value_parser!(u32).range(0..=60))]
    sweep_seconds: u32,
    /// Rivals keep no event log beside their tables: less than a node keeps.
    #[arg(long, requires = "against")]
    rivals_without_log: bool,
}

/// A scenario that can be played at any server.
pub trait Contest: Sync {
    type Load: Asks;

    /// Something that nobody has asked for there.
    fn stage(&self, site: Site<'_>) -> impl Future<Output = Result<Arc<Self::Load>, Failure>>;
    /// How many rows of the rival's books a granted request makes.
    fn owed(&self, granted: u64) -> Books;
}

/// How one rival did.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    pub rival: Kind,
    /// Its connections to its database, and what each number of them gave.
    pub pool: u32,
    pub tried: Vec<(u32, f64)>,
    /// Medians, a second.
    pub node_rate: f64,
    pub rival_rate: f64,
    /// Medians, in milliseconds.
    pub node_p99_ms: f64,
    pub rival_p99_ms: f64,
    pub ratio: f64,
    /// Of turns beside one another.
    pub lowest: f64,
    pub highest: f64,
}

impl Comparison {
    pub fn words(&self) -> String {
        let Self { node_rate, rival_rate, node_p99_ms, rival_p99_ms, ratio, lowest, highest, .. } = self;
        let tried: Vec<String> = self.tried.iter().map(|(pool, rate)| format!("{pool}: {rate:.0}/s")).collect();
        let tried = if tried.is_empty() { String::new() } else { format!("; tried {}", tried.join(", ")) };
        let pool =
            if self.rival == Kind::TokenOnly { String::new() } else { format!(", {} connections{tried}", self.pool) };
        format!(
            "{ratio:.2} x {} ({lowest:.2} to {highest:.2}): {node_rate:.0}/s against {rival_rate:.0}/s, p99 {node_p99_ms:.2} \
             against {rival_p99_ms:.2} ms{pool}",
            self.rival.name()
        )
    }
}

/// One turn.
struct Turn {
    rate: f64,
    p99_ms: f64,
}

impl Turn {
    fn of(measured: &Measured) -> Self {
        let rate = measured.figures.first().map_or(0.0, |figure| figure.value);
        Self { rate, p99_ms: measured.latencies.first().map_or(0.0, |row| row.p99_ms) }
    }
}

/// A rival in its process, with the database that is its own.
struct Opponent {
    child: Child,
    redis: Option<RedisServer>,
    watched: Watched,
}

impl Against {
    pub fn any(&self) -> bool {
        !self.against.is_empty()
    }

    /// Each once, in the order in which they were named.
    fn kinds(&self) -> Vec<Kind> {
        let mut seen = BTreeSet::new();
        self.against.iter().copied().filter(|kind| seen.insert(*kind)).collect()
    }

    /// What cannot be done is said before anything begins.
    pub fn check(&self, target: &Target) -> Result<(), Failure> {
        match self.against.iter().find(|kind| kind.needs_postgres() && target.postgres().is_none()) {
            Some(kind) => Err(Failure::usage(format!("--against {} needs --database-url of a Postgres", kind.name()))),
            None => Ok(()),
        }
    }

    /// Plays all rivals; gives back what was played at the node, for its log to be looked at.
    pub async fn run<C: Contest>(
        &self,
        contest: &C,
        global: &Global,
        target: &Target,
        plan: Plan,
        report: &mut Report,
    ) -> Result<Vec<Arc<C::Load>>, Failure> {
        if let Some(url) = target.postgres() {
            report.remarks.push(format!("Postgres: {}", rivals::settings(&url).await?));
        }
        let mut played = Vec::new();
        for kind in self.kinds() {
            let arena = Arena { against: self, contest, global, target, kind };
            let (pool, tried) = arena.sweep(plan).await?;
            played.extend(arena.turns(plan, pool, tried, report).await?);
        }
        if let Some(url) = target.postgres() {
            rivals::forget(&url).await?;
        }
        Ok(played)
    }
}

/// Where one rival is played.
struct Arena<'a, C> {
    against: &'a Against,
    contest: &'a C,
    global: &'a Global,
    target: &'a Target,
    kind: Kind,
}

impl<C: Contest> Arena<'_, C> {
    /// The number of connections that gave most, and what each gave.
    async fn sweep(&self, plan: Plan) -> Result<(u32, Vec<(u32, f64)>), Failure> {
        let pools = self.kind.pools();
        if pools.len() == 1 || self.against.sweep_seconds == 0 {
            return Ok((pools[pools.len() / 2], Vec::new()));
        }
        let length = Duration::from_secs(self.against.sweep_seconds.into());
        let plan = Plan { warm_up: plan.warm_up.min(length / 2), length, rate: None, ..plan };
        let mut tried = Vec::new();
        for &pool in pools {
            let opponent = self.invite(pool).await?;
            let (_, measured) = self.turn(&opponent.child.base, plan, &opponent.watched).await?.1;
            tried.push((pool, Turn::of(&measured).rate));
            opponent.leave().await;
        }
        let best = tried.iter().copied().max_by(|a, b| a.1.total_cmp(&b.1)).map_or(pools[0], |(pool, _)| pool);
        Ok((best, tried))
    }

    async fn turns(
        &self,
        plan: Plan,
        pool: u32,
        tried: Vec<(u32, f64)>,
        report: &mut Report,
    ) -> Result<Vec<Arc<C::Load>>, Failure> {
        let opponent = self.invite(pool).await?;
        if let Some(redis) = &opponent.redis {
            let version = &redis.version;
            report.remarks.push(format!("Redis {version}: appendonly yes, appendfsync always, on the same machine"));
        }
        let at_node = self.target.watched().await;
        let (mut played, mut turns) = (Vec::new(), Vec::new());
        let (mut granted, mut unknown) = (0, 0);
        for _ in 0..self.against.rounds {
            let (load, (ran, measured)) = self.turn(&self.target.base, plan, &at_node).await?;
            played.push(load);
            turns.push(Turn::of(&measured));
            note(report, "node", &ran, measured);
            let (_, (ran, measured)) = self.turn(&opponent.child.base, plan, &opponent.watched).await?;
            turns.push(Turn::of(&measured));
            granted += measured.value(asking::ALL) as u64;
            unknown += measured.failures.values().sum::<u64>();
            note(report, self.kind.name(), &ran, measured);
        }
        report.comparisons.push(compare(self.kind, pool, tried, &turns));
        self.look_at_books(&opponent, granted, unknown, report).await?;
        opponent.leave().await;
        Ok(played)
    }

    async fn turn(
        &self,
        base: &str,
        plan: Plan,
        watched: &Watched,
    ) -> Result<(Arc<C::Load>, (Ran, Measured)), Failure> {
        let load = self.contest.stage(Site { base, keys: &self.target.keys }).await?;
        let measured = asking::measure(&load, plan, address(base).await?, watched).await?;
        Ok((load, measured))
    }

    async fn invite(&self, pool: u32) -> Result<Opponent, Failure> {
        let redis = match self.kind {
            Kind::RedisLua => Some(RedisServer::start().await?),
            _ => None,
        };
        let mut arguments =
            ["bench", "rival", self.kind.name(), "--pool", &pool.to_string()].map(str::to_owned).to_vec();
        arguments.extend(["--data".to_owned(), self.target.directory().display().to_string()]);
        if let Some(config) = &self.global.config {
            arguments.extend(["--config".to_owned(), config.display().to_string()]);
        }
        if self.against.rivals_without_log {
            arguments.push("--without-log".to_owned());
        }
        let environment: Environment = vec![
            ("ONSALE_DATABASE__URL", self.target.postgres().unwrap_or_default()),
            ("ONSALE_REDIS__URL", redis.as_ref().map(|redis| redis.url.clone()).unwrap_or_default()),
        ];
        let child = Child::start(&arguments, &environment).await?;
        let mut watched = Watched::default();
        watched.add("rival", child.pid());
        watched.add("redis", redis.as_ref().and_then(RedisServer::pid));
        watched.add_ourselves();
        if let Some(url) = self.target.postgres() {
            watched.add_postgres(&url).await;
        }
        Ok(Opponent { child, redis, watched })
    }

    /// A rival that gave away more than it wrote down, or than there was, would be fast and useless.
    async fn look_at_books(
        &self,
        opponent: &Opponent,
        granted: u64,
        unknown: u64,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let seller = sign(&self.target.keys, "bench-seller", Role::Seller, None)?;
        let answer = Client::new(&opponent.child.base)?.get("/rival/books", &seller).await?;
        let told = answer.body.get("books").cloned().unwrap_or_default();
        if told.is_null() && answer.status == 200 {
            return Ok(());
        }
        let books: Books = serde_json::from_value(told).map_err(|e| Failure::of(format!("the rival's books: {e}")))?;
        let logged = !self.against.rivals_without_log;
        let (least, most) = (self.contest.owed(granted), self.contest.owed(granted + unknown));
        let ok = books.agrees(&least, &most, logged);
        let detail =
            format!("{}: {granted} were granted, {unknown} failed, its books have {books:?}", self.kind.name());
        report.check("the rival's books", ok, detail);
        Ok(())
    }
}

impl Opponent {
    async fn leave(self) {
        self.child.stop().await;
        if let Some(redis) = self.redis {
            redis.stop().await;
        }
    }
}

fn note(report: &mut Report, who: &'static str, ran: &Ran, measured: Measured) {
    report.ran(ran);
    if measured.latencies.iter().all(|row| row.count == 0) {
        report.check("load", false, format!("not one request to {who} was answered in the measured time"));
    }
    report.phases.push(Measured { title: who, ..measured });
}

/// Turns are node, rival, node, rival …
fn compare(rival: Kind, pool: u32, tried: Vec<(u32, f64)>, turns: &[Turn]) -> Comparison {
    let side = |first: usize, of: fn(&Turn) -> f64| median(turns.iter().skip(first).step_by(2).map(of).collect());
    let (node_rate, rival_rate) = (side(0, |turn| turn.rate), side(1, |turn| turn.rate));
    let beside = turns.windows(2).enumerate().map(|(at, pair)| match at % 2 {
        0 => pair[0].rate / pair[1].rate.max(f64::EPSILON),
        _ => pair[1].rate / pair[0].rate.max(f64::EPSILON),
    });
    let (lowest, highest) = beside.fold((f64::MAX, 0.0_f64), |(low, high), one| (low.min(one), high.max(one)));
    Comparison {
        rival,
        pool,
        tried,
        node_rate,
        rival_rate,
        node_p99_ms: side(0, |turn| turn.p99_ms),
        rival_p99_ms: side(1, |turn| turn.p99_ms),
        ratio: node_rate / rival_rate.max(f64::EPSILON),
        lowest,
        highest,
    }
}

/// The mean of the two in the middle, where there are two.
fn median(mut all: Vec<f64>) -> f64 {
    all.sort_by(f64::total_cmp);
    let (low, high) = (all.get(all.len().saturating_sub(1) / 2), all.get(all.len() / 2));
    low.zip(high).map_or(0.0, |(low, high)| f64::midpoint(*low, *high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns_are_compared_with_those_beside_them() {
        let turns = |rates: &[f64]| rates.iter().map(|&rate| Turn { rate, p99_ms: rate / 10.0 }).collect::<Vec<_>>();
        let told =
            compare(Kind::RedisLua, 2, vec![(1, 40.0), (2, 50.0)], &turns(&[100.0, 50.0, 120.0, 40.0, 90.0, 60.0]));
        assert_eq!((told.node_rate, told.rival_rate, told.ratio), (100.0, 50.0, 2.0));
        assert_eq!((told.lowest, told.highest), (1.5, 3.0));
        assert_eq!((told.node_p99_ms, told.rival_p99_ms), (10.0, 5.0));
        assert_eq!(
            told.words(),
            "2.00 x redis-lua (1.50 to 3.00): 100/s against 50/s, p99 10.00 against 5.00 ms, 2 connections; tried 1: 40/s, 2: 50/s"
        );
        let once = compare(Kind::TokenOnly, 1, Vec::new(), &turns(&[30.0, 60.0]));
        assert_eq!((once.ratio, once.lowest, once.highest), (0.5, 0.5, 0.5));
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(Vec::new()), 0.0);
    }
}
