//! Do both stores keep their contract? The same checks on each.

use std::sync::Arc;

use onsale::ids::{Partition, Position};
use onsale::projections::rows::TableChanges;
use onsale::projections::store::{
    Action, Build, Changes, CursorMove, Decision, Parked, Purpose, Store, StoreError, Writer,
};
use onsale::projections::table::Value;
use onsale::projections::{Projection, ROSTER};
use onsale::timestamp::Timestamp;

use super::both;
use super::sample::{PARTITIONS, SAMPLES, Samples, cells, key};

const P: Partition = Partition(3);

async fn build(store: &dyn Store) -> Arc<dyn Build> {
    store.create(Samples::leak(), PARTITIONS, Purpose::Serve).await.expect("a new build")
}

fn moved(from: u64, to: u64) -> Vec<CursorMove> {
    vec![CursorMove { partition: P, from: Position(from), to: Position(to) }]
}

fn writes(upserts: Vec<Vec<Value>>, cursors: Vec<CursorMove>) -> Changes {
    let table = TableChanges { table: &SAMPLES, adds: Vec::new(), upserts, deletes: Vec::new() };
    Changes { tables: vec![table], cursors, ..Changes::default() }
}

fn waits(position: u64, key: &str, error: &str) -> Parked {
    let (key, error) = (key.to_owned(), error.to_owned());
    Parked { partition: P, position: Position(position), key, error, since: Timestamp(7) }
}

async fn all(build: &dyn Build) -> Vec<Vec<Value>> {
    let mut snapshot = build.snapshot().await.expect("a snapshot");
    snapshot.scan(&SAMPLES, None, 10_000).await.expect("rows")
}

async fn at(build: &dyn Build) -> u64 {
    build.cursors().await.expect("cursors")[usize::from(P.0)].0
}

#[tokio::test]
async fn rows_and_cursors_go_together() {
    for place in both().await {
        let store = place.store().await;
        let build = build(&*store).await;
        assert_eq!(build.cursors().await.expect("cursors"), vec![Position(0); usize::from(PARTITIONS)]);
        let mut writer = build.writer().await.expect("a writer");
        let rows = vec![cells("a", None, -5), cells("b", Some("가게 'B'\"\\"), 1), cells("c", Some(""), 0)];
        writer.commit(&writes(rows.clone(), moved(0, 4))).await.expect("written");
        assert_eq!((all(&*build).await, at(&*build).await), (rows, 4));

        let mut next = writes(vec![cells("a", Some("A"), 6)], moved(4, 9));
        next.tables[0].deletes = vec![key("c"), key("nobody")];
        writer.commit(&next).await.expect("written");
        let rows = vec![cells("a", Some("A"), 6), cells("b", Some("가게 'B'\"\\"), 1)];
        assert_eq!((all(&*build).await, at(&*build).await), (rows.clone(), 9));

        // A row that the table refuses, and a text that cannot be kept: nothing of it, and the next commit goes.
        for bad in [cells("x", None, 5_000_000), cells("x", Some("a\0b"), 1)] {
            let both = writes(vec![cells("good", None, 1), bad], moved(9, 10));
            assert!(matches!(writer.commit(&both).await, Err(StoreError::Refused(_))), "{}", place.name());
            assert_eq!((all(&*build).await, at(&*build).await), (rows.clone(), 9));
        }
        writer.commit(&writes(vec![cells("good", None, 1)], moved(9, 10))).await.expect("written");
        assert_eq!(at(&*build).await, 10);
    }
}

