//! What of a coupon's facts does its state need? The lines that a long stream is kept in, besides the log.
//!
//! A fact is folded by way of its line, so that the short way and the long one cannot differ.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Issue, Revocation, State};
use crate::domain::Fact;
use crate::events::CouponEvent;
use crate::events::codec;
use crate::events::coupon::Created;
use crate::ids::{AccountId, CommandId, OrderId, Version};
use crate::timestamp::Timestamp;

#[derive(Serialize, Deserialize)]
pub(super) enum Line {
    Created(Arc<Created>),
    Issued { account_id: AccountId, serial: u64, command: CommandId },
    Revoked { account_id: AccountId, serial: u64, command: CommandId },
    Reserved { serial: u64, order_id: OrderId, until: Timestamp },
    Used { serial: u64 },
    Returned { serial: u64 },
}

/// Lines of facts that follow each other.
#[derive(Serialize, Deserialize)]
struct Lines {
    first: Version,
    lines: Vec<Line>,
}

impl Line {
    pub fn of(fact: &Fact<'_, CouponEvent>) -> Self {
        let command = fact.command;
        match fact.event {
            CouponEvent::Created(created) => Self::Created(Arc::new(created.clone())),
            CouponEvent::Issued(issued) => {
                Self::Issued { account_id: issued.account_id.clone(), serial: issued.serial, command }
            }
            CouponEvent::Revoked(revoked) => {
                Self::Revoked { account_id: revoked.account_id.clone(), serial: revoked.serial, command }
            }
            CouponEvent::Reserved(reserved) => {
                Self::Reserved { serial: reserved.serial, order_id: reserved.order_id.clone(), until: reserved.until }
            }
            CouponEvent::Used(used) => Self::Used { serial: used.serial },
            CouponEvent::Returned(returned) => Self::Returned { serial: returned.serial },
        }
    }
}

pub(super) fn apply(state: &mut State, version: Version, line: Line) {
    match line {
        Line::Created(created) => state.created = Some(created),
        Line::Issued { account_id, serial, command } => {
            let issue = Issue { account_id, command, version };
            state.index(serial, &issue);
            state.issues.push(issue);
        }
        Line::Revoked { account_id, serial, command } => {
            state.revocations.insert(serial, Revocation { command, version });
            state.take_back(&account_id, serial);
        }
        Line::Reserved { serial, order_id, until } => state.engagements.reserve(serial, order_id, until, version),
        Line::Used { serial } => state.engagements.consume(serial),
        Line::Returned { serial } => state.engagements.release(serial),
    }
}

pub(super) fn digest(facts: &[Fact<'_, CouponEvent>]) -> Option<Vec<u8>> {
    let first = facts.first()?.version;
    codec::pack(&Lines { first, lines: facts.iter().map(Line::of).collect() }).ok()
}

pub(super) fn absorb(state: &mut State, digest: &[u8]) -> Option<()> {
    let Lines { first, lines } = codec::unpack_snapshot(digest).ok()?;
    let mut version = first;
    for line in lines {
        apply(state, version, line);
        version = version.next();
    }
    Some(())
}
