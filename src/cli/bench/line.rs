//! How does the load generator talk to a node? One HTTP/1.1 connection kept alive, requests put together from prepared
//! pieces, and answers of which only the needed members are looked for: it shares the machine with the node, so it must cost
//! little. Nothing is allocated for a request, and an answer costs one write, one read and one wake-up.
//!
//! It knows of HTTP what a node answers a client of this kind: a length, no chunks.

use std::io::{ErrorKind, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Sleep;

use crate::limits;

/// As much of an answer as nearly all of them have.
const ANSWER: usize = 4 << 10;
/// Many of them: no answer to a load is longer.
const ANSWER_MAX: usize = 1 << 20;

/// What came back, until the connection is used again.
#[derive(Clone, Copy, Debug)]
pub struct Reply<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl Reply<'_> {
    /// The text of a member, as it stands there: of ids and codes, which need no unescaping.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        let rest = value(self.body, member)?.strip_prefix(b"\"")?;
        std::str::from_utf8(&rest[..memchr::memchr(b'"', rest)?]).ok()
    }

    /// A member that is a whole number.
    #[must_use]
    pub fn number(&self, member: &str) -> Option<u64> {
        let rest = value(self.body, member)?;
        number(&rest[..rest.iter().position(|byte| !byte.is_ascii_digit())?])
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

/// What follows the first member of that name.
fn value<'a>(body: &'a [u8], member: &str) -> Option<&'a [u8]> {
    let found = |at: &usize| *at > 0 && body[at - 1] == b'"' && body[at + member.len()..].starts_with(b"\":");
    let at = memchr::memmem::find_iter(body, member).find(found)?;
    Some(&body[at + member.len() + 2..])
}

fn number(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// The head of an answer, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Head {
    status: u16,
    /// Where the body begins and ends.
    body: usize,
    end: usize,
    /// The server ends the connection.
    last: bool,
}

impl Head {
    /// `None`: not all of it is there yet.
    fn of(seen: &[u8]) -> Result<Option<Self>, String> {
        let Some(end) = memchr::memmem::find(seen, b"\r\n\r\n") else { return Ok(None) };
        let strange = || "no answer: it is not HTTP/1.1".to_owned();
        let status =
            seen[..end].strip_prefix(b"HTTP/1.1 ").and_then(|rest| number(rest.get(..3)?)).ok_or_else(strange)?;
        let mut length = if matches!(status, 204 | 304) { Some(0) } else { None };
        let mut last = false;
        let mut rest = &seen[..end];
        while let Some(line) = memchr::memchr(b'\n', rest) {
            rest = &rest[line + 1..];
            // Nearly every line is told from these by its first letter.
            if !matches!(rest.first(), Some(b'c' | b'C')) {
                continue;
            }
            if let Some(value) = header(rest, b"content-length") {
                length = number(value).and_then(|n| usize::try_from(n).ok());
            } else if let Some(value) = header(rest, b"connection") {
                last = value.eq_ignore_ascii_case(b"close");
            }
        }
        let length =
            length.filter(|n| *n <= ANSWER_MAX).ok_or("no answer: it does not say how long it is, or too long")?;
        let status = u16::try_from(status).map_err(|_| strange())?;
        Ok(Some(Self { status, body: end + 4, end: end + 4 + length, last }))
    }
}

/// The value of the line that `rest` begins with, if it has that name.
fn header<'a>(rest: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let line = &rest[..memchr::memchr(b'\r', rest).unwrap_or(rest.len())];
    let (found, value) = line.split_at_checked(name.len())?;
    if found.eq_ignore_ascii_case(name) { Some(value.strip_prefix(b":")?.trim_ascii()) } else { None }
}

/// A token in pieces that are sent one after the other, so that tokens which differ little can share what they have in common.
#[derive(Clone, Copy, Debug, Default)]
pub struct Token<'a>(pub [&'a [u8]; 4]);

impl<'a> Token<'a> {
    #[must_use]
    pub fn whole(token: &'a str) -> Self {
        Self([token.as_bytes(), b"", b"", b""])
    }
}

/// What a request carries besides its path; what is empty is left out.
#[derive(Clone, Copy, Default)]
pub struct Parts<'a> {
    pub token: Token<'a>,
    pub key: &'a str,
    /// JSON.
    pub body: &'a str,
}

