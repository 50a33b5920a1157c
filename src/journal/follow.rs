//! What is new in the log? One tail per node, for everything that follows it (live topics, projections, sagas).
//!
//! A commit wakes followers; what they then read comes from a bounded window of recent records, or from the log when
//! they are further behind. The window holds exactly what was committed, so both give the same. This file does not know
//! who follows, nor what the records mean.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::events::{Chain, Record};
use crate::fault::Fault;
use crate::ids::{Partition, Position};
use crate::journal::SharedJournal;
use crate::limits;

/// The node's tail reader. Cheap to clone.
#[derive(Clone)]
pub struct Follow {
    inner: Arc<Inner>,
}

struct Inner {
    journal: SharedJournal,
    tails: Vec<Tail>,
}

/// The recent end of one partition.
struct Tail {
    window: Mutex<Window>,
    /// Set after the window, so that whoever was woken by it finds the records.
    head: watch::Sender<Position>,
    /// Where the last reading of the log ended, and the chain there: the next reading goes on from it.
    read_to: Mutex<(Position, Chain)>,
}

/// Records without gaps, the newest last.
#[derive(Default)]
struct Window {
    records: VecDeque<Arc<Record>>,
}

impl Follow {
    /// `heads` are the durable heads of all partitions at this moment.
    #[must_use]
    pub fn new(journal: SharedJournal, heads: &[Position]) -> Self {
        let tail = |head: &Position| Tail {
            window: Mutex::default(),
            head: watch::Sender::new(*head),
            read_to: Mutex::default(),
        };
        Self { inner: Arc::new(Inner { journal, tails: heads.iter().map(tail).collect() }) }
    }

    /// Called by the lane after a commit, in position order.
    pub fn committed(&self, partition: Partition, records: Vec<Arc<Record>>) {
        let (Ok(tail), Some(last)) = (self.tail(partition), records.last()) else { return };
        let head = last.position;
        tail.window.lock().push(records);
        tail.raise(head);
    }

    /// The durable head moved without records at hand (after a settled doubt).
    pub fn head_is(&self, partition: Partition, head: Position) {
        if let Ok(tail) = self.tail(partition) {
            tail.raise(head);
        }
    }

    /// The durable head that followers may read up to.
    #[must_use]
    pub fn head(&self, partition: Partition) -> Position {
        self.tail(partition).map_or(Position(0), |tail| *tail.head.borrow())
    }

    /// Records after `after`, cut at the end of a unit, in order; waits until there is one.
    pub async fn next(&self, partition: Partition, after: Position) -> Result<Vec<Arc<Record>>, Fault> {
        let tail = self.tail(partition)?;
        // `wait_for` looks at the present head before it waits: a commit that came a moment ago is not slept through.
        let waited = tail.head.subscribe().wait_for(|head| *head > after).await.map(|head| *head);
        waited.map_err(|_| Fault::internal("the tail of the log was closed"))?;
        self.read(partition, after).await
    }

    /// As `next`, but answers an empty list when there is nothing new.
    pub async fn read(&self, partition: Partition, after: Position) -> Result<Vec<Arc<Record>>, Fault> {
        let tail = self.tail(partition)?;
        let head = *tail.head.borrow();
        if after >= head {
            return Ok(Vec::new());
        }
        let recent = tail.window.lock().after(after);
        if !recent.is_empty() {
            return Ok(recent);
        }
        let mut records = self.inner.journal.read_partition(partition, after, limits::READ_BATCH).await?;
        // The log may already show what no lane has reported: others read up to the head, so does this one.
        records.retain(|record| record.position <= head);
        tail.check(partition, after, &records)?;
        Ok(records.into_iter().map(Arc::new).collect())
    }

    fn tail(&self, partition: Partition) -> Result<&Tail, Fault> {
        let tail = self.inner.tails.get(usize::from(partition.0));
        tail.ok_or_else(|| Fault::internal(format!("this log has no partition {partition}")))
    }
}

impl Tail {
    fn raise(&self, head: Position) {
        self.head.send_if_modified(|known| {
            let rises = head > *known;
            if rises {
                *known = head;
            }
            rises
        });
    }

    /// What the log gave must go on from `after` without a gap, and each chain must follow from the one before.
    fn check(&self, partition: Partition, after: Position, records: &[Record]) -> Result<(), Fault> {
        let damaged = |position: Position, detail: &str| Fault::Damaged { partition, position, detail: detail.to_owned() };
        let known = *self.read_to.lock();
        // Zero bytes before the first record; else the chain is known only if the last reading ended here.
        let mut previous = (after == Position(0)).then(Chain::default).or((known.0 == after).then_some(known.1));
        let mut expected = after.next();
        for record in records {
            if record.position != expected {
                return Err(damaged(expected, &format!("the log goes on with position {}", record.position)));
            }
            if previous.is_some_and(|previous| record.chain_after(&previous) != record.chain) {
                return Err(damaged(expected, "the chain does not follow from the record before"));
            }
            previous = Some(record.chain);
            expected = expected.next();
        }
        let last = records.last().ok_or_else(|| damaged(expected, "the log ends before its head"))?;
        *self.read_to.lock() = (last.position, last.chain);
        Ok(())
    }
}

impl Window {
    fn push(&mut self, records: Vec<Arc<Record>>) {
        for record in records {
            match self.records.back().map(|last| last.position) {
                // Known already: a repeated report changes nothing.
                Some(last) if record.position <= last => continue,
                // Something in between was never seen here; the log has it.
                Some(last) if record.position != last.next() => self.records.clear(),
                _ => {}
            }
            if self.records.len() == limits::FOLLOW_RECENT {
                self.records.pop_front();
            }
            self.records.push_back(record);
        }
    }

    /// Whole units after `after`, about a batch of them; empty if the window does not reach back that far.
    fn after(&self, after: Position) -> Vec<Arc<Record>> {
        let Some(first) = self.records.front().map(|first| first.position) else { return Vec::new() };
        if after.next() < first {
            return Vec::new();
        }
        let skip = usize::try_from(after.next().0 - first.0).unwrap_or(usize::MAX);
        let mut found = Vec::new();
        let mut complete = 0;
        for record in self.records.iter().skip(skip) {
            if found.len() >= limits::READ_BATCH && complete > 0 {
                break;
            }
            found.push(record.clone());
            if record.unit_last {
                complete = found.len();
            }
        }
        found.truncate(complete);
        found
    }
}
