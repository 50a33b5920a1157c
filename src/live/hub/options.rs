//! What can an operator choose about watchers, and what is a hub made of then?

use std::sync::Arc;
use std::time::Duration;

use super::displays::{self, Displays};
use super::seating::{Places, Seating};
use super::shelf::Shelf;
use super::{HubParts, Inner};
use crate::ids::NodeId;
use crate::journal::presence::Presence;
use crate::limits;
use crate::live::board::Boards;
use crate::live::topics::PaymentWindow;

/// What an operator can choose about watchers.
#[derive(Clone)]
pub struct Options {
    /// How this node is called among others.
    pub node: NodeId,
    pub places: Places,
    /// A store's missed payment older than that is not shown to a display that comes back.
    pub store_resume: Duration,
    /// Tells and hears of displays on other nodes, where there can be any.
    pub presence: Option<Arc<dyn Presence>>,
    /// What orders say of where they are paid.
    pub window: Option<PaymentWindow>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            node: NodeId::new("node"),
            places: Places::default(),
            store_resume: limits::STORE_RESUME_WINDOW,
            presence: None,
            window: None,
        }
    }
}

impl Inner {
    pub(super) fn new(parts: HubParts, options: Options) -> Self {
        let HubParts { journal, follow, lookup, clock, entropy, stop, tracker } = parts;
        let shelves = (0..journal.partitions()).map(|_| Shelf::default()).collect();
        let Options { node, places, store_resume, presence, window } = options;
        let stop = stop.child_token();
        let boards = Boards::new(stop.clone(), tracker.clone());
        let (seating, displays) = (Seating::new(places), Displays::default());
        if let Some(presence) = &presence {
            tracker.spawn(displays::tell(displays.clone(), node.clone(), presence.clone(), stop.clone()));
        }
        Self {
            journal,
            follow,
            lookup,
            clock,
            entropy,
            stop,
            tracker,
            shelves,
            seating,
            displays,
            boards,
            node,
            presence,
            store_resume,
            window,
        }
    }
}
