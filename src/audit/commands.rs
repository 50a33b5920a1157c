//! C2: has a command one effect? Its id stands in exactly one unit of a partition, and a unit has one command.
//!
//! A key names its command for `KEY_MEMORY`. Who says it again after that asks for something new.

use std::collections::HashMap;

use super::Row;
use super::findings::Findings;
use crate::ids::{CommandId, Position};
use crate::limits;
use crate::timestamp::Timestamp;

/// Every command of the partition, where its unit ended and when that was.
#[derive(Default)]
pub(super) struct Commands {
    seen: HashMap<CommandId, (Position, Timestamp)>,
}

impl Commands {
    pub fn judge(&mut self, unit: &[Row], findings: &mut Findings) {
        let (Some(first), Some(last)) = (unit.first(), unit.last()) else { return };
        let command = first.record.command;
        let before = self.seen.insert(command, (last.record.position, last.record.at));
        if let Some((before, at)) = before.filter(|(_, at)| first.record.at <= at.plus(limits::KEY_MEMORY)) {
            findings.at(&first.record, "C2", format!("command {command} had its effect at {before} already, at {at}"));
        }
        for row in unit.iter().filter(|row| row.record.command != command) {
            let detail = format!("command {} stands in a unit of command {command}", row.record.command);
            findings.at(&row.record, "C2", detail);
        }
    }
}
