//! Do the two SQL logs keep the contract of `journal/mod.rs`? What both must do, and what only one can be asked.
#![allow(
    clippy::disallowed_methods,
    reason = "test servers are found through the environment and timed by real clocks"
)]

mod conformance;
mod lost;
mod plans;
mod presence;
mod roles;
#[path = "../support/mod.rs"]
mod support;

use std::path::PathBuf;
use std::time::Duration;

use onsale::events::{Chain, Decoded, Record};
use onsale::ids::{AccountId, Epoch, Hash16, NodeId, Partition, Position, StreamId, Version};
use onsale::journal::open::{Migration, OpenError, Options, Role, Target, migrate, open};
use onsale::journal::{
    AppendError, ClaimError, PartitionBatch, PartitionState, SharedJournal, Snapshot, TimerChange, Unit, Verdict,
};
use onsale::timestamp::Timestamp;
use sqlx::{Connection, PgConnection, SqliteConnection};
use support::postgres::{self, PARTITIONS};
use uuid::Uuid;

struct Dir(PathBuf);

impl Dir {
    fn new() -> Self {
        let dir = std::env::temp_dir().join(format!("onsale-log-{}", Uuid::from_bytes(onsale_random())));
        Self(dir)
    }

    fn target(&self) -> Target {
        Target::Sqlite { dir: self.0.clone() }
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.0);
    }
}

fn onsale_random() -> [u8; 16] {
    onsale::clock::Entropy::from_system().hash16().0
}

fn node(name: &str) -> NodeId {
    NodeId::new(name)
}

async fn serve(target: &Target) -> SharedJournal {
    open(target, Options::new(Role::Serve).with_partitions(PARTITIONS)).await.expect("the log opens")
}

/// A stream of the partition: an order's id names it.
fn stream(partition: Partition, name: &str) -> StreamId {
    StreamId::from_log(format!("order/o{}_{}", partition.0, Hash16::of("test", &[name.as_bytes()])))
}

fn record(state: &PartitionState, offset: u64, stream: &StreamId, version: u64, last: bool) -> Record {
    let position = Position(state.head.0 + offset);
    Record {
        partition: state.partition,
        position,
        stream: stream.clone(),
        version: Version(version),
        kind: "order.placed".into(),
        schema: 1,
        codec: 1,
        event_id: Uuid::from_bytes(onsale_random()),
        command: Hash16(onsale_random()),
        correlation: Uuid::from_bytes(onsale_random()),
        causation: (version.is_multiple_of(2)).then(|| Uuid::from_bytes(onsale_random())),
        principal: AccountId::new("someone"),
        owner: (version % 2 == 1).then(|| AccountId::new("판매자")),
        epoch: state.epoch,
        node: node("a"),
        at: Timestamp(1_795_000_000_123 + i64::try_from(position.0).unwrap()),
        recorded_at: Timestamp(-1),
        unit_last: last,
        chain: Chain([u8::try_from(position.0 % 256).unwrap(); 32]),
        payload: vec![0, 1, 255],
        decoded: Decoded::default(),
    }
}

fn batch(state: &PartitionState, units: Vec<Vec<Record>>) -> PartitionBatch {
    let units = units.into_iter().map(|records| Unit { records, ..Unit::default() }).collect();
    PartitionBatch { partition: state.partition, epoch: state.epoch, expected_head: state.head, units }
}

async fn both(check: impl AsyncFn(SharedJournal, Target)) {
    let dir = Dir::new();
    check(serve(&dir.target()).await, dir.target()).await;
    let database = postgres::database().await;
    let target = Target::Postgres { url: database.url.clone() };
    check(serve(&target).await, target).await;
    database.drop_it().await;
}

