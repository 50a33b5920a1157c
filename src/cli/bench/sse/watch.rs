//! How do ten thousand watchers cost next to nothing? Each is a bare socket and a place on a tape; they read into one buffer
//! per thread, and look at a frame by comparing bytes.

use std::cell::RefCell;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures::StreamExt;
use parking_lot::{Mutex, RwLock};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::scan::{Scanner, Stop};
use super::tape::{Place, Seen, Tape};
use crate::cli::bench::tally::Latency;
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::limits;

/// Connections from one address of the loopback network: the system has about 28,000 ports for each.
const PORTS: usize = 25_000;
/// Watchers that come at the same time.
const AT_ONCE: usize = 128;
/// The answer's head is not longer than this.
const HEAD: usize = 8 << 10;
/// Distributions that the watchers share, so that threads do not wait for each other.
const SHARES: usize = 16;
/// Complaints that are told one by one.
const COMPLAINTS: usize = 5;

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 << 10]);
}

/// When a command was sent and answered, in nanoseconds of the clock's `elapsed`; 0: not yet.
#[derive(Default)]
pub struct Moments {
    pub sent: AtomicU64,
    pub answered: AtomicU64,
}

/// What all watchers share.
pub struct Audience {
    pub tapes: Vec<RwLock<Tape>>,
    /// By the number of the command.
    pub commands: Vec<Moments>,
    /// The first command that is not of the warm-up.
    pub counted_from: u64,
    since_sending: Vec<Latency>,
    since_answer: Vec<Latency>,
    pub delivered: AtomicU64,
    pub heartbeats: AtomicU64,
    pub ended: AtomicU64,
    wrong: Mutex<(u64, Vec<String>)>,
}

impl Audience {
    pub fn new(topics: usize, commands: u64, counted_from: u64) -> Self {
        let latencies = || (0..SHARES).map(|_| Latency::default()).collect();
        Self {
            tapes: (0..topics).map(|_| RwLock::default()).collect(),
            commands: (0..commands).map(|_| Moments::default()).collect(),
            counted_from,
            since_sending: latencies(),
            since_answer: latencies(),
            delivered: AtomicU64::new(0),
            heartbeats: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            wrong: Mutex::default(),
        }
    }

    /// Since the command was sent, and since its answer (nothing where the frame came first).
    pub fn latencies(&self) -> [Latency; 2] {
        [&self.since_sending, &self.since_answer].map(|shares| {
            let sum = Latency::default();
            shares.iter().for_each(|share| sum.absorb(share));
            sum
        })
    }

    pub fn complain(&self, count: u64, what: impl FnOnce() -> String) {
        let (all, told) = &mut *self.wrong.lock();
        *all += count;
        if told.len() < COMPLAINTS {
            told.push(what());
        }
    }

    /// How much was wrong, and the first of it in words.
    pub fn complaints(&self) -> (u64, Vec<String>) {
        self.wrong.lock().clone()
    }

    fn latency(&self, share: usize, command: u64, arrived: u64) {
        let Some(moments) = usize::try_from(command).ok().and_then(|command| self.commands.get(command)) else {
            return self.complain(1, || format!("a frame of command {command}, which was never sent"));
        };
        if command < self.counted_from {
            return;
        }
        let (sent, answered) = (moments.sent.load(Ordering::Relaxed), moments.answered.load(Ordering::Relaxed));
        self.since_sending[share].record(Duration::from_nanos(arrived.saturating_sub(sent)));
        // Not answered yet: the frame was faster.
        let answered = if answered == 0 { arrived } else { answered };
        self.since_answer[share].record(Duration::from_nanos(arrived.saturating_sub(answered)));
    }
}

