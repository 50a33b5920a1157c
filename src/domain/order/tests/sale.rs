//! Is every answer of an order the one that a plain model of the sale expects, whoever asks for what and when?
//!
//! The model is a sheet of paper: the promise, the tries to pay, the tickets, the money that goes back, and what people look
//! at. Its words for all of that are its own. `model.rs` beside it adds up the money; here it is the answers, the order of
//! precedence among them, the deadline, and who is asked for what next.

mod asks;

use super::*;
use crate::domain::Authority;
use crate::domain::testing::machine::Said;

pub const PATIENCE_MS: i64 = 60_000;
pub const HOLD_MS: i64 = 180_000;
pub const CLAIM_UNTIL: i64 = 1_800;
pub const CANCEL_UNTIL: i64 = 8_000;
pub const SEATS: [&str; 3] = ["A-1-1", "A-1-2", "B-1-7b"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Ann,
    Bob,
    Seller,
    Admin,
    Process,
}

impl Who {
    pub fn name(self) -> &'static str {
        match self {
            Self::Ann => "ann",
            Self::Bob => "bob",
            Self::Seller => "seller",
            Self::Admin => "root",
            Self::Process => "system",
        }
    }

    pub fn authority(self) -> Authority {
        if matches!(self, Self::Admin | Self::Process) { Authority::Any } else { Authority::Own }
    }

    pub fn for_seller(self) -> bool {
        matches!(self, Self::Seller | Self::Admin | Self::Process)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    Wait(i64),
    /// Until the deadline, if there is one.
    Until(i64),
    /// The seller pauses the sale, or goes on.
    Pause(bool),
    /// The performance will not take place.
    Off,
    /// Somebody else takes or leaves a seat.
    Stranger(usize),
    Ask(Who, Act),
    /// An accepted command once more, with the same body or another one.
    Again(usize, bool),
}

#[derive(Clone, Debug, PartialEq)]
pub enum Act {
    Place { seats: Vec<&'static str>, same: bool },
    Pay { key: Option<u8>, exact: bool },
    Cancel(Vec<usize>),
    CheckIn(usize),
    Rule(Ruling),
    Due,
    Settle { attempt: u32, yes: bool },
    Late(u8),
    Returned { number: usize, done: bool },
    CallOff,
    Coupon(bool),
}

impl Act {
    /// Do people ask for it, under a key that is remembered?
    pub fn is_keyed(&self) -> bool {
        matches!(self, Self::Pay { .. } | Self::Cancel(_) | Self::CheckIn(_) | Self::Rule(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Open,
    Sold,
    RanOut,
    Failed,
    Cancelled,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Unknown,
    Taken,
    Declined,
}

#[derive(Clone, Debug)]
pub struct Try {
    pub key: u8,
    pub fate: Fate,
    pub since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paper {
    Good,
    Used,
    Void,
}

#[derive(Clone, Debug)]
pub struct Back {
    pub tickets: Vec<usize>,
    pub minor: u64,
    pub done: bool,
    pub since: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Payment(u32),
    Refund(usize),
}

#[derive(Clone, Debug)]
pub struct Promise {
    pub at: i64,
    pub until: i64,
    pub minor: u64,
    /// What each seat costs, and what is paid for it.
    pub paid: Vec<u64>,
}

#[derive(Clone, Debug)]
pub struct Sheet {
    pub prices: [u64; 2],
    pub discount: u64,
    pub now: i64,
    pub paused: bool,
    pub off: bool,
    pub strangers: [bool; 3],
    pub promise: Option<Promise>,
    pub end: End,
    pub tries: Vec<Try>,
    pub tickets: Vec<Paper>,
    pub backs: Vec<Back>,
    pub look: Option<Look>,
    pub told: Option<bool>,
    pub written: u64,
    /// Accepted commands of people: who, what, and the version of its last fact.
    pub accepted: Vec<(Who, Act, u64)>,
    pub said: Said,
}

impl Sheet {
    pub fn new(prices: [u64; 2], discount: u64) -> Self {
        Self {
            prices,
            discount,
            now: 1_500,
            paused: false,
            off: false,
            strangers: [false; 3],
            promise: None,
            end: End::Open,
            tries: Vec::new(),
            tickets: Vec::new(),
            backs: Vec::new(),
            look: None,
            told: None,
            written: 0,
            accepted: Vec::new(),
            said: Said::Unchanged,
        }
    }

    pub fn minor(&self) -> u64 {
        self.promise.as_ref().map_or(0, |promise| promise.minor)
    }

    pub fn open_try(&self) -> Option<u32> {
        let open = self.tries.iter().position(|one| one.fate == Fate::Unknown)?;
        u32::try_from(open + 1).ok()
    }

    pub fn open_back(&self) -> Option<usize> {
        self.backs.iter().position(|back| !back.done).map(|place| place + 1)
    }

    pub fn holds(&self) -> bool {
        self.promise.is_some() && self.end == End::Open && self.open_try().is_none()
    }

    pub fn good(&self) -> Vec<usize> {
        (1..=self.tickets.len()).filter(|n| self.tickets[n - 1] != Paper::Void).collect()
    }

    pub fn status(&self) -> &'static str {
        let going_back = self.backs.iter().any(|back| !back.done && !back.tickets.is_empty());
        match self.end {
            _ if self.look.is_some() => "review",
            End::Open if self.open_try().is_some() => "paying",
            End::Open => "awaiting_payment",
            End::Sold if !self.good().is_empty() => "completed",
            End::Sold if going_back => "refunding",
            End::Sold => "refunded",
            End::RanOut => "expired",
            End::Failed => "failed",
            End::Cancelled => "cancelled",
        }
    }

    /// When something happens by itself.
    pub fn deadline(&self) -> Option<i64> {
        if self.holds() {
            return self.promise.as_ref().map(|promise| promise.until);
        }
        if self.look.is_some() {
            return None;
        }
        let since = match (self.open_try(), self.open_back()) {
            (Some(number), _) => self.tries[number as usize - 1].since,
            (None, Some(number)) => self.backs[number - 1].since,
            (None, None) => return None,
        };
        Some(since + PATIENCE_MS)
    }

    /// What the coupon has to hear, if anything.
    pub fn coupon_hears(&self) -> Option<bool> {
        let used = match self.status() {
            "completed" | "refunding" => true,
            "expired" | "failed" | "cancelled" | "refunded" => false,
            _ => return None,
        };
        (self.discount > 0 && self.promise.is_some() && self.told != Some(used)).then_some(used)
    }

    /// Since when the world outside is waited for.
    pub fn waits(&self) -> Option<i64> {
        match (self.open_try(), self.open_back()) {
            (Some(number), _) => Some(self.tries[number as usize - 1].since),
            (None, Some(number)) => Some(self.backs[number - 1].since),
            (None, None) => self.coupon_hears().and(self.promise.as_ref()).map(|promise| promise.at),
        }
    }
}

pub fn ticket(number: usize) -> TicketId {
    TicketId::of(&OrderId::new("o1"), number)
}
