//! Has the log anything about this stream? Answers "surely not" from memory, so that what is new need not be looked for.
//!
//! In an on-sale nearly every command is about a stream that the log has never heard of: a new order, a seat that nobody
//! has touched. A node that owns a partition sees every append to it, so it can keep a Bloom filter of the streams that
//! have something there. "Not in the filter" is certain, and no look into the log is needed; "in the filter" may be wrong,
//! and then the look finds nothing. Were the filter ever wrong the other way, the log itself would refuse the append, by
//! the key over stream and version.
//!
//! A partition that was empty when this node took it has its filter from the start. Of any other one the filter is made
//! when looks have been in vain often enough: first everything that is appended is noted, then the log is asked for the
//! names it has. It knows bits and names, neither rules nor actors.

use std::hash::BuildHasher;

use foldhash::quality::FixedState;
use parking_lot::Mutex;

use crate::fault::Fault;
use crate::ids::{Partition, StreamId};
use crate::journal::SharedJournal;
use crate::limits;

/// All bits of a name lie in so many words, one line of a processor's cache: a look touches one page of memory.
const LINE: u64 = 8;
const LINES: u64 = limits::NEWCOMER_WORDS as u64 / LINE;

pub struct Newcomers(Mutex<Filter>);

struct Filter {
    phase: Phase,
    /// Empty until something is noted.
    words: Vec<u64>,
    /// Looks that found nothing, while the filter could not tell.
    in_vain: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// What the log has is not known.
    Blind,
    /// Every append is noted, and the log is being looked through.
    Noting,
    /// Everything that the log has is noted.
    Complete,
    /// The log has more than a filter can hold.
    Crowded,
}

impl Newcomers {
    /// Of a partition whose log is empty, or not.
    pub fn of(empty: bool) -> Self {
        let phase = if empty { Phase::Complete } else { Phase::Blind };
        Self(Mutex::new(Filter { phase, words: Vec::new(), in_vain: 0 }))
    }

    /// The log has nothing about it, and nothing that is under way concerns it.
    pub fn surely_new(&self, stream: &StreamId) -> bool {
        let filter = self.0.lock();
        filter.phase == Phase::Complete && !filter.has(stream)
    }

    /// Something is about to be appended to these streams.
    pub fn note<'a>(&self, streams: impl Iterator<Item = &'a StreamId>) {
        let mut filter = self.0.lock();
        if matches!(filter.phase, Phase::Noting | Phase::Complete) {
            streams.for_each(|stream| filter.note(stream));
        }
    }

    /// So many looks found nothing. True once, when it is time to look through the whole partition.
    pub fn looked_in_vain(&self, looks: usize) -> bool {
        let mut filter = self.0.lock();
        let before = filter.in_vain;
        filter.in_vain = before.saturating_add(looks);
        filter.phase == Phase::Blind && before < limits::LOOKS_IN_VAIN && filter.in_vain >= limits::LOOKS_IN_VAIN
    }

    /// From now on every append is noted.
    pub fn begin(&self) {
        self.0.lock().phase = Phase::Noting;
    }

    /// Looking through came to nothing; it may be tried again after as many looks as before.
    pub fn give_up(&self) {
        let mut filter = self.0.lock();
        (filter.phase, filter.in_vain) = (Phase::Blind, 0);
    }

    /// Notes what the log has by now. Everything that was under way at [`Self::begin`] must have ended.
    pub async fn look_through(&self, journal: &SharedJournal, partition: Partition) -> Result<(), Fault> {
        let (mut after, mut names) = (None, 0);
        loop {
            let some = journal.streams(partition, after.as_ref(), limits::STREAMS_PAGE).await?;
            self.note(some.iter());
            names += some.len();
            let end = if names > limits::NEWCOMER_NAMES { Some(Phase::Crowded) } else { None };
            let Some(last) = some.last().filter(|_| end.is_none()) else {
                self.0.lock().phase = end.unwrap_or(Phase::Complete);
                return Ok(());
            };
            after = Some(last.clone());
        }
    }
}

