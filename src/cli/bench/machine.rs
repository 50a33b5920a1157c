//! What did it cost, and on what machine? Processor time and memory of processes, as the kernel tells them in `/proc`.
//!
//! Postgres is one process per connection: its processor time is that of the postmaster, of its living children and of those
//! it has buried; its memory is what the living ones have for themselves and, once, what they share.

use std::time::Duration;

use serde::Serialize;

use crate::cli::failure::Failure;

/// The processes that are looked at.
#[derive(Default)]
pub struct Watched {
    own: Vec<(&'static str, u32)>,
    postmaster: Option<u32>,
}

/// What each process had used up to a moment, in the order of [`Watched`].
pub struct Sample(Vec<Used>);

#[derive(Clone, Copy, Default)]
struct Used {
    cpu: Duration,
    memory: u64,
    peak: Option<u64>,
}

/// What a process used in between.
#[derive(Debug, Serialize)]
pub struct Row {
    pub process: &'static str,
    pub cpu_seconds: f64,
    /// At the end.
    pub memory_bytes: u64,
    /// Since the process began.
    pub peak_memory_bytes: Option<u64>,
}

/// The machine as one may compare it with another.
#[derive(Debug, Serialize)]
pub struct Machine {
    pub processors: usize,
    pub model: String,
    pub memory_bytes: u64,
    pub kernel: String,
}

impl Watched {
    pub fn add(&mut self, name: &'static str, pid: Option<u32>) {
        self.own.extend(pid.map(|pid| (name, pid)));
    }

    /// The load generator itself, which shares the machine with what it measures.
    pub fn add_ourselves(&mut self) {
        self.add("bench", Some(std::process::id()));
    }

    /// Finds the postmaster if the database runs on this machine and we may look at it.
    pub async fn add_postgres(&mut self, url: &str) {
        let Ok(mut connection) = <sqlx::PgConnection as sqlx::Connection>::connect(url).await else { return };
        let pid: Result<i32, _> = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut connection).await;
        let backend = pid.ok().and_then(|pid| u32::try_from(pid).ok());
        // The same number may be another process here when the database is elsewhere.
        self.postmaster = backend.filter(|pid| is_postgres(*pid)).and_then(parent).filter(|pid| is_postgres(*pid));
    }

    /// Does the database run on this machine?
    pub fn postgres_is_here(&self) -> bool {
        self.postmaster.is_some()
    }

    pub fn sample(&self) -> Sample {
        let mut used: Vec<Used> = self.own.iter().map(|(_, pid)| process(*pid)).collect();
        used.extend(self.postmaster.map(cluster));
        Sample(used)
    }

    pub fn rows(&self, before: &Sample, after: &Sample) -> Vec<Row> {
        let names = self.own.iter().map(|(name, _)| *name).chain(self.postmaster.map(|_| "postgres"));
        let between = before.0.iter().zip(&after.0);
        let row = |process, before: &Used, after: &Used| Row {
            process,
            cpu_seconds: after.cpu.saturating_sub(before.cpu).as_secs_f64(),
            memory_bytes: after.memory,
            peak_memory_bytes: after.peak,
        };
        names.zip(between).map(|(name, (before, after))| row(name, before, after)).collect()
    }

    /// Resident memory of one of our own, right now.
    pub fn memory(&self, of: &str) -> Option<u64> {
        self.own.iter().find(|(name, _)| *name == of).map(|(_, pid)| process(*pid).memory)
    }
}

/// From here on, our own peak of memory is a new one. Where the kernel refuses, it stays that since we began.
pub fn forget_peak() {
    let _refused = std::fs::write("/proc/self/clear_refs", "5");
}

impl Machine {
    pub fn look() -> Result<Self, Failure> {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpus = read("/proc/cpuinfo");
        let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        Ok(Self {
            processors: std::thread::available_parallelism()
                .map_err(|e| Failure::of(format!("no processors: {e}")))?
                .get(),
            model: model.trim_start_matches([' ', '\t', ':']).to_owned(),
            memory_bytes: bytes(&read("/proc/meminfo"), "MemTotal:").unwrap_or(0),
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        })
    }
}

fn process(pid: u32) -> Used {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    Used { cpu: cpu(pid, false), memory: bytes(&status, "VmRSS:").unwrap_or(0), peak: bytes(&status, "VmHWM:") }
}

fn cluster(postmaster: u32) -> Used {
    let mut used = Used { cpu: cpu(postmaster, true), ..Used::default() };
    let mut shared = 0;
    for pid in children(postmaster).into_iter().chain([postmaster]) {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        used.memory += bytes(&status, "RssAnon:").unwrap_or(0);
        shared = shared.max(bytes(&status, "RssShmem:").unwrap_or(0));
        if pid != postmaster {
            used.cpu += cpu(pid, false);
        }
    }
    used.memory += shared;
    used
}

/// A line such as `VmRSS:     1234 kB`.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.trim().strip_suffix("kB")?.trim().parse().ok().map(|kilobytes: u64| kilobytes << 10)
}

/// Of a process; `buried`: and of its children that have ended.
fn cpu(pid: u32, buried: bool) -> Duration {
    let ticks = stat(pid).map_or(0, |fields| {
        // utime and stime, then those of children that have ended.
        let wanted = if buried { 11..15 } else { 11..13 };
        fields.get(wanted).map_or(0, |ticks| ticks.iter().filter_map(|tick| tick.parse::<u64>().ok()).sum())
    });
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The fields of `/proc/PID/stat` after the name, which may hold anything: the state is the first one.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(text.rsplit_once(") ")?.1.split_whitespace().map(str::to_owned).collect())
}

fn parent(pid: u32) -> Option<u32> {
    stat(pid)?.get(1)?.parse().ok()
}

fn is_postgres(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "postgres")
}

fn children(of: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid| parent(*pid) == Some(of)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn we_can_look_at_ourselves() {
        let mut watched = Watched::default();
        watched.add_ourselves();
        watched.add("nobody", None);
        let before = watched.sample();
        let rows = watched.rows(&before, &watched.sample());
        assert_eq!(rows.len(), 1);
        assert!(rows[0].memory_bytes > 1 << 20 && rows[0].peak_memory_bytes >= Some(1 << 20), "{rows:?}");
        assert!(watched.memory("bench").is_some_and(|bytes| bytes > 1 << 20));
        assert!(parent(std::process::id()).is_some() && !is_postgres(std::process::id()));
        let machine = Machine::look().expect("a machine");
        assert!(machine.processors > 0 && machine.memory_bytes > 1 << 20 && !machine.kernel.is_empty(), "{machine:?}");
    }

    #[test]
    fn lines_of_the_kernel_are_read() {
        let text = "VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\nThreads:\t3\n";
        assert_eq!((bytes(text, "VmRSS:"), bytes(text, "VmHWM:")), (Some(1 << 20), Some(2 << 20)));
        assert_eq!((bytes(text, "Threads:"), bytes(text, "VmSwap:")), (None, None));
    }
}
