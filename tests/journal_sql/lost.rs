//! What if a connection breaks? Answers that are lost, sessions that end, locks that others hold: never a gap, never two
//! owners, and no lease lost for it.

use std::sync::Arc;
use std::time::Duration;

use onsale::clock::{Clock, SystemClock};
use onsale::fault::Fault;
use onsale::ids::Position;
use onsale::journal::open::{Options, Role, Target, open};
use onsale::journal::{AppendError, ClaimError, Journal, PartitionState, SharedJournal, Verdict};
use onsale::limits;
use sqlx::{Connection, PgConnection, SqliteConnection};

use super::support::postgres::{self, PARTITIONS};
use super::support::proxy::{Proxy, Wire};
use super::{Dir, batch, node, record, serve, stream};

/// A log that is opened by way of a wire that can be cut.
async fn wired() -> (postgres::Database, Proxy, SharedJournal) {
    let database = postgres::database().await;
    let url = &database.url;
    let start = url.find('@').expect("test servers have a user") + 1;
    let end = start + url[start..].find('/').expect("and a database");
    let proxy = Proxy::to(url[start..end].to_owned()).await;
    let url = format!("{}{}{}", &url[..start], proxy.address, &url[end..]);
    let journal = serve(&Target::Postgres { url }).await;
    (database, proxy, journal)
}

/// The answer to an append is lost: written or not, settling tells the truth, and the log goes on without a gap.
async fn lost_answer(wire: Wire, expect_written: bool) {
    let (database, proxy, journal) = wired().await;
    let claim = journal.claim(&node("a")).await.unwrap();
    let state = claim.partitions[2].clone();
    let stream = stream(state.partition, "x");
    let first = batch(&state, vec![vec![record(&state, 1, &stream, 1, true)]]);
    assert_eq!(journal.append(&[first]).await, Ok(vec![Verdict::Written]), "the connection is open now");
    let state = PartitionState { head: Position(1), ..state };

    proxy.set(wire);
    let before = *proxy.sent.borrow();
    let doubtful = batch(&state, vec![vec![record(&state, 1, &stream, 2, true)]]);
    let appending = tokio::spawn({
        let (journal, doubtful) = (journal.clone(), doubtful.clone());
        async move { journal.append(&[doubtful]).await }
    });
    // A payload and its envelope are longer than any heartbeat: the statement has been sent.
    let mut sent = proxy.sent.clone();
    sent.wait_for(|now| *now > before + 300).await.unwrap();
    if expect_written {
        let direct = serve(&Target::Postgres { url: database.url.clone() }).await;
        let written = async {
            while direct.heads().await.unwrap()[2] != Position(2) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), written).await.expect("the server got the statement");
    }
    proxy.set(Wire::Cut);
    let outcome = appending.await.unwrap();
    assert!(matches!(outcome, Err(AppendError::Unknown(_))), "{outcome:?}");

    proxy.set(Wire::Open);
    let settled = settle(&journal, &state).await;
    assert_eq!(settled.head, Position(if expect_written { 2 } else { 1 }));
    assert_eq!(journal.append(&[doubtful]).await, Ok(vec![Verdict::Fenced]), "it can never be written any more");
    let version = settled.head.0 + 1;
    let next = batch(&settled, vec![vec![record(&settled, 1, &stream, version, true)]]);
    assert_eq!(journal.append(&[next]).await, Ok(vec![Verdict::Written]));
    let positions: Vec<u64> =
        journal.read_partition(state.partition, Position(0), 9).await.unwrap().iter().map(|r| r.position.0).collect();
    assert_eq!(positions, (1..=version).collect::<Vec<_>>());
    database.drop_it().await;
}

/// As a lane would: until there is an answer.
async fn settle(journal: &Arc<dyn Journal>, state: &PartitionState) -> PartitionState {
    for _ in 0..5 {
        if let Ok(settled) = journal.settle(&node("a"), state.partition, state.epoch).await {
            return settled.expect("still ours");
        }
    }
    panic!("settling never succeeded");
}

#[tokio::test]
async fn an_append_whose_answer_is_lost_is_in_doubt_and_was_written() {
    lost_answer(Wire::AnswersLost, true).await;
}

#[tokio::test]
async fn an_append_that_never_arrived_is_in_doubt_and_was_not_written() {
    lost_answer(Wire::Silent, false).await;
}

/// Ends every session of the database and waits until they are gone.
async fn end_all_sessions(url: &str) {
    let end = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'";
    postgres::sql(url, end).await;
}

/// The next record of a partition that has one stream only.
async fn append_next(journal: &SharedJournal, state: &PartitionState) -> Result<Vec<Verdict>, AppendError> {
    let next = record(state, 1, &stream(state.partition, "x"), state.head.0 + 1, true);
    journal.append(&[batch(state, vec![vec![next]])]).await
}

