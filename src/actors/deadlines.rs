//! What is due? The deadlines of one partition, as the streams' own states say; a plain value.
//!
//! The log's table of timers is the durable copy: this one is read from it when a partition is taken over and then kept
//! up by the units that change it. Streams that wait for the world outside stand there too, under names of their own, and
//! are handed to processes instead of to their rules.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::ids::StreamId;
use crate::timestamp::Timestamp;

#[derive(Default)]
pub struct Deadlines {
    by_time: BTreeSet<(Timestamp, StreamId)>,
    of: HashMap<StreamId, Timestamp>,
    /// Being applied: not handed out twice.
    running: HashSet<StreamId>,
    waits: Waits,
}

/// Streams that wait for the world outside.
#[derive(Default)]
struct Waits {
    since: HashMap<StreamId, Timestamp>,
    /// Those of them that nobody works on, by age.
    idle: BTreeSet<(Timestamp, StreamId)>,
    running: HashSet<StreamId>,
}

impl Waits {
    fn set(&mut self, stream: &StreamId, since: Option<Timestamp>) {
        if let Some(old) = self.since.remove(stream) {
            self.idle.remove(&(old, stream.clone()));
        }
        if let Some(since) = since {
            self.since.insert(stream.clone(), since);
            if !self.running.contains(stream) {
                self.idle.insert((since, stream.clone()));
            }
        }
    }

    fn take(&mut self, most: usize) -> Vec<StreamId> {
        let mut taken = Vec::new();
        while taken.len() < most
            && let Some((_, stream)) = self.idle.pop_first()
        {
            self.running.insert(stream.clone());
            taken.push(stream);
        }
        taken
    }

    /// Whoever worked on it has stopped; what still waits is handed out again.
    fn done(&mut self, stream: &StreamId) {
        self.running.remove(stream);
        if let Some(since) = self.since.get(stream) {
            self.idle.insert((*since, stream.clone()));
        }
    }
}

impl Deadlines {
    /// The log's own list again. Whoever is being worked on still is.
    pub fn renew(&mut self, rows: Vec<(StreamId, Timestamp)>) {
        let running = std::mem::take(&mut self.waits.running);
        *self = Self { waits: Waits { running, ..Waits::default() }, ..Self::default() };
        for (stream, due) in rows {
            self.set(&stream, Some(due));
        }
    }

    /// The streams that have waited longest and that nobody works on; each is handed out again after [`Self::wait_done`].
    pub fn take_waiting(&mut self, most: usize) -> Vec<StreamId> {
        self.waits.take(most)
    }

    pub fn wait_done(&mut self, stream: &StreamId) {
        self.waits.done(stream);
    }

    pub fn from_rows(rows: Vec<(StreamId, Timestamp)>) -> Self {
        let mut deadlines = Self::default();
        for (stream, due) in rows {
            deadlines.set(&stream, Some(due));
        }
        deadlines
    }

    pub fn set(&mut self, stream: &StreamId, due: Option<Timestamp>) {
        if let Some(waiting) = stream.waiting() {
            return self.waits.set(&waiting, due);
        }
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
    #[test]
    fn a_wait_is_handed_to_one_process_at_a_time() {
        let (a, b) = (StreamId::from_log("order/a"), StreamId::from_log("order/b"));
        let name = StreamId::process(&a);
        let rows = vec![(name.clone(), Timestamp(5)), (StreamId::process(&b), Timestamp(4))];
        let mut deadlines = Deadlines::from_rows(rows.clone());
        assert_eq!(deadlines.take_due(Timestamp(99), 10), vec![], "no rule has to do anything");
        assert_eq!(deadlines.take_waiting(1), vec![b.clone()]);
        assert_eq!(deadlines.take_waiting(9), vec![a.clone()]);
        deadlines.set(&name, Some(Timestamp(7)));
        deadlines.renew(rows);
        assert_eq!(deadlines.take_waiting(9), vec![], "it is still being worked on");
        deadlines.wait_done(&a);
        assert_eq!(deadlines.take_waiting(9), vec![a.clone()]);
        deadlines.set(&name, None);
        deadlines.wait_done(&a);
        deadlines.set(&StreamId::process(&b), None);
        deadlines.wait_done(&b);
        assert_eq!(deadlines.take_waiting(9), vec![]);
    }
}
