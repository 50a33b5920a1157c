//! How does the load generator talk to a node? One HTTP/1.1 connection kept alive, requests of prepared parts, and answers of
//! which only the needed member is looked for: it shares the machine with the node, so it must cost little.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderName};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::cli::failure::Failure;
use crate::limits;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// What came back.
pub struct Reply {
    pub status: u16,
    pub body: Bytes,
}

impl Reply {
    /// The text of a member, as it stands there: of ids and codes, which need no unescaping.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        text(&self.body, member)
    }

    /// The status and, of a problem, its code.
    #[must_use]
    pub fn named(&self) -> String {
        match self.text("code").filter(|_| self.status >= 400) {
            Some(code) => format!("{} {code}", self.status),
            None => self.status.to_string(),
        }
    }
}

/// The first text member of that name.
fn text<'a>(body: &'a [u8], member: &str) -> Option<&'a str> {
    let start = memchr::memmem::find(body, format!("\"{member}\":\"").as_bytes())? + member.len() + 4;
    let rest = &body[start..];
    std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
}

/// One connection, which is made again when it breaks.
pub struct Line {
    address: SocketAddr,
    host: HeaderValue,
    open: Option<SendRequest<Full<Bytes>>>,
}

/// What a request carries besides its path.
#[derive(Default)]
pub struct Parts<'a> {
    pub token: Option<&'a HeaderValue>,
    pub key: Option<String>,
    pub body: String,
}

impl Line {
    pub fn new(address: SocketAddr) -> Self {
        let host = HeaderValue::from_str(&address.to_string()).expect("an address is visible ASCII");
        Self { address, host, open: None }
    }

    pub async fn post(&mut self, path: String, parts: Parts<'_>) -> Result<Reply, String> {
        self.ask(Method::POST, path, parts).await
    }

    pub async fn get(&mut self, path: String, parts: Parts<'_>) -> Result<Reply, String> {
        self.ask(Method::GET, path, parts).await
    }

    async fn ask(&mut self, method: Method, path: String, parts: Parts<'_>) -> Result<Reply, String> {
        let request = self.request(method, path, parts)?;
        match tokio::time::timeout(limits::BENCH_ANSWER, self.exchange(request)).await {
            Ok(Ok(reply)) => Ok(reply),
            Ok(Err(error)) => {
                self.open = None;
                Err(format!("no answer: {error}"))
            }
            Err(_) => {
                self.open = None;
                Err("no answer in time".to_owned())
            }
        }
    }

    fn request(&self, method: Method, path: String, parts: Parts<'_>) -> Result<Request<Full<Bytes>>, String> {
        let path = Uri::from_maybe_shared(Bytes::from(path)).map_err(|e| format!("not a path: {e}"))?;
        let json = !parts.body.is_empty();
        let mut request = Request::new(Full::new(Bytes::from(parts.body)));
        (*request.method_mut(), *request.uri_mut()) = (method, path);
        let headers = request.headers_mut();
        headers.insert(HOST, self.host.clone());
        if json {
            headers.insert(CONTENT_TYPE, JSON);
        }
        if let Some(token) = parts.token {
            headers.insert(AUTHORIZATION, token.clone());
        }
        if let Some(key) = parts.key {
            headers.insert(KEY, HeaderValue::from_maybe_shared(Bytes::from(key)).map_err(|e| e.to_string())?);
        }
        Ok(request)
    }

    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> Result<Reply, String> {
        if self.open.as_ref().is_none_or(SendRequest::is_closed) {
            self.open = None;
        }
        let open = match &mut self.open {
            Some(open) => open,
            closed => closed.insert(connect(self.address).await?),
        };
        open.ready().await.map_err(|e| e.to_string())?;
        let response = open.send_request(request).await.map_err(|e| e.to_string())?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(|e| e.to_string())?.to_bytes();
        Ok(Reply { status, body })
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Full<Bytes>>, String> {
    let stream = TcpStream::connect(address).await.map_err(|e| e.to_string())?;
    stream.set_nodelay(true).map_err(|e| e.to_string())?;
    let (open, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|e| e.to_string())?;
    // Ends with its sender or with the server; either way the sender hears of it.
    tokio::spawn(async move { connection.await.ok() });
    Ok(open)
}

/// The header that carries a token.
pub fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    HeaderValue::from_str(&format!("Bearer {token}")).map_err(|e| Failure::of(format!("no token: {e}")))
}

/// How long it pays to wait before something is asked for again.
pub const ASK_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_without_parsing() {
        let body =
            br#"{"order_id":"o1_x","status":"completed","seats":[{"seat_id":"A-1-1"}],"code":"seat-unavailable"}"#;
        assert_eq!(text(body, "order_id"), Some("o1_x"));
        assert_eq!(text(body, "seat_id"), Some("A-1-1"));
        assert_eq!(text(body, "nothing"), None);
        assert_eq!(text(br#"{"order_id":"cut off"#, "order_id"), None);
        let named = |status| Reply { status, body: Bytes::from_static(body) }.named();
        assert_eq!((named(409).as_str(), named(201).as_str()), ("409 seat-unavailable", "201"));
    }
}
