//! The log's own bytes: kind, schema version and payload of a row, as a database may hand them over damaged.
//!
//! What can be read is written again with the same meaning, in one spelling; what cannot be read is refused with a reason, and
//! takes no more memory than its bytes can mean.

use std::sync::LazyLock;

use onsale::events::codec::{self, BINCODE_2, CodecError};
use onsale::events::{Event, Kind, kinds};
use serde_json::Value;

use super::Target;

pub const FACTS: Target = Target { name: "facts", seeds, run };

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(kinds);

/// Which kind, which version, and the payload.
fn run(data: &[u8]) {
    let [which, version, payload @ ..] = data else { return };
    let kind = KINDS[usize::from(*which) % KINDS.len()];
    let version = u16::from(*version) % (kind.version + 2);
    match codec::decode(kind.name, version, BINCODE_2, payload) {
        Ok(event) => {
            assert!(version <= kind.version, "a version that nobody knows yet");
            assert_eq!(event.kind().name, kind.name);
            again(&event);
        }
        Err(CodecError::NewerVersion { .. }) => assert!(version > kind.version),
        Err(CodecError::Malformed(reason)) => assert!(!reason.is_empty()),
        Err(other) => panic!("{} is known: {other}", kind.name),
    }
}

/// Whoever writes what was read writes what can be read.
fn again(event: &Event) {
    let written = codec::encode(event).expect("what was read can be written");
    let kind = event.kind();
    let read = codec::decode(kind.name, kind.version, BINCODE_2, &written).expect("what was written can be read");
    assert_eq!(&read, event, "it means the same");
    assert_eq!(codec::encode(&read).expect("it can be written"), written, "one spelling");
    codec::to_json(event).expect("people can read it");
}

/// The facts of the golden files, in all the versions that were ever written.
fn seeds() -> Vec<Vec<u8>> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/events");
    let folder = folder.replace("/tests/fuzz/long/", "/");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("the golden files") {
        let text = std::fs::read_to_string(entry.expect("a readable folder").path()).expect("a readable file");
        let golden: Value = serde_json::from_str(&text).expect("JSON");
        let which = KINDS.iter().position(|kind| golden["kind"] == kind.name).expect("a known kind");
        let version = golden["version"].as_u64().and_then(|version| u8::try_from(version).ok()).expect("a version");
        for sample in golden["samples"].as_array().into_iter().flatten() {
            let which = u8::try_from(which).expect("few kinds");
            let payload = unhex(sample["hex"].as_str().expect("bytes"));
            found.push([vec![which, version], payload].concat());
        }
    }
    found.sort();
    let hostile = (0..u8::try_from(KINDS.len()).expect("few kinds")).flat_map(|which| {
        let lengths = [vec![251, 255, 255], vec![252, 0, 0, 0, 64], [vec![253], vec![255; 8]].concat()];
        lengths.map(|length| [vec![which, 1], length, b"junk".to_vec()].concat())
    });
    found.extend(hostile);
    found
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|i| u8::from_str_radix(&text[i..i + 2], 16).expect("hexadecimal digits")).collect()
}
