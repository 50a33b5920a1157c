//! Who gets a coupon of a limited stock? First come, first served, with a serial that proves it.
//!
//! The hottest actor of the house: every command is a few look-ups, whatever the number of members, and each issue is
//! kept once. Which order has a coupon is decided in `coupon/engagement.rs`, what it is worth there in `coupon/discount.rs`.

mod digest;
mod discount;
mod engagement;
mod pieces;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};

pub use self::discount::Claim;
use self::engagement::Engagements;
use self::pieces::Pieces;
use super::checks::{created_again, invalid, name, require};
use super::{Aggregate, Asked, Decision, Fact, Never, Nobody, Refusal};
use crate::events::CouponEvent;
use crate::events::coupon::{Created, Discount, Issued, Revoked};
use crate::ids::{AccountId, CommandId, CouponId, Hash16, OrderId, ShowId, TaskId, Version};
use crate::limits;
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub enum Coupon {}

// State

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(from = "Kept")]
pub struct State {
    pub created: Option<Arc<Created>>,
    /// Serial `n` stands at `n - 1`.
    issues: Vec<Issue>,
    revocations: BTreeMap<u64, Revocation>,
    engagements: Engagements,
    /// Made again from the issues: the serial that a command got.
    serials: Pieces<CommandId, u64>,
    /// Made again from the issues: who has how many.
    members: Pieces<AccountId, Holding>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Issue {
    account_id: AccountId,
    command: CommandId,
    version: Version,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Revocation {
    command: CommandId,
    version: Version,
}

/// What a member has of this coupon now; nobody is kept who has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Holding {
    live: u32,
    /// The highest serial that is not revoked.
    latest: u64,
}

/// An issued coupon, found by its task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    pub account_id: AccountId,
    pub serial: u64,
    /// Of the fact that issued it.
    pub version: Version,
    pub revoked: bool,
}

impl State {
    /// How many were ever issued, revoked ones included.
    #[must_use]
    pub fn issued(&self) -> u64 {
        self.issues.len() as u64
    }

    /// How many can still be issued.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        let live = self.issued() - self.revocations.len() as u64;
        self.created.as_ref().map_or(0, |created| created.stock.saturating_sub(live))
    }

    /// The issue behind a task id; `None` when this coupon has no such task.
    #[must_use]
    pub fn task(&self, task: &TaskId) -> Option<Task> {
        let created = self.created.as_ref()?;
        let command = Hash16::parse(task.as_str().rsplit_once('_')?.1)?;
        if TaskId::derive(&created.coupon_id, &command) != *task {
            return None;
        }
        let serial = *self.serials.get(&command)?;
        let issue = self.issue(serial)?;
        Some(Task {
            account_id: issue.account_id.clone(),
            serial,
            version: issue.version,
            revoked: self.revocations.contains_key(&serial),
        })
    }

    fn issue(&self, serial: u64) -> Option<&Issue> {
        usize::try_from(serial.checked_sub(1)?).ok().and_then(|place| self.issues.get(place))
    }

    fn index(&mut self, serial: u64, issue: &Issue) {
        self.serials.insert(issue.command, serial);
        if !self.revocations.contains_key(&serial) {
            let holding = self.members.entry(issue.account_id.clone()).or_insert(Holding { live: 0, latest: 0 });
            holding.live += 1;
            holding.latest = serial;
        }
    }

    fn take_back(&mut self, account_id: &AccountId, serial: u64) {
        let Some(holding) = self.members.get(account_id).copied() else { return };
        if holding.live <= 1 {
            self.members.remove(account_id);
            return;
        }
        // Only here something is searched, backwards from the newest: revoking is rare, issuing is not.
        let is_live = |n: &u64| {
            !self.revocations.contains_key(n) && self.issue(*n).is_some_and(|issue| issue.account_id == *account_id)
        };
        let latest =
            if holding.latest == serial { (1..serial).rev().find(is_live).unwrap_or(0) } else { holding.latest };
        self.members.insert(account_id.clone(), Holding { live: holding.live - 1, latest });
    }
}

