//! What was found? Counts every violation and keeps the first ones; one broken row may break everything behind it.

use super::Payment;
use crate::events::Record;
use crate::ids::{Partition, Position};
use crate::limits;

/// One thing that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// `I1` … `L2`, as the design names them.
    pub invariant: &'static str,
    pub partition: Partition,
    pub position: Position,
    pub detail: String,
}

/// The outcome of an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    pub records: u64,
    pub partitions: u16,
    /// The first ones in the order of the log, at most `limits::AUDIT_VIOLATIONS`.
    pub violations: Vec<Violation>,
    /// All of them, counted.
    pub found: u64,
    /// What the log says of each payment, in no order.
    pub payments: Vec<Payment>,
}

#[derive(Default)]
pub(super) struct Findings {
    kept: Vec<Violation>,
    found: u64,
}

impl Findings {
    pub fn at(&mut self, record: &Record, invariant: &'static str, detail: impl Into<String>) {
        self.add(invariant, record.partition, record.position, detail);
    }

    pub fn add(
        &mut self,
        invariant: &'static str,
        partition: Partition,
        position: Position,
        detail: impl Into<String>,
    ) {
        self.found += 1;
        if self.kept.len() < limits::AUDIT_VIOLATIONS {
            self.kept.push(Violation { invariant, partition, position, detail: detail.into() });
        }
    }

    pub fn report(self, records: u64, partitions: u16, payments: Vec<Payment>) -> Report {
        Report { records, partitions, violations: self.kept, found: self.found, payments }
    }
}
