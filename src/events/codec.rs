//! How does a fact become bytes, and back? The only module that knows bincode.
//!
//! Each row of the log names its codec, kind and schema version; the payload is bincode 2 (`standard()`: little endian,
//! variable-length integers) of the kind's struct. Lengths are bounded while decoding, since a hostile length would
//! otherwise abort the process, and every byte must be used. bincode is unmaintained; a test shows that `serde-wincode`
//! writes the same bytes, so leaving it is a change of this file alone.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{
    CouponEvent, Event, MemberEvent, OrderEvent, PerformanceEvent, SeatEvent, ShowEvent, StoreEvent, VenueEvent, kinds,
    upcast,
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
        Event::Member(e) => e.encode(),
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
        // The order's process has several nouns of its own.
        "order" | "payment" | "refund" | "review" | "ticket" => {
            OrderEvent::decode(kind, &payload).map(|r| r.map(Event::Order))
        }
        "member" => MemberEvent::decode(kind, &payload).map(|r| r.map(Event::Member)),
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
        Event::Member(e) => e.to_json(),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::performance::SeatsBlocked;
    use crate::events::seat::Held;
    use crate::ids::{Hash16, OrderId, SeatId};

    fn held() -> Event {
        SeatEvent::from(Held { order_id: OrderId::new("o1") }).into()
    }

    fn refused(kind: &str, version: u16, codec: u8, payload: &[u8]) -> CodecError {
        decode(kind, version, codec, payload).expect_err("it must be refused")
    }

    #[test]
    fn what_was_written_is_read() {
        let seats = vec![SeatId::new("A-1-1"), SeatId::new("A-1-2")];
        for event in [held(), PerformanceEvent::from(SeatsBlocked { seats, body: Hash16([7; 16]) }).into()] {
            let bytes = encode(&event).expect("it can be encoded");
            assert_eq!(decode(event.kind().name, event.kind().version, BINCODE_2, &bytes), Ok(event));
        }
    }

    #[test]
    fn every_byte_must_be_there_and_used() {
        let bytes = encode(&held()).expect("it can be encoded");
        let longer = [bytes.as_slice(), &[0]].concat();
        assert_eq!(refused("seat.held", 1, BINCODE_2, &longer), CodecError::Malformed("1 bytes too many".into()));
        for end in 0..bytes.len() {
            assert!(matches!(refused("seat.held", 1, BINCODE_2, &bytes[..end]), CodecError::Malformed(_)), "{end}");
        }
        // A kind without members has no bytes at all.
        assert!(matches!(refused("seat.blocked", 1, BINCODE_2, &[0]), CodecError::Malformed(_)));
    }

    #[test]
    fn hostile_lengths_are_refused_before_memory_is_taken() {
        for length in [u64::MAX, u64::MAX / 2, 1 << 40, limits::UNIT_BYTES as u64 + 1] {
            // 253: the length follows in eight bytes. As text in one kind, as a list in the other.
            let bytes = [&[253], length.to_le_bytes().as_slice(), b"junk"].concat();
            for kind in ["seat.held", "performance.seats_blocked"] {
                assert!(matches!(refused(kind, 1, BINCODE_2, &bytes), CodecError::Malformed(_)), "{kind} {length}");
            }
            assert!(unpack_snapshot::<Vec<String>>(&bytes).is_err(), "{length}");
        }
    }

    #[test]
    fn what_this_build_does_not_know_is_refused_by_name() {
        let bytes = encode(&held()).expect("it can be encoded");
        let newer = CodecError::NewerVersion { kind: "seat.held".into(), found: 2, known: 1 };
        assert_eq!(refused("seat.held", 2, BINCODE_2, &bytes), newer);
        assert!(matches!(refused("seat.held", 0, BINCODE_2, &bytes), CodecError::Malformed(_)), "never written");
        assert_eq!(refused("seat.held", 1, 2, &bytes), CodecError::UnknownCodec(2));
        for kind in ["", "seat", "seat.", "seat.moved", "raffle.drawn", "SEAT.HELD"] {
            assert_eq!(refused(kind, 1, BINCODE_2, &bytes), CodecError::UnknownKind(kind.into()));
        }
    }
}
