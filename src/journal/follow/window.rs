//! Which records of a partition came last? A bounded piece of the log's end, without gaps.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::events::Record;
use crate::ids::{Position, StreamId, Version};
use crate::journal::units;
use crate::limits;

/// Records without gaps, the newest last.
#[derive(Default)]
pub struct Window {
    pub(super) records: VecDeque<Arc<Record>>,
}

impl Window {
    pub fn push(&mut self, records: Vec<Arc<Record>>) {
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
    pub fn after(&self, after: Position) -> Vec<Arc<Record>> {
        let Some(first) = self.records.front().map(|first| first.position) else { return Vec::new() };
        if after.next() < first {
            return Vec::new();
        }
        let skip = usize::try_from(after.next().0 - first.0).unwrap_or(usize::MAX);
        units::whole(self.records.iter().skip(skip).cloned(), limits::READ_BATCH)
    }

    /// The stream's records after version `after`, in order, at most so many. `None`: some of them are not here, or there is none.
    pub fn of_stream(&self, stream: &StreamId, after: Version, most: usize) -> Option<Vec<Arc<Record>>> {
        let newer = self.records.iter().rev().filter(|record| record.stream == *stream);
        let mut found: Vec<_> = newer.take_while(|record| record.version > after).cloned().collect();
        found.reverse();
        found.truncate(most);
        // Versions have no gaps: whoever has the first one has them all.
        (found.first()?.version == after.next()).then_some(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::Partition;
    use crate::journal::conformance::{Builder, fact, order_in};

    #[test]
    fn a_stream_is_given_whole_or_not_at_all() {
        let p = Partition(0);
        let (one, two) = (order_in(p, 1), order_in(p, 2));
        let mut builder = Builder::new(p);
        let mut window = Window::default();
        let rows: Vec<_> = (0..5).flat_map(|_| builder.records(vec![fact(&one), fact(&two)])).collect();
        window.push(rows.into_iter().skip(2).map(Arc::new).collect());
        let versions = |stream, after, most| {
            let found = window.of_stream(stream, Version(after), most);
            found.map(|found| found.iter().map(|record| record.version.0).collect::<Vec<_>>())
        };
        assert_eq!(versions(&one, 1, 9), Some(vec![2, 3, 4, 5]));
        assert_eq!(versions(&two, 3, 9), Some(vec![4, 5]));
        assert_eq!(versions(&two, 1, 3), Some(vec![2, 3, 4]), "the oldest of them");
        assert_eq!(versions(&one, 0, 9), None, "the first one is not here any more");
        assert_eq!(versions(&one, 5, 9), None, "nothing is newer");
        assert_eq!(versions(&order_in(p, 3), 0, 9), None);
    }
}
