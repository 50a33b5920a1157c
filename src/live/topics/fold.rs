//! What does a topic look like now, whichever it is? One state for the rooms, so that they need not know the topics.

use bytes::Bytes;

use super::{PaymentWindow, Topic, Unit, order, seats, store};
use crate::fault::Fault;
use crate::ids::{Partition, Position};
use crate::journal::Journal;
use crate::live::frame::Frame;
use crate::timestamp::Timestamp;

/// The current state of a topic.
#[derive(Debug)]
pub(in crate::live) enum Fold {
    Seats(seats::Fold),
    Order(Box<order::Fold>),
    Store(store::Fold),
}

impl Fold {
    /// The state as of position `up_to`, and the id of the topic's last frame; `None` when there is no such thing.
    pub(in crate::live) async fn load(
        journal: &dyn Journal,
        topic: &Topic,
        partition: Partition,
        up_to: Position,
        now: Timestamp,
        window: Option<&PaymentWindow>,
    ) -> Result<Option<(Self, Position)>, Fault> {
        Ok(match topic {
            Topic::Seats(performance) => {
                let fold = seats::Fold::load(journal, performance, partition, up_to, now).await?;
                fold.map(|fold| {
                    let last = fold.map().position.position;
                    (Self::Seats(fold), last)
                })
            }
            Topic::Order(order) => {
                let fold = order::Fold::load(journal, order, up_to, window).await?;
                fold.map(|fold| {
                    let last = fold.last();
                    (Self::Order(Box::new(fold)), last)
                })
            }
            Topic::Store(store) => {
                let fold = store::Fold::load(journal, store, partition, up_to).await?;
                fold.map(|fold| {
                    let last = fold.last();
                    (Self::Store(fold), last)
                })
            }
            // A task's result is one record, which `coupon_task` finds without any fold.
            Topic::CouponTask(_) => None,
        })
    }

    /// Goes one unit further; the frames that watchers get for it.
    pub(in crate::live) fn apply(&mut self, unit: &Unit, prev: Position) -> Result<Vec<Frame>, Fault> {
        match self {
            Self::Seats(fold) => fold.apply(unit, prev),
            Self::Order(fold) => fold.apply(unit, prev),
            Self::Store(fold) => fold.apply(unit, prev),
        }
    }

    /// What a watcher gets first; `None` where it starts with what comes next.
    pub(in crate::live) fn snapshot(&self) -> Result<Option<Bytes>, Fault> {
        match self {
            Self::Seats(fold) => fold.snapshot().map(Some),
            Self::Order(fold) => fold.snapshot().map(Some),
            Self::Store(_) => Ok(None),
        }
    }
}
