//! What has happened? The closed set of facts that the log can hold.
//!
//! One enum file per noun; this file joins them and names each kind with the version that is written today. Stored events
//! are types of their own, never API bodies. Facts know nothing of the rules that made them (`domain/`) nor of where they
//! are kept (`journal/`).

pub mod codec;
pub mod coupon;
pub mod envelope;
pub mod member;
mod noun;
pub mod order;
pub mod performance;
pub mod seat;
pub mod show;
pub mod store;
pub mod upcast;
pub mod venue;

pub use coupon::CouponEvent;
pub use envelope::{Chain, Decoded, Record};
pub use member::MemberEvent;
pub(crate) use noun::noun_events;
pub use order::OrderEvent;
pub use performance::PerformanceEvent;
pub use seat::SeatEvent;
pub use show::ShowEvent;
pub use store::StoreEvent;
pub use venue::VenueEvent;

/// Any fact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    Seat(SeatEvent),
    Order(OrderEvent),
    Member(MemberEvent),
    Coupon(CouponEvent),
    Store(StoreEvent),
    Performance(PerformanceEvent),
    Show(ShowEvent),
    Venue(VenueEvent),
}

/// One noun's facts within the closed set.
pub trait NounEvent: Sized + Clone + Send + 'static {
    fn into_event(self) -> Event;
    /// `None` when the fact belongs to another noun.
    fn from_event(event: Event) -> Option<Self>;
    fn kind(&self) -> Kind;
    /// The payload, in the codec and version that are written today.
    fn payload(&self) -> Result<Vec<u8>, codec::CodecError>;
}

/// A kind's name as it stands in the log, and the schema version that is written today.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kind {
    pub name: &'static str,
    pub version: u16,
}

/// Every kind that this build can read, with the newest version it understands.
#[must_use]
pub fn kinds() -> Vec<Kind> {
    [
        seat::KINDS,
        order::KINDS,
        member::KINDS,
        coupon::KINDS,
        store::KINDS,
        performance::KINDS,
        show::KINDS,
        venue::KINDS,
    ]
    .concat()
}

impl Event {
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Seat(e) => e.kind(),
            Self::Order(e) => e.kind(),
            Self::Member(e) => e.kind(),
            Self::Coupon(e) => e.kind(),
            Self::Store(e) => e.kind(),
            Self::Performance(e) => e.kind(),
            Self::Show(e) => e.kind(),
            Self::Venue(e) => e.kind(),
        }
    }
}

impl<E: NounEvent> From<E> for Event {
    fn from(event: E) -> Self {
        event.into_event()
    }
}
