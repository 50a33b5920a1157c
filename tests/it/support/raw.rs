//! A watcher that is a bare socket: it can come from another address, stop reading, and see how its stream ends.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::Server;

/// Small, so that a watcher who does not read fills it soon.
const RECEIVE_BYTES: u32 = 8 << 10;

pub struct Raw {
    socket: TcpStream,
    bytes: Vec<u8>,
}

impl Raw {
    /// Asks for a stream from one of the machine's own addresses, and reads nothing yet.
    pub async fn ask(server: &Server, from: &str, path: &str, token: Option<&str>) -> Self {
        let address: SocketAddr = server.base.trim_start_matches("http://").parse().expect("an address");
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(RECEIVE_BYTES).expect("a small buffer");
        socket.bind(SocketAddr::new(from.parse::<IpAddr>().expect("an address"), 0)).expect("our own address");
        let mut socket = socket.connect(address).await.expect("the server listens");
        let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\n{token}\r\n");
        socket.write_all(request.as_bytes()).await.expect("the server reads");
        Self { socket, bytes: Vec::new() }
    }

    /// Reads on; `false` at the end of the connection.
    pub async fn read(&mut self) -> bool {
        let read = tokio::time::timeout(Duration::from_secs(30), self.socket.read_buf(&mut self.bytes)).await;
        matches!(read.expect("bytes within 30 s"), Ok(count) if count > 0)
    }

    /// Reads until the body holds this text.
    pub async fn until(&mut self, text: &str) -> &mut Self {
        while !self.body().0.contains(text) {
            assert!(self.read().await, "no {text:?} in {}", String::from_utf8_lossy(&self.bytes));
        }
        self
    }

    pub async fn status(&mut self) -> u16 {
        while self.bytes.len() < 12 {
            assert!(self.read().await, "an answer");
        }
        std::str::from_utf8(&self.bytes[9..12]).expect("text").parse().expect("a status")
    }

    /// The body as far as it came, and whether its last chunk did.
    pub fn body(&self) -> (String, bool) {
        let Some(head) = self.bytes.windows(4).position(|four| four == b"\r\n\r\n") else { return Default::default() };
        let (mut rest, mut body) = (&self.bytes[head + 4..], Vec::new());
        while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
            let size = std::str::from_utf8(&rest[..line]).expect("a size");
            let size = usize::from_str_radix(size, 16).expect("a size");
            let Some(chunk) = rest.get(line + 2..line + 2 + size) else { break };
            body.extend_from_slice(chunk);
            if size == 0 {
                return (String::from_utf8(body).expect("text"), true);
            }
            rest = rest.get(line + 4 + size..).unwrap_or_default();
        }
        (String::from_utf8(body).expect("text"), false)
    }

    /// Breaks the connection off, as a machine that restarted would: a reset, no goodbye.
    pub fn reset(self) {
        self.socket.set_zero_linger().expect("an option of every system");
    }
}