#[tokio::test]
async fn what_is_appended_is_read_back_exactly() {
    both(async |journal, _| {
        let claim = journal.claim(&node("a")).await.unwrap();
        assert_eq!(claim.partitions.len(), usize::from(PARTITIONS));
        let state = &claim.partitions[3];
        let (one, two) = (stream(state.partition, "one"), stream(state.partition, "two"));
        let records =
            vec![record(state, 1, &one, 1, false), record(state, 2, &two, 1, true), record(state, 3, &one, 2, true)];
        let mut batch = batch(state, vec![records[..2].to_vec(), records[2..].to_vec()]);
        batch.units[0].note = Some("a reason".to_owned());
        batch.units[0].timers = vec![
            TimerChange { stream: one.clone(), due: Some(Timestamp(5)) },
            TimerChange { stream: two.clone(), due: Some(Timestamp(6)) },
        ];
        batch.units[1].timers = vec![TimerChange { stream: two.clone(), due: None }];
        assert_eq!(journal.append(&[batch]).await, Ok(vec![Verdict::Written]));

        let p = state.partition;
        assert_eq!(journal.read_partition(p, Position(0), 100).await.unwrap(), records);
        assert_eq!(journal.read_partition(p, Position(0), 1).await.unwrap(), records[..2], "a whole unit");
        assert_eq!(journal.read_partition(p, Position(2), 9).await.unwrap(), records[2..]);
        assert_eq!(journal.read_stream(&one, Version(1), 9).await.unwrap(), records[2..]);
        assert_eq!(journal.heads().await.unwrap()[3], Position(3));
        assert_eq!(journal.timers(p).await.unwrap(), [(one.clone(), Timestamp(5))]);
        assert_eq!(journal.note(records[1].event_id).await.unwrap().as_deref(), Some("a reason"));
        assert_eq!(journal.kinds().await.unwrap(), [("order.placed".to_owned(), 1)]);
        let mut newest = journal.latest_of(p, "order/", Position(3)).await.unwrap();
        newest.sort_by_key(|record| record.position);
        assert_eq!(newest, records[1..]);
        let prefix = one.as_str();
        assert_eq!(journal.latest_of(p, prefix, Position(2)).await.unwrap(), records[..1], "as of then");

        let snapshot =
            Snapshot { stream: one.clone(), version: Version(1), position: Position(1), schema: 1, payload: vec![7] };
        journal.save_snapshot(p, snapshot.clone()).await.unwrap();
        let older = Snapshot { version: Version(0), ..snapshot.clone() };
        journal.save_snapshot(p, older).await.unwrap();
        let loaded = journal.load(&[two, StreamId::from_log("order/none"), one]).await.unwrap();
        assert_eq!(loaded[0].tail, records[1..2]);
        assert!(loaded[1].tail.is_empty() && loaded[1].snapshot.is_none());
        assert_eq!((&loaded[2].snapshot, &loaded[2].tail[..]), (&Some(snapshot), &records[2..]));
    })
    .await;
}

#[tokio::test]
async fn a_fenced_partition_falls_out_and_a_bad_row_stops_everything() {
    both(async |journal, _| {
        let claim = journal.claim(&node("a")).await.unwrap();
        let (mine, theirs) = (&claim.partitions[0], &claim.partitions[5]);
        let write =
            |state: &PartitionState| batch(state, vec![vec![record(state, 1, &stream(state.partition, "x"), 1, true)]]);
        let mut stale = write(theirs);
        stale.epoch = Epoch(stale.epoch.0 - 1);
        let verdicts = journal.append(&[stale, write(mine)]).await;
        assert_eq!(verdicts, Ok(vec![Verdict::Fenced, Verdict::Written]));
        assert_eq!(journal.append(&[write(mine)]).await, Ok(vec![Verdict::Fenced]), "the head has moved");

        // Version 1 of the stream again: the log refuses, and the other partition gets nothing either.
        let moved = PartitionState { head: Position(1), ..mine.clone() };
        let refused = journal.append(&[write(theirs), write(&moved)]).await;
        assert!(matches!(refused, Err(AppendError::Rejected(_))), "{refused:?}");
        let heads = journal.heads().await.unwrap();
        assert_eq!((heads[0], heads[5]), (Position(1), Position(0)));
        assert_eq!(journal.append(&[write(theirs)]).await, Ok(vec![Verdict::Written]), "and goes on");
    })
    .await;
}

#[tokio::test]
async fn settling_fences_and_tells_the_last_record() {
    both(async |journal, _| {
        let claim = journal.claim(&node("a")).await.unwrap();
        let state = &claim.partitions[1];
        let written = record(state, 1, &stream(state.partition, "x"), 1, true);
        journal.append(&[batch(state, vec![vec![written.clone()]])]).await.unwrap();
        assert_eq!(journal.settle(&node("b"), state.partition, state.epoch).await, Ok(None));
        let settled = journal.settle(&node("a"), state.partition, state.epoch).await.unwrap().unwrap();
        assert_eq!(settled.epoch, Epoch(state.epoch.0 + 1));
        assert_eq!((settled.head, settled.last_at), (Position(1), written.at));
        assert_eq!((settled.chain, settled.last_event), (written.chain, Some(written.event_id)));
        let late = PartitionState { epoch: state.epoch, ..settled };
        let late = batch(&late, vec![vec![record(&late, 1, &stream(state.partition, "y"), 1, true)]]);
        assert_eq!(journal.append(&[late]).await, Ok(vec![Verdict::Fenced]));
    })
    .await;
}

