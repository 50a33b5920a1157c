//! How many events per second does the log take, and how many a bare `INSERT … SELECT FROM UNNEST` of the same rows? By
//! turns in one run; prints a table. Run with `cargo bench --bench append`.
//!
//! Bare: the same rows into a copy of the table with its indexes, one statement and so one transaction per batch, from
//! columns that lie ready. It has no fence, no heads, no deadlines, no kinds, and asks nobody.

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::Duration;

use onsale::clock::{Clock, Entropy, SystemClock};
use onsale::events::{Chain, Decoded, Record};
use onsale::ids::{AccountId, Hash16, NodeId, OrderId, Partition, Position, StreamId, Version};
use onsale::journal::follow::Follow;
use onsale::journal::lane::{Guilty, Lane, LaneParts, Queued, Reports, Timers};
use onsale::journal::open::{Options, Role, Target, open};
use onsale::journal::rows::Moment;
use onsale::journal::{PartitionBatch, PartitionState, SharedJournal, Unit, Verdict};
use onsale::timestamp::Timestamp;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Batches of so many events, and how many of them make one turn.
const SIZES: [(usize, usize); 3] = [(10, 600), (100, 300), (500, 120)];
const TURNS: usize = 7;
const NOW: Timestamp = Timestamp(1_795_000_000_000);

#[tokio::main]
async fn main() {
    let dir = std::env::temp_dir().join(format!("onsale-bench-{}", std::process::id()));
    let sqlite = journal(&Target::Sqlite { dir: dir.clone() }).await;
    compare(sqlite, None).await;
    std::fs::remove_dir_all(&dir).expect("the files of the bench can be removed");
    let database = support::postgres::database().await;
    let postgres = journal(&Target::Postgres { url: database.url.clone() }).await;
    compare(postgres, Some(Bare::create(&database.owner).await)).await;
    database.drop_it().await;
}

async fn journal(target: &Target) -> SharedJournal {
    open(target, Options::new(Role::Serve)).await.expect("the log opens")
}

/// All ways to write, by turns, and what each makes of the same batches.
async fn compare(journal: SharedJournal, mut bare: Option<Bare>) {
    let engine = journal.engine();
    let claim = journal.claim(&NodeId::new("bench")).await.expect("nobody else serves it");
    // Each way has partitions of its own, so that none has to know what another one wrote.
    let states =
        |rest: u16| claim.partitions.iter().filter(move |state| state.partition.0 % 3 == rest).cloned().collect();
    let (mut for_bare, mut for_append) = (Rows(states(0)), Rows(states(1)));
    let mut lane = Fed::start(journal.clone(), &claim.partitions, Rows(states(2))).await;
    for (size, batches) in SIZES {
        let mut rates: [Vec<f64>; 3] = Default::default();
        for _ in 0..TURNS {
            if let Some(bare) = &mut bare {
                let ready: Vec<Columns> = (0..batches).map(|_| Columns::of(&for_bare.next(size))).collect();
                rates[0].push(rate(size * batches, bare.insert(ready)).await);
            }
            let ready: Vec<Vec<PartitionBatch>> = (0..batches).map(|_| for_append.batches(size)).collect();
            rates[1].push(rate(size * batches, append(&journal, ready)).await);
            rates[2].push(lane.turn(size, batches).await);
        }
        for (name, rates_of) in [("bare UNNEST", &rates[0]), ("append", &rates[1]), ("lane", &rates[2])] {
            if !rates_of.is_empty() {
                let (_, middle, _) = spread(rates_of);
                println!(
                    "{engine:<9} batches of {size:>3}  {name:<12} {middle:>9.0} events/s{}",
                    beside(rates_of, &rates[0])
                );
            }
        }
    }
    lane.stop().await;
}

/// The ratio of each turn to the bare one of that turn.
fn beside(rates: &[f64], bare: &[f64]) -> String {
    let ratios: Vec<f64> = rates.iter().zip(bare).map(|(rate, bare)| rate / bare).collect();
    if ratios.is_empty() {
        return String::new();
    }
    let (least, middle, most) = spread(&ratios);
    format!("  {middle:.2} x bare ({least:.2} to {most:.2})")
}

/// Least, median and most.
fn spread(figures: &[f64]) -> (f64, f64, f64) {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    (sorted[0], sorted[sorted.len() / 2], sorted[sorted.len() - 1])
}

async fn rate(events: usize, work: impl Future<Output = ()>) -> f64 {
    let begun = SystemClock.elapsed();
    work.await;
    events as f64 / (SystemClock.elapsed() - begun).as_secs_f64()
}

