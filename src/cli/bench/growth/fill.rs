//! How does a log become large quickly? Filler rows, made by the database itself in large pieces and with the indexes in
//! place, since indexes that are built afterwards are not those of a log that has grown.
//!
//! They are as wide as real ones, in real proportions to each other, with names, event ids and heads as they would be: one
//! order in its own stream, its seat, one issue of a coupon. What they lack: their chain follows from nothing, so a log that
//! was filled does not hold before the audit.

use sqlx::{Connection, PgConnection, Row};

use super::database::connect;
use crate::cli::bench::history::History;
use crate::cli::failure::Failure;
use crate::clock::{Clock, Entropy, SystemClock};
use crate::events::codec;
use crate::ids::{CouponId, Partition, PerformanceId, StreamId};
use crate::timestamp::Timestamp;

/// Rows of one statement, over all its partitions.
const PIECE: u64 = 100_000;
/// Kinds that follow each other in each partition.
pub const KINDS: [&str; 3] = ["order.placed", "seat.held", "coupon.issued"];
/// Connections that fill, each its own partitions.
const WRITERS: usize = 2;
const BEGAN_BEFORE: std::time::Duration = std::time::Duration::from_secs(86_400);

#[derive(Clone)]
pub struct Filler {
    url: String,
    entropy: Entropy,
    partitions: u16,
    /// In each partition.
    filled: u64,
    begun: Timestamp,
    coupons: Vec<String>,
    payloads: [(Vec<u8>, i16); 3],
}

fn failed(error: sqlx::Error) -> Failure {
    Failure::of(format!("the log cannot be filled: {error}"))
}

impl Filler {
    pub fn new(url: String, partitions: u16) -> Result<Self, Failure> {
        let entropy = Entropy::from_system();
        let begun = Timestamp(SystemClock.wall().0 - i64::try_from(BEGAN_BEFORE.as_millis()).unwrap_or(0));
        let coupons = (0..partitions)
            .map(|number| at_home(number, partitions, || CouponId::derive(&entropy.hash16()).to_string()));
        let coupons = coupons.collect();
        let payloads = payloads(&entropy, partitions, begun)?;
        Ok(Self { url, entropy, partitions, filled: 0, begun, coupons, payloads })
    }

    /// Adds at least so many events, as many to each partition.
    pub async fn add(&mut self, events: u64) -> Result<(), Failure> {
        let each = events.div_ceil(u64::from(self.partitions)).next_multiple_of(KINDS.len() as u64);
        let share = usize::from(self.partitions).div_ceil(WRITERS);
        let all: Vec<u16> = (0..self.partitions).collect();
        let writers = all.chunks(share).map(|own| self.clone().fill(own.to_vec(), each));
        futures::future::try_join_all(writers).await?;
        self.filled += each;
        Ok(())
    }

    async fn fill(self, own: Vec<u16>, each: u64) -> Result<(), Failure> {
        let mut conn = connect(&self.url).await.map_err(failed)?;
        // Nobody is told that a filler is durable; the checkpoint afterwards makes them all so.
        sqlx::raw_sql("SET synchronous_commit = off").execute(&mut conn).await.map_err(failed)?;
        let piece = (PIECE / own.len() as u64).next_multiple_of(KINDS.len() as u64);
        let mut done = 0;
        while done < each {
            let rows = piece.min(each - done);
            self.piece(&mut conn, &own, self.filled + done, rows).await.map_err(failed)?;
            done += rows;
        }
        conn.close().await.map_err(failed)
    }

    async fn piece(&self, conn: &mut PgConnection, own: &[u16], filled: u64, rows: u64) -> Result<(), sqlx::Error> {
        let numbers: Vec<i32> = own.iter().map(|number| i32::from(*number)).collect();
        let (mut epochs, mut heads): (Vec<i64>, Vec<i64>) = (Vec::new(), Vec::new());
        let mut change = conn.begin().await?;
        let states = "SELECT epoch, head FROM log.partitions WHERE partition = ANY ($1) ORDER BY partition FOR UPDATE";
        for row in sqlx::query(states).bind(&numbers).fetch_all(&mut *change).await? {
            epochs.push(row.try_get(0)?);
            heads.push(row.try_get(1)?);
        }
        let performance = |number: &u16| {
            at_home(*number, self.partitions, || PerformanceId::derive(&self.entropy.hash16()).to_string())
        };
        let performances: Vec<String> = own.iter().map(performance).collect();
        let coupons: Vec<&str> = own.iter().map(|number| self.coupons[usize::from(*number)].as_str()).collect();
        let [placed, held, issued] = &self.payloads;
        let (rows, filled) = (signed(rows), signed(filled));
        sqlx::query(include_str!("kinds.sql"))
            .bind(KINDS.to_vec())
            .bind(vec![placed.1, held.1, issued.1])
            .bind(numbers[0])
            .bind(heads[0])
            .execute(&mut *change)
            .await?;
        sqlx::query(include_str!("fill.sql"))
            .bind(&numbers)
            .bind(epochs)
            .bind(heads)
            .bind(performances)
            .bind(coupons)
            .bind(rows)
            .bind(filled)
            .bind(crate::journal::rows::Moment(self.begun))
            .bind(&placed.0)
            .bind(&held.0)
            .bind(&issued.0)
            .bind(placed.1)
            .bind(held.1)
            .bind(issued.1)
            .execute(&mut *change)
            .await?;
        let raise = "UPDATE log.partitions SET head = head + $2 WHERE partition = ANY ($1)";
        sqlx::query(raise).bind(&numbers).bind(rows).execute(&mut *change).await?;
        change.commit().await
    }

    /// Some order of those that fill the log: which is up to the dice.
    pub fn order(&self) -> StreamId {
        let partition = self.entropy.below(u64::from(self.partitions));
        let number = self.entropy.below(self.filled / KINDS.len() as u64);
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, format!("{partition}/{number}").as_bytes());
        let hex: String = hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
        StreamId::from_log(format!("order/o{partition}_{hex}"))
    }
}

fn signed(number: u64) -> i64 {
    crate::journal::rows::signed(number)
}

/// The first name that belongs to that partition.
fn at_home(partition: u16, partitions: u16, name: impl Fn() -> String) -> String {
    loop {
        let name = name();
        if Partition::of_key(&name, partitions) == Partition(partition) {
            return name;
        }
    }
}

/// Of each kind, a real fact as it stands in a log.
fn payloads(entropy: &Entropy, partitions: u16, begun: Timestamp) -> Result<[(Vec<u8>, i16); 3], Failure> {
    let facts: Vec<_> = History::new(entropy.clone(), partitions, begun)
        .take(1_000)
        .into_iter()
        .flat_map(|draft| draft.facts)
        .collect();
    let payload = |kind: &str| {
        let found = facts.iter().rfind(|(_, _, event)| event.kind().name == kind);
        let (_, _, event) = found.ok_or_else(|| Failure::of(format!("there is no {kind} in a history")))?;
        let bytes = codec::encode(event).map_err(|e| Failure::of(e.to_string()))?;
        Ok::<_, Failure>((bytes, i16::try_from(event.kind().version).unwrap_or(i16::MAX)))
    };
    let [placed, held, issued] = KINDS;
    Ok([payload(placed)?, payload(held)?, payload(issued)?])
}