/// One connection, which is made again when it breaks.
pub struct Line {
    address: SocketAddr,
    /// What every request says alike.
    host: String,
    open: Option<TcpStream>,
    sent: Vec<u8>,
    /// All of it can be read into; how much has been is in the exchange.
    seen: Vec<u8>,
    /// Kept and put off: a timer of its own for every request would cost more.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Line {
    pub fn new(address: SocketAddr) -> Self {
        let host = format!(" HTTP/1.1\r\nhost: {address}\r\n");
        Self { address, host, open: None, sent: Vec::new(), seen: vec![0; ANSWER], patience: None }
    }

    pub async fn post(&mut self, path: &str, parts: Parts<'_>) -> Result<Reply<'_>, String> {
        self.ask("POST ", path, parts).await
    }

    pub async fn get(&mut self, path: &str, parts: Parts<'_>) -> Result<Reply<'_>, String> {
        self.ask("GET ", path, parts).await
    }

    async fn ask(&mut self, method: &str, path: &str, parts: Parts<'_>) -> Result<Reply<'_>, String> {
        self.write(method, path, parts);
        let (mut patience, fresh) = match self.patience.take() {
            Some(kept) => (kept, false),
            None => (Box::pin(tokio::time::sleep(limits::BENCH_ANSWER)), true),
        };
        if !fresh {
            // The library tells no time but through its timers.
            patience.as_mut().reset(tokio::time::sleep(limits::BENCH_ANSWER).deadline());
        }
        let exchanged = tokio::select! {
            biased;
            exchanged = self.exchange() => exchanged,
            () = &mut patience => Err("no answer in time".to_owned()),
        };
        self.patience = Some(patience);
        match exchanged {
            Ok(head) => {
                if head.last {
                    self.open = None;
                }
                Ok(Reply { status: head.status, body: &self.seen[head.body..head.end] })
            }
            Err(why) => {
                self.open = None;
                Err(why)
            }
        }
    }

    fn write(&mut self, method: &str, path: &str, parts: Parts<'_>) {
        let sent = &mut self.sent;
        sent.clear();
        let mut put = |pieces: &[&[u8]]| pieces.iter().for_each(|piece| sent.extend_from_slice(piece));
        put(&[method.as_bytes(), path.as_bytes(), self.host.as_bytes()]);
        let [first, rest @ ..] = parts.token.0;
        if !first.is_empty() {
            put(&[b"authorization: Bearer ", first]);
            put(&rest);
            put(&[b"\r\n"]);
        }
        if !parts.key.is_empty() {
            put(&[b"idempotency-key: ", parts.key.as_bytes(), b"\r\n"]);
        }
        if !parts.body.is_empty() {
            put(&[b"content-type: application/json\r\n"]);
        }
        if !parts.body.is_empty() || method == "POST " {
            write!(sent, "content-length: {}\r\n", parts.body.len()).expect("a Vec takes whatever is written to it");
        }
        sent.extend_from_slice(b"\r\n");
        sent.extend_from_slice(parts.body.as_bytes());
    }

    async fn exchange(&mut self) -> Result<Head, String> {
        let failed = |e: std::io::Error| format!("no answer: {e}");
        // One that was ended while nothing was under way is no fault of the request.
        if self.open.as_ref().is_some_and(has_ended) {
            self.open = None;
        }
        let open = match &mut self.open {
            Some(open) => open,
            closed => {
                let stream = TcpStream::connect(self.address).await.map_err(failed)?;
                stream.set_nodelay(true).map_err(failed)?;
                closed.insert(stream)
            }
        };
        open.write_all(&self.sent).await.map_err(failed)?;
        let (mut filled, mut head) = (0, None);
        loop {
            let read = open.read(&mut self.seen[filled..]).await.map_err(failed)?;
            if read == 0 {
                return Err("no answer: the connection was ended".to_owned());
            }
            filled += read;
            if head.is_none() {
                head = Head::of(&self.seen[..filled])?;
            }
            match head {
                Some(head) if head.end == filled => return Ok(head),
                Some(head) if head.end < filled => return Err("no answer: there is more than it announced".to_owned()),
                Some(head) if head.end > self.seen.len() => self.seen.resize(head.end, 0),
                None if filled == self.seen.len() && filled < ANSWER_MAX => self.seen.resize(2 * filled, 0),
                None if filled == self.seen.len() => return Err("no answer: its head does not end".to_owned()),
                _ => {}
            }
        }
    }
}

/// Did the server end it, or say something unasked? Asks the system only when something has happened.
fn has_ended(open: &TcpStream) -> bool {
    !matches!(open.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock)
}

/// How long it pays to wait before something is asked for again.
pub const ASK_AGAIN: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[test]
    fn a_member_is_found_without_parsing() {
        let body: &[u8] =
            br#"{"order_id":"o1_x","status":"completed","seats":[{"seat_id":"A-1-1"}],"serial":17,"code":"seat-unavailable"}"#;
        let reply = Reply { status: 409, body };
        assert_eq!(reply.text("order_id"), Some("o1_x"));
        assert_eq!(reply.text("seat_id"), Some("A-1-1"));
        assert_eq!((reply.text("nothing"), reply.text("completed"), reply.text("serial")), (None, None, None));
        assert_eq!((reply.number("serial"), reply.number("code"), reply.number("id")), (Some(17), None, None));
        for cut in [&br#"{"order_id":"cut off"#[..], br#"{"serial":1"#, b"", b"\""] {
            let reply = Reply { status: 200, body: cut };
            assert_eq!((reply.text("order_id"), reply.number("serial")), (None, None));
        }
        let named = |status| Reply { status, body }.named();
        assert_eq!((named(409).as_str(), named(201).as_str()), ("409 seat-unavailable", "201"));
    }

    #[test]
    fn heads_are_read_as_far_as_they_matter() {
        let head = |status, body, end, last| Ok(Some(Head { status, body, end, last }));
        let table = [
            ("HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n{}", head(201, 43, 45, false)),
            ("HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length:0\r\n\r\n", head(200, 56, 56, true)),
            ("HTTP/1.1 204 No Content\r\ncache-control: no-store\r\n\r\n", head(204, 52, 52, false)),
            ("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r", Ok(None)),
            ("", Ok(None)),
        ];
        for (text, expected) in table {
            assert_eq!(Head::of(text.as_bytes()), expected, "{text}");
        }
        for text in [
            "HTTP/1.0 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 20\r\n\r\n",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n",
        ] {
            assert!(Head::of(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_is_put_together_from_its_pieces() {
        let mut line = Line::new(SocketAddr::from(([127, 0, 0, 1], 9)));
        let token = Token([b"a.", b"b", b".", b"c"]);
        line.write("POST ", "/x", Parts { token, key: "k-1", body: "{}" });
        let expected = "POST /x HTTP/1.1\r\nhost: 127.0.0.1:9\r\nauthorization: Bearer a.b.c\r\nidempotency-key: k-1\r\n\
                        content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
        assert_eq!(String::from_utf8_lossy(&line.sent), expected);
        line.write("GET ", "/y", Parts::default());
        assert_eq!(String::from_utf8_lossy(&line.sent), "GET /y HTTP/1.1\r\nhost: 127.0.0.1:9\r\n\r\n");
    }

    /// Answers each connection with one of the texts, in small pieces, and ends it.
    async fn server(answers: Vec<String>) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.expect("a client");
                let mut request = [0; 1 << 10];
                assert!(stream.read(&mut request).await.expect("a request") > 0);
                for piece in answer.as_bytes().chunks(700) {
                    stream.write_all(piece).await.expect("it listens");
                    tokio::task::yield_now().await;
                }
            }
        });
        address
    }

    #[tokio::test]
    async fn long_answers_are_whole_and_an_ended_connection_is_made_again() {
        let answer =
            |length: usize| format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{}", "x".repeat(length));
        let cut = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf".to_owned();
        let endless = format!("HTTP/1.1 200 OK\r\n{}", "x: y\r\n".repeat(1_000));
        let mut line = Line::new(server(vec![answer(3 * ANSWER), cut, endless, answer(5)]).await);
        let whole = line.get("/", Parts::default()).await.map(|reply| reply.body.len());
        assert_eq!(whole, Ok(3 * ANSWER));
        while line.open.as_ref().is_some_and(|open| !has_ended(open)) {
            tokio::task::yield_now().await;
        }
        for _ in 0..2 {
            let cut = line.get("/", Parts::default()).await.map(|reply| reply.status);
            assert_eq!(cut, Err("no answer: the connection was ended".to_owned()));
        }
        assert_eq!(line.get("/", Parts::default()).await.map(|reply| reply.status), Ok(200));
    }
}
