//! What do accounts consist of, as they are kept? Documents, revocations and entries of the trail.

use crate::timestamp::Timestamp;

/// What a document is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    Account,
    /// Somebody who has not shown yet that the mail address is theirs.
    SignUp,
    Session,
    /// Failures that are counted.
    Throttle,
    /// A token of a store's counter or screen.
    Device,
    /// A person's role changes that wait for somebody else's word, by account.
    Application,
    /// About the accounts as a whole.
    Meta,
}

impl Kind {
    pub const ALL: [Self; 7] =
        [Self::Account, Self::SignUp, Self::Session, Self::Throttle, Self::Device, Self::Application, Self::Meta];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::SignUp => "sign-up",
            Self::Session => "session",
            Self::Throttle => "throttle",
            Self::Device => "device",
            Self::Application => "application",
            Self::Meta => "meta",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub kind: Kind,
    pub key: String,
    /// Another name, unique within its kind.
    pub alias: Option<String>,
    /// What it belongs to.
    pub family: Option<String>,
    /// JSON; nothing personal.
    pub record: String,
    /// What is personal, encrypted.
    pub sealed: Option<Vec<u8>>,
    /// May be swept away from then on.
    pub expires_at: Option<Timestamp>,
}

impl Document {
    #[must_use]
    pub fn new(kind: Kind, key: impl Into<String>, record: String) -> Self {
        Self { kind, key: key.into(), alias: None, family: None, record, sealed: None, expires_at: None }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub document: Document,
    /// 1, 2, 3 …
    pub version: u64,
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put {
    Done,
    /// It is not as it was when this was decided.
    Conflict,
    /// Another document has this alias.
    AliasTaken,
}

/// A credential that is good no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revocation {
    /// `se_…`, `dt_…`, or an account.
    pub credential: String,
    /// What was signed until then.
    pub at: Timestamp,
    /// Nothing that it concerns is good for longer than that; `None`: it concerns what never ends.
    pub until: Option<Timestamp>,
}

/// The database's own time: nodes may disagree about theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub i64);

/// What happened to somebody's account. Nothing in it is personal: addresses are digests, words are ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrailEntry {
    pub at: Timestamp,
    pub kind: String,
    /// Whose account.
    pub account: Option<String>,
    /// Who did it, where that is somebody else.
    pub actor: Option<String>,
    /// A digest that is the same for the same network address.
    pub origin: Option<String>,
    pub detail: Option<String>,
}

/// An entry in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailed {
    pub seq: i64,
    pub entry: TrailEntry,
}
