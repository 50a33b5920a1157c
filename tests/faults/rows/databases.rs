//! Postgres, and the way to it: cut, lost, restarted, crashed, paused, full, failing, slow, locked, and out of places.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{Connection, PgConnection};

use super::{Row, USUAL, mend};
use crate::base::cluster::Cluster;
use crate::base::postgres;
use crate::base::proxy::Wire;
use crate::run::Run;
use crate::stage::House;
use crate::wait::{pause, pause_between, within};

/// As long as the longest pause of the table.
const LONG: Duration = Duration::from_secs(30);
const SMALL_MIB: u32 = 12;

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "db-cut",
            promise: "the node is cut off from Postgres: 503 within its deadline; goes on by itself",
            needs: &["done", "frames", "shed"],
            strike: |run| Box::pin(cut(run)),
            ..USUAL
        },
        Row {
            name: "db-answers-lost",
            promise: "what Postgres answers is lost: unknown is said to be unknown, and settled by command id",
            needs: &["done", "unknown", "frames", "blow: it was there"],
            strike: |run| Box::pin(answers_lost(run)),
            ..USUAL
        },
        Row {
            name: "db-sessions",
            promise: "Postgres backends are ended: the pool recovers without a restart of the node",
            quick: true,
            needs: &["done", "frames", "sessions ended"],
            strike: |run| Box::pin(sessions(run)),
            ..USUAL
        },
        Row {
            name: "db-fast",
            promise: "Postgres is restarted (fast): the pool recovers; no request hangs over 10 s",
            needs: &["done", "frames", "shed"],
            strike: |run| Box::pin(restart(run, "fast")),
            ..USUAL
        },
        Row {
            name: "db-immediate",
            promise: "Postgres crashes (immediate): nothing acknowledged is lost",
            needs: &["done", "frames", "shed"],
            strike: |run| Box::pin(restart(run, "immediate")),
            ..USUAL
        },
        Row {
            name: "db-paused",
            promise: "Postgres stands still for 30 s: no request hangs over 10 s, and everything goes on after it",
            needs: &["done", "frames", "shed"],
            strike: |run| Box::pin(paused(run)),
            ..USUAL
        },
        Row {
            name: "db-fsync-fails",
            promise: "EIO on the fsync of the WAL: unknown is said to be unknown; no acknowledgement without durability",
            programs: &["strace"],
            needs: &["done", "frames", "shed", "crashes of Postgres"],
            strike: |run| Box::pin(fsync_fails(run)),
            ..USUAL
        },
        Row {
            name: "db-fsync-slow",
            promise: "an fsync takes 500 ms: batches grow, nothing times out",
            programs: &["strace"],
            needs: &["done", "frames", "done slowly"],
            strike: |run| Box::pin(fsync_slow(run)),
            ..USUAL
        },
        Row {
            name: "db-full",
            promise: "the disk of the WAL is full: no acknowledgement without durability; goes on when there is room",
            programs: &["mount", "umount"],
            cluster: small,
            needs: &["done", "frames", "full"],
            strike: |run| Box::pin(full(run)),
            ..USUAL
        },
        Row {
            name: "db-places",
            promise: "max_connections is reached: bounded waits; what the node has it keeps",
            needs: &["done", "frames", "places taken"],
            strike: |run| Box::pin(places(run)),
            ..USUAL
        },
        Row {
            name: "db-locks",
            promise: "an operator's psql holds locks for 5 s: bounded waits, 503; the lease is renewed all the same",
            needs: &["done", "frames", "locked"],
            strike: |run| Box::pin(locks(run)),
            ..USUAL
        },
    ]
}

async fn cut(run: &mut Run<'_>) -> Result<(), String> {
    let kinds = [
        Wire::Cut,
        Wire::Silent,
        Wire::Reset,
        Wire::BlackHole,
        Wire::HalfClosed,
        Wire::QuestionsLost,
        Wire::CutAfter(1 + run.dice.below(20_000)),
    ];
    let first = usize::try_from(run.dice.below(7)).expect("small");
    for wire in [Wire::Cut, kinds[first], kinds[(first + 3) % 7]] {
        run.crew.struck();
        run.stage.wires.database.set(wire);
        // Longer than a lease, sometimes.
        pause_between(&run.dice, 500, 5_000).await;
        mend(&run.stage.wires.database).await;
        run.stage.node.ensure().await?;
        run.done(20, Duration::from_secs(30)).await.ok_or("nothing was done after the cut")?;
    }
    Ok(())
}

