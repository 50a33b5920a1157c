//! What does a client make of the bytes of a stream?

use serde_json::Value;

use super::world::P;
use crate::ids::{LogPosition, Position};
use crate::live::frame;
use crate::live::hub::Watch;

/// A frame as a client reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    pub id: Option<String>,
    pub event: String,
    pub data: Value,
}

pub fn read(bytes: impl AsRef<[u8]>) -> Seen {
    let text = std::str::from_utf8(bytes.as_ref()).expect("text");
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let data = serde_json::from_str(&field("data: ").expect("data")).expect("JSON");
    Seen { id: field("id: "), event: field("event: ").expect("an event"), data }
}

impl Watch {
    /// All that there is for it by now, as a client reads it.
    pub async fn drain(&mut self) -> Vec<Seen> {
        let all: Vec<u8> = self.drain_now().await.iter().flat_map(|bytes| bytes.to_vec()).collect();
        let all = std::str::from_utf8(&all).expect("text");
        all.split_inclusive("\n\n").filter(|event| event.contains("data: ")).map(read).collect()
    }
}

pub fn at(position: u64) -> LogPosition {
    frame::id(P, Position(position))
}

/// Every frame names the one before it.
pub fn assert_chain(seen: &[Seen]) {
    for pair in seen.windows(2) {
        assert_eq!(pair[1].data["prev"], Value::from(pair[0].id.clone()), "{seen:#?}");
    }
}

pub fn number(seen: &Seen) -> u64 {
    let id = seen.id.as_deref().and_then(LogPosition::parse).expect("an id");
    id.position.0
}
