//! What is due? The deadlines of one partition, as the streams' own states say; a plain value.
//!
//! The log's table of timers is the durable copy: this one is read from it when a partition is taken over and then kept
//! up by the units that change it.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::ids::StreamId;
use crate::timestamp::Timestamp;

#[derive(Default)]
pub struct Deadlines {
    by_time: BTreeSet<(Timestamp, StreamId)>,
    of: HashMap<StreamId, Timestamp>,
    /// Being applied: not handed out twice.
    running: HashSet<StreamId>,
}

impl Deadlines {
    pub fn from_rows(rows: Vec<(StreamId, Timestamp)>) -> Self {
        let mut deadlines = Self::default();
        for (stream, due) in rows {
            deadlines.set(&stream, Some(due));
        }
        deadlines
    }

    pub fn set(&mut self, stream: &StreamId, due: Option<Timestamp>) {
        if let Some(old) = self.of.remove(stream) {
            self.by_time.remove(&(old, stream.clone()));
        }
        if let Some(due) = due {
            self.of.insert(stream.clone(), due);
            self.by_time.insert((due, stream.clone()));
        }
    }

    /// The earliest streams that are due at `now`; each is handed out again only after [`Self::done`].
    pub fn take_due(&mut self, now: Timestamp, most: usize) -> Vec<StreamId> {
        let running = &self.running;
        let due: Vec<StreamId> = self
            .by_time
            .iter()
            .take_while(|(at, _)| *at <= now)
            .filter(|(_, stream)| !running.contains(stream))
            .take(most)
            .map(|(_, stream)| stream.clone())
            .collect();
        self.running.extend(due.iter().cloned());
        due
    }

    pub fn done(&mut self, stream: &StreamId) {
        self.running.remove(stream);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_deadline_is_handed_out_once_until_it_is_done() {
        let (a, b) = (StreamId::from_log("order/a"), StreamId::from_log("order/b"));
        let mut deadlines = Deadlines::from_rows(vec![(a.clone(), Timestamp(5)), (b.clone(), Timestamp(9))]);
        assert_eq!(deadlines.take_due(Timestamp(4), 10), vec![]);
        assert_eq!(deadlines.take_due(Timestamp(5), 10), vec![a.clone()]);
        assert_eq!(deadlines.take_due(Timestamp(9), 10), vec![b.clone()]);
        assert_eq!(deadlines.take_due(Timestamp(9), 10), vec![]);
        deadlines.done(&a);
        deadlines.set(&b, None);
        deadlines.done(&b);
        assert_eq!(deadlines.take_due(Timestamp(9), 10), vec![a]);
    }
}