async fn answers_lost(run: &mut Run<'_>) -> Result<(), String> {
    let head = run.stage.head().await;
    run.stage.wires.database.set(Wire::AnswersLost);
    let stage = &run.stage;
    // If it does not move, that of which the answer was lost was appended a moment before.
    let _moved = within(Duration::from_secs(1), async || stage.head().await > head).await;
    run.crew.struck();
    // Longer than anybody waits for an answer.
    pause_between(&run.dice, 10_500, 12_500).await;
    mend(&run.stage.wires.database).await;
    Ok(())
}

async fn sessions(run: &mut Run<'_>) -> Result<(), String> {
    let pid = run.stage.node.pid();
    for _ in 0..8 {
        pause_between(&run.dice, 50, 600).await;
        run.crew.struck();
        // Some of them, or all.
        let some = if run.dice.below(3) == 0 { "true" } else { "pid % 2 = 0" };
        let query = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{}' AND {some}",
            run.stage.database.name()
        );
        let ended = postgres::number(&run.stage.cluster.url(), &query).await.unwrap_or_default();
        run.crew.count_many("sessions ended", u64::try_from(ended).unwrap_or_default());
    }
    run.done(20, Duration::from_secs(30)).await.ok_or("nothing was done after it")?;
    if !run.stage.node.runs() || run.stage.node.pid() != pid {
        run.broken("no restart", "the node ended because sessions of its were ended".to_owned());
    }
    Ok(())
}

async fn restart(run: &mut Run<'_>, mode: &str) -> Result<(), String> {
    let pid = run.stage.node.pid();
    pause_between(&run.dice, 0, 1_000).await;
    run.crew.struck();
    run.stage.cluster.stop(mode);
    pause_between(&run.dice, 0, 1_500).await;
    run.stage.cluster.start();
    run.done(20, Duration::from_secs(60)).await.ok_or("nothing was done after it")?;
    if !run.stage.node.runs() || run.stage.node.pid() != pid {
        run.broken("no restart", "the node ended because Postgres was restarted".to_owned());
    }
    Ok(())
}

async fn paused(run: &mut Run<'_>) -> Result<(), String> {
    run.crew.struck();
    run.stage.cluster.signal(Signal::STOP);
    pause(LONG).await;
    run.stage.cluster.signal(Signal::CONT);
    Ok(())
}

/// strace on every process of the cluster; let go when it is dropped.
struct Traced(Child);

impl Traced {
    fn begin(cluster: &Cluster, inject: &str) -> Result<Self, String> {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync,fsync", "-e", inject]);
        for pid in cluster.processes() {
            command.args(["-p", &pid.as_raw_nonzero().to_string()]);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().map(Self).map_err(|e| format!("strace: {e}"))
    }

    fn traces(&mut self) -> bool {
        self.0.try_wait().is_ok_and(|status| status.is_none())
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        // It lets go of what it traces, other than after SIGKILL.
        if let Some(pid) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _gone = kill_process(pid, Signal::TERM);
        }
        let _ended = self.0.wait();
    }
}

/// How often a Postgres has said that it crashed.
fn crashes(cluster: &Cluster) -> usize {
    let log = std::fs::read_to_string(cluster.dir().join("log")).unwrap_or_default();
    log.matches("PANIC:").count()
}

async fn fsync_fails(run: &mut Run<'_>) -> Result<(), String> {
    let before = crashes(&run.stage.cluster);
    pause_between(&run.dice, 0, 1_000).await;
    run.crew.struck();
    let nth = 1 + run.dice.below(4);
    {
        let _traced = Traced::begin(&run.stage.cluster, &format!("inject=fdatasync:error=EIO:when={nth}"))?;
        let cluster = run.stage.cluster.clone();
        within(Duration::from_secs(10), async || crashes(&cluster) > before).await;
    }
    run.stage.cluster.ready();
    run.crew.count_many("crashes of Postgres", (crashes(&run.stage.cluster) - before) as u64);
    Ok(())
}