#[tokio::test]
async fn nobody_counts_twice() {
    for place in both().await {
        let store = place.store().await;
        let build = build(&*store).await;
        let mut old = build.writer().await.expect("a writer");
        old.commit(&writes(vec![cells("a", None, 1)], moved(0, 1))).await.expect("written");
        // By the cursor: what was applied already is not applied again.
        let again = old.commit(&writes(vec![cells("a", None, 2)], moved(0, 1))).await;
        assert_eq!(again, Err(StoreError::Fenced));
        // By the epoch: who was taken over writes nothing any more, even where the cursor would fit.
        let mut new = build.writer().await.expect("another writer");
        let late = old.commit(&writes(vec![cells("a", None, 3)], moved(1, 2))).await;
        assert_eq!(late, Err(StoreError::Fenced));
        assert_eq!((all(&*build).await, at(&*build).await), (vec![cells("a", None, 1)], 1));
        new.commit(&writes(vec![cells("a", None, 2)], moved(1, 2))).await.expect("written");
        // One cursor of several that does not fit: none is moved.
        let other = CursorMove { partition: Partition(0), from: Position(5), to: Position(6) };
        let mixed = new.commit(&writes(vec![cells("a", None, 9)], [moved(2, 3), vec![other]].concat())).await;
        assert_eq!((mixed, at(&*build).await), (Err(StoreError::Fenced), 2));
    }
}

#[tokio::test]
async fn any_number_of_rows_is_loaded_by_key() {
    for place in both().await {
        let store = place.store().await;
        let build = build(&*store).await;
        let mut writer = build.writer().await.expect("a writer");
        let name = |n: usize| format!("k{n:05}");
        let rows: Vec<_> = (0..5_001).map(|n| cells(&name(n), None, i64::try_from(n).expect("small"))).collect();
        writer.commit(&writes(rows.clone(), moved(0, 1))).await.expect("written");
        for count in [0, 1, 7, 8, 9, 64, 73, 5_001] {
            let mut keys: Vec<_> = (0..count).map(|n| key(&name(n))).collect();
            keys.push(key("nobody"));
            let mut found = writer.load(&SAMPLES, &keys).await.expect("rows");
            found.sort_unstable();
            assert_eq!(found, rows[..count], "{}", place.name());
        }
        assert!(writer.load(&SAMPLES, &[]).await.expect("nothing").is_empty());
    }
}

#[tokio::test]
async fn pages_have_the_byte_order_of_keys() {
    for place in both().await {
        let store = place.store().await;
        let build = build(&*store).await;
        let mut writer = build.writer().await.expect("a writer");
        let mut names = ["b", "B", "a-b", "ab", "가", "é", "e", "z", "_", "~", "A-1"];
        let rows = names.iter().map(|name| cells(name, None, 1)).collect();
        writer.commit(&writes(rows, moved(0, 1))).await.expect("written");
        names.sort_unstable();
        let mut snapshot = build.snapshot().await.expect("a snapshot");
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = snapshot.scan(&SAMPLES, after.as_ref(), 3).await.expect("rows");
            let Some(last) = page.last() else { break };
            after = Some(SAMPLES.key_of(last));
            seen.extend(page.iter().map(|row| row[0].clone()));
        }
        let expected: Vec<Value> = names.iter().map(|name| Value::Text((*name).into())).collect();
        assert_eq!(seen, expected, "{}", place.name());
    }
}

#[tokio::test]
async fn a_snapshot_shows_one_moment() {
    for place in both().await {
        let store = place.store().await;
        let build = build(&*store).await;
        let mut writer = build.writer().await.expect("a writer");
        let mut first = writes(vec![cells("a", None, 1)], moved(0, 1));
        first.park = vec![waits(1, "k", "bad")];
        writer.commit(&first).await.expect("written");
        let mut snapshot = build.snapshot().await.expect("a snapshot");
        let mut second = writes(vec![cells("a", None, 2), cells("b", None, 1)], moved(1, 2));
        second.unpark = vec![(P, Position(1))];
        writer.commit(&second).await.expect("a snapshot keeps nobody from writing");
        assert_eq!(snapshot.scan(&SAMPLES, None, 10).await.expect("rows"), [cells("a", None, 1)]);
        assert_eq!(snapshot.cursors().await.expect("cursors")[usize::from(P.0)], Position(1));
        assert_eq!(snapshot.parked().await.expect("parked"), [(P, Position(1))]);
        assert_eq!(all(&*build).await.len(), 2);
    }
}

