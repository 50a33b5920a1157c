//! What happens at a store's counter? A feed of payments: what counts is what comes next, so there is no snapshot.

use std::time::Duration;

use serde::Serialize;

use super::{Unit, damaged};
use crate::events::{NounEvent, Record, StoreEvent};
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, PaymentId, Position, StoreId, StreamId, Version};
use crate::journal::Journal;
use crate::live::frame::{self, Frame};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

/// The store's own creation is version 1 of its stream and gives no frame; every later fact gives one.
pub(in crate::live) const FRAMELESS: Version = Version(1);

#[derive(Serialize)]
struct Recorded<'a> {
    payment_id: &'a PaymentId,
    amount: Amount,
    currency: Currency,
    method: &'a str,
    paid_at: Timestamp,
    terminal_id: Option<&'a str>,
    at: Timestamp,
    prev: LogPosition,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
}

#[derive(Serialize)]
struct Cancelled<'a> {
    payment_id: &'a PaymentId,
    amount: Amount,
    remaining: Amount,
    at: Timestamp,
    prev: LogPosition,
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<u64>,
}

/// The frame of one fact; `skipped` where earlier ones were missed and are not shown. A store's unit holds facts of that
/// store alone, so a fact's own position is a good name even if one unit should hold two.
pub(in crate::live) fn frame(record: &Record, prev: Position, skipped: Option<u64>) -> Result<Option<Frame>, Fault> {
    let event = record.event().map_err(|e| damaged(record, e))?;
    let event = StoreEvent::from_event(event).ok_or_else(|| damaged(record, "not a fact of a store"))?;
    let (id, at) = (frame::id(record.partition, record.position), record.at);
    let before = frame::id(record.partition, prev);
    match event {
        StoreEvent::Created(_) => Ok(None),
        StoreEvent::PaymentRecorded(paid) => {
            let data = Recorded {
                payment_id: &paid.payment_id,
                amount: paid.amount,
                currency: paid.currency,
                method: &paid.method,
                paid_at: paid.paid_at,
                terminal_id: paid.terminal_id.as_deref(),
                at,
                prev: before,
                skipped,
            };
            Frame::new("payment", id, prev, at, &data).map(Some)
        }
        StoreEvent::PaymentCancelled(back) => {
            let data = Cancelled {
                payment_id: &back.payment_id,
                amount: back.amount,
                remaining: back.remaining,
                at,
                prev: before,
                skipped,
            };
            Frame::new("payment.cancelled", id, prev, at, &data).map(Some)
        }
    }
}

/// Is a missed payment, recorded at `at`, still worth showing at `now`?
pub(in crate::live) fn recent(at: Timestamp, now: Timestamp, window: Duration) -> bool {
    at >= now.minus(window)
}

/// Where the feed stands.
#[derive(Clone, Debug)]
pub(in crate::live) struct Fold {
    /// Of the store's newest fact.
    pub version: Version,
    pub at: Timestamp,
    last: Position,
}

impl Fold {
    pub(in crate::live) async fn load(
        journal: &dyn Journal,
        store: &StoreId,
        partition: Partition,
        up_to: Position,
    ) -> Result<Option<Self>, Fault> {
        let stream = StreamId::store(store);
        let latest = journal.latest_of(partition, stream.as_str(), up_to).await?;
        // Another store's id may begin with this one's.
        Ok(latest.iter().find(|record| record.stream == stream).map(|newest| {
            let last = if newest.version > FRAMELESS { newest.position } else { Position(0) };
            Self { version: newest.version, at: newest.at, last }
        }))
    }

    pub(in crate::live) fn last(&self) -> Position {
        self.last
    }

    pub(in crate::live) fn apply(&mut self, unit: &Unit, mut prev: Position) -> Result<Vec<Frame>, Fault> {
        let mut made = Vec::with_capacity(unit.records.len());
        for record in &unit.records {
            if let Some(next) = frame(record, prev, None)? {
                prev = next.id;
                made.push(next);
            }
            self.version = record.version;
            self.at = record.at;
        }
        self.last = prev;
        Ok(made)
    }
}

/// The newest fact at or before `position`, sought between versions 0 and `newest`: a store may have millions.
pub(in crate::live) async fn seek(
    journal: &dyn Journal,
    stream: &StreamId,
    position: Position,
    newest: Version,
) -> Result<Option<Record>, Fault> {
    // Invariant: version `low` stands at or before the position (0 stands before everything), version `high` after it.
    let (mut low, mut high, mut found) = (0, newest.0 + 1, None);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        let mut read = journal.read_stream(stream, Version(middle - 1), 1).await?;
        let Some(record) = read.pop() else {
            return Err(Fault::internal(format!("{stream} has no version {middle}")));
        };
        if record.position <= position {
            low = middle;
            found = Some(record);
        } else {
            high = middle;
        }
    }
    Ok(found)
}
