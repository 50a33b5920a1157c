//! Does the proxy do to connections what it says? Every fault of a wire, against a server that says everything back.

use std::time::Duration;

use onsale::clock::{Clock, SystemClock};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::base::proxy::{Proxy, Wire};

/// Long enough for whatever does not come.
const NEVER: Duration = Duration::from_millis(100);

/// Says everything back, and `bye` when the client has nothing more to say.
async fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                loop {
                    match socket.read(&mut buffer).await {
                        Ok(0) | Err(_) => break,
                        Ok(bytes) => socket.write_all(&buffer[..bytes]).await.expect("a client that listens"),
                    }
                }
                let _gone = socket.write_all(b"bye").await;
            });
        }
    });
    address
}

async fn wired() -> (Proxy, TcpStream) {
    let proxy = Proxy::to(echo().await).await;
    let mut client = TcpStream::connect(proxy.address).await.expect("it listens");
    assert_eq!(said(&mut client, b"one").await, Ok(b"one".to_vec()));
    (proxy, client)
}

/// What comes back: `Err` says why nothing did.
async fn said(client: &mut TcpStream, text: &[u8]) -> Result<Vec<u8>, &'static str> {
    client.write_all(text).await.map_err(|_| "cannot write")?;
    heard(client).await
}

async fn heard(client: &mut TcpStream) -> Result<Vec<u8>, &'static str> {
    let mut buffer = [0; 1024];
    match tokio::time::timeout(NEVER, client.read(&mut buffer)).await {
        Err(_) => Err("silence"),
        Ok(Ok(0)) => Err("end"),
        Ok(Ok(bytes)) => Ok(buffer[..bytes].to_vec()),
        Ok(Err(e)) if e.kind() == std::io::ErrorKind::ConnectionReset => Err("reset"),
        Ok(Err(_)) => Err("another error"),
    }
}

#[tokio::test]
async fn each_direction_can_be_lost_by_itself() {
    for (wire, counted) in [(Wire::AnswersLost, true), (Wire::QuestionsLost, true), (Wire::Silent, true)] {
        let (proxy, mut client) = wired().await;
        proxy.set(wire);
        assert_eq!(said(&mut client, b"two").await, Err("silence"), "{wire:?}");
        assert_eq!(*proxy.sent.borrow() == 6, counted, "{wire:?}");
        proxy.set(Wire::Open);
        // No network gives what follows a gap for what was due.
        assert_eq!(said(&mut client, b"three").await, Err("reset"), "{wire:?}");
        let mut next = TcpStream::connect(proxy.address).await.expect("it listens");
        assert_eq!(said(&mut next, b"again").await, Ok(b"again".to_vec()), "{wire:?}");
    }
}

#[tokio::test]
async fn connections_end_with_a_goodbye_or_with_a_reset() {
    for (wire, end) in [(Wire::Cut, "end"), (Wire::Reset, "reset")] {
        let (proxy, mut client) = wired().await;
        proxy.set(wire);
        assert_eq!(heard(&mut client).await, Err(end), "{wire:?}");
        let mut next = TcpStream::connect(proxy.address).await.expect("it listens");
        assert!(matches!(heard(&mut next).await, Err("end" | "reset")), "{wire:?}");
        proxy.set(Wire::Open);
        let mut next = TcpStream::connect(proxy.address).await.expect("it listens");
        assert_eq!(said(&mut next, b"again").await, Ok(b"again".to_vec()), "{wire:?}");
    }
}

#[tokio::test]
async fn a_black_hole_takes_newcomers_only() {
    let (proxy, mut client) = wired().await;
    proxy.set(Wire::BlackHole);
    let mut next = TcpStream::connect(proxy.address).await.expect("it listens");
    assert_eq!(said(&mut next, b"hello").await, Err("silence"));
    assert_eq!(said(&mut client, b"two").await, Ok(b"two".to_vec()));
    proxy.set(Wire::Open);
    assert!(matches!(heard(&mut next).await, Err("end" | "reset")));
}

#[tokio::test]
async fn a_half_closed_wire_still_brings_answers() {
    let (proxy, mut client) = wired().await;
    proxy.set(Wire::HalfClosed);
    assert_eq!(heard(&mut client).await, Ok(b"bye".to_vec()));
}

#[tokio::test]
async fn a_slow_wire_is_late_and_loses_nothing() {
    let (proxy, mut client) = wired().await;
    proxy.set(Wire::Slow { least: 20, more: 10 });
    let begun = SystemClock.elapsed();
    assert_eq!(said(&mut client, b"two").await, Ok(b"two".to_vec()));
    // There and back.
    assert!(SystemClock.elapsed() - begun >= Duration::from_millis(40));
}

#[tokio::test]
async fn a_connection_is_cut_after_so_many_bytes() {
    let (proxy, mut client) = wired().await;
    // Two come in and go out; the third is the last that passes.
    proxy.set(Wire::CutAfter(6));
    assert_eq!(said(&mut client, b"ab").await, Ok(b"ab".to_vec()));
    let rest = said(&mut client, b"cdef").await;
    assert!(matches!(rest, Err("end" | "reset")), "{rest:?}");
    proxy.set(Wire::Open);
    let (mut cuts, most) = (std::collections::BTreeSet::new(), 64);
    for _ in 0..20 {
        let bytes = proxy.cut_at_random(most);
        assert!((1..=most).contains(&bytes));
        cuts.insert(bytes);
    }
    assert!(cuts.len() > 5, "{cuts:?}");
}
