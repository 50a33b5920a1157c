//! Is every order in the log that was promised to somebody, and no order promised twice?

use std::collections::BTreeSet;

use super::report::Check;
use crate::cli::failure::Failure;
use crate::ids::{Partition, Position};
use crate::journal::SharedJournal;
use crate::limits;

/// C2: of every order that was promised there is an event of that kind.
pub async fn kept(
    name: &'static str,
    journal: &SharedJournal,
    kind: &str,
    promised: &[String],
) -> Result<Check, Failure> {
    let mut missing: BTreeSet<&str> = promised.iter().map(String::as_str).collect();
    let twice = promised.len() - missing.len();
    for (number, head) in (0..journal.partitions()).zip(journal.heads().await?) {
        let mut after = Position(0);
        while after < head {
            let chunk = journal.read_partition(Partition(number), after, limits::READ_BATCH).await?;
            let Some(last) = chunk.last() else { break };
            after = last.position;
            for record in chunk.iter().filter(|record| record.kind == kind) {
                if let Some(order) = record.stream.as_str().strip_prefix("order/") {
                    missing.remove(order);
                }
            }
        }
    }
    let (ok, detail) = judge(kind, promised.len(), twice, &missing);
    Ok(Check { name, ok, detail })
}

fn judge(kind: &str, promised: usize, twice: usize, missing: &BTreeSet<&str>) -> (bool, String) {
    let word = kind.trim_start_matches("order.");
    let detail = match missing.first() {
        None if twice == 0 => format!("all {promised} are {word} in the log"),
        None => format!("{twice} orders were given to two buyers"),
        Some(one) => format!("{} of {promised} are not {word} in the log, one is {one}", missing.len()),
    };
    (missing.is_empty() && twice == 0, detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::journal::memory::MemoryJournal;
    use std::sync::Arc;

    #[tokio::test]
    async fn an_order_that_is_not_in_the_log_is_found() {
        let journal: SharedJournal = Arc::new(MemoryJournal::new(2, Arc::new(SystemClock)));
        let check = |promised: Vec<String>| {
            let journal = journal.clone();
            async move { kept("orders", &journal, "order.placed", &promised).await.expect("read") }
        };
        let empty = check(Vec::new()).await;
        assert!(empty.ok && empty.detail == "all 0 are placed in the log", "{empty:?}");
        let lost = check(vec!["o0_a".to_owned(), "o1_b".to_owned()]).await;
        assert!(!lost.ok && lost.detail == "2 of 2 are not placed in the log, one is o0_a", "{lost:?}");
        let (ok, detail) = judge("order.completed", 2, 1, &BTreeSet::new());
        assert!(!ok && detail == "1 orders were given to two buyers", "{detail}");
    }
}