impl Filter {
    fn note(&mut self, stream: &StreamId) {
        // Memory that was never touched costs nothing, and most partitions touch little of it.
        if self.words.is_empty() {
            self.words = vec![0; limits::NEWCOMER_WORDS];
        }
        places(stream).for_each(|(word, bit)| self.words[word] |= bit);
    }

    fn has(&self, stream: &StreamId) -> bool {
        !self.words.is_empty() && places(stream).all(|(word, bit)| self.words[word] & bit != 0)
    }
}

/// Word and bit of each of the four bits of a name.
fn places(stream: &StreamId) -> impl Iterator<Item = (usize, u64)> {
    let hash = FixedState::with_seed(0).hash_one(stream.as_str());
    let line = (hash & 0x0FFF_FFFF) % LINES * LINE;
    (0..4_u64).map(move |nth| {
        let within = (hash >> (28 + 9 * nth)) & 511;
        (usize::try_from(line + within / 64).unwrap_or(0), 1 << (within % 64))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;
    use crate::journal::conformance::{Builder, fact, order_in};
    use crate::journal::memory::MemoryJournal;

    const P: Partition = Partition(1);

    fn streams(numbers: std::ops::Range<u64>) -> Vec<StreamId> {
        numbers.map(|n| order_in(P, n)).collect()
    }

    #[test]
    fn what_was_noted_is_never_new_again() {
        let newcomers = Newcomers::of(true);
        let (old, new) = (streams(0..20_000), streams(20_000..40_000));
        assert!(old.iter().all(|stream| newcomers.surely_new(stream)), "the log is empty");
        newcomers.note(old.iter());
        assert!(!old.iter().any(|stream| newcomers.surely_new(stream)));
        let wrong = new.iter().filter(|stream| !newcomers.surely_new(stream)).count();
        assert!(wrong < 20, "{wrong} of 20,000 would be looked for in vain");
    }

    #[test]
    fn nothing_is_certain_about_a_log_that_nobody_has_looked_through() {
        let newcomers = Newcomers::of(false);
        let stream = order_in(P, 1);
        assert!(!newcomers.surely_new(&stream));
        newcomers.begin();
        assert!(!newcomers.surely_new(&stream), "what came before is not known yet");
    }

    #[test]
    fn it_is_time_to_look_through_once() {
        let newcomers = Newcomers::of(false);
        assert!(!newcomers.looked_in_vain(limits::LOOKS_IN_VAIN - 1));
        assert!(newcomers.looked_in_vain(2));
        assert!(!newcomers.looked_in_vain(limits::LOOKS_IN_VAIN));
        newcomers.give_up();
        assert!(newcomers.looked_in_vain(limits::LOOKS_IN_VAIN), "and again, if it came to nothing");
        assert!(!Newcomers::of(true).looked_in_vain(limits::LOOKS_IN_VAIN), "nothing to look for");
    }

    #[tokio::test]
    async fn a_look_through_finds_what_came_before_and_keeps_what_comes_meanwhile() {
        let mut log = Builder::new(P);
        let old = streams(0..3_000);
        let rows = old.iter().flat_map(|stream| log.records(vec![fact(stream)])).collect();
        let journal: SharedJournal = Arc::new(MemoryJournal::found(4, Arc::new(SystemClock), rows));
        let newcomers = Newcomers::of(false);
        newcomers.begin();
        let meanwhile = order_in(P, 1_000_000);
        newcomers.note(std::iter::once(&meanwhile));
        newcomers.look_through(&journal, P).await.expect("reads work");
        assert!(!old.iter().any(|stream| newcomers.surely_new(stream)));
        assert!(!newcomers.surely_new(&meanwhile));
        assert!(newcomers.surely_new(&order_in(P, 2_000_000)));
    }
}
