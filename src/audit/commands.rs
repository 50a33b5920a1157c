//! C2: has a command one effect? Its id stands in exactly one unit of a partition, and a unit has one command.

use std::collections::HashMap;

use super::Row;
use super::findings::Findings;
use crate::ids::{CommandId, Position};

/// Every command of the partition and where its unit ended.
#[derive(Default)]
pub(super) struct Commands {
    seen: HashMap<CommandId, Position>,
}

impl Commands {
    pub fn judge(&mut self, unit: &[Row], findings: &mut Findings) {
        let (Some(first), Some(last)) = (unit.first(), unit.last()) else { return };
        let command = first.record.command;
        if let Some(before) = self.seen.insert(command, last.record.position) {
            findings.at(&first.record, "C2", format!("command {command} had its effect at {before} already"));
        }
        for row in unit.iter().filter(|row| row.record.command != command) {
            let detail = format!("command {} stands in a unit of command {command}", row.record.command);
            findings.at(&row.record, "C2", detail);
        }
    }
}
