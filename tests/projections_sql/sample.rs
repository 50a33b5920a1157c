//! What do the tests project? Stores and how often they were paid: rows that count, so that anything applied twice or not
//! at all shows; and facts that cannot be applied, until somebody cures the projection.

use std::sync::atomic::{AtomicBool, Ordering};

use onsale::events::{Event, StoreEvent, store};
use onsale::ids::{AccountId, Hash16, Partition, PaymentId, StoreId, StreamId};
use onsale::money::{Amount, Currency};
use onsale::projections::table::{Cells, Column, Key, Kind, Misfit, Row, Table, Value};
use onsale::projections::{Fact, Needed, Projection, Rows, Schema, Unfit};
use onsale::timestamp::Timestamp;

pub const PARTITIONS: u16 = 8;

/// One store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    pub store_id: String,
    pub name: Option<String>,
    pub payments: i64,
}

const fn column(name: &'static str, kind: Kind, nullable: bool) -> Column {
    Column { name, kind, nullable }
}

pub static SAMPLES: Table = Table {
    name: "samples",
    columns: &[
        column("store_id", Kind::Text, false),
        column("name", Kind::Text, true),
        column("payments", Kind::Int, false),
    ],
    key: 1,
};

pub fn key(id: &str) -> Key {
    vec![Value::Text(id.into())]
}

pub fn cells(id: &str, name: Option<&str>, payments: i64) -> Cells {
    let name = name.map_or(Value::Null, |name| Value::Text(name.into()));
    vec![Value::Text(id.into()), name, Value::Int(payments)]
}

impl Row for Sample {
    const TABLE: &'static Table = &SAMPLES;

    fn own_key(&self) -> Key {
        key(&self.store_id)
    }

    fn into_cells(self) -> Cells {
        cells(&self.store_id, self.name.as_deref(), self.payments)
    }

    fn from_cells(cells: &[Value]) -> Result<Self, Misfit> {
        match cells {
            [Value::Text(id), name, Value::Int(payments)] => {
                let name = if let Value::Text(name) = name { Some(name.to_string()) } else { None };
                Ok(Self { store_id: id.to_string(), name, payments: *payments })
            }
            _ => Err(Misfit { table: "samples", column: "store_id" }),
        }
    }
}

/// A projection that cannot apply a payment of method `poison`, and panics on `panic`, until it is cured.
#[derive(Default)]
pub struct Samples {
    pub cured: AtomicBool,
}

impl Samples {
    /// One for each test: projections live as long as the process.
    pub fn leak() -> &'static Self {
        Box::leak(Box::default())
    }
}

impl Projection for Samples {
    fn name(&self) -> &'static str {
        "samples"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: "CREATE TABLE @.samples (store_id text COLLATE \"C\" PRIMARY KEY, name text COLLATE \"C\", \
                       payments int8 NOT NULL CHECK (payments < 1000000));",
            sqlite: "CREATE TABLE samples (store_id TEXT NOT NULL PRIMARY KEY, name TEXT, \
                     payments INTEGER NOT NULL CHECK (payments < 1000000)) STRICT, WITHOUT ROWID;",
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        static TABLES: [&Table; 1] = [&SAMPLES];
        &TABLES
    }

    fn follows(&self) -> &'static [&'static str] {
        &["store"]
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        needed.row::<Sample>(key(fact.record.stream.id()));
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        let id = fact.record.stream.id();
        let row: Option<Sample> = rows.get(&key(id))?;
        let mut row = row.unwrap_or(Sample { store_id: id.to_owned(), name: None, payments: 0 });
        match &*fact.event {
            Event::Store(StoreEvent::Created(created)) => row.name = Some(created.name.clone()),
            Event::Store(StoreEvent::PaymentRecorded(paid)) => {
                row.payments += 1;
                let cured = self.cured.load(Ordering::SeqCst);
                // Written before it fails: a fact that cannot be applied leaves no trace.
                rows.put(row.clone());
                match paid.method.as_str() {
                    "poison" if !cured => return Err(Unfit::Impossible("poison".to_owned())),
                    "panic" if !cured => panic!("a planted panic"),
                    "huge" if !cured => row.payments = 2_000_000,
                    _ => {}
                }
            }
            _ => {}
        }
        rows.put(row);
        Ok(())
    }
}

/// The first store that lives in a partition, under a name of its own.
pub fn store_in(partition: Partition, seed: &str) -> StoreId {
    (0_u32..)
        .map(|n| format!("st_{seed}{n}"))
        .find(|id| Partition::of_key(id, PARTITIONS) == partition)
        .map(StoreId::new)
        .expect("some number fits")
}

pub fn created(store: &StoreId, name: &str) -> (StreamId, Event) {
    let (store_id, owner, name) = (store.clone(), AccountId::new("ann"), name.to_owned());
    (StreamId::store(store), StoreEvent::from(store::Created { store_id, owner, name, body: Hash16::default() }).into())
}

pub fn paid(store: &StoreId, payment: &str, method: &str) -> (StreamId, Event) {
    let event = store::PaymentRecorded {
        payment_id: PaymentId::new(payment),
        amount: Amount::new(5).expect("a small amount"),
        currency: Currency::KRW,
        method: method.to_owned(),
        paid_at: Timestamp(1_700_000_000_000),
        terminal_id: None,
    };
    (StreamId::store(store), StoreEvent::from(event).into())
}
