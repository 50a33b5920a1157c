//! Is the other end of a connection still there, and does it take what it is given? One accepted socket, with options of
//! the operating system for clients that vanish, and a timer for those that stop reading.
//!
//! hyper waits for a full socket without end, and asks a stream for nothing meanwhile. So a client that never reads costs
//! a few frames, and nobody else anything; but its place would be taken for ever. What is served over the line, this file
//! does not know.

use std::io::{self, IoSlice};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::{limits, telemetry};

/// What requests may know of the connection on which they came.
#[derive(Debug)]
pub struct Peer {
    /// Of the other end: a proxy's, where there is one.
    pub address: IpAddr,
    /// Is an endless answer under way? For the count of those that were cut.
    streaming: AtomicBool,
}

impl Peer {
    pub fn new(address: IpAddr) -> Self {
        Self { address, streaming: AtomicBool::new(false) }
    }

    pub fn streams(&self, streaming: bool) {
        self.streaming.store(streaming, Ordering::Relaxed);
    }
}

/// Sets what the operating system does about clients that vanish without a word.
pub fn watch_over(socket: &TcpStream) -> io::Result<()> {
    // Small answers must not wait for the client's acknowledgement of the one before.
    socket.set_nodelay(true)?;
    let socket = SockRef::from(socket);
    // What was sent must be acknowledged within this: a stream's heartbeats make sure that something was sent.
    socket.set_tcp_user_timeout(Some(limits::VANISHED_TIME))?;
    // The same for connections on which nothing is sent.
    let keepalive = TcpKeepalive::new()
        .with_time(limits::KEEPALIVE_IDLE)
        .with_interval(limits::KEEPALIVE_BETWEEN)
        .with_retries(limits::KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    // Megabytes could wait here for a slow client otherwise, each frame older than what it is told when it is behind.
    socket.set_tcp_notsent_lowat(limits::UNSENT_BYTES)
}

/// A connection that is cut when its client takes no byte for too long.
pub struct Line {
    socket: TcpStream,
    peer: Arc<Peer>,
    patience: Duration,
    /// Runs while the client has something to take.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl Line {
    pub fn new(socket: TcpStream, peer: Arc<Peer>, patience: Duration) -> Self {
        Self { socket, peer, patience, waiting: None }
    }

    /// The same connection, from now on in the hands of the threads that call this.
    pub fn moved_here(self) -> io::Result<Self> {
        Ok(Self { socket: TcpStream::from_std(self.socket.into_std()?)?, waiting: None, ..self })
    }

    /// What became of a writing: progress gives the client its whole time again.
    fn judged<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        match written {
            Poll::Ready(done) => {
                self.waiting = None;
                Poll::Ready(self.told(done))
            }
            Poll::Pending => {
                let patience = self.patience;
                let waiting = self.waiting.get_or_insert_with(|| Box::pin(sleep(patience)));
                if waiting.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                self.count("stalled");
                Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing")))
            }
        }
    }

    /// The operating system gives up a client with this error and no other.
    fn told<T>(&self, done: io::Result<T>) -> io::Result<T> {
        if done.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::TimedOut) {
            self.count("vanished");
        }
        done
    }

    fn count(&self, why: &'static str) {
        let streaming = self.peer.streaming.load(Ordering::Relaxed);
        let count = if streaming {
            metrics::counter!(telemetry::SSE_CUT, "why" => why)
        } else {
            metrics::counter!(telemetry::HTTP_CUT, "why" => why)
        };
        count.increment(1);
        tracing::debug!(address = %self.peer.address, why, streaming, "a client is cut");
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.socket).poll_read(cx, into);
        read.map(|done| self.told(done))
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, bytes);
        self.judged(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, pieces);
        self.judged(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let client = TcpStream::connect(listener.local_addr().expect("bound")).await.expect("listening");
        (listener.accept().await.expect("a client").0, client)
    }

    fn line(socket: TcpStream, patience: Duration) -> Line {
        Line::new(socket, Arc::new(Peer::new(IpAddr::from([127, 0, 0, 1]))), patience)
    }

    #[tokio::test]
    async fn accepted_sockets_are_watched_by_the_operating_system() {
        let (socket, _client) = pair().await;
        watch_over(&socket).expect("options of every Linux");
        let socket = SockRef::from(&socket);
        assert_eq!(socket.tcp_user_timeout().expect("set"), Some(limits::VANISHED_TIME));
        assert!(socket.keepalive().expect("set") && socket.tcp_nodelay().expect("set"));
        assert_eq!(socket.tcp_keepalive_time().expect("set"), limits::KEEPALIVE_IDLE);
        assert_eq!(socket.tcp_keepalive_interval().expect("set"), limits::KEEPALIVE_BETWEEN);
        assert_eq!(socket.tcp_keepalive_retries().expect("set"), limits::KEEPALIVE_PROBES);
        assert_eq!(socket.tcp_notsent_lowat().expect("set"), limits::UNSENT_BYTES);
    }

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_cut_and_a_slow_one_is_not() {
        let patience = Duration::from_millis(200);
        let (socket, mut client) = pair().await;
        let mut slow = line(socket, patience);
        // Far more than the buffers of both ends, taken over several times the patience.
        let writing = tokio::spawn(async move { slow.write_all(&vec![7; 24 << 20]).await });
        let mut piece = vec![0; 2 << 20];
        let mut pause = tokio::time::interval(patience / 2);
        for _ in 0..12 {
            pause.tick().await;
            client.read_exact(&mut piece).await.expect("the line stays open");
        }
        writing.await.expect("no panic").expect("a slow client gets everything");

        let (socket, client) = pair().await;
        let error = line(socket, patience).write_all(&vec![7; 24 << 20]).await.expect_err("nobody reads");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
