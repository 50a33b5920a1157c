//! What has happened? The closed set of facts that the log can hold.
//!
//! One enum file per noun; this file joins them and names each kind with the version that is written today. Stored events
//! are types of their own, never API bodies. Facts know nothing of the rules that made them (`domain/`) nor of where they
//! are kept (`journal/`).

pub mod codec;
pub mod coupon;
pub mod envelope;
pub mod member;
pub mod order;
pub mod performance;
pub mod seat;
pub mod show;
pub mod store;
pub mod upcast;
pub mod venue;

pub use coupon::CouponEvent;
pub use envelope::{Chain, Record};
pub use member::MemberEvent;
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

/// Declares the facts of a noun: each variant with its payload struct, its kind and the version written today.
macro_rules! noun_events {
    ($enum:ident in $noun:ident { $($variant:ident($kind:literal, $version:literal)),+ $(,)? }) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $enum {
            $($variant($variant)),+
        }

        pub const KINDS: &[$crate::events::Kind] =
            &[$($crate::events::Kind { name: $kind, version: $version }),+];

        impl $enum {
            #[must_use]
            pub fn kind(&self) -> $crate::events::Kind {
                match self {
                    $(Self::$variant(_) => $crate::events::Kind { name: $kind, version: $version }),+
                }
            }

            pub(in $crate::events) fn encode(&self) -> Result<Vec<u8>, $crate::events::codec::CodecError> {
                match self {
                    $(Self::$variant(data) => $crate::events::codec::pack(data)),+
                }
            }

            pub(in $crate::events) fn decode(
                kind: &str,
                bytes: &[u8],
            ) -> Option<Result<Self, $crate::events::codec::CodecError>> {
                match kind {
                    $($kind => Some($crate::events::codec::unpack(bytes).map(Self::$variant)),)+
                    _ => None,
                }
            }

            /// The payload as people and foreign checkers read it.
            pub(in $crate::events) fn to_json(&self) -> serde_json::Result<serde_json::Value> {
                match self {
                    $(Self::$variant(data) => serde_json::to_value(data)),+
                }
            }
        }

        $(impl From<$variant> for $enum {
            fn from(data: $variant) -> Self {
                Self::$variant(data)
            }
        })+

        impl $crate::events::NounEvent for $enum {
            fn into_event(self) -> $crate::events::Event {
                $crate::events::Event::$noun(self)
            }

            fn from_event(event: $crate::events::Event) -> Option<Self> {
                match event {
                    $crate::events::Event::$noun(event) => Some(event),
                    _ => None,
                }
            }
        }
    };
}
pub(crate) use noun_events;

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
