//! How do the tests of the rules read? Given a story so far, when somebody asks, then this is the answer.
//!
//! A story folds facts exactly as the actors do and knows no other way to change a state. Times are plain numbers of
//! milliseconds; keys and bodies are words.

pub mod machine;

use super::{Aggregate, Asked, Authority, Decision, Fact, Refusal};
use crate::events::codec;
use crate::ids::{AccountId, Hash16, Version};
use crate::timestamp::Timestamp;

/// What happened to one aggregate so far, who asks next, and when.
pub struct Story<'a, A: Aggregate> {
    pub state: A::State,
    pub version: Version,
    context: Option<&'a <A::Context as Aggregate>::Notice>,
    at: Timestamp,
    by: AccountId,
    authority: Authority,
    key: Hash16,
    body: Hash16,
}

impl<A: Aggregate> Clone for Story<'_, A> {
    fn clone(&self) -> Self {
        Self { state: self.state.clone(), by: self.by.clone(), ..*self }
    }
}

pub fn key(word: &str) -> Hash16 {
    Hash16::of("key", &[word.as_bytes()])
}

pub fn body(word: &str) -> Hash16 {
    Hash16::of("body", &[word.as_bytes()])
}

/// Nothing happened yet; `ann` asks under the key `first` at time 0.
pub fn story<'a, A: Aggregate>() -> Story<'a, A> {
    Story {
        state: A::State::default(),
        version: Version(0),
        context: None,
        at: Timestamp(0),
        by: AccountId::new("ann"),
        authority: Authority::Own,
        key: key("first"),
        body: body("same"),
    }
}

impl<'a, A: Aggregate> Story<'a, A> {
    pub fn at(self, at: i64) -> Self {
        Self { at: Timestamp(at), ..self }
    }

    pub fn by(self, who: &str) -> Self {
        Self { by: AccountId::new(who), ..self }
    }

    /// The asker is an admin.
    pub fn for_anybody(self) -> Self {
        Self { authority: Authority::Any, ..self }
    }

    /// `ann` asks again, for herself.
    pub fn own_again(self) -> Self {
        Self { by: AccountId::new("ann"), authority: Authority::Own, ..self }
    }

    pub fn key(self, word: &str) -> Self {
        Self { key: key(word), ..self }
    }

    pub fn body(self, word: &str) -> Self {
        Self { body: body(word), ..self }
    }

    /// The neighbour whose notice the rule reads.
    pub fn beside(self, notice: &'a <A::Context as Aggregate>::Notice) -> Self {
        Self { context: Some(notice), ..self }
    }

    pub fn neighbour(&self) -> Option<&'a <A::Context as Aggregate>::Notice> {
        self.context
    }

    pub fn asked(&self) -> Asked {
        Asked { at: self.at, command: self.key, body: self.body, by: self.by.clone(), authority: self.authority }
    }

    /// The rule's word on the command; nothing changes.
    pub fn answer(&self, command: &A::Command) -> Result<Decision<A::Event>, Refusal> {
        A::decide(&self.state, command, self.context, &self.asked())
    }

    /// The command is asked, and whatever it appends has happened.
    pub fn tell(&mut self, command: &A::Command) -> Result<Decision<A::Event>, Refusal> {
        let answer = self.answer(command);
        if let Ok(Decision::Append(events)) = &answer {
            assert!(!events.is_empty(), "a decision appends something");
            for event in events {
                self.version = self.version.next();
                let fact = Fact { event, at: self.at, version: self.version, command: self.key };
                A::evolve(&mut self.state, fact);
            }
        }
        answer
    }

    /// The command was accepted: part of "given", never of what is tested.
    pub fn after(mut self, command: &A::Command) -> Self {
        let answer = self.tell(command);
        assert!(matches!(answer, Ok(Decision::Append(_))), "{command:?} was to be accepted, but: {answer:?}");
        self
    }

    /// The state went through a snapshot.
    pub fn slept(self) -> Self {
        let bytes = codec::pack(&self.state).expect("states can be packed");
        let state: A::State = codec::unpack_snapshot(&bytes).expect("what was packed can be unpacked");
        assert_eq!(codec::pack(&state).expect("states can be packed"), bytes, "a snapshot has one spelling");
        Self { state, ..self }
    }
}

/// What a row of a table expects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Then {
    /// Accepted, with facts of these kinds.
    Happens(&'static [&'static str]),
    Replays(u64),
    Unchanged,
    Refuses(Refusal),
    /// Refused as invalid, pointing there.
    Invalid(&'static str),
}

/// Runs a table: each row is what the story is about, the story, what is asked, and what then is answered.
pub fn check<A: Aggregate>(table: Vec<(&str, Story<'_, A>, A::Command, Then)>) {
    for (name, story, command, then) in table {
        let got = match story.answer(&command) {
            Ok(Decision::Append(events)) => {
                let kinds: Vec<&str> = events.into_iter().map(|e| crate::events::Event::from(e).kind().name).collect();
                Answer::Happens(kinds)
            }
            Ok(Decision::Replay(version)) => Answer::Then(Then::Replays(version.0)),
            Ok(Decision::Unchanged) => Answer::Then(Then::Unchanged),
            Err(refusal) => Answer::Refuses(refusal),
        };
        let matches = match (&got, &then) {
            (Answer::Happens(kinds), Then::Happens(expected)) => kinds == expected,
            (Answer::Refuses(Refusal::InvalidValue { pointer, .. }), Then::Invalid(expected)) => pointer == expected,
            (Answer::Refuses(refusal), Then::Refuses(expected)) => refusal == expected,
            (Answer::Then(got), expected) => got == expected,
            (Answer::Happens(_) | Answer::Refuses(_), _) => false,
        };
        assert!(matches, "{name}: expected {then:?}, got {got:?}");
    }
}

#[derive(Debug)]
enum Answer {
    Happens(Vec<&'static str>),
    Refuses(Refusal),
    Then(Then),
}
