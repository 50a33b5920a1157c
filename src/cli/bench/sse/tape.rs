//! Did every watcher see every frame exactly once and in order? The frames of a topic as the first watcher saw them, which
//! every other one is compared with, byte by byte and in order.
//!
//! Whether the first one saw all of them follows from `prev`, with which each frame names the one before it, and at the end
//! from the commands that were answered: each must be on the tape.

use std::collections::HashSet;

/// The frames of one topic.
#[derive(Default)]
pub struct Tape(Vec<Kept>);

struct Kept {
    bytes: Box<[u8]>,
    id: Box<[u8]>,
    command: u64,
}

/// One watcher's place on its tape: how many frames it has passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place(usize);

/// What a frame was to its watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The next one, of this command.
    Next(u64),
    /// Nobody has seen it before: the tape must be written.
    New,
    /// So many frames were left out before this one.
    Gap(u64),
    /// It was seen before.
    Again,
    /// It is not the frame that others saw there, or none that we asked for.
    Strange,
}

impl Tape {
    /// Compares without writing; moves the place past what was seen.
    pub fn compare(&self, place: &mut Place, frame: &[u8]) -> Seen {
        match self.0.get(place.0) {
            // Positions only grow; so what does not stand after the last frame is none of the new ones.
            None => match (self.0.last(), id(frame).and_then(position)) {
                (Some(last), Some(now)) if position(&last.id) >= Some(now) => Seen::Again,
                _ => Seen::New,
            },
            Some(kept) if *kept.bytes == *frame => {
                place.0 += 1;
                Seen::Next(kept.command)
            }
            Some(_) => match self.0.iter().position(|kept| *kept.bytes == *frame) {
                Some(at) if at > place.0 => {
                    let left_out = at - place.0;
                    place.0 = at + 1;
                    Seen::Gap(left_out as u64)
                }
                Some(_) => Seen::Again,
                None => Seen::Strange,
            },
        }
    }

    /// As [`Tape::compare`], and writes what is new. A frame that does not follow the last one is on the tape all the same,
    /// so that it is complained of once and not by every watcher.
    pub fn write(&mut self, place: &mut Place, frame: &[u8]) -> Seen {
        let seen = self.compare(place, frame);
        if seen != Seen::New {
            return seen;
        }
        let (Some(id), Some(prev), Some(command)) = (id(frame), member(frame, b"prev"), command(frame)) else {
            return Seen::Strange;
        };
        let seen = match self.0.last() {
            Some(last) if *last.id != *prev => Seen::Gap(1),
            // What was there before we came, we cannot know.
            _ => Seen::Next(command),
        };
        self.0.push(Kept { bytes: frame.into(), id: id.into(), command });
        place.0 = self.0.len();
        seen
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Frames that this watcher should have seen and has not.
    #[must_use]
    pub fn missing(&self, place: Place) -> u64 {
        (self.0.len() - place.0) as u64
    }

    /// The commands whose frames are here, and how many of them are here twice.
    #[must_use]
    pub fn commands(&self) -> (HashSet<u64>, usize) {
        let all: HashSet<u64> = self.0.iter().map(|kept| kept.command).collect();
        let twice = self.0.len() - all.len();
        (all, twice)
    }
}

/// The frame's name, which its first line is.
fn id(frame: &[u8]) -> Option<&[u8]> {
    let rest = frame.strip_prefix(b"id: ")?;
    Some(&rest[..memchr::memchr(b'\n', rest)?])
}

/// The number in `<partition>:<n>`.
fn position(id: &[u8]) -> Option<u64> {
    std::str::from_utf8(id).ok()?.split_once(':')?.1.parse().ok()
}

/// A text member of its data; ids need no unescaping.
fn member<'a>(frame: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let quoted = [b"\"", name, b"\":\""].concat();
    let rest = &frame[memchr::memmem::find(frame, &quoted)? + quoted.len()..];
    Some(&rest[..memchr::memchr(b'"', rest)?])
}

/// The number of the command, which its payment's id ends with.
fn command(frame: &[u8]) -> Option<u64> {
    let payment = std::str::from_utf8(member(frame, b"payment_id")?).ok()?;
    payment.rsplit_once('-')?.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: u64, prev: u64, command: u64) -> Vec<u8> {
        format!(
            "id: 3:{id}\nevent: payment\ndata: {{\"payment_id\":\"0-{command}\",\"amount\":1,\"prev\":\"3:{prev}\"}}\n\n"
        )
        .into_bytes()
    }

    /// What each of these frames is to a second watcher, after a first one has seen three.
    #[test]
    fn what_is_missing_or_twice_is_found() {
        let first = [frame(5, 0, 10), frame(6, 5, 12), frame(9, 6, 11)];
        let [a, b, c] = [0, 1, 2].map(|n: usize| first[n].clone());
        let mut forged = b.clone();
        forged[30] ^= 1;
        type Row<'a> = (&'static str, Vec<&'a [u8]>, Vec<Seen>, u64);
        let table: [Row<'_>; 6] = [
            ("all", vec![&a, &b, &c], vec![Seen::Next(10), Seen::Next(12), Seen::Next(11)], 0),
            ("a gap", vec![&a, &c], vec![Seen::Next(10), Seen::Gap(1)], 0),
            ("twice", vec![&a, &a, &b, &c], vec![Seen::Next(10), Seen::Again, Seen::Next(12), Seen::Next(11)], 0),
            (
                "twice at the end",
                vec![&a, &b, &c, &c],
                vec![Seen::Next(10), Seen::Next(12), Seen::Next(11), Seen::Again],
                0,
            ),
            ("too short", vec![&a], vec![Seen::Next(10)], 2),
            ("other bytes", vec![&a, &forged], vec![Seen::Next(10), Seen::Strange], 2),
        ];
        for (what, frames, expected, missing) in table {
            let mut tape = Tape::default();
            let mut place = Place::default();
            for frame in &first {
                tape.write(&mut place, frame);
            }
            assert_eq!((tape.len(), tape.missing(place)), (3, 0));
            let mut place = Place::default();
            let seen: Vec<Seen> = frames.iter().map(|frame| tape.write(&mut place, frame)).collect();
            assert_eq!((seen, tape.missing(place)), (expected, missing), "{what}");
        }
    }

    #[test]
    fn the_first_watcher_is_judged_by_the_chain() {
        let mut tape = Tape::default();
        let mut place = Place::default();
        assert_eq!(tape.write(&mut place, &frame(5, 4, 0)), Seen::Next(0));
        assert_eq!(tape.write(&mut place, &frame(7, 6, 1)), Seen::Gap(1));
        assert_eq!(tape.write(&mut place, &frame(8, 7, 2)), Seen::Next(2));
        assert_eq!(tape.write(&mut place, &frame(5, 4, 0)), Seen::Again);
        assert_eq!(tape.write(&mut place, &frame(9, 8, 2)), Seen::Next(2));
        assert_eq!(tape.commands(), (HashSet::from([0, 1, 2]), 1));
        assert_eq!(tape.write(&mut place, b"id: 3:10\nevent: payment\ndata: {}\n\n"), Seen::Strange);
        assert_eq!(tape.compare(&mut place, &frame(11, 9, 4)), Seen::New);
    }
}
