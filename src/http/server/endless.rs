//! How does an answer without end reach its client? Taken out of the HTTP machinery once its head is made, and written
//! straight to the socket: a watcher waits for hours, and should cost what it watches, not the buffers of a request.
//!
//! Only the first answer of a connection is taken over: nothing else can be waiting to be written then. Any later one goes
//! the ordinary way, which gives the same bytes. What the answer says, this file does not know.

use std::convert::Infallible;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::response::Response;
use bytes::{Buf, Bytes};
use futures::StreamExt;
use http::header::{CONNECTION, CONTENT_TYPE, DATE, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, StatusCode, Version};
use hyper::body::Incoming;
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::Answers;
use super::line::Line;
use crate::clock::{Clock, SystemClock};

/// Between the service of a connection and who drives it.
#[derive(Default)]
pub struct Handover {
    /// Has there been a request?
    used: AtomicBool,
    given: Mutex<Option<Endless>>,
    notify: Notify,
}

/// An answer that was taken over.
pub struct Endless {
    response: Response,
    version: Version,
}

impl Handover {
    /// Serves one request; what can be taken over is never answered here.
    pub async fn serve<S: Answers>(
        self: Arc<Self>,
        mut answers: S,
        request: Request<Incoming>,
    ) -> Result<Response, Infallible> {
        let first = !self.used.swap(true, Ordering::Relaxed);
        let (reads, version) = (request.method() == Method::GET, request.version());
        // Whoever answers is always ready.
        let response = answers.call(request.map(Body::new)).await?;
        let streams = response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
        if !(first && reads && streams && response.status() == StatusCode::OK) {
            return Ok(response);
        }
        *self.given.lock() = Some(Endless { response, version });
        self.notify.notify_one();
        std::future::pending().await
    }

    /// The answer that was taken over, once there is one.
    pub async fn taken(&self) -> Endless {
        loop {
            self.notify.notified().await;
            if let Some(endless) = self.given.lock().take() {
                return endless;
            }
        }
    }
}

impl Endless {
    /// Writes it to its end; ends early when the client goes or `cut` says so.
    pub async fn write(self, line: Line, cut: CancellationToken) -> io::Result<()> {
        let mut line = line.moved_here()?;
        let chunked = self.version == Version::HTTP_11;
        let (mut head, body) = self.response.into_parts();
        let now = Duration::from_millis(u64::try_from(SystemClock.wall().0).unwrap_or_default());
        let date = httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + now);
        if let Ok(date) = HeaderValue::try_from(date) {
            head.headers.insert(DATE, date);
        }
        head.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        if chunked {
            head.headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        }
        let mut text = Vec::new();
        write!(text, "{:?} 200 OK\r\n", self.version)?;
        for (name, value) in &head.headers {
            text.extend_from_slice(name.as_str().as_bytes());
            text.extend_from_slice(b": ");
            text.extend_from_slice(value.as_bytes());
            text.extend_from_slice(b"\r\n");
        }
        text.extend_from_slice(b"\r\n");
        line.write_all(&text).await?;
        drop((text, head));
        let mut frames = body.into_data_stream();
        loop {
            let frame = tokio::select! {
                biased;
                () = cut.cancelled() => return Ok(()),
                frame = frames.next() => frame,
                gone = left(&mut line) => return gone,
            };
            match frame {
                Some(Ok(bytes)) if chunked => write_chunk(&mut line, bytes).await?,
                Some(Ok(mut bytes)) => line.write_all_buf(&mut bytes).await?,
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => break,
            }
        }
        if chunked {
            line.write_all(b"0\r\n\r\n").await?;
        }
        line.shutdown().await
    }
}

/// One frame, which all watchers share, with the two lines that are this connection's own.
async fn write_chunk(line: &mut Line, bytes: Bytes) -> io::Result<()> {
    // A chunk of no bytes would be the end.
    if bytes.is_empty() {
        return Ok(());
    }
    let mut length = [0; 20];
    let free = {
        let mut rest = &mut length[..];
        write!(rest, "{:x}\r\n", bytes.len())?;
        rest.len()
    };
    let used = length.len() - free;
    let mut chunk = length[..used].chain(bytes).chain(&b"\r\n"[..]);
    line.write_all_buf(&mut chunk).await
}

/// Ends when the client has closed its end. What it may still say is not for us.
async fn left(line: &mut Line) -> io::Result<()> {
    std::future::poll_fn(|context| {
        loop {
            let mut bytes = [0; 64];
            let mut into = ReadBuf::new(&mut bytes);
            std::task::ready!(Pin::new(&mut *line).poll_read(context, &mut into))?;
            if into.filled().is_empty() {
                return std::task::Poll::Ready(Ok(()));
            }
        }
    })
    .await
}
