//! A wire that a test can cut: a small TCP proxy that loses, delays, and ends what passes through it, in every way a network
//! can.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use onsale::clock::Entropy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Everything passes.
    Open,
    /// What the server says is thrown away; what the client says passes.
    AnswersLost,
    /// What the client says is thrown away; what the server says passes.
    QuestionsLost,
    /// Nothing passes either way; the connections stay.
    Silent,
    /// All connections are ended, new ones too.
    Cut,
    /// As `Cut`, but without a goodbye: both ends see a reset.
    Reset,
    /// What is connected works; whoever connects now is taken, and never hears anything.
    BlackHole,
    /// The server is told that the client has nothing more to say, and goes on answering.
    HalfClosed,
    /// Everything passes, later: by so many milliseconds, and up to so many more.
    Slow { least: u64, more: u64 },
    /// Each connection passes so many bytes more, of both directions together, and is reset in the middle of it all.
    CutAfter(u64),
}

pub struct Proxy {
    pub address: SocketAddr,
    wire: watch::Sender<Wire>,
    dice: Entropy,
    /// Bytes that came from clients so far.
    pub sent: watch::Receiver<u64>,
}

impl Proxy {
    pub async fn to(server: String) -> Self {
        Self::seeded(server, 1).await
    }

    /// What it does at random follows from the seed.
    pub async fn seeded(server: String, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (wire, state) = watch::channel(Wire::Open);
        let (count, sent) = watch::channel(0);
        let dice = Entropy::seeded(seed);
        let jitter = dice.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut state = state.clone();
                if *state.borrow() == Wire::BlackHole {
                    tokio::spawn(async move {
                        let _open_again = state.wait_for(|wire| *wire != Wire::BlackHole).await;
                        drop(client);
                    });
                    continue;
                }
                let Ok(upstream) = TcpStream::connect(&server).await else { continue };
                let (count, jitter) = (count.clone(), jitter.clone());
                let line = Line { wire: state, count, jitter, left: Arc::default(), holed: false };
                tokio::spawn(line.carry(client, upstream));
            }
        });
        Self { address, wire, dice, sent }
    }

    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }

    /// Each connection ends at a byte of its own chance, up to `most` bytes from now; which it is.
    pub fn cut_at_random(&self, most: u64) -> u64 {
        let bytes = 1 + self.dice.below(most);
        self.set(Wire::CutAfter(bytes));
        bytes
    }
}

/// How a direction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Its source has nothing more to say; the other direction goes on.
    Said,
    Cut,
    Reset,
}

/// One connection.
#[derive(Clone)]
struct Line {
    wire: watch::Receiver<Wire>,
    count: watch::Sender<u64>,
    jitter: Entropy,
    /// Bytes that have passed since it was to be cut after some.
    left: Arc<AtomicU64>,
    /// Something of this direction was thrown away: what comes next must not pass for what came next.
    holed: bool,
}

impl Line {
    async fn carry(self, mut client: TcpStream, mut upstream: TcpStream) {
        let end = {
            let (from_client, to_client) = client.split();
            let (from_server, to_server) = upstream.split();
            let mut questions = pin!(self.clone().pump(from_client, to_server, Side::Client));
            let mut answers = pin!(self.clone().pump(from_server, to_client, Side::Server));
            let (mut asked, mut answered) = (false, false);
            loop {
                let end = tokio::select! {
                    end = &mut questions, if !asked => { asked = true; end }
                    end = &mut answers, if !answered => { answered = true; end }
                };
                if end != End::Said || (asked && answered) {
                    break end;
                }
            }
        };
        if end == End::Reset {
            let _gone_already: [io::Result<()>; 2] = [client.set_zero_linger(), upstream.set_zero_linger()];
        }
    }

    async fn pump(mut self, mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, side: Side) -> End {
        let mut buffer = vec![0; 64 << 10];
        let mut closed = false;
        loop {
            let state = *self.wire.borrow_and_update();
            match state {
                Wire::Cut => return End::Cut,
                Wire::Reset => return End::Reset,
                Wire::HalfClosed if side == Side::Client && !closed => {
                    closed = true;
                    let _gone_already = to.shutdown().await;
                }
                Wire::CutAfter(_) => {}
                _ => self.left.store(0, Ordering::Relaxed),
            }
            let read = tokio::select! {
                read = from.read(&mut buffer) => read,
                changed = self.wire.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return End::Cut,
                },
            };
            let Ok(bytes @ 1..) = read else {
                let _gone_already = to.shutdown().await;
                return End::Said;
            };
            if side == Side::Client {
                self.count.send_modify(|sent| *sent += bytes as u64);
            }
            if let Some(end) = self.pass(&buffer[..bytes], &mut to, side, closed).await {
                return end;
            }
        }
    }

    /// What becomes of some bytes; `Some` when the connection ends with them.
    async fn pass(&mut self, bytes: &[u8], to: &mut WriteHalf<'_>, side: Side, closed: bool) -> Option<End> {
        let state = *self.wire.borrow();
        let mut bytes = bytes;
        let mut last = false;
        match (state, side) {
            (Wire::Silent, _) | (Wire::AnswersLost, Side::Server) | (Wire::QuestionsLost, Side::Client) => {
                self.holed = true;
                return None;
            }
            _ if self.holed => return Some(End::Reset),
            (Wire::Slow { least, more }, _) => {
                let late = Duration::from_millis(least + self.jitter.below(more + 1));
                // Only the time matters here: whatever the wire becomes meanwhile is looked at with the next bytes.
                let _late = tokio::time::timeout(late, std::future::pending::<()>()).await;
            }
            (Wire::CutAfter(most), _) => {
                let passed = self.left.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                let room = usize::try_from(most.saturating_sub(passed)).unwrap_or(usize::MAX);
                last = room <= bytes.len();
                bytes = &bytes[..room.min(bytes.len())];
            }
            _ => {}
        }
        if closed {
            return None;
        }
        let written = to.write_all(bytes).await;
        match (last, written) {
            (true, _) => Some(End::Reset),
            (false, Ok(())) => None,
            (false, Err(_)) => Some(End::Cut),
        }
    }
}

/// Who says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}
