//! A wire that a test can cut: a small TCP proxy, whose answers can be withheld and whose connections can be ended.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wire {
    /// Everything passes.
    Open,
    /// What the server says is thrown away; what the client says passes.
    AnswersLost,
    /// Nothing passes either way; the connections stay.
    Silent,
    /// All connections are ended, new ones too.
    Cut,
}

pub struct Proxy {
    pub address: SocketAddr,
    wire: watch::Sender<Wire>,
    /// Bytes that came from clients so far.
    pub sent: watch::Receiver<u64>,
}

impl Proxy {
    pub async fn to(server: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let (wire, state) = watch::channel(Wire::Open);
        let (count, sent) = watch::channel(0);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let Ok(upstream) = TcpStream::connect(&server).await else { continue };
                let (from_client, to_client) = client.into_split();
                let (from_server, to_server) = upstream.into_split();
                tokio::spawn(pump(from_client, to_server, state.clone(), Some(count.clone()), Wire::Silent));
                tokio::spawn(pump(from_server, to_client, state.clone(), None, Wire::AnswersLost));
            }
        });
        Self { address, wire, sent }
    }

    pub fn set(&self, wire: Wire) {
        self.wire.send_replace(wire);
    }
}

/// Copies until either end closes or the wire is cut. `lost_in` is the state that loses this direction.
async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut wire: watch::Receiver<Wire>,
    count: Option<watch::Sender<u64>>,
    lost_in: Wire,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let state = *wire.borrow_and_update();
        if state == Wire::Cut {
            return;
        }
        let read = tokio::select! {
            read = from.read(&mut buffer) => read,
            changed = wire.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        let Ok(bytes @ 1..) = read else { return };
        if let Some(count) = &count {
            count.send_modify(|sent| *sent += bytes as u64);
        }
        let state = *wire.borrow();
        let lost = state == lost_in || state == Wire::Silent;
        if !lost && to.write_all(&buffer[..bytes]).await.is_err() {
            return;
        }
    }
}
