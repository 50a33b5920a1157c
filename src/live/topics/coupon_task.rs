//! What became of a request for a coupon? One record, found by its version, however many the coupon has.

use bytes::Bytes;
use serde::Serialize;

use super::{damaged, unit_end};
use crate::events::{CouponEvent, NounEvent};
use crate::fault::Fault;
use crate::ids::{LogPosition, Position, StreamId, TaskId, Version};
use crate::journal::Journal;
use crate::live::frame;
use crate::timestamp::Timestamp;

/// The result of the public contract. A task that has none was refused or never asked: there is nothing to show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CouponTaskView {
    pub task_id: TaskId,
    pub status: &'static str,
    pub serial: u64,
    pub issued_at: Timestamp,
    pub position: LogPosition,
}

impl CouponTaskView {
    #[must_use]
    pub fn issued(task_id: TaskId, serial: u64, issued_at: Timestamp, position: LogPosition) -> Self {
        Self { task_id, status: "issued", serial, issued_at, position }
    }

    pub(in crate::live) fn frame(&self) -> Result<Bytes, Fault> {
        #[derive(Serialize)]
        struct WithPrev<'a> {
            #[serde(flatten)]
            task: &'a CouponTaskView,
            prev: LogPosition,
        }
        let prev = frame::id(self.position.partition, Position(0));
        frame::event("result", Some(self.position), &WithPrev { task: self, prev })
    }
}

/// Reads the issue that stands at `version` of the coupon's stream.
pub(in crate::live) async fn read(
    journal: &dyn Journal,
    task: &TaskId,
    version: Version,
) -> Result<Option<CouponTaskView>, Fault> {
    let Some(coupon) = task.coupon() else { return Ok(None) };
    let before = Version(version.0.saturating_sub(1));
    let found = journal.read_stream(&StreamId::coupon(&coupon), before, 1).await?;
    let Some(record) = found.first().filter(|record| record.version == version) else { return Ok(None) };
    let event = record.event().map_err(|e| damaged(record, e))?;
    match CouponEvent::from_event(event) {
        Some(CouponEvent::Issued(issued)) if issued.task_id == *task => {
            let position = unit_end(journal, record).await?;
            Ok(Some(CouponTaskView::issued(issued.task_id, issued.serial, record.at, position)))
        }
        _ => Ok(None),
    }
}