#[tokio::test]
async fn a_server_that_ends_all_sessions_costs_neither_lease_nor_positions() {
    let (database, [first, second]) = two_nodes().await;
    let mut state = first.claim(&node("a")).await.unwrap().partitions[4].clone();
    for round in 0..4 {
        end_all_sessions(&database.owner).await;
        match append_next(&first, &state).await {
            Ok(verdicts) => assert_eq!(verdicts, [Verdict::Written]),
            Err(AppendError::Unknown(_) | AppendError::NotSent(_)) => {}
            Err(rejected @ AppendError::Rejected(_)) => panic!("round {round}: {rejected}"),
        }
        state = settle(&first, &state).await;
        assert_eq!(append_next(&first, &state).await, Ok(vec![Verdict::Written]), "round {round}");
        state.head = state.head.next();
        first.heartbeat(&node("a")).await.expect("one heartbeat is enough to notice, reconnect and renew");
    }
    // It goes on beating, and keeps what it has taken again.
    let claiming = tokio::spawn(async move { second.claim(&node("b")).await });
    while !claiming.is_finished() {
        first.heartbeat(&node("a")).await.expect("it is the owner");
    }
    let refused = claiming.await.unwrap();
    assert!(matches!(refused, Err(ClaimError::Held { .. })), "{refused:?}");
    let positions = first.read_partition(state.partition, Position(0), 99).await.unwrap();
    let positions: Vec<u64> = positions.iter().map(|record| record.position.0).collect();
    assert_eq!(positions, (1..=state.head.0).collect::<Vec<_>>());
    database.drop_it().await;
}

#[tokio::test]
async fn a_former_owner_does_not_take_the_lock_from_the_next() {
    let database = postgres::database().await;
    let target = Target::Postgres { url: database.url.clone() };
    let (first, second, third) = (serve(&target).await, serve(&target).await, serve(&target).await);
    let before = first.claim(&node("a")).await.unwrap().partitions[0].clone();
    end_all_sessions(&database.owner).await;
    // The lock is free and the row still good: the second node waits until it would be over, then takes over.
    let after = second.claim(&node("b")).await.unwrap().partitions[0].clone();
    assert!(after.epoch > before.epoch);

    // The second node lost its session too, and the first one, which knows nothing yet, comes first.
    end_all_sessions(&database.owner).await;
    for _ in 0..2 {
        let beat = first.heartbeat(&node("a")).await;
        assert!(matches!(beat, Err(ClaimError::Held { .. })), "{beat:?}");
    }
    second.heartbeat(&node("b")).await.unwrap();
    assert_eq!(append_next(&first, &before).await, Ok(vec![Verdict::Fenced]));
    assert_eq!(append_next(&second, &after).await, Ok(vec![Verdict::Written]));
    second.release(&node("b")).await.unwrap();
    third.claim(&node("c")).await.expect("a lease given back is free at once, whoever else is connected");
    database.drop_it().await;
}

/// A log that is open twice, and nobody serves yet.
async fn two_nodes() -> (postgres::Database, [SharedJournal; 2]) {
    let database = postgres::database().await;
    let target = Target::Postgres { url: database.url.clone() };
    let both = [serve(&target).await, serve(&target).await];
    (database, both)
}

/// It keeps its connections, and with them the lock: nobody had to end any of them.
#[tokio::test]
async fn a_node_that_stands_still_loses_the_log_with_its_lease() {
    let (database, [first, second]) = two_nodes().await;
    let before = first.claim(&node("a")).await.unwrap().partitions[0].clone();
    // No heartbeat comes from it any more.
    let after = second.claim(&node("b")).await.expect("its lease runs out").partitions[0].clone();
    let beat = loop {
        // The connection of the first heartbeat was ended meanwhile.
        if let beat @ (Ok(_) | Err(ClaimError::Held { .. })) = first.heartbeat(&node("a")).await {
            break beat;
        }
    };
    assert!(matches!(beat, Err(ClaimError::Held { .. })), "{beat:?}");
    assert_eq!(append_next(&first, &before).await, Ok(vec![Verdict::Fenced]));
    assert_eq!(append_next(&second, &after).await, Ok(vec![Verdict::Written]));
    database.drop_it().await;
}

/// A database whose clock is set forward says of every lease that it is over, and ends the session with the lock. The owner
/// answers from memory until its lease is over by its own clock: nobody else may have the log before.
#[tokio::test]
async fn a_lease_that_only_the_databases_clock_ended_is_still_its_owners() {
    let (database, [first, second]) = two_nodes().await;
    let ours = first.claim(&node("a")).await.unwrap().partitions[0].clone();
    let mut owner = PgConnection::connect(&database.owner).await.unwrap();
    let skipped = [
        "UPDATE log.nodes SET expires_at = clock_timestamp() - interval '10 minutes'",
        "SELECT pg_terminate_backend(l.pid) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
          WHERE d.datname = current_database() AND l.locktype = 'advisory' AND l.granted",
    ];
    for statement in skipped {
        sqlx::query(statement).execute(&mut owner).await.unwrap();
    }
    it_is_not_given_away(&first, second, &ours, &mut owner).await;
    owner.close().await.unwrap();
    database.drop_it().await;
}

