//! How are requests sent and answers read, so cheaply that it hardly counts? Prepared bytes, and sockets of the system
//! without any HTTP client. What a request is about is not known here.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};

use memchr::memmem;

/// Connections that are used one after the other.
pub struct Wire(Vec<Line>);

struct Line {
    socket: TcpStream,
    answer: Vec<u8>,
    room: Vec<u8>,
    done: bool,
}

impl Wire {
    pub async fn connect(address: SocketAddr, connections: usize) -> Self {
        let line = || {
            let socket = TcpStream::connect(address).expect("somebody listens");
            socket.set_nodelay(true).expect("a socket");
            socket.set_nonblocking(true).expect("a socket");
            Line { socket, answer: Vec::with_capacity(16_384), room: vec![0; 4_096], done: true }
        };
        Self((0..connections).map(|_| line()).collect())
    }

    /// One request on each connection, and all their answers, which must tell of success.
    pub async fn exchange(&mut self, requests: &[Vec<u8>]) {
        self.send(requests);
        loop {
            // The node's tasks are on this thread: they have their turn, and the sockets are looked at.
            tokio::task::yield_now().await;
            if self.receive() {
                return;
            }
        }
    }

    /// The body of the one answer.
    pub async fn ask(&mut self, request: &[u8]) -> Vec<u8> {
        self.exchange(&[request.to_vec()]).await;
        let answer = &self.0[0].answer;
        answer[memmem::find(answer, b"\r\n\r\n").expect("an end of the head") + 4..].to_vec()
    }

    #[inline(never)]
    fn send(&mut self, requests: &[Vec<u8>]) {
        for (line, request) in self.0.iter_mut().zip(requests) {
            line.answer.clear();
            line.done = false;
            let written = line.socket.write(request).expect("the node is there");
            assert_eq!(written, request.len(), "requests are small");
        }
    }

    /// Are all answers there?
    #[inline(never)]
    fn receive(&mut self) -> bool {
        self.0.iter_mut().filter(|line| !line.done).for_each(Line::receive);
        self.0.iter().all(|line| line.done)
    }
}

impl Line {
    fn receive(&mut self) {
        match self.socket.read(&mut self.room) {
            Ok(0) => panic!("the node has closed a connection"),
            Ok(count) => self.answer.extend_from_slice(&self.room[..count]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return,
            Err(error) => panic!("{error}"),
        }
        let Some(head) = memmem::find(&self.answer, b"\r\n\r\n") else { return };
        let length = memmem::find(&self.answer[..head], b"content-length: ").expect("a body of known length");
        let digits = self.answer[length + 16..].iter().take_while(|byte| byte.is_ascii_digit());
        let body = digits.fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'));
        self.done = self.answer.len() == head + 4 + body;
        assert!(self.answer.starts_with(b"HTTP/1.1 201 "), "{}", String::from_utf8_lossy(&self.answer));
    }
}

/// The bytes of a request, as a usual client writes them.
pub fn post(path: &str, token: &str, key: Option<&str>, body: &str) -> Vec<u8> {
    let key = key.map(|key| format!("Idempotency-Key: {key}\r\n")).unwrap_or_default();
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\n{key}Content-Length: {length}\r\n\r\n"
    );
    (head + body).into_bytes()
}
