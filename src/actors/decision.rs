//! How does a command become a unit? One decision, from stamping the time to queueing the unit, in one step.
//!
//! Everybody who takes part is here already (`crew.rs`, `part.rs`) and the partition is ours for the moment, so what the rules see
//! is what the log will say. A rule that panics loses its command and its state, nothing else.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::cell::Cell;
use super::crew::{Crew, read};
use super::node::{Moment, Node};
use super::part::Cast;
use super::sequencer::{Notice, Turn};
use super::{Accepted, CommandError, Outcome, Request};
use crate::domain::{Aggregate, Asked, Decision};
use crate::events::{Chain, Decoded, NounEvent, Record, codec};
use crate::fault::Fault;
use crate::ids::{AccountId, CommandId, LogPosition, Partition, Position, StreamId, Version};
use crate::journal::{TimerChange, Unit};
use crate::planted::{Bug, planted};
use crate::telemetry;
use crate::timestamp::Timestamp;

pub type Answer<E> = Box<dyn FnOnce(Result<Accepted<E>, CommandError>) + Send>;

/// Decides `command` and, if the rules say yes, queues its unit. `answer` hears of it when everything it shows is durable.
pub fn run<A: Aggregate>(
    node: &Node,
    partition: Partition,
    cell: &mut Cell<A>,
    mut crew: Crew,
    command: &A::Command,
    request: &Arc<Request>,
    answer: Answer<A::Event>,
) {
    let mut turn = match node.sequencer(partition).turn(cell.generation) {
        Ok(turn) => turn,
        Err(fault) => return answer(Err(fault.into())),
    };
    if !all_usable(cell, &mut crew) {
        return answer(Err(Fault::Superseded.into()));
    }
    let at = turn.stamp();
    let context = crew.context.as_ref().and_then(|neighbour| turn.notice(&neighbour.stream));
    let shown = shown(cell, &mut crew, context.as_ref());
    let asked = Asked {
        at,
        command: request.command,
        body: request.body,
        by: request.by.clone(),
        authority: request.authority,
    };
    let proposal = catch_unwind(AssertUnwindSafe(|| {
        node.strike(Moment::Deciding);
        propose(cell, &mut crew, command, context.as_ref(), &asked)
    }));
    let proposal = match proposal {
        Ok(Ok(proposal)) => proposal,
        Ok(Err(error)) => {
            if planted(Bug::PositionHole) {
                turn.lose_a_position();
            }
            return turn.answer(shown, told(answer, Err(error)));
        }
        Err(_) => return poisoned(cell, &mut crew, answer),
    };
    match proposal {
        Proposal::Replay(version) => turn.answer(shown, told(answer, Ok(Accepted::Replay { version }))),
        Proposal::Unchanged => {
            let position = LogPosition { partition, position: cell.shown };
            let outcome = Outcome { events: Vec::new(), position, version: cell.version, at, replayed: false };
            turn.answer(shown, told(answer, Ok(Accepted::Done(outcome))));
        }
        Proposal::Append(draft) => append(node, turn, cell, crew, draft, request, at, answer),
    }
}

fn told<E: Send + 'static>(answer: Answer<E>, result: Result<Accepted<E>, CommandError>) -> super::sequencer::Tell {
    Box::new(move |durable: Result<(), Fault>| answer(durable.map_err(CommandError::from).and(result)))
}

/// What the rules said, before anything changed.
enum Proposal<A: Aggregate> {
    Replay(Version),
    Unchanged,
    Append(Draft<A>),
}

struct Draft<A: Aggregate> {
    lead: Vec<A::Event>,
    /// In the order of the log: the parts' facts first, the lead's last.
    encoded: Vec<Encoded>,
}

pub struct Encoded {
    stream: StreamId,
    version: Version,
    kind: crate::events::Kind,
    payload: Vec<u8>,
}

/// What every fact of the unit carries into the states.
#[derive(Clone, Copy)]
pub struct Stamp {
    pub command: CommandId,
    pub at: Timestamp,
}

fn all_usable<A: Aggregate>(cell: &Cell<A>, crew: &mut Crew) -> bool {
    !cell.poisoned && crew.parts.iter_mut().all(|part| part.usable(cell.generation))
}

/// The highest position that anybody who takes part has shown.
fn shown<A: Aggregate>(cell: &Cell<A>, crew: &mut Crew, context: Option<&(Notice, Position)>) -> Position {
    let parts = crew.parts.iter_mut().map(|part| part.shown());
    let others = context.map(|(_, shown)| *shown);
    parts.chain(others).fold(cell.shown, Position::max)
}

fn propose<A: Aggregate>(
    cell: &Cell<A>,
    crew: &mut Crew,
    command: &A::Command,
    context: Option<&(Notice, Position)>,
    asked: &Asked,
) -> Result<Proposal<A>, CommandError> {
    let says = context.map(|(notice, _)| notice);
    let context = read::<A>(says);
    if crew.context.as_ref().is_some_and(|neighbour| !neighbour.says(says))
        && !crew.ask_again(Cast::of(A::parts(&cell.state, command, &asked.by, context)))
    {
        return Err(Fault::Superseded.into());
    }
    let lead = match A::decide(&cell.state, command, context, asked)? {
        Decision::Append(events) if !events.is_empty() => events,
        Decision::Replay(version) => return Ok(Proposal::Replay(version)),
        Decision::Append(_) | Decision::Unchanged => return Ok(Proposal::Unchanged),
    };
    let mut refused = Vec::new();
    let mut encoded = Vec::with_capacity(lead.len() + 4);
    for part in &mut crew.parts {
        part.propose(asked, &mut encoded, &mut refused)?;
    }
    if !refused.is_empty() {
        return Err(A::parts_refused(command, refused).into());
    }
    encode(cell, &lead, &mut encoded)?;
    Ok(Proposal::Append(Draft { lead, encoded }))
}