/// Whoever comes while the lock is free looks first; from then on its owner shows that it lives.
async fn it_is_not_given_away(
    first: &SharedJournal,
    second: SharedJournal,
    ours: &PartitionState,
    operator: &mut PgConnection,
) {
    let claiming = tokio::spawn(async move { second.claim(&node("b")).await });
    let looked = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND query LIKE 'SELECT pg_advisory_unlock%'";
    while !claiming.is_finished() && sqlx::query_scalar::<_, i64>(looked).fetch_one(&mut *operator).await.unwrap() == 0
    {
        tokio::task::yield_now().await;
    }
    while !claiming.is_finished() {
        let beat = first.heartbeat(&node("a")).await;
        assert!(beat.is_ok(), "{beat:?}");
    }
    let claimed = claiming.await.unwrap();
    assert!(matches!(claimed, Err(ClaimError::Held { .. })), "the log has a second owner: {claimed:?}");
    assert_eq!(append_next(first, ours).await, Ok(vec![Verdict::Written]));
}

/// After a restart of the database, say: its owner connects again with its next heartbeat, and answers from memory until then.
#[tokio::test]
async fn an_owner_whose_connections_have_all_ended_is_still_the_owner() {
    let (database, [first, second]) = two_nodes().await;
    let ours = first.claim(&node("a")).await.unwrap().partitions[0].clone();
    // Nothing of it is connected when the other one looks.
    end_all_sessions(&database.owner).await;
    let mut operator = PgConnection::connect(&database.owner).await.unwrap();
    it_is_not_given_away(&first, second, &ours, &mut operator).await;
    operator.close().await.unwrap();
    database.drop_it().await;
}

#[tokio::test]
async fn who_serves_from_the_directory_of_a_process_that_ended_waits_for_nobody() {
    let (database, dir) = (postgres::database().await, Dir::new());
    std::fs::create_dir_all(&dir.0).unwrap();
    let target = Target::Postgres { url: database.url.clone() };
    let from_there = async || {
        let options = Options { data: Some(dir.0.clone()), ..Options::new(Role::Serve) };
        open(&target, options.with_partitions(PARTITIONS)).await.expect("the log opens")
    };
    let (first, second) = (from_there().await, from_there().await);
    first.claim(&node("a")).await.unwrap();
    // The row looks as if somebody lived.
    let renewing = tokio::spawn({
        let owner = database.owner.clone();
        async move {
            let mut conn = PgConnection::connect(&owner).await.unwrap();
            sqlx::query("SET synchronous_commit = off").execute(&mut conn).await.unwrap();
            let renew = "UPDATE log.nodes SET expires_at = clock_timestamp() + interval '3 seconds' WHERE node = 'a'";
            while sqlx::query(renew).execute(&mut conn).await.unwrap().rows_affected() > 0 {}
        }
    });
    let refused = second.claim(&node("b")).await;
    assert!(matches!(refused, Err(ClaimError::Held { .. })), "the first one lives: {refused:?}");
    drop(first);
    second.claim(&node("b")).await.expect("nobody can answer for it any more");
    renewing.abort();
    drop(renewing.await);
    database.drop_it().await;
}