async fn append(journal: &SharedJournal, ready: Vec<Vec<PartitionBatch>>) {
    for batches in ready {
        assert_eq!(journal.append(&batches).await, Ok(vec![Verdict::Written; batches.len()]));
    }
}

/// Rows of some partitions: orders in streams of their own, over all of them by turns.
struct Rows(Vec<PartitionState>);

impl Rows {
    fn next(&mut self, size: usize) -> Vec<Record> {
        let partitions = self.0.len();
        (0..size).map(|number| record(&mut self.0[number % partitions])).collect()
    }

    fn batches(&mut self, size: usize) -> Vec<PartitionBatch> {
        let before = self.0.clone();
        let mut records = self.next(size);
        let batch = |state: &PartitionState| {
            let of = state.partition;
            let own = records.extract_if(.., |record| record.partition == of);
            let units = own.map(|record| Unit { records: vec![record], ..Unit::default() }).collect();
            PartitionBatch { partition: of, epoch: state.epoch, expected_head: state.head, units }
        };
        before.iter().map(batch).filter(|batch| !batch.units.is_empty()).collect()
    }
}

fn record(state: &mut PartitionState) -> Record {
    state.head = state.head.next();
    let entropy = Entropy::seeded(state.head.0 << 16 | u64::from(state.partition.0));
    let event_id = entropy.uuid(NOW);
    Record {
        partition: state.partition,
        position: state.head,
        stream: StreamId::order(&OrderId::derive(state.partition, &entropy.hash16())),
        version: Version(1),
        kind: "order.placed".into(),
        schema: 1,
        codec: 1,
        event_id,
        command: Hash16([7; 16]),
        correlation: event_id,
        causation: None,
        principal: AccountId::new("member-1"),
        owner: Some(AccountId::new("seller-1")),
        epoch: state.epoch,
        node: NodeId::new("bench"),
        at: NOW,
        recorded_at: NOW,
        unit_last: true,
        chain: Chain([1; 32]),
        payload: vec![1; 100],
        decoded: Decoded::default(),
    }
}

/// The copy of the table, and who writes to it.
struct Bare {
    conn: PgConnection,
    statement: String,
}

const COLUMNS: [(&str, &str); 20] = [
    ("partition", "int4"),
    ("position", "int8"),
    ("stream", "text"),
    ("version", "int8"),
    ("kind", "text"),
    ("schema", "int2"),
    ("codec", "int2"),
    ("event_id", "uuid"),
    ("command", "bytea"),
    ("correlation", "uuid"),
    ("causation", "uuid"),
    ("principal", "text"),
    ("owner", "text"),
    ("epoch", "int8"),
    ("node", "text"),
    ("at", "timestamptz"),
    ("recorded_at", "timestamptz"),
    ("unit_last", "bool"),
    ("chain", "bytea"),
    ("payload", "bytea"),
];

impl Bare {
    async fn create(owner: &str) -> Self {
        support::postgres::sql(owner, "CREATE TABLE log.bare (LIKE log.events INCLUDING ALL)").await;
        let conn = PgConnection::connect(owner).await.expect("the database answers");
        let names = COLUMNS.map(|(name, _)| name).join(", ");
        let arrays = (1..).zip(COLUMNS).map(|(place, (_, kind))| format!("${place}::{kind}[]")).collect::<Vec<_>>();
        let statement = format!("INSERT INTO log.bare ({names}) SELECT * FROM UNNEST({})", arrays.join(", "));
        Self { conn, statement }
    }

    async fn insert(&mut self, ready: Vec<Columns>) {
        for columns in ready {
            let query = sqlx::query(AssertSqlSafe(self.statement.clone()))
                .bind(columns.partition)
                .bind(columns.position)
                .bind(columns.stream)
                .bind(columns.version)
                .bind(columns.kind)
                .bind(columns.schema.clone())
                .bind(columns.schema)
                .bind(columns.event_id.clone())
                .bind(columns.command)
                .bind(columns.event_id)
                .bind(columns.causation)
                .bind(columns.principal)
                .bind(columns.owner)
                .bind(columns.epoch)
                .bind(columns.node)
                .bind(columns.at.clone())
                .bind(columns.at)
                .bind(columns.unit_last)
                .bind(columns.chain)
                .bind(columns.payload);
            query.execute(&mut self.conn).await.expect("the rows are new");
        }
    }
}

/// A batch as the driver takes it; columns that are alike are kept once.
#[derive(Default)]
struct Columns {
    partition: Vec<i32>,
    position: Vec<i64>,
    stream: Vec<String>,
    version: Vec<i64>,
    kind: Vec<String>,
    schema: Vec<i16>,
    event_id: Vec<Uuid>,
    command: Vec<Vec<u8>>,
    causation: Vec<Option<Uuid>>,
    principal: Vec<String>,
    owner: Vec<String>,
    epoch: Vec<i64>,
    node: Vec<String>,
    at: Vec<Moment>,
    unit_last: Vec<bool>,
    chain: Vec<Vec<u8>>,
    payload: Vec<Vec<u8>>,
}

