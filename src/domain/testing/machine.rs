//! How is a noun judged by a plain model of it? A state that is asked one command after the other, and after each of them must
//! be what its log says: replayed, slept and digested alike.
//!
//! The models stand beside the tables of their nouns; what they expect is not known here.

use std::fmt::Debug;

use crate::domain::{Aggregate, Asked, Authority, Decision, Fact, Refusal};
use crate::events::{Event, NounEvent, codec};
use crate::ids::{AccountId, CommandId, Version};
use crate::timestamp::Timestamp;

/// What a model says of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// Accepted, with facts of these kinds.
    Happens(Vec<&'static str>),
    Replays(u64),
    Unchanged,
    Refuses(Refusal),
    /// Refused as invalid, pointing there.
    Invalid(String),
}

impl Said {
    pub fn happens(kind: &'static str) -> Self {
        Self::Happens(vec![kind])
    }

    pub fn of<E: NounEvent>(answer: &Result<Decision<E>, Refusal>) -> Self {
        match answer {
            Ok(Decision::Append(events)) => Self::Happens(events.iter().map(|event| event.kind().name).collect()),
            Ok(Decision::Replay(version)) => Self::Replays(version.0),
            Ok(Decision::Unchanged) => Self::Unchanged,
            Err(Refusal::InvalidValue { pointer, .. }) => Self::Invalid(pointer.clone()),
            Err(refusal) => Self::Refuses(refusal.clone()),
        }
    }

    pub fn appends(&self) -> bool {
        matches!(self, Self::Happens(_))
    }
}

/// Who asks, when, and under which key.
pub fn asked(by: &str, authority: Authority, key: &str, body: &str, at: i64) -> Asked {
    let (command, body) = (super::key(key), super::body(body));
    Asked { at: Timestamp(at), command, body, by: AccountId::new(by), authority }
}

/// A fact as it stands in the log.
#[derive(Clone, Debug)]
pub struct Row<E> {
    pub event: E,
    pub at: Timestamp,
    pub version: Version,
    pub command: CommandId,
}

impl<E> Row<E> {
    fn fact(&self) -> Fact<'_, E> {
        Fact { event: &self.event, at: self.at, version: self.version, command: self.command }
    }
}

/// One stream: its state, and everything that ever happened to it.
#[derive(Debug)]
pub struct Machine<A: Aggregate> {
    first: A::State,
    pub state: A::State,
    pub version: Version,
    pub log: Vec<Row<A::Event>>,
}

impl<A: Aggregate> Default for Machine<A> {
    fn default() -> Self {
        Self::from(A::State::default())
    }
}

impl<A: Aggregate> Machine<A> {
    /// As if it had been in this state when it began.
    pub fn from(first: A::State) -> Self {
        Self { state: first.clone(), first, version: Version(0), log: Vec::new() }
    }

    /// The rule's word, which must not depend on anything but what it is told.
    pub fn decide(
        &self,
        command: &A::Command,
        context: Option<&<A::Context as Aggregate>::Notice>,
        asked: &Asked,
    ) -> Result<Decision<A::Event>, Refusal>
    where
        A::Event: PartialEq,
    {
        let answer = A::decide(&self.state, command, context, asked);
        assert!(answer == A::decide(&self.state, command, context, asked), "two answers to {command:?}");
        answer
    }

    /// What was decided has happened: each fact goes to its bytes and back before it is folded.
    pub fn commit(&mut self, events: &[A::Event], asked: &Asked)
    where
        A::Event: PartialEq,
    {
        assert!(!events.is_empty(), "a decision appends something");
        for event in events {
            self.version = self.version.next();
            let row = Row { event: stored(event), at: asked.at, version: self.version, command: asked.command };
            A::evolve(&mut self.state, row.fact());
            self.log.push(row);
        }
    }

    /// Decides, and lets happen what follows.
    pub fn tell(&mut self, command: &A::Command, asked: &Asked) -> Said
    where
        A::Event: PartialEq,
    {
        let answer = self.decide(command, None, asked);
        if let Ok(Decision::Append(events)) = &answer {
            self.commit(events, asked);
        }
        Said::of(&answer)
    }

    /// Whatever way the state is made again from what was kept, it is the same.
    pub fn check(&self)
    where
        A::State: PartialEq + Debug,
    {
        let mut replayed = self.first.clone();
        self.log.iter().for_each(|row| A::evolve(&mut replayed, row.fact()));
        assert_eq!(replayed, self.state, "the log says otherwise");

        let bytes = codec::pack(&self.state).expect("states can be packed");
        let slept: A::State = codec::unpack_snapshot(&bytes).expect("what was packed can be unpacked");
        assert_eq!(slept, self.state, "a snapshot says otherwise");
        assert_eq!(codec::pack(&slept).expect("states can be packed"), bytes, "a snapshot has one spelling");

        // In two segments, cut somewhere else with each fact that comes.
        let (early, late) = self.log.split_at(self.log.len() / 3);
        let mut absorbed = self.first.clone();
        for segment in [early, late].into_iter().filter(|segment| !segment.is_empty()) {
            let facts: Vec<_> = segment.iter().map(Row::fact).collect();
            let Some(digest) = A::digest(&facts) else { return };
            assert_eq!(A::absorb(&mut absorbed, &digest), Some(()), "a digest can be read");
        }
        assert_eq!(absorbed, self.state, "digests say otherwise");
    }
}

/// The fact as whoever reads the log finds it.
fn stored<E: NounEvent + PartialEq + Debug>(event: &E) -> E {
    let fact: Event = event.clone().into();
    let bytes = codec::encode(&fact).expect("facts can be encoded");
    let kind = fact.kind();
    let read = codec::decode(kind.name, kind.version, codec::BINCODE_2, &bytes).expect("what was written can be read");
    let read = E::from_event(read).expect("a fact stays with its noun");
    assert_eq!(&read, event, "the bytes say otherwise");
    read
}
