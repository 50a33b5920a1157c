//! How is a frame written? Bytes of `text/event-stream`, made once and shared by all watchers of a topic.
//!
//! The data is JSON, which escapes every line break, so that no text from outside can end a line and forge a frame. This
//! file does not know what the data means.

use bytes::Bytes;
use serde::Serialize;

use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, Position};
use crate::timestamp::Timestamp;

/// One event of a topic, ready to be sent.
#[derive(Clone, Debug)]
pub struct Frame {
    pub id: Position,
    /// The topic's frame before this one; 0 when there was none.
    pub prev: Position,
    pub at: Timestamp,
    pub bytes: Bytes,
}

impl Frame {
    /// `data` holds `prev` already, since every topic puts it among its own members.
    pub fn new(
        name: &'static str,
        id: LogPosition,
        prev: Position,
        at: Timestamp,
        data: &impl Serialize,
    ) -> Result<Self, Fault> {
        Ok(Self { id: id.position, prev, at, bytes: event(name, Some(id), data)? })
    }
}

/// One event with its id, where it has one.
pub fn event(name: &'static str, id: Option<LogPosition>, data: &impl Serialize) -> Result<Bytes, Fault> {
    let data = serde_json::to_string(data).map_err(|e| Fault::internal(format!("a frame cannot be written: {e}")))?;
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    Ok(Bytes::from(format!("{id}event: {name}\ndata: {data}\n\n")))
}

/// Tells the watcher to forget what it has. A snapshot follows, and only that carries an id: whoever is cut between the
/// two must not come back with an id that hides the missing snapshot. Topics without snapshot pass their own.
#[must_use]
pub fn reset(id: Option<LogPosition>) -> Bytes {
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    // Browsers drop events without data.
    Bytes::from(format!("{id}event: reset\ndata: {{}}\n\n"))
}

/// How long a cut watcher waits before it comes back; each gets its own, so that not all come at once.
#[must_use]
pub fn retry(millis: u64) -> Bytes {
    Bytes::from(format!("retry: {millis}\n\n"))
}

/// Moves the id with which the watcher comes back, and shows nothing: browsers keep the id of an event without data.
#[must_use]
pub fn moved_on(id: LogPosition) -> Bytes {
    Bytes::from(format!("id: {id}\n\n"))
}

pub const HEARTBEAT_COMMENT: Bytes = Bytes::from_static(b": hb\n\n");
pub const HEARTBEAT_EVENT: Bytes = Bytes::from_static(b"event: hb\ndata: {}\n\n");

/// The name of a position within `partition`.
#[must_use]
pub fn id(partition: Partition, position: Position) -> LogPosition {
    LogPosition { partition, position }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_in_data_cannot_forge_a_frame() {
        for text in ["a\n\nevent: reset\ndata: {}\n\n", "a\r\rid: 1:9", "\r\n\r\n", "a\u{2028}b\u{85}c", "\0"] {
            let at = id(Partition(3), Position(7));
            let bytes = event("payment", Some(at), &serde_json::json!({ "payment_id": text })).expect("plain data");
            let written = std::str::from_utf8(&bytes).expect("text");
            assert_eq!(written.bytes().filter(|b| matches!(b, b'\n' | b'\r')).count(), 4, "{written:?}");
            assert!(written.starts_with("id: 3:7\nevent: payment\ndata: {"), "{written:?}");
            assert!(written.ends_with("}\n\n"), "{written:?}");
            let data = written.lines().find_map(|line| line.strip_prefix("data: ")).expect("a data line");
            let back: serde_json::Value = serde_json::from_str(data).expect("JSON");
            assert_eq!(back["payment_id"], text);
        }
    }

    #[test]
    fn a_reset_before_a_snapshot_has_no_id() {
        assert_eq!(&reset(None)[..], b"event: reset\ndata: {}\n\n");
        assert_eq!(&reset(Some(id(Partition(1), Position(2))))[..], b"id: 1:2\nevent: reset\ndata: {}\n\n");
    }
}
