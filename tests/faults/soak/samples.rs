//! What does a node use, again and again over hours? Samples from outside of it, and what they come to.

use std::path::Path;
use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};

use crate::base::postgres;
use crate::stage::Stage;
use crate::support::Client;

/// More memory than this in an hour, after the first third, is a leak: of 50,000 orders an hour, 500 bytes each. A counter's
/// payments of 30 days and a coupon's issues are kept on purpose, some 1 KiB each; there are few of them here.
pub const MIB_PER_HOUR: f64 = 24.0;
/// Shorter runs say nothing about a slope: idle actors leave after five minutes.
pub const SLOPE_AFTER: Duration = Duration::from_secs(15 * 60);

#[derive(Clone, Copy, Debug, Default)]
pub struct Sample {
    pub seconds: f64,
    pub rss_mib: f64,
    pub files: u64,
    pub threads: u64,
    /// Sessions of the node's role at Postgres, and those that stand in a transaction for ten seconds and more.
    pub sessions: i64,
    pub idle_in_transaction: i64,
    /// Events that the slowest read model has not looked at.
    pub behind: f64,
    pub in_flight: f64,
    pub connections: f64,
    pub watchers: f64,
    pub processes: f64,
    pub actors: f64,
}

impl Sample {
    pub async fn take(stage: &Stage, pid: Pid, seconds: f64) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero())).ok()?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok()
        };
        let files =
            std::fs::read_dir(Path::new("/proc").join(pid.as_raw_nonzero().to_string()).join("fd")).ok()?.count();
        let owner = &stage.database.owner;
        let role = postgres::SERVER_ROLE;
        let ours = format!("FROM pg_stat_activity WHERE datname = current_database() AND usename = '{role}'");
        let idle = format!(
            "SELECT count(*) {ours} AND state LIKE 'idle in transaction%' AND state_change < now() - interval '10 s'"
        );
        let metrics = metrics(stage).await.unwrap_or_default();
        let all = |name| values(&metrics, name).into_iter();
        Some(Self {
            seconds,
            rss_mib: field("VmRSS:")? / 1_024.0,
            files: files as u64,
            threads: field("Threads:")? as u64,
            sessions: postgres::number(owner, &format!("SELECT count(*) {ours}")).await.unwrap_or(-1),
            idle_in_transaction: postgres::number(owner, &idle).await.unwrap_or(-1),
            behind: all("onsale_projection_behind_events").fold(0.0, f64::max),
            in_flight: all("onsale_commands_in_flight").sum(),
            connections: all("onsale_http_connections").sum(),
            watchers: all("onsale_watchers ").sum(),
            processes: all("onsale_processes").sum(),
            actors: all("onsale_actors_awake").sum(),
        })
    }

    pub fn json(&self) -> Value {
        json!({"seconds": self.seconds, "rss_mib": self.rss_mib, "files": self.files, "threads": self.threads,
            "sessions": self.sessions, "idle_in_transaction": self.idle_in_transaction, "behind": self.behind,
            "in_flight": self.in_flight, "connections": self.connections, "watchers": self.watchers,
            "processes": self.processes, "actors": self.actors})
    }

    pub fn line(&self) -> String {
        format!(
            "{:>6.0} s  {:>7.1} MiB  {:>4} files  {:>3} threads  {:>3} sessions  {:>2} idle in tx  {:>6.0} behind  {:>4.0} in flight  {:>6.0} actors",
            self.seconds,
            self.rss_mib,
            self.files,
            self.threads,
            self.sessions,
            self.idle_in_transaction,
            self.behind,
            self.in_flight,
            self.actors
        )
    }
}

/// Asked of the node itself, past all wires.
async fn metrics(stage: &Stage) -> Option<String> {
    let client = Client::new(&format!("http://{}", stage.node.listen));
    let asked = client.try_send(client.request(reqwest::Method::GET, "/metrics"));
    Some(tokio::time::timeout(Duration::from_secs(5), asked).await.ok()??.text)
}