/// The clock's time in nanoseconds.
pub fn nanos() -> u64 {
    u64::try_from(SystemClock.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// One watcher.
pub struct Watcher {
    number: usize,
    topic: usize,
    place: Arc<Mutex<Place>>,
    scanner: Scanner,
    stream: TcpStream,
    audience: Arc<Audience>,
}

/// A watcher at work; dropped, it hangs up.
pub struct Watching {
    pub topic: usize,
    place: Arc<Mutex<Place>>,
    _task: AbortOnDropHandle<()>,
}

impl Watching {
    /// Frames of its topic that it has not seen.
    pub fn missing(&self, audience: &Audience) -> u64 {
        let place = *self.place.lock();
        audience.tapes[self.topic].read().missing(place)
    }
}

/// Where to, and what is asked there.
pub struct Address {
    pub node: SocketAddr,
    /// Path and token of each topic.
    pub topics: Vec<(String, String)>,
}

/// Opens all streams; when this returns, each of them has been answered, so that nothing later is missed.
pub async fn open(address: &Address, audience: &Arc<Audience>, topics: Vec<usize>) -> Result<Vec<Watching>, Failure> {
    let spread = topics.len() > PORTS;
    let opening = topics.into_iter().enumerate().map(|(number, topic)| async move {
        let from = spread.then(|| source(number)).filter(|_| address.node.ip().is_loopback() && address.node.is_ipv4());
        let (path, token) = &address.topics[topic];
        let (stream, rest) =
            connect(address.node, from, path, token).await.map_err(|e| format!("watcher {number}: {e}"))?;
        let place = Arc::new(Mutex::new(Place::default()));
        let (scanner, audience) = (Scanner::default(), audience.clone());
        let mut watcher = Watcher { number, topic, place: place.clone(), scanner, stream, audience };
        let task = tokio::spawn(async move {
            if watcher.take(&rest).is_ok() {
                while watcher.read().await {}
            }
            watcher.audience.ended.fetch_add(1, Ordering::Relaxed);
        });
        Ok::<_, String>(Watching { topic, place, _task: AbortOnDropHandle::new(task) })
    });
    let mut opening = futures::stream::iter(opening).buffer_unordered(AT_ONCE);
    let mut all = Vec::new();
    while let Some(watching) = opening.next().await {
        all.push(watching.map_err(Failure::of)?);
    }
    Ok(all)
}

/// 127.0.0.2, 127.0.0.3 …: each has ports of its own.
fn source(number: usize) -> SocketAddr {
    let last = u8::try_from(2 + number / PORTS).unwrap_or(u8::MAX);
    SocketAddr::from((Ipv4Addr::new(127, 0, 0, last), 0))
}

/// A stream whose answer has begun well, and what came after its head.
async fn connect(
    to: SocketAddr,
    from: Option<SocketAddr>,
    path: &str,
    token: &str,
) -> Result<(TcpStream, Vec<u8>), String> {
    let opened = async {
        let socket = if to.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        if let Some(from) = from {
            socket.bind(from)?;
        }
        let mut stream = socket.connect(to).await?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {to}\r\nAccept: text/event-stream\r\nAuthorization: Bearer {token}\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::with_capacity(1 << 10);
        loop {
            if let Some(end) = memchr::memmem::find(&answer, b"\r\n\r\n") {
                return Ok((stream, answer, end + 4));
            }
            if answer.len() > HEAD || stream.read_buf(&mut answer).await? == 0 {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof));
            }
        }
    };
    let opened = tokio::time::timeout(limits::BENCH_ANSWER, opened).await;
    let (stream, answer, end) =
        opened.map_err(|_| "no answer in time".to_owned())?.map_err(|e: std::io::Error| e.to_string())?;
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    if !head.starts_with("http/1.1 200 ") {
        return Err(format!("refused: {}", head.lines().next().unwrap_or_default()));
    }
    if !head.contains("transfer-encoding: chunked") {
        return Err("not a chunked answer".to_owned());
    }
    Ok((stream, answer[end..].to_vec()))
}

impl Watcher {
    /// Reads what is there; false at the end.
    async fn read(&mut self) -> bool {
        std::future::poll_fn(|context| self.poll(context)).await
    }

