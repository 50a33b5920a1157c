//! Is the log right? Judges the invariants that can be seen from the log alone, for `onsale audit` and the fault bench.
//!
//! The checker has a little model of its own and shares no code with `domain/`: a bug in the rules must not blind the one
//! who looks for it. It reads, one partition after the other in chunks, and never writes or repairs. What needs read
//! models (P1, P2) or the clients' records (C1, C3, C4) is not judged here; the payment provider's books are compared in
//! `psp`, by whoever has them.

mod commands;
mod coupons;
mod findings;
mod members;
mod money;
pub mod psp;
mod rows;
mod seats;

pub use findings::{Report, Violation};
pub use psp::Payment;

use crate::events::{Event, Record};
use crate::fault::Fault;
use crate::ids::{Partition, Position};
use crate::journal::Journal;
use crate::limits;
use findings::Findings;

/// How far an audit has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub partition: Partition,
    pub position: Position,
    /// Where this partition ends.
    pub head: Position,
    /// Over all partitions so far.
    pub records: u64,
}

/// A record and, if this build can read it, its fact.
struct Row {
    record: Record,
    event: Option<Event>,
}

/// What is judged, one file each. All of it is per partition, since no invariant reaches over two.
struct Judges {
    rows: rows::Rows,
    seats: seats::Seats,
    members: members::Members,
    money: money::Money,
    coupons: coupons::Coupons,
    commands: commands::Commands,
}

/// Reads the whole log up to the heads of this moment. A `Fault` means that it could not be read, not that it is wrong.
pub async fn run(journal: &dyn Journal, mut progress: impl FnMut(Progress)) -> Result<Report, Fault> {
    let mut findings = Findings::default();
    let mut records = 0;
    let mut payments = Vec::new();
    for (number, head) in (0..journal.partitions()).zip(journal.heads().await?) {
        let partition = Partition(number);
        let mut judges = Judges {
            rows: rows::Rows::new(partition, journal.partitions()),
            seats: seats::Seats::default(),
            members: members::Members::default(),
            money: money::Money::default(),
            coupons: coupons::Coupons::default(),
            commands: commands::Commands::default(),
        };
        let mut after = Position(0);
        while after < head {
            let mut chunk = journal.read_partition(partition, after, limits::READ_BATCH).await?;
            // Rows that came after the audit began are the next audit's business.
            chunk.retain(|record| record.position <= head);
            let Some(last) = chunk.last().map(|last| last.position).filter(|last| *last > after) else { break };
            records += chunk.len() as u64;
            judges.judge(chunk, &mut findings);
            after = last;
            progress(Progress { partition, position: after, head, records });
        }
        judges.rows.end(head, &mut findings);
        payments.extend(judges.money.payments());
    }
    Ok(findings.report(records, journal.partitions(), payments))
}

impl Judges {
    /// `chunk` ends at the end of a unit, as every reading does.
    fn judge(&mut self, chunk: Vec<Record>, findings: &mut Findings) {
        let rows: Vec<Row> = chunk
            .into_iter()
            .map(|record| {
                let event = self.rows.judge(&record, findings);
                Row { record, event }
            })
            .collect();
        for unit in rows.split_inclusive(|row| row.record.unit_last) {
            self.commands.judge(unit, findings);
            self.seats.judge(unit, findings);
            self.members.judge(unit, findings);
            self.money.judge(unit, findings);
            self.coupons.judge(unit, findings);
        }
    }
}
