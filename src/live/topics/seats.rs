//! Which seats of a performance are not available? The seat map that pages draw and watchers follow.
//!
//! Only the kind of a seat's newest fact matters here, never its payload: who holds a seat is nobody's business.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::{Unit, damaged, unit_end};
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, PerformanceId, Position, SeatId, StreamId, Version};
use crate::journal::Journal;
use crate::live::frame::{self, Frame};
use crate::timestamp::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SeatStatus {
    Held,
    Sold,
    Blocked,
}

impl SeatStatus {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Sold => "sold",
            Self::Blocked => "blocked",
        }
    }
}

/// Seats that are not available, as of `position` (the id of the topic's last frame).
#[derive(Clone, Debug)]
pub struct SeatMap {
    pub position: LogPosition,
    /// The log's time of that frame; the time of asking where no seat was ever touched.
    pub at: Timestamp,
    pub taken: BTreeMap<SeatId, SeatStatus>,
}

impl SeatMap {
    /// A house in which nobody ever touched a seat.
    #[must_use]
    pub fn untouched(partition: Partition, now: Timestamp) -> Self {
        Self { position: frame::id(partition, Position(0)), at: now, taken: BTreeMap::new() }
    }

    fn set(&mut self, seat: SeatId, status: Option<SeatStatus>) {
        match status {
            Some(status) => self.taken.insert(seat, status),
            None => self.taken.remove(&seat),
        };
    }
}

/// What a seat's fact makes of it; `None` is available.
fn status_after(record: &Record) -> Result<Option<SeatStatus>, Fault> {
    match &*record.kind {
        "seat.held" => Ok(Some(SeatStatus::Held)),
        "seat.sold" => Ok(Some(SeatStatus::Sold)),
        "seat.blocked" => Ok(Some(SeatStatus::Blocked)),
        "seat.released" | "seat.unblocked" => Ok(None),
        other => Err(damaged(record, format!("{other} is no fact of a seat"))),
    }
}

fn seat_of(record: &Record) -> Result<SeatId, Fault> {
    record.stream.seat_id().ok_or_else(|| damaged(record, "not the stream of a seat"))
}

fn event_name(status: Option<SeatStatus>) -> &'static str {
    match status {
        Some(SeatStatus::Held) => "seat.held",
        Some(SeatStatus::Sold) => "seat.sold",
        Some(SeatStatus::Blocked) => "seat.blocked",
        None => "seat.released",
    }
}

#[derive(Serialize)]
struct Changed<'a> {
    seats: &'a [SeatId],
    status: &'static str,
    at: Timestamp,
    prev: LogPosition,
}

/// The frames of one unit: one, since one act does one thing to all its seats. Should a unit ever do several things, each
/// run of equal ones gets a frame; all but the last are then named by their own last record, so that no id comes twice.
pub(in crate::live) fn frames(unit: &Unit, mut prev: Position) -> Result<Vec<Frame>, Fault> {
    let mut runs: Vec<(Option<SeatStatus>, Vec<SeatId>, Position)> = Vec::with_capacity(1);
    for record in &unit.records {
        let (status, seat) = (status_after(record)?, seat_of(record)?);
        match runs.last_mut() {
            Some((last, seats, end)) if *last == status => {
                seats.push(seat);
                *end = record.position;
            }
            _ => runs.push((status, vec![seat], record.position)),
        }
    }
    if let Some((_, _, end)) = runs.last_mut() {
        *end = unit.end.position;
    }
    let partition = unit.end.partition;
    let mut made = Vec::with_capacity(runs.len());
    for (status, seats, end) in runs {
        let data = Changed {
            seats: &seats,
            status: status.map_or("available", SeatStatus::as_str),
            at: unit.at,
            prev: frame::id(partition, prev),
        };
        made.push(Frame::new(event_name(status), frame::id(partition, end), prev, unit.at, &data)?);
        prev = end;
    }
    Ok(made)
}

/// The newest fact about any seat of the performance, as of `up_to`, names the topic's last frame then.
pub(in crate::live) async fn last_frame(
    journal: &dyn Journal,
    performance: &PerformanceId,
    partition: Partition,
    up_to: Position,
) -> Result<Position, Fault> {
    let latest = journal.latest_of(partition, &StreamId::seat_prefix(performance), up_to).await?;
    match latest.iter().max_by_key(|record| record.position) {
        Some(newest) => Ok(unit_end(journal, newest).await?.position),
        None => Ok(Position(0)),
    }
}

/// The map, copied only when somebody still reads the old one.
#[derive(Debug)]
pub(in crate::live) struct Fold {
    performance: PerformanceId,
    map: Arc<SeatMap>,
}

impl Fold {
    pub(in crate::live) async fn load(
        journal: &dyn Journal,
        performance: &PerformanceId,
        partition: Partition,
        up_to: Position,
        now: Timestamp,
    ) -> Result<Option<Self>, Fault> {
        // Seats have no creation event: only the performance's own stream says that there is such a house.
        if journal.read_stream(&StreamId::performance(performance), Version(0), 1).await?.is_empty() {
            return Ok(None);
        }
        let mut map = SeatMap::untouched(partition, now);
        let latest = journal.latest_of(partition, &StreamId::seat_prefix(performance), up_to).await?;
        for record in &latest {
            map.set(seat_of(record)?, status_after(record)?);
        }
        if let Some(newest) = latest.iter().max_by_key(|record| record.position) {
            map.position = unit_end(journal, newest).await?;
            map.at = newest.at;
        }
        Ok(Some(Self { performance: performance.clone(), map: Arc::new(map) }))
    }

    pub(in crate::live) fn map(&self) -> &Arc<SeatMap> {
        &self.map
    }

    pub(in crate::live) fn apply(&mut self, unit: &Unit, prev: Position) -> Result<Vec<Frame>, Fault> {
        let made = frames(unit, prev)?;
        let map = Arc::make_mut(&mut self.map);
        for record in &unit.records {
            map.set(seat_of(record)?, status_after(record)?);
        }
        map.position = unit.end;
        map.at = unit.at;
        Ok(made)
    }

    pub(in crate::live) fn snapshot(&self) -> Result<Bytes, Fault> {
        #[derive(Serialize)]
        struct Taken<'a> {
            seat_id: &'a SeatId,
            status: SeatStatus,
        }
        #[derive(Serialize)]
        struct Snapshot<'a> {
            performance_id: &'a PerformanceId,
            position: LogPosition,
            at: Timestamp,
            seats: Vec<Taken<'a>>,
        }
        let seats = self.map.taken.iter().map(|(seat_id, status)| Taken { seat_id, status: *status }).collect();
        let (position, at) = (self.map.position, self.map.at);
        let data = Snapshot { performance_id: &self.performance, position, at, seats };
        frame::event("snapshot", Some(position), &data)
    }
}
