//! A watcher that is cut again and again: raw bytes off the socket, the last id kept, a record of all it was told.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What one whole event said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub event: String,
    pub id: Option<String>,
    pub data: String,
}

/// Splits what came so far into whole events; the rest stays.
pub fn events(text: &mut Vec<u8>) -> Vec<Told> {
    let mut told = Vec::new();
    while let Some(end) = text.windows(2).position(|two| two == b"\n\n") {
        let block: Vec<u8> = text.drain(..end + 2).collect();
        let block = String::from_utf8(block).expect("streams are text");
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        if let (Some(event), Some(data)) = (field("event: "), field("data: ")) {
            told.push(Told { event, id: field("id: "), data });
        }
    }
    told
}

/// A connection that asks for a stream in HTTP/1.0: its body is the stream's own bytes.
pub async fn ask(base: &str, path: &str, token: Option<&str>, last: Option<&str>) -> Option<TcpStream> {
    let host = base.strip_prefix("http://").expect("an address");
    let mut socket = TcpStream::connect(host).await.ok()?;
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    let last = last.map(|last| format!("last-event-id: {last}\r\n")).unwrap_or_default();
    let request = format!("GET {path} HTTP/1.0\r\nhost: {host}\r\n{token}{last}\r\n");
    socket.write_all(request.as_bytes()).await.ok()?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        socket.read_exact(&mut byte).await.ok()?;
        head.push(byte[0]);
    }
    head.starts_with(b"HTTP/1.0 200").then_some(socket)
}

/// Everything one watcher was told, in order. Cheap to clone.
#[derive(Clone, Default)]
pub struct Record(Arc<Mutex<Vec<Told>>>);

impl Record {
    pub fn add(&self, told: Vec<Told>) {
        self.0.lock().extend(told);
    }

    pub fn last_id(&self) -> Option<String> {
        self.0.lock().iter().rev().find_map(|told| told.id.clone())
    }

    pub fn len(&self) -> usize {
        self.0.lock().len()
    }

    /// How often it was told to start over.
    pub fn resets(&self) -> usize {
        self.0.lock().iter().filter(|told| told.event == "reset").count()
    }

    /// Is this what the log says? `expected` are the ids of all frames there were; it must have had every one after the
    /// first, or after a snapshot, or after a reset that names its place, once and in order, up to the last.
    pub fn assert_equals(&self, expected: &[String]) {
        let all: BTreeSet<&String> = expected.iter().collect();
        assert_eq!(all.len(), expected.len(), "ids are names");
        let place = |id: &str| id.split_once(':').and_then(|(_, n)| n.parse::<u64>().ok()).expect("an id");
        let after = |id: &str| expected.partition_point(|known| place(known) <= place(id));
        let mut next = None;
        for told in self.0.lock().iter() {
            match (told.event.as_str(), &told.id) {
                ("snapshot", Some(id)) | ("reset", Some(id)) => next = Some(after(id)),
                ("reset", None) | ("hb", _) => {}
                (_, Some(id)) => {
                    let at = next.unwrap_or_else(|| after(id) - 1);
                    assert_eq!(
                        expected.get(at),
                        Some(id),
                        "after {:?}: {told:?}",
                        at.checked_sub(1).map(|at| &expected[at])
                    );
                    let data: serde_json::Value = serde_json::from_str(&told.data).expect("data is JSON");
                    let before = at.checked_sub(1).map(|at| expected[at].as_str());
                    assert!(before.is_none() || data["prev"].as_str() == before, "{told:?} names another before it");
                    next = Some(at + 1);
                }
                _ => panic!("what is this: {told:?}"),
            }
        }
        assert_eq!(next, Some(expected.len()), "it saw everything up to the last");
    }
}
