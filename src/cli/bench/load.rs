//! How is load made? Closed: every connection begins its next unit of work when it has ended one. Open: units begin by a
//! timetable, and their latency counts from the moment that they were meant to begin, so that a stall is not hidden.
//!
//! What a unit is, the scenario says. In an open loop the connections are the bound of units under way; what could not be
//! begun before the end is counted. All connections run on one thread of their own: they wake one another less than on the
//! threads of a runtime that shares its work, and leave the other processors to what is measured.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

use super::line::Line;
use super::schedule::Timetable;
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::limits;

/// A unit that begins that long after its moment was late.
const LATE: Duration = Duration::from_millis(5);
/// Between two looks of the pacer, at least: more would cost more than it is worth.
const PACE: Duration = Duration::from_micros(200);
/// At the end, what is due has that long to be begun.
const GRACE: Duration = Duration::from_millis(20);

/// How much load, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    pub connections: u32,
    /// `None`: a closed loop.
    pub rate: Option<NonZeroU32>,
    pub warm_up: Duration,
    pub length: Duration,
}

/// What all verbs that make load understand.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Amount {
    /// Connections; with a rate, the bound of units under way.
    #[arg(long, value_name = "N", default_value_t = 64,
        value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::BENCH_CONNECTIONS)))]
    pub connections: u32,
    /// Seconds before the measurement, under the same load.
    #[arg(long, value_name = "S", default_value_t = 2,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(limits::BENCH_SECONDS)))]
    pub warm_up: u32,
}

/// One unit of work.
#[derive(Clone, Copy, Debug)]
pub struct Unit {
    /// 0, 1, 2 …: each once.
    pub n: u64,
    /// When it was meant to begin, by the clock's `elapsed`.
    pub due: Duration,
    /// Not of the warm-up.
    pub counts: bool,
}

/// Whether there is more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    Next,
    Exhausted,
}

/// What a scenario does again and again.
pub trait Work: Send + Sync + 'static {
    fn unit(&self, line: &mut Line, unit: Unit) -> impl Future<Output = Flow> + Send;
}

/// How the load itself went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ran {
    /// From the end of the warm-up to the end.
    pub measured: Duration,
    /// Of an open loop, in all: units on the timetable, and those that were never begun.
    pub planned: u64,
    pub unsent: u64,
    /// Begun more than 5 ms after their moment.
    pub late: u64,
    /// There was nothing left to do before the time was up.
    pub exhausted: bool,
}

/// What the connections share.
struct Course {
    plan: Plan,
    began: Duration,
    measured_from: Duration,
    end: Duration,
    taken: AtomicU64,
    late: AtomicU64,
    exhausted: AtomicU64,
    over: AtomicBool,
    /// One permit for every unit that is due; closed at the end.
    due: Semaphore,
}

/// Runs the load to its end, and takes a look at both ends of the measurement.
pub async fn run<W: Work, T>(
    work: &Arc<W>,
    plan: Plan,
    address: SocketAddr,
    look: impl Fn() -> T,
) -> Result<(Ran, T, T), Failure> {
    let began = SystemClock.elapsed();
    let measured_from = began + plan.warm_up;
    let course = Arc::new(Course {
        plan,
        began,
        measured_from,
        end: measured_from + plan.length,
        taken: AtomicU64::new(0),
        late: AtomicU64::new(0),
        exhausted: AtomicU64::new(0),
        over: AtomicBool::new(false),
        due: Semaphore::new(0),
    });
    let mut all = connect(work.clone(), course.clone(), address)?;
    // Whoever does not wait for the end wants no more of it.
    let _stop = Stop(course.clone());
    let pacer = plan.rate.map(|rate| {
        let course = course.clone();
        std::thread::spawn(move || course.pace(Timetable::new(rate)))
    });
    // There may be nothing left to do before the measurement has begun.
    let early = tokio::time::timeout(plan.warm_up, &mut all).await.ok();
    let before = look();
    let early = match early {
        Some(ended) => Some(ended),
        None => tokio::time::timeout(course.end.saturating_sub(SystemClock.elapsed()), &mut all).await.ok(),
    };
    let after = look();
    let measured = SystemClock.elapsed().saturating_sub(measured_from);
    let ended = match early {
        Some(ended) => ended,
        None => all.await,
    };
    // A connection that panicked has said so; the checks find what it left undone.
    ended.map_err(|_| ()).flatten().map_err(|()| Failure::of("a connection of the load ended badly"))?;
    if pacer.is_some_and(|pacer| pacer.join().is_err()) {
        return Err(Failure::of("the pacer of the load ended badly"));
    }
    Ok((course.ran(measured), before, after))
}