impl Columns {
    fn of(records: &[Record]) -> Self {
        let mut columns = Self::default();
        for record in records {
            columns.partition.push(i32::from(record.partition.0));
            columns.position.push(record.position.0 as i64);
            columns.stream.push(record.stream.to_string());
            columns.version.push(record.version.0 as i64);
            columns.kind.push(record.kind.to_string());
            columns.schema.push(1);
            columns.event_id.push(record.event_id);
            columns.command.push(record.command.0.to_vec());
            columns.causation.push(record.causation);
            columns.principal.push(record.principal.to_string());
            columns.owner.push("seller-1".to_owned());
            columns.epoch.push(record.epoch.0 as i64);
            columns.node.push(record.node.to_string());
            columns.at.push(Moment(record.at));
            columns.unit_last.push(record.unit_last);
            columns.chain.push(record.chain.0.to_vec());
            columns.payload.push(record.payload.clone());
        }
        columns
    }
}

/// A lane at work, and who feeds it: two batches are under way, so that one gathers while the other commits.
struct Fed {
    queue: mpsc::Sender<Queued>,
    heard: Arc<Heard>,
    rows: Rows,
    fed: u64,
    stop: CancellationToken,
    lane: tokio::task::JoinHandle<()>,
}

/// How many events the lane says are durable.
struct Heard {
    before: Vec<Position>,
    durable: parking_lot::Mutex<Vec<Position>>,
    events: watch::Sender<u64>,
}

impl Reports for Heard {
    fn is_current(&self, _: Partition, _: u64) -> bool {
        true
    }

    fn committed(&self, partition: Partition, position: Position) {
        let mut durable = self.durable.lock();
        durable[usize::from(partition.0)] = position;
        let events = durable.iter().zip(&self.before).map(|(now, before)| now.0 - before.0).sum();
        self.events.send_replace(events);
    }

    fn suspended(&self, partition: Partition, _: Position) {
        panic!("an append to {partition} failed");
    }

    fn resumed(&self, state: &PartitionState, _: Timers, _: Option<Guilty>) {
        panic!("an append to {} failed", state.partition);
    }

    fn lost(&self, partition: Partition, _: onsale::fault::Fault) {
        panic!("somebody else writes to {partition}");
    }
}

impl Fed {
    async fn start(journal: SharedJournal, states: &[PartitionState], rows: Rows) -> Self {
        let heads: Vec<Position> = states.iter().map(|state| state.head).collect();
        let durable = parking_lot::Mutex::new(heads.clone());
        let heard = Arc::new(Heard { before: heads.clone(), durable, events: watch::Sender::new(0) });
        let (queue, queued) = mpsc::channel(onsale::limits::LANE_QUEUE);
        let stop = CancellationToken::new();
        let parts = LaneParts {
            follow: Follow::new(journal.clone(), &heads),
            journal,
            reports: heard.clone(),
            node: NodeId::new("bench"),
            clock: Arc::new(SystemClock),
            stop: stop.clone(),
        };
        let lane = tokio::spawn(Lane::new(parts, states, queued).run());
        Self { queue, heard, rows, fed: 0, stop, lane }
    }

    /// Events per second of so many batches.
    async fn turn(&mut self, size: usize, batches: usize) -> f64 {
        let queued = |record: Record| {
            let (partition, unit) = (record.partition, Unit { records: vec![record], ..Unit::default() });
            Queued { partition, generation: 1, unit, bytes: 400 }
        };
        let ready: Vec<Vec<Queued>> =
            (0..batches).map(|_| self.rows.next(size).into_iter().map(queued).collect()).collect();
        let mut durable = self.heard.events.subscribe();
        let begun = SystemClock.elapsed();
        for batch in ready {
            let before = self.fed;
            self.fed += batch.len() as u64;
            for unit in batch {
                self.queue.send(unit).await.expect("the lane runs");
            }
            until(&mut durable, before).await;
        }
        until(&mut durable, self.fed).await;
        (size * batches) as f64 / (SystemClock.elapsed() - begun).as_secs_f64()
    }

    async fn stop(self) {
        self.stop.cancel();
        self.lane.await.expect("the lane ends well");
    }
}

async fn until(durable: &mut watch::Receiver<u64>, events: u64) {
    let waited = tokio::time::timeout(Duration::from_secs(60), durable.wait_for(|now| *now >= events));
    waited.await.expect("the lane goes on").expect("the lane runs");
}
