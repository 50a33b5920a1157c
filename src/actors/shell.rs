//! How does an actor live? The one generic actor that runs every aggregate's rules.
//!
//! It handles one message after another and never waits for the disk between two commands: it decides on a speculative
//! state, hands the unit to the sequencer and goes on; the sequencer holds the answer back. Deciding itself is in
//! `decision.rs`; which other streams take part, in `crew.rs`.

use std::marker::PhantomData;
use std::sync::Arc;

use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::oneshot;

use super::cell::Cell;
use super::crew::Crew;
use super::decision;
use super::node::Node;
use super::part::Loan;
use super::registry::Lease;
use super::sequencer::Tell;
use super::{Accepted, CommandError, Request};
use crate::domain::{Aggregate, Authority};
use crate::ids::{AccountId, CommandId, Hash16, Partition, Position, Version};
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

pub type Reply<A> = oneshot::Sender<Result<Accepted<<A as Aggregate>::Event>, CommandError>>;

/// Evaluates a view; what it returns tells the caller once the state it saw is durable.
pub type Look<A> = Box<dyn FnOnce(&<A as Aggregate>::State, Seen) -> Tell + Send>;

/// Where a state stood when it was looked at.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    pub version: Version,
    pub shown: Position,
    pub at: Timestamp,
}

/// What an actor can be asked. Every message about the stream that lives there carries a lease on it.
pub enum Message<A: Aggregate> {
    Run(Box<Run<A>>, Lease),
    Look(Look<A>, Lease),
    /// Lends the state to somebody else's unit; the actor handles nothing until it is back.
    Lend(oneshot::Sender<Loan<A>>, Lease),
    /// The deadline may have come.
    Due(oneshot::Sender<()>, Lease),
    Leave(Lease),
    /// Nobody has asked for anything since it was woken.
    Rest(Lease),
    /// Another stream moves in; whatever was known before belonged to one that has left.
    Enter(Box<Cell<A>>),
}

/// A command on its way to its actor.
pub struct Run<A: Aggregate> {
    pub command: A::Command,
    pub request: Arc<Request>,
    pub reply: Reply<A>,
    /// Held until the answer is durable.
    pub permit: super::admission::Permit,
}

pub struct Shell<A: Aggregate> {
    node: Arc<Node>,
    aggregate: PhantomData<fn() -> A>,
}

impl<A: Aggregate> Shell<A> {
    pub fn new(node: Arc<Node>) -> Self {
        Self { node, aggregate: PhantomData }
    }

    async fn run(&self, cell: &mut Cell<A>, run: Run<A>, lease: &Lease) {
        let Run { command, request, reply, permit } = run;
        self.apply_due(cell, lease.partition).await;
        let answer = move |result| {
            drop(permit);
            // A caller that went away does not need the answer; the command happened all the same.
            let _ = reply.send(result);
        };
        match Crew::gather(&self.node, lease.partition, cell, &command, &request.by).await {
            Ok(crew) => decision::run(&self.node, lease.partition, cell, crew, &command, &request, Box::new(answer)),
            Err(fault) => answer(Err(fault.into())),
        }
    }

    /// A deadline that has come is applied before anything else is decided.
    async fn apply_due(&self, cell: &mut Cell<A>, partition: Partition) {
        let at = self.node.sequencer(partition).at();
        if !cell.is_due(at) {
            return;
        }
        let Some(command) = A::due(&cell.state) else { return };
        let request = due_request(cell, &self.node, at);
        if let Ok(crew) = Crew::gather(&self.node, partition, cell, &command, &request.by).await {
            let ignore = Box::new(|result| {
                if let Err(error) = result {
                    tracing::debug!(%error, "a deadline was not applied this time");
                }
            });
            decision::run(&self.node, partition, cell, crew, &command, &request, ignore);
        }
    }

    fn look(&self, cell: &Cell<A>, look: Look<A>, partition: Partition) {
        let sequencer = self.node.sequencer(partition);
        // A turn that is refused drops `look`: its caller hears that the way is closed and tries again.
        if let Ok(mut turn) = sequencer.turn(cell.generation) {
            let seen = Seen { version: cell.version, shown: cell.shown, at: turn.stamp() };
            let tell = look(&cell.state, seen);
            let durable = if planted(Bug::ReadBeforeCommit) { Position(0) } else { cell.shown };
            turn.answer(durable, tell);
        }
    }