/// Drives all connections on a thread of their own; hears when the last one has ended, and whether all ended well.
fn connect<W: Work>(
    work: Arc<W>,
    course: Arc<Course>,
    address: SocketAddr,
) -> Result<oneshot::Receiver<Result<(), ()>>, Failure> {
    let failed = |e: std::io::Error| Failure::of(format!("no thread for the load: {e}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (ended, hear) = oneshot::channel();
    let all = async move {
        let connections = (0..course.plan.connections).map(|_| {
            let (work, course, line) = (work.clone(), course.clone(), Line::new(address));
            tokio::spawn(async move { course.drive(&*work, line).await })
        });
        let mut well = Ok(());
        for connection in connections.collect::<Vec<_>>() {
            well = connection.await.map_err(drop).and(well);
        }
        // Nobody waits for it any more when the verb was interrupted.
        ended.send(well).ok();
    };
    std::thread::Builder::new().name("load".to_owned()).spawn(move || runtime.block_on(all)).map_err(failed)?;
    Ok(hear)
}

/// Ends the load when it is dropped.
struct Stop(Arc<Course>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
        self.0.due.close();
    }
}

impl Course {
    async fn drive<W: Work>(&self, work: &W, mut line: Line) {
        while let Some(unit) = self.next().await {
            if work.unit(&mut line, unit).await == Flow::Exhausted {
                self.exhausted.fetch_add(1, Ordering::Relaxed);
                self.due.close();
                return;
            }
        }
    }

    async fn next(&self) -> Option<Unit> {
        if self.exhausted.load(Ordering::Relaxed) > 0 || self.over.load(Ordering::Relaxed) {
            return None;
        }
        let due = match self.plan.rate {
            None => None,
            Some(rate) => {
                self.due.acquire().await.ok()?.forget();
                Some(Timetable::new(rate))
            }
        };
        let now = SystemClock.elapsed();
        let over = if due.is_some() { self.end + GRACE } else { self.end };
        if now >= over {
            return None;
        }
        let n = self.taken.fetch_add(1, Ordering::Relaxed);
        let due = due.map_or(now, |table| self.began + table.due(n));
        if now.saturating_sub(due) > LATE {
            self.late.fetch_add(1, Ordering::Relaxed);
        }
        Some(Unit { n, due, counts: due >= self.measured_from })
    }

    /// On a thread of its own: the timers of the runtime are a millisecond apart, which would be measured too.
    fn pace(&self, table: Timetable) {
        let planned = table.planned(self.end - self.began);
        let mut released = 0;
        while released < planned && !self.due.is_closed() {
            let elapsed = SystemClock.elapsed().saturating_sub(self.began);
            let now_due = table.due_by(elapsed).min(planned);
            self.due.add_permits(usize::try_from(now_due - released).unwrap_or(usize::MAX));
            released = now_due;
            let next = table.due(released).saturating_sub(elapsed).max(PACE);
            std::thread::sleep(next.min(self.end.saturating_sub(self.began + elapsed) + PACE));
        }
        let rest = (self.end + GRACE).saturating_sub(SystemClock.elapsed());
        if !self.due.is_closed() {
            std::thread::sleep(rest);
        }
        self.due.close();
    }

    fn ran(&self, measured: Duration) -> Ran {
        let planned = self.plan.rate.map_or(0, |rate| Timetable::new(rate).planned(self.end - self.began));
        Ran {
            measured,
            planned,
            unsent: planned.saturating_sub(self.taken.load(Ordering::Relaxed)),
            late: if self.plan.rate.is_some() { self.late.load(Ordering::Relaxed) } else { 0 },
            exhausted: self.exhausted.load(Ordering::Relaxed) > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use parking_lot::Mutex;

    /// Notes the units; runs out of them, or holds the first one until a moment.
    #[derive(Default)]
    struct Notes {
        units: Mutex<Vec<Unit>>,
        until: Option<u64>,
        hold: Duration,
    }

    impl Work for Notes {
        async fn unit(&self, _line: &mut Line, unit: Unit) -> Flow {
            self.units.lock().push(unit);
            while SystemClock.elapsed() < self.hold {
                tokio::task::yield_now().await;
            }
            if self.until.is_some_and(|until| unit.n >= until) { Flow::Exhausted } else { Flow::Next }
        }
    }

    async fn run_with(notes: Notes, connections: u32, rate: u32, millis: u64) -> (Ran, Vec<Unit>) {
        let plan = Plan {
            connections,
            rate: NonZeroU32::new(rate),
            warm_up: Duration::ZERO,
            length: Duration::from_millis(millis),
        };
        let notes = Arc::new(notes);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        let (ran, (), ()) = run(&notes, plan, nowhere, || ()).await.expect("it runs");
        let mut units = notes.units.lock().clone();
        units.sort_by_key(|unit| unit.n);
        (ran, units)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_stall_is_counted_and_not_hidden() {
        let hold = SystemClock.elapsed() + Duration::from_millis(300);
        let (ran, units) = run_with(Notes { hold, ..Notes::default() }, 2, 1_000, 50).await;
        // Each connection has one unit under way from the beginning to after the end.
        assert_eq!((ran.planned, ran.unsent, units.len()), (50, 48, 2));
        assert!(!ran.exhausted && ran.measured >= Duration::from_millis(50));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn units_of_an_open_loop_are_due_by_the_timetable() {
        let (ran, units) = run_with(Notes::default(), 4, 200, 100).await;
        assert_eq!(ran.planned, 20);
        assert_eq!(units.len() as u64 + ran.unsent, 20);
        assert!(units.iter().enumerate().all(|(n, unit)| unit.n == n as u64 && unit.counts));
        let apart = |pair: &[Unit]| pair[1].due - pair[0].due == Duration::from_millis(5);
        assert!(units.windows(2).all(apart), "{units:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn each_unit_is_done_once_until_there_are_no_more() {
        for rate in [0, 10_000] {
            let notes = Notes { until: Some(40), ..Notes::default() };
            let (ran, units) = run_with(notes, 3, rate, 60_000).await;
            assert!(ran.exhausted && ran.measured < Duration::from_secs(60), "{ran:?}");
            assert!(units.iter().enumerate().all(|(n, unit)| unit.n == n as u64) && units.len() > 40, "{units:?}");
        }
    }
}