/// The state as a snapshot has it: without what can be made again, and in an order that does not depend on a hash.
#[derive(Deserialize)]
struct Kept {
    created: Option<Arc<Created>>,
    issues: Vec<Issue>,
    revocations: BTreeMap<u64, Revocation>,
    engagements: Engagements,
}

#[derive(Serialize)]
struct KeptRef<'a> {
    created: &'a Option<Arc<Created>>,
    issues: &'a [Issue],
    revocations: &'a BTreeMap<u64, Revocation>,
    engagements: &'a Engagements,
}

impl From<Kept> for State {
    fn from(Kept { created, issues, revocations, engagements }: Kept) -> Self {
        let mut state = Self { created, revocations, engagements, ..Self::default() };
        for (serial, issue) in (1..).zip(&issues) {
            state.index(serial, issue);
        }
        Self { issues, ..state }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { created, issues, revocations, engagements, .. } = self;
        KeptRef { created, issues, revocations, engagements }.serialize(serializer)
    }
}

// Command

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    Create(Create),
    /// To whoever asks. `keyed`: the caller can repeat it under the same command.
    Issue {
        keyed: bool,
    },
    Revoke {
        task_id: TaskId,
    },
    /// The member is about to place this order with it.
    Reserve {
        task_id: TaskId,
        order_id: OrderId,
    },
    /// The order was completed; only the process that follows orders says so.
    Use {
        task_id: TaskId,
        order_id: OrderId,
    },
    /// The order came to nothing, or is undone; only the process says so.
    Return {
        task_id: TaskId,
        order_id: OrderId,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create {
    pub coupon_id: CouponId,
    pub name: String,
    pub stock: u64,
    pub per_member: u32,
    pub opens_at: Timestamp,
    pub closes_at: Timestamp,
    pub valid_until: Timestamp,
    pub discount: Discount,
    pub shows: Vec<ShowId>,
}

// Refusal

impl Create {
    fn check(&self) -> Result<(), Refusal> {
        name("/name", &self.name)?;
        require(
            (1..=limits::COUPON_STOCK).contains(&self.stock),
            "/stock",
            &format!("must be 1 to {}", limits::COUPON_STOCK),
        )?;
        require(
            (1..=limits::COUPON_PER_MEMBER).contains(&self.per_member),
            "/per_member",
            &format!("must be 1 to {}", limits::COUPON_PER_MEMBER),
        )?;
        require(self.opens_at < self.closes_at, "/closes_at", "must be after opens_at")?;
        require(self.opens_at < self.valid_until, "/valid_until", "must be after opens_at")?;
        discount::check(&self.discount)?;
        let most = limits::COUPON_SHOWS;
        require(self.shows.len() <= most, "/shows", &format!("must be at most {most}"))?;
        let mut seen = HashSet::new();
        match self.shows.iter().position(|show| !seen.insert(show)) {
            Some(i) => Err(invalid(format!("/shows/{i}"), "is named twice")),
            None => Ok(()),
        }
    }
}

fn check_open(created: &Created, at: Timestamp) -> Result<(), Refusal> {
    if at < created.opens_at {
        Err(Refusal::CouponNotOpen { opens_at: created.opens_at, at })
    } else if at >= created.closes_at {
        Err(Refusal::CouponClosed)
    } else {
        Ok(())
    }
}

impl Aggregate for Coupon {
    const NOUN: &'static str = "coupon";
    const SNAPSHOT_VERSION: u16 = 2;
    /// Whoever got one must not get another, for ever.
    const GROWS: bool = true;
    type State = State;
    type Event = CouponEvent;
    type Command = Command;
    type Part = Never;
    type Context = Nobody;
    type Notice = ();

    fn decide(
        state: &State,
        command: &Command,
        _: Option<&()>,
        asked: &Asked,
    ) -> Result<Decision<CouponEvent>, Refusal> {
        match command {
            Command::Create(create) => decide_create(state, create, asked),
            Command::Issue { keyed } => decide_issue(state, *keyed, asked),
            Command::Revoke { task_id } => decide_revoke(state, task_id, asked),
            Command::Reserve { task_id, order_id } => engagement::decide_reserve(state, task_id, order_id, asked),
            Command::Use { task_id, order_id } => engagement::decide_use(state, task_id, order_id, asked),
            Command::Return { task_id, order_id } => engagement::decide_return(state, task_id, order_id, asked),
        }
    }

    fn evolve(state: &mut State, fact: Fact<'_, CouponEvent>) {
        digest::apply(state, fact.version, digest::Line::of(&fact));
    }

    fn digest(facts: &[Fact<'_, CouponEvent>]) -> Option<Vec<u8>> {
        digest::digest(facts)
    }

    fn absorb(state: &mut State, digest: &[u8]) -> Option<()> {
        digest::absorb(state, digest)
    }

    /// As long as an order may not know that it has a coupon, somebody looks after it.
    fn waits_since(state: &State) -> Option<Timestamp> {
        state.has_open().then_some(Timestamp(0))
    }

    fn owner(state: &State) -> Option<AccountId> {
        state.created.as_ref().map(|created| created.owner.clone())
    }

    fn entries(state: &State) -> usize {
        1 + state.issues.len() + state.revocations.len() + state.engagements.len()
    }
}

fn decide_create(state: &State, create: &Create, asked: &Asked) -> Result<Decision<CouponEvent>, Refusal> {
    if let Some(created) = &state.created {
        return created_again(created.body, asked);
    }
    create.check()?;
    let created = Created {
        coupon_id: create.coupon_id.clone(),
        owner: asked.by.clone(),
        name: create.name.clone(),
        stock: create.stock,
        per_member: create.per_member,
        opens_at: create.opens_at,
        closes_at: create.closes_at,
        valid_until: create.valid_until,
        discount: create.discount.clone(),
        shows: create.shows.clone(),
        body: asked.body,
    };
    Ok(Decision::Append(vec![created.into()]))
}

/// The request has no body, so a repeated command is the same request: there is nothing to compare.
fn decide_issue(state: &State, keyed: bool, asked: &Asked) -> Result<Decision<CouponEvent>, Refusal> {
    let created = state.created.as_ref().ok_or(Refusal::NotFound)?;
    if let Some(issue) = state.serials.get(&asked.command).and_then(|serial| state.issue(*serial)) {
        return Ok(Decision::Replay(issue.version));
    }
    if created.per_member > 1 && !keyed {
        return Err(Refusal::KeyRequired);
    }
    check_open(created, asked.at)?;
    if let Some(holding) = state.members.get(&asked.by).filter(|holding| holding.live >= created.per_member) {
        return Err(Refusal::CouponAlreadyIssued { serial: holding.latest });
    }
    let behind = if planted(Bug::StaleStock) { state.issued().min(3) } else { 0 };
    if state.remaining() + behind == 0 {
        return Err(Refusal::CouponSoldOut);
    }
    let issued = Issued {
        account_id: asked.by.clone(),
        serial: state.issued() + 1,
        task_id: TaskId::derive(&created.coupon_id, &asked.command),
    };
    Ok(Decision::Append(vec![issued.into()]))
}

fn decide_revoke(state: &State, task_id: &TaskId, asked: &Asked) -> Result<Decision<CouponEvent>, Refusal> {
    let mine = state.created.as_ref().is_some_and(|created| asked.may_act_for(&created.owner));
    let task = state.task(task_id).filter(|_| mine).ok_or(Refusal::NotFound)?;
    match state.revocations.get(&task.serial) {
        Some(revocation) if revocation.command == asked.command => Ok(Decision::Replay(revocation.version)),
        Some(_) => Ok(Decision::Unchanged),
        None => {
            let revoked = Revoked { account_id: task.account_id, serial: task.serial, task_id: task_id.clone() };
            Ok(Decision::Append(vec![revoked.into()]))
        }
    }
}

#[cfg(test)]
mod tests;
