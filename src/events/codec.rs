//! How does a fact become bytes, and back? The only module that knows bincode.
//!
//! Each row of the log names its codec, kind and schema version; the payload is bincode 2 (`standard()`: little endian,
//! variable-length integers) of the kind's struct. Lengths are bounded while decoding, since a hostile length would
//! otherwise abort the process, and every byte must be used. bincode is unmaintained; a test shows that `serde-wincode`
//! writes the same bytes, so leaving it is a change of this file alone.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    CouponEvent, Event, OrderEvent, PerformanceEvent, SeatEvent, ShowEvent, StoreEvent, VenueEvent, kinds, upcast,
};
use crate::limits;

/// The codec that is written today.
pub const BINCODE_2: u8 = 1;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    #[error("unknown codec {0}")]
    UnknownCodec(u8),
    #[error("unknown kind {0}")]
    UnknownKind(String),
    #[error("kind {kind} has version {found}, this build understands up to {known}")]
    NewerVersion { kind: String, found: u16, known: u16 },
    #[error("{0}")]
    Malformed(String),
}

fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<{ limits::UNIT_BYTES }>()
}

/// Any serde value to bytes; also used for snapshots.
pub fn pack<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
    bincode::serde::encode_to_vec(value, bincode::config::standard()).map_err(|e| CodecError::Malformed(e.to_string()))
}

/// Bytes to a value; trailing bytes are an error.
pub fn unpack<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    unpack_with(bytes, config())
}

/// As [`unpack`], for values that may be larger than an event.
pub fn unpack_snapshot<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
    unpack_with(bytes, bincode::config::standard().with_limit::<{ 4 * limits::SNAPSHOT_BYTES }>())
}

fn unpack_with<T: DeserializeOwned>(bytes: &[u8], config: impl bincode::config::Config) -> Result<T, CodecError> {
    let (value, used) =
        bincode::serde::decode_from_slice(bytes, config).map_err(|e| CodecError::Malformed(e.to_string()))?;
    if used == bytes.len() {
        Ok(value)
    } else {
        Err(CodecError::Malformed(format!("{} bytes too many", bytes.len() - used)))
    }
}

/// The payload of a fact, in the codec and version that are written today.
pub fn encode(event: &Event) -> Result<Vec<u8>, CodecError> {
    match event {
        Event::Seat(e) => e.encode(),
        Event::Order(e) => e.encode(),
        Event::Coupon(e) => e.encode(),
        Event::Store(e) => e.encode(),
        Event::Performance(e) => e.encode(),
        Event::Show(e) => e.encode(),
        Event::Venue(e) => e.encode(),
    }
}

/// A fact from the columns and the payload of its row. Older versions are raised first; newer ones are refused.
pub fn decode(kind: &str, version: u16, codec: u8, payload: &[u8]) -> Result<Event, CodecError> {
    if codec != BINCODE_2 {
        return Err(CodecError::UnknownCodec(codec));
    }
    let known = known_version(kind).ok_or_else(|| CodecError::UnknownKind(kind.to_owned()))?;
    if version > known {
        return Err(CodecError::NewerVersion { kind: kind.to_owned(), found: version, known });
    }
    let payload = upcast::raise(kind, version, known, payload)?;
    let noun = kind.split('.').next().unwrap_or_default();
    let decoded = match noun {
        "seat" => SeatEvent::decode(kind, &payload).map(|r| r.map(Event::Seat)),
        "order" => OrderEvent::decode(kind, &payload).map(|r| r.map(Event::Order)),
        "coupon" => CouponEvent::decode(kind, &payload).map(|r| r.map(Event::Coupon)),
        "store" => StoreEvent::decode(kind, &payload).map(|r| r.map(Event::Store)),
        "performance" => PerformanceEvent::decode(kind, &payload).map(|r| r.map(Event::Performance)),
        "show" => ShowEvent::decode(kind, &payload).map(|r| r.map(Event::Show)),
        "venue" => VenueEvent::decode(kind, &payload).map(|r| r.map(Event::Venue)),
        _ => None,
    };
    decoded.unwrap_or_else(|| Err(CodecError::UnknownKind(kind.to_owned())))
}

/// The payload as JSON: what every checker needs stands in it under the names of the public contract.
pub fn to_json(event: &Event) -> serde_json::Result<serde_json::Value> {
    match event {
        Event::Seat(e) => e.to_json(),
        Event::Order(e) => e.to_json(),
        Event::Coupon(e) => e.to_json(),
        Event::Store(e) => e.to_json(),
        Event::Performance(e) => e.to_json(),
        Event::Show(e) => e.to_json(),
        Event::Venue(e) => e.to_json(),
    }
}

/// The newest version of a kind that this build understands.
#[must_use]
pub fn known_version(kind: &str) -> Option<u16> {
    static KNOWN: std::sync::LazyLock<std::collections::HashMap<&'static str, u16>> =
        std::sync::LazyLock::new(|| kinds().into_iter().map(|kind| (kind.name, kind.version)).collect());
    KNOWN.get(kind).copied()
}
