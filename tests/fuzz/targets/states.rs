//! Snapshots and segments: states as they were kept, which a database may hand over cut short or damaged.
//!
//! What can be read is kept again in one spelling; what cannot be read is given up, and replayed.

use onsale::domain::{Aggregate, EachAggregate, each_aggregate};
use onsale::events::codec;

use super::Target;

pub const STATES: Target = Target { name: "states", seeds, run };

struct Read<'a> {
    which: usize,
    at: usize,
    bytes: &'a [u8],
}

impl EachAggregate for Read<'_> {
    fn visit<A: Aggregate>(&mut self) {
        let (mine, segment) = (self.at == self.which / 2, self.which % 2 == 1);
        self.at += 1;
        if !mine {
            return;
        }
        if segment {
            let mut state = A::State::default();
            if A::absorb(&mut state, self.bytes).is_some() {
                kept(&state);
            }
        } else if let Ok(state) = codec::unpack_snapshot::<A::State>(self.bytes) {
            kept(&state);
        }
    }
}

fn kept<S: serde::Serialize + serde::de::DeserializeOwned>(state: &S) {
    let once = codec::pack(state).expect("what was read can be kept");
    let again: S = codec::unpack_snapshot(&once).expect("what was kept can be read");
    assert_eq!(codec::pack(&again).expect("it can be kept"), once, "one spelling");
}

fn run(data: &[u8]) {
    let [which, bytes @ ..] = data else { return };
    each_aggregate(&mut Read { which: usize::from(*which) % 16, at: 0, bytes });
}

#[derive(Default)]
struct Empty {
    found: Vec<Vec<u8>>,
}

impl EachAggregate for Empty {
    fn visit<A: Aggregate>(&mut self) {
        let which = u8::try_from(self.found.len()).expect("few nouns");
        let state = codec::pack(&A::State::default()).expect("it can be kept");
        self.found.push([vec![which], state].concat());
        self.found.push([vec![which + 1], vec![1, 1, 1, 3, b'a', b'n', b'n', 1], vec![7; 16]].concat());
    }
}

/// States of nouns to which nothing has happened: libFuzzer finds the way from there.
fn seeds() -> Vec<Vec<u8>> {
    let mut empty = Empty::default();
    each_aggregate(&mut empty);
    empty.found
}