    /// Reads into the thread's own buffer and is done with it before anybody else can run there.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        BUFFER.with_borrow_mut(|buffer| {
            let mut room = ReadBuf::new(buffer);
            let read = ready!(Pin::new(&mut self.stream).poll_read(context, &mut room));
            let fine = match read {
                Ok(()) if !room.filled().is_empty() => self.take(room.filled()),
                Ok(()) => Err("it was closed".to_owned()),
                Err(error) => Err(error.to_string()),
            };
            if let Err(why) = &fine {
                self.audience.complain(1, || format!("the stream of watcher {} ended: {why}", self.number));
            }
            Poll::Ready(fine.is_ok())
        })
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), String> {
        let arrived = nanos();
        let Self { number, topic, place, scanner, audience, .. } = self;
        let mut place = place.lock();
        let mut delivered = 0;
        let fed = scanner.feed(bytes, |event| {
            delivered += u64::from(see(audience, *number, *topic, &mut place, event, arrived));
        });
        audience.delivered.fetch_add(delivered, Ordering::Relaxed);
        fed.map_err(|stop| match stop {
            Stop::Ended => "the node ended it".to_owned(),
            Stop::Garbled => "its chunks are garbled".to_owned(),
        })
    }
}

/// Whether it was a frame, and what it was to this watcher.
fn see(audience: &Audience, number: usize, topic: usize, place: &mut Place, event: &[u8], arrived: u64) -> bool {
    if !event.starts_with(b"id: ") {
        if event.starts_with(b": hb") {
            audience.heartbeats.fetch_add(1, Ordering::Relaxed);
        } else if !event.starts_with(b"retry: ") {
            let event = String::from_utf8_lossy(&event[..event.len().min(40)]).into_owned();
            audience.complain(1, || format!("watcher {number}: {event:?}"));
        }
        return false;
    }
    // A place to come back to, and nothing to show.
    if memchr::memchr(b'\n', event).is_some_and(|end| end + 2 == event.len()) {
        return false;
    }
    let tape = &audience.tapes[topic];
    let mut seen = tape.read().compare(place, event);
    if seen == Seen::New {
        seen = tape.write().write(place, event);
    }
    match seen {
        Seen::Next(command) => audience.latency(number % SHARES, command, arrived),
        Seen::Gap(frames) => audience.complain(frames, || format!("watcher {number}: {frames} frames are missing")),
        Seen::Again => audience.complain(1, || format!("watcher {number}: a frame came again")),
        Seen::New | Seen::Strange => audience.complain(1, || format!("watcher {number}: a frame that nobody else saw")),
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_watchers_come_from_many_addresses() {
        assert_eq!(source(0).to_string(), "127.0.0.2:0");
        assert_eq!(source(PORTS - 1).to_string(), "127.0.0.2:0");
        assert_eq!(source(2 * PORTS).to_string(), "127.0.0.4:0");
    }

    #[test]
    fn only_frames_count_as_deliveries_and_a_reset_is_complained_of() {
        let audience = Audience::new(1, 3, 1);
        let mut place = Place::default();
        let frame = |id: u64, command: u64| {
            format!("id: 0:{id}\ndata: {{\"payment_id\":\"0-{command}\",\"prev\":\"0:{}\"}}\n\n", id - 1)
        };
        let mut see = |event: &str| see(&audience, 0, 0, &mut place, event.as_bytes(), 1_000_000);
        assert!(!see("retry: 2000\n\n") && !see(": hb\n\n") && !see("id: 0:7\n\n"));
        assert!(see(&frame(1, 0)) && see(&frame(2, 1)) && audience.complaints().0 == 0);
        assert!(see(&frame(2, 1)) && audience.complaints().0 == 1);
        assert!(see(&frame(5, 2)) && audience.complaints().0 == 2);
        assert!(!see("event: reset\ndata: {}\n\n") && audience.complaints().0 == 3);
        assert_eq!(audience.heartbeats.load(Ordering::Relaxed), 1);
        let [sending, answer] = audience.latencies().map(|latency| latency.row("").count);
        assert_eq!((sending, answer), (1, 1), "the warm-up and what is wrong are not measured");
    }
}