#[tokio::test]
async fn parked_events_are_kept_by_key() {
    for place in both().await {
        let store = place.store().await;
        let build = build(&*store).await;
        let mut writer = build.writer().await.expect("a writer");
        let park = vec![waits(5, "b", "bad b"), waits(3, "a", "bad \0 a"), waits(9, "b", ""), waits(11, "b", "")];
        let changes = Changes { park, cursors: moved(0, 11), ..Changes::default() };
        writer.commit(&changes).await.expect("written");
        let told = |keys: Vec<onsale::projections::store::ParkedKey>| {
            keys.into_iter().map(|k| (k.key, k.position.0, k.error, k.events)).collect::<Vec<_>>()
        };
        let keys = told(build.parked_keys(None, 10).await.expect("keys"));
        let a = ("a".to_owned(), 3, "bad \u{FFFD} a".to_owned(), 1);
        let b = ("b".to_owned(), 5, "bad b".to_owned(), 3);
        assert_eq!(keys, [a.clone(), b.clone()]);
        assert_eq!(told(build.parked_keys(None, 1).await.expect("keys")), [a]);
        assert_eq!(told(build.parked_keys(Some((P, Position(3))), 10).await.expect("keys")), [b]);
        assert_eq!(writer.parked_keys().await.expect("keys"), ["a", "b"]);
        let of_b = |all: Vec<Parked>| all.into_iter().map(|parked| parked.position.0).collect::<Vec<_>>();
        assert_eq!(of_b(writer.parked_of("b", 2).await.expect("events")), [5, 9]);
        let unpark = vec![(P, Position(5)), (P, Position(3))];
        let changes = Changes { unpark, cursors: moved(11, 11), ..Changes::default() };
        writer.commit(&changes).await.expect("written");
        assert_eq!(of_b(writer.parked_of("b", 9).await.expect("events")), [9, 11]);
        assert_eq!(writer.parked_keys().await.expect("keys"), ["b"]);
    }
}

#[tokio::test]
async fn one_pointer_is_switched_and_the_rest_is_swept() {
    for place in both().await {
        let (store, samples) = (place.store().await, Samples::leak());
        assert!(store.registered().await.expect("nothing yet").is_empty());
        let (one, two) = (build(&*store).await, build(&*store).await);
        assert_ne!(one.id(), two.id());
        assert!(store.switch(samples, None, one.id()).await.expect("a switch"));
        assert!(
            !store.switch(samples, None, two.id()).await.expect("an answer"),
            "it is not pointed to nothing any more"
        );
        assert!(!store.switch(samples, Some(two.id()), one.id()).await.expect("an answer"));
        let active = || async { store.registered().await.expect("a list").first().map(|known| known.active) };
        assert_eq!(active().await, Some(one.id()));
        // Another process sees the same, and its switch counts here.
        let other = place.store().await;
        assert!(other.switch(samples, Some(one.id()), two.id()).await.expect("a switch"));
        assert_eq!(active().await, Some(two.id()));

        let interrupted = build(&*store).await;
        let past = store.create(samples, PARTITIONS, Purpose::Past).await.expect("a build of the past");
        let kept = build(&*store).await;
        store.sweep(samples, &[kept.id()]).await.expect("a sweep");
        assert!(store.open(samples, interrupted.id()).await.is_err(), "{}: never used", place.name());
        let opened = store.open(samples, one.id()).await.expect("out of use only a moment ago: answers may need it");
        assert!(opened.cursors().await.is_ok());
        for id in [two.id(), kept.id(), past.id()] {
            store.open(samples, id).await.expect("still there").cursors().await.expect("readable");
        }
        assert_ne!(build(&*store).await.id(), interrupted.id(), "a number is given once");
    }
}

#[tokio::test]
async fn one_rebuild_at_a_time() {
    for place in both().await {
        let (store, other, samples) = (place.store().await, place.store().await, Samples::leak());
        let held = store.rebuild_lock(samples).await.expect("an answer").expect("free");
        assert!(other.rebuild_lock(samples).await.expect("an answer").is_none(), "{}", place.name());
        drop(held);
        // The database notices the end of the connection a moment later.
        super::wait::until(
            "the lock is free",
            || async { other.rebuild_lock(samples).await.expect("an answer").is_some() },
            |free| *free,
        )
        .await;
    }
}