/// The machine at the other end is gone: no word of it comes any more, not even that the connection has ended.
#[tokio::test]
async fn a_reading_whose_answer_never_comes_ends() {
    let (database, proxy, journal) = wired().await;
    let stream = stream(onsale::ids::Partition(0), "x");
    let mut operator = PgConnection::connect(&database.owner).await.unwrap();
    let lock = "BEGIN; LOCK TABLE log.events, log.segments IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut operator).await.unwrap();
    let (of, version) = (&stream, onsale::ids::Version(0));
    let reading = async {
        tokio::join!(
            async { journal.read_stream(of, version, 9).await.err() },
            async { journal.segments(of, 1, version, 9).await.err() },
            async { journal.reach(of, 1).await.err() },
        )
    };
    let losing = async {
        waiting(&database.owner, 3).await;
        proxy.set(Wire::AnswersLost);
        sqlx::raw_sql("COMMIT").execute(&mut operator).await.unwrap();
    };
    let both = async { tokio::join!(reading, losing).0 };
    let (rows, segments, reach) = tokio::time::timeout(5 * limits::STATEMENT_ANSWER, both).await.expect("they end");
    for fault in [rows, segments, reach] {
        assert!(matches!(fault, Some(Fault::Unavailable { .. })), "{fault:?}");
    }
    proxy.set(Wire::Open);
    let read = async {
        while journal.read_stream(&stream, version, 9).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(5 * limits::STATEMENT_ANSWER, read).await.expect("the connections are given back");
    database.drop_it().await;
}

#[tokio::test]
async fn a_process_of_the_same_name_is_another_owner() {
    let (database, [first, second]) = two_nodes().await;
    let before = first.claim(&node("a")).await.unwrap().partitions[0].clone();
    end_all_sessions(&database.owner).await;
    let after = second.claim(&node("a")).await.unwrap().partitions[0].clone();
    let doubt = loop {
        // The connection of the first process broke as well: the first answers may be none.
        if let Ok(settled) = first.settle(&node("a"), before.partition, before.epoch).await {
            break settled;
        }
    };
    assert_eq!(doubt, None, "the partition is not this process's any more");
    assert_eq!(append_next(&second, &after).await, Ok(vec![Verdict::Written]), "and nobody disturbed its new owner");
    database.drop_it().await;
}

/// Waits until so many statements of the database wait for a lock. In a session of its own: within a transaction the
/// server shows its activity as it was at the first look.
async fn waiting(url: &str, wanted: i64) {
    let mut conn = PgConnection::connect(url).await.unwrap();
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    let begun = SystemClock.elapsed();
    while sqlx::query_scalar::<_, i64>(count).fetch_one(&mut conn).await.unwrap() < wanted {
        assert!(SystemClock.elapsed() - begun < limits::STATEMENT_TIME, "the statements never waited");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn heartbeats_wait_for_nobody() {
    let database = postgres::database().await;
    let journal = serve(&Target::Postgres { url: database.url.clone() }).await;
    let state = journal.claim(&node("a")).await.unwrap().partitions[0].clone();
    let mut operator = PgConnection::connect(&database.owner).await.unwrap();
    let mut lock = sqlx::raw_sql("BEGIN; LOCK TABLE log.partitions IN ACCESS EXCLUSIVE MODE");
    lock.execute(&mut operator).await.unwrap();
    let settling = tokio::spawn({
        let journal = journal.clone();
        async move { journal.settle(&node("a"), state.partition, state.epoch).await }
    });
    let claiming = tokio::spawn({
        let journal = journal.clone();
        async move { journal.claim(&node("a")).await }
    });
    waiting(&database.owner, 2).await;
    for _ in 0..3 {
        journal.heartbeat(&node("a")).await.expect("the lease is renewed while others wait");
    }
    assert!(!settling.is_finished() && !claiming.is_finished());
    sqlx::raw_sql("COMMIT").execute(&mut operator).await.unwrap();
    settling.await.unwrap().unwrap();
    claiming.await.unwrap().unwrap();

    // A heartbeat that must wait itself gives up while the next one can still save the lease.
    lock = sqlx::raw_sql("BEGIN; LOCK TABLE log.nodes IN ACCESS EXCLUSIVE MODE");
    lock.execute(&mut operator).await.unwrap();
    let begun = SystemClock.elapsed();
    let late = journal.heartbeat(&node("a")).await;
    assert!(matches!(late, Err(ClaimError::Unavailable(_))), "{late:?}");
    let took = SystemClock.elapsed() - begun;
    assert!(took < limits::LEASE, "{took:?}");
    sqlx::raw_sql("COMMIT").execute(&mut operator).await.unwrap();
    journal.heartbeat(&node("a")).await.expect("the next one is renewed");
    database.drop_it().await;
}

#[tokio::test]
async fn what_never_left_is_not_in_doubt() {
    let (database, proxy, journal) = wired().await;
    let state = journal.claim(&node("a")).await.unwrap().partitions[0].clone();
    proxy.set(Wire::Cut);
    let outcome = append_next(&journal, &state).await;
    assert!(matches!(outcome, Err(AppendError::NotSent(_))), "{outcome:?}");
    proxy.set(Wire::Open);
    assert_eq!(append_next(&journal, &state).await, Ok(vec![Verdict::Written]));
    database.drop_it().await;
}

#[tokio::test]
async fn a_file_that_somebody_locks_refuses_nobodys_content() {
    let dir = Dir::new();
    let journal = serve(&dir.target()).await;
    let state = journal.claim(&node("a")).await.unwrap().partitions[0].clone();
    let file = format!("sqlite://{}", dir.0.join("log.db").display());
    let mut other = SqliteConnection::connect(&file).await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let outcome = append_next(&journal, &state).await;
    assert!(matches!(outcome, Err(AppendError::NotSent(_))), "{outcome:?}");
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    assert_eq!(append_next(&journal, &state).await, Ok(vec![Verdict::Written]));
}
