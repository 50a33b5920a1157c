//! What is a topic fed with? The records of one unit that belong to it, under the position of the unit's end.

use std::fmt::Display;
use std::sync::Arc;

use crate::events::Record;
use crate::fault::Fault;
use crate::ids::LogPosition;
use crate::journal::Journal;
use crate::timestamp::Timestamp;

/// The records of one unit that belong to one topic.
#[derive(Clone, Debug)]
pub struct Unit {
    pub records: Vec<Arc<Record>>,
    /// Position of the unit's last event, whatever topic that belongs to.
    pub end: LogPosition,
    pub at: Timestamp,
}

/// The position that names the unit of `record`: that of the unit's last event.
pub(in crate::live) async fn unit_end(journal: &dyn Journal, record: &Record) -> Result<LogPosition, Fault> {
    let partition = record.partition;
    if record.unit_last {
        return Ok(LogPosition { partition, position: record.position });
    }
    let mut after = record.position;
    loop {
        let rest = journal.read_partition(partition, after, 1).await?;
        if let Some(last) = rest.iter().find(|r| r.unit_last) {
            return Ok(LogPosition { partition, position: last.position });
        }
        let Some(last) = rest.last() else {
            let detail = "the end of the last unit is missing".to_owned();
            return Err(Fault::Damaged { partition, position: after, detail });
        };
        after = last.position;
    }
}

/// A record of a topic that does not say what it should: the log is not what this build was made for.
pub(in crate::live) fn damaged(record: &Record, detail: impl Display) -> Fault {
    Fault::Damaged { partition: record.partition, position: record.position, detail: detail.to_string() }
}
