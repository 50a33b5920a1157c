//! A watcher as a browser would be: frames out of bytes, the last id kept for the next connection.

use std::time::Duration;

use futures::StreamExt;
use reqwest::Method;
use serde_json::Value;

use super::Client;

#[derive(Clone, Debug, PartialEq)]
pub struct Frame {
    pub id: Option<String>,
    pub event: String,
    pub data: Value,
}

pub struct Stream {
    bytes: futures::stream::BoxStream<'static, reqwest::Result<bytes::Bytes>>,
    text: String,
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    /// What the server said in its `retry:` line.
    pub retry: Option<u64>,
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").field("status", &self.status).field("text", &self.text).finish_non_exhaustive()
    }
}

impl Stream {
    pub async fn open(client: &Client, path: &str, last_event_id: Option<&str>) -> Self {
        let mut request = client.request(Method::GET, path);
        if let Some(id) = last_event_id {
            request = request.header("last-event-id", id);
        }
        let response = request.send().await.expect("the stream opens");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { bytes: response.bytes_stream().boxed(), text: String::new(), status, headers, retry: None }
    }

    /// The next event; `None` when the stream ends or is cut.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            while let Some(end) = self.text.find("\n\n") {
                let block: String = self.text.drain(..end + 2).collect();
                if let Some(frame) = self.parse(&block) {
                    return Some(frame);
                }
            }
            let chunk = tokio::time::timeout(Duration::from_secs(30), self.bytes.next()).await;
            let chunk = chunk.expect("a frame or a heartbeat within 30 s")?.ok()?;
            self.text.push_str(std::str::from_utf8(&chunk).expect("streams are text"));
        }
    }

    fn parse(&mut self, block: &str) -> Option<Frame> {
        let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let Some(retry) = field("retry:") {
            self.retry = retry.parse().ok();
        }
        let event = field("event:")?.to_owned();
        let data = field("data:").map_or(Value::Null, |data| serde_json::from_str(data).expect("data is JSON"));
        Some(Frame { id: field("id:").map(str::to_owned), event, data })
    }

    /// The next event, which must be there.
    pub async fn frame(&mut self) -> Frame {
        let frame = self.next().await;
        frame.unwrap_or_else(|| panic!("no more frames in a stream that began with {}: {}", self.status, self.text))
    }
}