#[tokio::test]
async fn two_nodes_never_both_hold() {
    both(async |first, target| {
        let before = first.claim(&node("a")).await.unwrap();
        first.heartbeat(&node("a")).await.unwrap();
        let second = serve(&target).await;
        let beating = tokio::spawn({
            let first = first.clone();
            async move {
                let mut beat = tokio::time::interval(Duration::from_secs(1));
                loop {
                    beat.tick().await;
                    first.heartbeat(&node("a")).await.unwrap();
                }
            }
        });
        let held = second.claim(&node("b")).await;
        let Err(ClaimError::Held { holder }) = held else { panic!("{held:?}") };
        assert!(holder.contains("node a, since "), "{holder}");
        beating.abort();
        first.release(&node("a")).await.unwrap();
        let after = second.claim(&node("b")).await.unwrap();
        assert_eq!(after.partitions[0].epoch, Epoch(before.partitions[0].epoch.0 + 1));
        assert!(matches!(first.heartbeat(&node("a")).await, Err(ClaimError::Held { .. })));
    })
    .await;
}

#[tokio::test]
async fn the_database_itself_refuses_to_edit_history() {
    let edits = ["UPDATE {} SET kind = 'x'", "DELETE FROM {}", "TRUNCATE {}", "REPLACE INTO {} SELECT * FROM {}"];
    both(async |journal, target| {
        let claim = journal.claim(&node("a")).await.unwrap();
        let state = &claim.partitions[0];
        let written = record(state, 1, &stream(state.partition, "x"), 1, true);
        journal.append(&[batch(state, vec![vec![written.clone()]])]).await.unwrap();
        for edit in edits {
            let message = match &target {
                Target::Postgres { url } if !edit.starts_with("REPLACE") => {
                    // Not even who owns it; what the server's own role hears stands in `roles.rs`.
                    let mut conn = PgConnection::connect(&postgres::owner_of(url).await).await.unwrap();
                    let edit = sqlx::AssertSqlSafe(edit.replace("{}", "log.events"));
                    sqlx::raw_sql(edit).execute(&mut conn).await.unwrap_err().to_string()
                }
                Target::Sqlite { dir } if !edit.starts_with("TRUNCATE") => {
                    let file = format!("sqlite://{}", dir.join("log.db").display());
                    let mut conn = SqliteConnection::connect(&file).await.unwrap();
                    let edit = sqlx::AssertSqlSafe(edit.replace("{}", "events"));
                    sqlx::raw_sql(edit).execute(&mut conn).await.unwrap_err().to_string()
                }
                _ => continue,
            };
            assert!(message.contains("the log is never edited"), "{edit}: {message}");
        }
        assert_eq!(journal.read_partition(state.partition, Position(0), 9).await.unwrap(), [written]);
    })
    .await;
}