#[tokio::test]
async fn decisions_are_kept_and_a_command_decides_once() {
    for place in both().await {
        let store = place.store().await;
        let wish = |command: &str, action| Decision {
            id: 0,
            projection: "samples".to_owned(),
            partition: P,
            position: Position(17),
            key: "store/st_1".to_owned(),
            action,
            reason: "고장 'x'".to_owned(),
            command: command.to_owned(),
            actor: "root".to_owned(),
            decided_at: Timestamp(5),
            outcome: None,
        };
        let retry = store.decide(wish("a", Action::Retry)).await.expect("written");
        let skip = store.decide(wish("b", Action::Skip)).await.expect("written");
        assert_eq!(store.decide(wish("a", Action::Retry)).await.expect("known"), retry);
        let undone: Vec<i64> = store.undone(10).await.expect("a list").iter().map(|decision| decision.id).collect();
        assert_eq!(undone, [retry, skip]);
        assert_eq!(store.undone(1).await.expect("a list").len(), 1);
        for id in [retry, skip] {
            let decision = store.decision(id).await.expect("an answer").expect("it is there");
            store.carried_out(&decision, "done").await.expect("written");
        }
        assert!(store.undone(10).await.expect("a list").is_empty());
        let kept = store.decided("b").await.expect("an answer").expect("kept for ever");
        assert_eq!(kept, Decision { id: skip, outcome: Some("done".to_owned()), ..wish("b", Action::Skip) });
        assert_eq!(store.skips("samples").await.expect("a list"), [(P, Position(17))], "only the skip");
        assert!(store.skips("others").await.expect("a list").is_empty());
        assert!(store.decided("c").await.expect("an answer").is_none());
    }
}

#[tokio::test]
async fn statements_of_lists_are_bound_and_placed() {
    for place in both().await {
        let store = place.store().await;
        let build = build(&*store).await;
        let mut writer: Box<dyn Writer> = build.writer().await.expect("a writer");
        let rows = vec![cells("a", Some("x"), 1), cells("b", None, 2), cells("c", Some("y"), 3)];
        writer.commit(&writes(rows, moved(0, 1))).await.expect("written");
        let sql = "SELECT COUNT(*), CAST(SUM(payments) AS BIGINT), MAX(name) FROM @.samples WHERE payments >= $1 \
                   AND store_id <> $2";
        let found = build.query(sql, &[Value::Int(2), Value::Text("c".into())]).await.expect("rows");
        assert_eq!(found, [vec![Value::Int(1), Value::Int(2), Value::Null]], "{}", place.name());
        assert!(build.query("SELECT nothing FROM @.samples", &[]).await.is_err());
        let half = build.query("SELECT CAST(1.5 AS NUMERIC) FROM @.samples", &[]).await;
        assert!(matches!(half, Err(StoreError::Refused(_))), "asking again would not help: {half:?}");
        assert_eq!(build.query("SELECT COUNT(*) FROM @.samples", &[]).await.expect("still well").len(), 1);
    }
}

#[tokio::test]
async fn migrations_make_exactly_the_tables_that_the_rows_say() {
    for place in both().await {
        let store = place.store().await;
        for projection in ROSTER.iter().copied() {
            let build = store.create(projection, PARTITIONS, Purpose::Serve).await.expect("a new build");
            for table in projection.tables() {
                let expected: Vec<(String, bool, bool)> = table
                    .columns
                    .iter()
                    .enumerate()
                    .map(|(n, column)| (format!("{} {:?}", column.name, column.kind), column.nullable, n < table.key))
                    .collect();
                let found = place.columns(projection.name(), build.id(), table.name).await;
                assert_eq!(found, expected, "{} {}.{}", place.name(), projection.name(), table.name);
            }
        }
        let names = ROSTER.iter().flat_map(|projection: &&dyn Projection| projection.tables());
        let mut seen = std::collections::BTreeSet::new();
        for table in names {
            assert!(seen.insert(table.name), "{} is there twice: views in schema read would collide", table.name);
        }
    }
}
