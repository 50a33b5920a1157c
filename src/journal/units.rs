//! Where may a reading of the log be cut? At the end of a unit, nowhere else.

use std::borrow::Borrow;

use crate::events::Record;

/// At least one unit and at most `limit` records if that is more, never part of a unit.
pub(super) fn whole<R: Borrow<Record>>(records: impl Iterator<Item = R>, limit: usize) -> Vec<R> {
    let mut found = Vec::new();
    let mut complete = 0;
    for record in records {
        if found.len() >= limit && complete > 0 {
            break;
        }
        let last = record.borrow().unit_last;
        found.push(record);
        if last {
            complete = found.len();
        }
    }
    found.truncate(complete);
    found
}