async fn refusal(target: &Target, options: Options) -> OpenError {
    match open(target, options).await {
        Ok(_) => panic!("it opened"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn a_log_that_does_not_fit_is_refused() {
    both(async |journal, target| {
        let wrong = refusal(&target, Options::new(Role::Serve).with_partitions(PARTITIONS + 1)).await;
        assert_eq!(wrong, OpenError::WrongPartitions { log: PARTITIONS, configured: PARTITIONS + 1 });
        let claim = journal.claim(&node("a")).await.unwrap();
        let state = &claim.partitions[0];
        let mut strange = record(state, 1, &stream(state.partition, "x"), 1, true);
        strange.kind = "order.teleported".into();
        journal.append(&[batch(state, vec![vec![strange]])]).await.unwrap();
        let unreadable = refusal(&target, Options::new(Role::Read)).await;
        assert_eq!(unreadable, OpenError::UnreadableKinds("order.teleported version 1".to_owned()));
    })
    .await;
}

#[tokio::test]
async fn a_file_that_is_no_log_is_refused() {
    let dir = Dir::new();
    let missing = refusal(&dir.target(), Options::new(Role::Read)).await;
    assert!(matches!(missing, OpenError::Missing { .. }), "{missing}");
    std::fs::create_dir_all(&dir.0).unwrap();
    std::fs::write(dir.0.join("log.db"), "not a database, but longer than a header of one hundred bytes ".repeat(9))
        .unwrap();
    let junk = refusal(&dir.target(), Options::new(Role::Serve)).await;
    assert!(matches!(junk, OpenError::NotADatabase { .. }), "{junk}");
}

#[tokio::test]
async fn an_unsafe_or_unprepared_server_is_refused() {
    let empty = postgres::empty_database().await;
    let target = Target::Postgres { url: empty.url.clone() };
    let unprepared = refusal(&target, Options::new(Role::Serve)).await;
    assert!(unprepared.to_string().contains("onsale migrate"), "{unprepared}");
    empty.drop_it().await;

    let lying = Target::Postgres { url: postgres::start(&["fsync=off"]) };
    let migration = Migration { partitions: Some(PARTITIONS), server: None };
    migrate(&lying, &migration).await.unwrap();
    migrate(&lying, &migration).await.unwrap();
    let refused = refusal(&lying, Options::new(Role::Serve)).await;
    assert_eq!(refused, OpenError::UnsafeSetting { name: "fsync".to_owned(), value: "off".to_owned() });

    let nowhere = Target::Postgres { url: "postgres://me:hush@127.0.0.1:1/x".to_owned() };
    let refused = refusal(&nowhere, Options::new(Role::Serve)).await;
    assert!(refused.retryable() && !refused.to_string().contains("hush"), "{refused}");
}

#[tokio::test]
async fn dropping_the_caller_cancels_no_append() {
    both(async |journal, _| {
        let claim = journal.claim(&node("a")).await.unwrap();
        let mut state = claim.partitions[0].clone();
        for round in 0..20 {
            let stream = stream(state.partition, &format!("s{round}"));
            let batch = batch(&state, vec![vec![record(&state, 1, &stream, 1, true)]]);
            // Polled once, then dropped: the statement is under way in its own task.
            let append = journal.append(std::slice::from_ref(&batch));
            tokio::select! { biased; _ = append => {}, () = tokio::task::yield_now() => {} }
            // The next append waits its turn behind the dropped one, and finds it written.
            assert_eq!(journal.append(&[batch]).await, Ok(vec![Verdict::Fenced]));
            state.head = state.head.next();
            assert_eq!(journal.heads().await.unwrap()[0], state.head);
        }
    })
    .await;
}

/// sqlx 0.9.0 can hand a connection back with a transaction still open in it when `begin()` is dropped half-way; writes
/// of the next borrower would then be acknowledged and never exist. The pool must notice.
#[tokio::test]
async fn a_cancelled_begin_loses_no_later_write() {
    let database = postgres::database().await;
    let pool = onsale::journal::postgres::readers(&onsale::journal::postgres::options(&database.owner).unwrap())
        .await
        .unwrap();
    postgres::sql(&database.owner, "CREATE TABLE probe (n int8 PRIMARY KEY)").await;
    for n in 0..200_i64 {
        // Dropped after a varying number of polls, so at every stage of the exchange.
        let mut begin = Box::pin(pool.begin());
        for _ in 0..n % 8 {
            if futures::poll!(&mut begin).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(begin);
        sqlx::query("INSERT INTO probe VALUES ($1)").bind(n).execute(&pool).await.unwrap();
    }
    pool.close().await;
    let mut conn = PgConnection::connect(&database.owner).await.unwrap();
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM probe").fetch_one(&mut conn).await.unwrap();
    assert_eq!(kept, 200, "every acknowledged write exists");
    conn.close().await.unwrap();
    database.drop_it().await;
}

/// A pool that throws every connection away still answers, a hundred times slower.
#[tokio::test]
async fn readings_share_their_connections() {
    let database = postgres::database().await;
    let journal = serve(&Target::Postgres { url: database.url.clone() }).await;
    let sessions = async || -> Vec<i32> {
        let mut conn = PgConnection::connect(&database.url).await.expect("the test server answers");
        let ours = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'onsale %' AND datname = current_database() ORDER BY pid";
        sqlx::query_scalar(ours).fetch_all(&mut conn).await.expect("sessions can be listed")
    };
    for _ in 0..4 {
        journal.heads().await.expect("the log answers");
    }
    let before = sessions().await;
    for _ in 0..20 {
        journal.heads().await.expect("the log answers");
        journal.load(&[stream(Partition(0), "nobody")]).await.expect("the log answers");
    }
    let after = sessions().await;
    assert!(before.iter().any(|pid| after.contains(pid)), "{before:?} were all replaced by {after:?}");
    database.drop_it().await;
}