pub fn encode<A: Aggregate>(cell: &Cell<A>, events: &[A::Event], into: &mut Vec<Encoded>) -> Result<(), Fault> {
    let mut version = cell.version;
    for event in events {
        version = version.next();
        let payload = event.payload().map_err(|error| Fault::internal(error.to_string()))?;
        into.push(Encoded { stream: cell.stream.clone(), version, kind: event.kind(), payload });
    }
    Ok(())
}

#[allow(clippy::too_many_arguments, reason = "the one step that brings together all that was prepared")]
fn append<A: Aggregate>(
    node: &Node,
    turn: Turn<'_>,
    cell: &mut Cell<A>,
    mut crew: Crew,
    draft: Draft<A>,
    request: &Request,
    at: Timestamp,
    answer: Answer<A::Event>,
) {
    let Draft { lead, encoded } = draft;
    let bytes = match Turn::check_size(encoded.len(), encoded.iter().map(|one| one.payload.len()).sum()) {
        Ok(bytes) => bytes,
        Err(fault) => return answer(Err(fault.into())),
    };
    let last = Position(turn.head().0 + encoded.len() as u64);
    let evolved = catch_unwind(AssertUnwindSafe(|| {
        let mut timers = Vec::new();
        let stamp = Stamp { command: request.command, at };
        crew.parts.iter_mut().for_each(|part| part.evolve(stamp, &mut timers));
        node.strike(Moment::Evolving);
        evolve(cell, &lead, stamp, &mut timers);
        timers
    }));
    let Ok(timers) = evolved else { return poisoned(cell, &mut crew, answer) };
    let owner = A::owner(&cell.state);
    let records = records(node, &turn, encoded, request, owner.as_ref(), at);
    let unit = Unit { records, timers, note: request.note.clone() };
    let position = LogPosition { partition: turn.partition(), position: last };
    let outcome = Outcome { events: lead, position, version: cell.version, at, replayed: false };
    // The answer is kept aside until the unit is queued, since a closed lane must be told, too.
    if let Err((fault, tell)) =
        turn.append(unit, bytes, (&cell.stream, cell.notice()), told(answer, Ok(Accepted::Done(outcome))))
    {
        cell.poisoned = true;
        crew.parts.iter_mut().for_each(|part| part.poison());
        return tell(Err(fault));
    }
    // Only now: what is poisoned on the way waits for the last position that really was given out.
    cell.shown = last;
    crew.parts.iter_mut().for_each(|part| part.show(last));
}

pub fn evolve<A: Aggregate>(cell: &mut Cell<A>, events: &[A::Event], stamp: Stamp, timers: &mut Vec<TimerChange>) {
    if events.is_empty() {
        return;
    }
    events.iter().for_each(|event| cell.evolve(event, stamp.at, stamp.command));
    let deadline = A::deadline(&cell.state);
    if deadline != cell.deadline {
        cell.deadline = deadline;
        timers.push(TimerChange { stream: cell.stream.clone(), due: deadline });
    }
    let waits = A::waits_since(&cell.state);
    if waits != cell.waits {
        cell.waits = waits;
        timers.push(TimerChange { stream: StreamId::process(&cell.stream), due: waits });
    }
}

fn records(
    node: &Node,
    turn: &Turn<'_>,
    encoded: Vec<Encoded>,
    request: &Request,
    owner: Option<&AccountId>,
    at: Timestamp,
) -> Vec<Record> {
    let count = encoded.len();
    let mut position = turn.head();
    let record = |(index, Encoded { stream, version, kind, payload })| {
        position = position.next();
        Record {
            partition: turn.partition(),
            position,
            stream,
            version,
            kind: kind.name.into(),
            schema: kind.version,
            codec: codec::BINCODE_2,
            event_id: node.entropy.uuid(at),
            command: request.command,
            correlation: request.correlation,
            causation: request.causation,
            principal: request.by.clone(),
            owner: owner.cloned(),
            epoch: turn.epoch(),
            node: node.id.clone(),
            at,
            // Filled in by the lane, which owns the chain.
            recorded_at: at,
            unit_last: index + 1 == count,
            chain: Chain::default(),
            payload,
            decoded: Decoded::default(),
        }
    };
    encoded.into_iter().enumerate().map(record).collect()
}

/// The command fails once; everybody's state goes, since nobody knows how far the rule came.
fn poisoned<A: Aggregate>(cell: &mut Cell<A>, crew: &mut Crew, answer: Answer<A::Event>) {
    metrics::counter!(telemetry::ACTOR_PANICS).increment(1);
    tracing::error!(stream = %cell.stream, "a rule panicked; its command fails and its state is loaded anew");
    cell.poisoned = true;
    crew.parts.iter_mut().for_each(|part| part.poison());
    answer(Err(Fault::internal("a rule panicked").into()));
}