async fn fsync_slow(run: &mut Run<'_>) -> Result<(), String> {
    run.crew.struck();
    let mut traced = Traced::begin(&run.stage.cluster, "inject=fdatasync:delay_enter=500000")?;
    pause(Duration::from_secs(2)).await;
    let (before, unknown) = (run.crew.state("done"), run.crew.state("unknown"));
    pause(Duration::from_secs(6)).await;
    if !traced.traces() {
        return Err("strace may not trace here".to_owned());
    }
    drop(traced);
    let done = run.crew.state("done") - before;
    run.crew.count_many("done slowly", done);
    // Six seconds have room for at most a dozen commits one after the other.
    if done < 24 {
        run.broken("batches", format!("{done} commands in 6 s: they do not share commits"));
    }
    let unknown = run.crew.state("unknown") - unknown;
    if unknown > 0 {
        run.broken("batches", format!("{unknown} requests timed out"));
    }
    Ok(())
}

/// A Postgres whose WAL has little room.
fn small(house: &House) -> Result<Arc<Cluster>, String> {
    let make = || {
        let mut mounted = false;
        let cluster_of = |dir: &Path| {
            let place = dir.join("small");
            let size = format!("size={SMALL_MIB}m");
            let (made, user) = (std::fs::create_dir_all(&place), postgres::server_user());
            let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(&place).status();
            mounted = made.is_ok() && mount.is_ok_and(|status| status.success());
            if let Some((uid, gid)) = user {
                mounted &= std::os::unix::fs::chown(&place, Some(uid), Some(gid)).is_ok();
            }
            mounted.then(|| place.join("wal"))
        };
        let settings = ["max_wal_size=4MB", "min_wal_size=2MB", "wal_recycle=off"];
        let cluster = Cluster::prepared(&settings, &["--wal-segsize=1"], cluster_of);
        if mounted { Ok(Arc::new(cluster)) } else { Err("mounting is not allowed here".to_owned()) }
    };
    house.small.get_or_init(make).clone()
}

async fn full(run: &mut Run<'_>) -> Result<(), String> {
    pause_between(&run.dice, 0, 1_000).await;
    let filler = run.stage.cluster.dir().join("small/filler");
    let mut file = std::fs::File::create(&filler).map_err(|e| e.to_string())?;
    run.crew.struck();
    let zeros = vec![0_u8; 64 << 10];
    while std::io::Write::write_all(&mut file, &zeros).is_ok() {}
    let log = run.stage.cluster.dir().join("log");
    let before = std::fs::read_to_string(&log).unwrap_or_default().matches("No space left").count();
    let noticed = async || std::fs::read_to_string(&log).unwrap_or_default().matches("No space left").count() > before;
    let noticed = within(Duration::from_secs(20), noticed).await;
    if noticed.is_some() {
        run.crew.count("full");
    }
    pause_between(&run.dice, 500, 3_000).await;
    drop(file);
    std::fs::remove_file(&filler).map_err(|e| e.to_string())?;
    // It may have given up.
    pause(Duration::from_secs(1)).await;
    run.stage.cluster.ensure();
    Ok(())
}

async fn places(run: &mut Run<'_>) -> Result<(), String> {
    let url = run.stage.cluster.url();
    run.crew.struck();
    let mut taken = Vec::new();
    while let Ok(conn) = PgConnection::connect(&url).await {
        taken.push(conn);
    }
    // What it has lost it cannot get again now.
    if let Some(conn) = taken.last_mut() {
        let end = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{}'",
            run.stage.database.name()
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(end)).execute(conn).await.map_err(|e| e.to_string())?;
    }
    while let Ok(conn) = PgConnection::connect(&url).await {
        taken.push(conn);
    }
    run.crew.count_many("places taken", taken.len() as u64);
    pause_between(&run.dice, 1_000, 5_000).await;
    drop(taken);
    Ok(())
}

async fn locks(run: &mut Run<'_>) -> Result<(), String> {
    let pid = run.stage.node.pid();
    for table in ["log.partitions", "log.events"] {
        let mut psql = PgConnection::connect(&run.stage.database.owner).await.map_err(|e| e.to_string())?;
        let lock = format!("BEGIN; SET LOCAL lock_timeout = '4s'; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE");
        let locked = sqlx::raw_sql(sqlx::AssertSqlSafe(lock)).execute(&mut psql).await;
        run.crew.struck();
        if locked.is_ok() {
            run.crew.count("locked");
            pause(Duration::from_secs(5)).await;
        }
        let _ended = psql.close().await;
        run.done(20, Duration::from_secs(30)).await.ok_or("nothing was done after the lock")?;
    }
    if !run.stage.node.runs() || run.stage.node.pid() != pid {
        run.broken("no restart", "the node ended because somebody held locks for 5 s".to_owned());
    }
    Ok(())
}