    async fn lend(cell: Box<Cell<A>>, to: oneshot::Sender<Loan<A>>) -> Option<Box<Cell<A>>> {
        let (back, returned) = oneshot::channel();
        // A borrower that went away lets the loan drop, which sends the state back.
        drop(to.send(Loan::new(cell, back)));
        returned.await.ok()
    }

    /// True if the actor may end: nobody is about to speak to it, and what it knows is in the log.
    fn may_leave(&self, cell: &Cell<A>, lease: &Lease) -> bool {
        let sequencer = self.node.sequencer(lease.partition);
        if cell.shown > sequencer.durable() && !planted(Bug::LeaveEarly) {
            return false;
        }
        // Left within the turn: nobody can take the place and post a notice before ours is gone.
        let mut turn = sequencer.turn(cell.generation).ok();
        let left = self.node.registry.leave(lease);
        if left && let Some(turn) = &mut turn {
            turn.post(&cell.stream, None, cell.shown);
        }
        left
    }

    fn snapshot_if_due(&self, cell: &mut Cell<A>, partition: Partition) {
        if cell.wants_snapshot(self.node.shortening().tail) {
            cell.tail = 0;
            let entries = A::entries(&cell.state) as u64;
            cell.saving = super::snapshot::spawn::<A>(&self.node, partition, cell.stream.clone(), entries);
        }
    }
}

/// The request of a deadline: named by stream and version, so that it has one effect however often it is tried.
fn due_request<A: Aggregate>(cell: &Cell<A>, node: &Node, at: Timestamp) -> Arc<Request> {
    let command: CommandId = Hash16::of("due", &[cell.stream.as_str().as_bytes(), &cell.version.0.to_le_bytes()]);
    Arc::new(Request {
        command,
        body: Hash16::default(),
        by: AccountId::new("system"),
        authority: Authority::Any,
        correlation: node.entropy.uuid(at),
        causation: None,
        note: None,
    })
}

/// The state is absent while no stream lives there, while it is lent out, and after it was poisoned.
impl<A: Aggregate> Actor for Shell<A> {
    type Msg = Message<A>;
    type State = Option<Box<Cell<A>>>;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Message<A>>, (): ()) -> Result<Self::State, ActorProcessingErr> {
        Ok(None)
    }

    async fn handle(
        &self,
        _myself: ActorRef<Message<A>>,
        message: Message<A>,
        state: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Message::Enter(cell) = message {
            *state = Some(cell);
            return Ok(());
        }
        let Some(cell) = state.as_mut() else { return Ok(()) };
        let (lease, asked_to_leave) = match message {
            Message::Run(run, lease) => {
                self.run(cell, *run, &lease).await;
                (lease, false)
            }
            Message::Look(look, lease) => {
                self.look(cell, look, lease.partition);
                (lease, false)
            }
            Message::Due(done, lease) => {
                self.apply_due(cell, lease.partition).await;
                let _ = done.send(());
                (lease, false)
            }
            Message::Lend(to, lease) => {
                if let Some(cell) = state.take() {
                    *state = Self::lend(cell, to).await;
                }
                (lease, false)
            }
            Message::Leave(lease) => (lease, true),
            Message::Rest(lease) => (lease, false),
            Message::Enter(_) => return Ok(()),
        };
        self.afterwards(state, &lease, asked_to_leave).await;
        Ok(())
    }
}

impl<A: Aggregate> Shell<A> {
    /// What follows every message: a poisoned state goes, one that is not needed leaves or rests, one that grew is snapshotted.
    async fn afterwards(&self, state: &mut Option<Box<Cell<A>>>, lease: &Lease, asked_to_leave: bool) {
        let Some(cell) = state.as_mut() else { return };
        if cell.poisoned {
            let shown = cell.shown;
            *state = None;
            // What it decided before the panic stands; only then may another actor load the stream.
            let _ = self.node.sequencer(lease.partition).durable_at(shown).await;
            self.node.registry.expel(lease.partition, &lease.stream, &Arc::downgrade(lease));
        } else if asked_to_leave && !self.node.sequencer(lease.partition).is_current(cell.generation) {
            // Forgotten with its whole partition: nothing that it knows is of use to anybody.
            *state = None;
            self.node.registry.leave(lease);
        } else if (asked_to_leave || !cell.exists()) && self.may_leave(cell, lease) {
            // Streams that do not exist are not kept: made-up ids must not fill the memory.
            *state = None;
        } else {
            self.snapshot_if_due(cell, lease.partition);
            if A::RESTS {
                *state = state.take().and_then(|cell| self.node.registry.rest(lease, cell));
            }
        }
    }
}