fn values(text: &str, name: &str) -> Vec<f64> {
    let lines = text.lines().filter(|line| line.starts_with(name));
    lines.filter_map(|line| line.rsplit(' ').next()?.parse().ok()).collect()
}

/// Least squares of memory over time, in MiB an hour, of what comes after the first third.
pub fn slope(samples: &[Sample]) -> f64 {
    let late = &samples[samples.len() / 3..];
    let count = late.len() as f64;
    let mean = |of: fn(&Sample) -> f64| late.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|s| s.seconds), mean(|s| s.rss_mib));
    let (mut over, mut under) = (0.0, 0.0);
    for sample in late {
        over += (sample.seconds - x) * (sample.rss_mib - y);
        under += (sample.seconds - x).powi(2);
    }
    if under > 0.0 { over / under * 3_600.0 } else { 0.0 }
}

type Count = fn(&Sample) -> i64;

fn median(samples: &[Sample], of: Count) -> i64 {
    let mut all: Vec<i64> = samples.iter().map(of).collect();
    all.sort_unstable();
    all.get(all.len() / 2).copied().unwrap_or_default()
}

/// What must not be: one sentence each.
pub fn judge(samples: &[Sample], end: &Sample) -> Vec<String> {
    let mut wrong = Vec::new();
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return vec!["nothing was measured".to_owned()];
    };
    let slope = slope(samples);
    if last.seconds >= SLOPE_AFTER.as_secs_f64() && slope > MIB_PER_HOUR {
        wrong.push(format!("memory grows by {slope:.1} MiB an hour, at most {MIB_PER_HOUR}"));
    }
    // Faults make peaks; what stays is in the middle.
    let thirds = samples.chunks(samples.len().div_ceil(3)).collect::<Vec<_>>();
    let counts: [(&str, Count, i64); 3] = [
        ("sessions at Postgres", |s| s.sessions, 2),
        ("threads", |s| i64::try_from(s.threads).unwrap_or(i64::MAX), 8),
        ("open files", |s| i64::try_from(s.files).unwrap_or(i64::MAX), 32),
    ];
    for (what, of, slack) in counts {
        let [early, .., late] = thirds.as_slice() else { continue };
        let (early, late) = (median(early, of), median(late, of));
        if late > early + slack {
            wrong.push(format!("{what}: {early} in the first third, {late} in the last (medians)"));
        }
    }
    if end.idle_in_transaction != 0 {
        wrong.push(format!("{} sessions are idle in transaction at the end", end.idle_in_transaction));
    }
    if end.behind > 0.0 {
        wrong.push(format!("a read model is {} events behind at the end", end.behind));
    }
    if end.in_flight > 0.0 {
        wrong.push(format!("{} commands are in flight at the end, and nobody asks", end.in_flight));
    }
    if end.files > first.files + 64 {
        wrong.push(format!("{} files are open at the end, {} were at the start", end.files, first.files));
    }
    wrong
}

/// A judge that calls everything sound is none.
pub fn self_test() -> bool {
    let flat =
        |n: u32| Sample { seconds: f64::from(n) * 10.0, rss_mib: 100.0, sessions: 9, files: 40, ..Sample::default() };
    let sound: Vec<Sample> = (0..180).map(flat).collect();
    let growing: Vec<Sample> =
        sound.iter().map(|s| Sample { rss_mib: 100.0 + s.seconds * 60.0 / 3_600.0, ..*s }).collect();
    let pool: Vec<Sample> =
        sound.iter().map(|s| Sample { sessions: 9 + i64::from(s.seconds > 1_200.0) * 9, ..*s }).collect();
    let end = sound[100];
    let table: [(&[Sample], Sample, usize); 6] = [
        (&sound, end, 0),
        (&growing, end, 1),
        (&pool, end, 1),
        (&sound, Sample { idle_in_transaction: 1, ..end }, 1),
        (&sound, Sample { behind: 3.0, ..end }, 1),
        (&sound, Sample { files: 400, ..end }, 1),
    ];
    let good = table.iter().all(|(samples, end, wrong)| judge(samples, end).len() == *wrong);
    good && (slope(&growing) - 60.0).abs() < 0.1
}
