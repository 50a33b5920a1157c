//! What one client may take of a node: requests, connections, headers, bodies and time. Real sockets, real nodes, a real Redis.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use onsale::clock::{Clock, SystemClock};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::support::Server;
use crate::support::redis::Redis;
use crate::support::server::{Home, Kind};
use crate::support::stage::Stage;
use crate::support::wait::until;
use crate::watchers::metric;

/// A connection from one of the machine's own addresses.
pub async fn connect(server: &Server, from: &str) -> std::io::Result<TcpStream> {
    let address: SocketAddr = server.base.trim_start_matches("http://").parse().expect("an address");
    let socket = TcpSocket::new_v4()?;
    socket.bind(SocketAddr::new(from.parse::<IpAddr>().expect("an address"), 0))?;
    socket.connect(address).await
}

/// What the server says until it closes the connection, in small letters.
async fn told(mut connection: TcpStream) -> String {
    let mut answer = Vec::new();
    let reading = tokio::time::timeout(Duration::from_secs(30), connection.read_to_end(&mut answer)).await;
    // A reset is an end, too.
    let _ended = reading.expect("the server closes it");
    String::from_utf8_lossy(&answer).to_lowercase()
}

async fn ask(server: &Server, from: &str, request: &str) -> String {
    let mut connection = connect(server, from).await.expect("the server listens");
    connection.write_all(request.as_bytes()).await.expect("the server reads");
    told(connection).await
}

fn request(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n")
}

/// 0: the connection was closed without a word.
fn status(answer: &str) -> u16 {
    answer.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
}

async fn node(redis: Option<&Redis>, options: &str) -> (Home, Server) {
    let home = Home::new(Kind::Sqlite).await;
    let redis = redis.map(|redis| format!("[redis]\nurl = \"{}\"\n", redis.url)).unwrap_or_default();
    std::fs::write(home.config(), format!("{redis}{options}")).expect("the directory is ours");
    let server = Server::start(&home).await;
    (home, server)
}

const FOUR: &str = "[limits]\nuncounted_addresses = \"\"\nauth_per_address = \"4 then 1/h\"\n";

async fn login(server: &Server, from: &str) -> u16 {
    status(&ask(server, from, &request("POST", "/v1/auth/nothing", "content-length: 0\r\n")).await)
}

async fn passed(server: &Server, from: &str, of: usize) -> usize {
    let mut passed = 0;
    for _ in 0..of {
        passed += usize::from(login(server, from).await != 429);
    }
    passed
}

#[tokio::test]
async fn nodes_count_together_and_go_on_alone_without_redis() {
    let mut redis = Redis::start().await;
    let (_first_home, first) = node(Some(&redis), FOUR).await;
    let (_second_home, second) = node(Some(&redis), FOUR).await;
    for server in [&first, &second] {
        let client = server.client();
        // The first ones may have come before the connection stood.
        let asked = async || {
            login(server, "127.0.0.9").await;
            metric(&client, "onsale_limits_shared_total{result=\"asked\"}").await
        };
        until("the nodes to count together", asked, |asked| *asked > 0.0).await;
    }
    assert_eq!(passed(&first, "127.0.0.2", 3).await, 3);
    assert_eq!(passed(&second, "127.0.0.2", 3).await, 1, "the fourth of both");
    assert_eq!(passed(&first, "127.0.0.2", 1).await, 0);
    assert_eq!(passed(&second, "127.0.0.3", 1).await, 1, "another address");
    let key = redis.said("RANDOMKEY").await.expect("a key");
    assert!(key.starts_with("onsale:limit:") && !key.contains("127.0"), "{key}");
    let seconds: u64 = redis.said(&format!("PTTL {key}")).await.expect("a time").parse().expect("milliseconds");
    assert!(seconds > 0, "it goes by itself");

    // Frozen: it takes requests and answers none. One of them pays for that, and not with its answer.
    redis.freeze();
    let begun = SystemClock.elapsed();
    assert_eq!(passed(&first, "127.0.0.4", 60).await, 4, "this node alone");
    assert_eq!(passed(&second, "127.0.0.4", 5).await, 4, "and that one");
    let took = SystemClock.elapsed() - begun;
    assert!(took < Duration::from_secs(3), "65 requests without Redis took {took:?}");
    redis.thaw();
    let address = std::cell::Cell::new(10);
    let asked = metric(&first.client(), "onsale_limits_shared_total{result=\"asked\"}").await;
    // A new address each time: whoever is refused here is refused without a question.
    let again = async || {
        address.set(address.get() + 1);
        login(&first, &format!("127.0.1.{}", address.get())).await;
        metric(&first.client(), "onsale_limits_shared_total{result=\"asked\"}").await
    };
    until("Redis to be asked again", again, |now| *now > asked).await;
    redis.stop().await;
    assert_eq!(passed(&first, "127.0.0.5", 5).await, 4, "gone: this node alone");
}

#[tokio::test]
async fn one_member_cannot_take_and_drop_seats_for_ever() {
    let home = Home::new(Kind::Sqlite).await;
    std::fs::write(home.config(), "[limits]\nplace_per_account = \"3 then 1/h\"\n").expect("the directory is ours");
    let stage = Stage::set_on(home, |_| {}).await;
    let kim = stage.member("kim");
    let place = async |key: &str| kim.key(key).post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await;
    for number in 0..3 {
        let order = place(&format!("p{number}")).await.expect(201).str("order_id");
        kim.key(&format!("c{number}")).post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.expect(200);
    }
    let before = stage.home.export().len();
    let refused = place("p3").await.problem(429, "rate-limited");
    assert_eq!((&refused.body["per"], &refused.body["limit"]), (&json!("account"), &json!("place-per-account")));
    assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u64>().is_ok_and(|s| s > 3_000)));
    assert_eq!(stage.home.export().len(), before, "nothing was done");
    let lee = stage.member("lee").key("1").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
    assert!(lee.header("ratelimit").is_some_and(|told| told.starts_with("\"place-per-account\";r=2;")), "{lee:?}");
    let metrics = stage.anyone.get("/metrics").await.text;
    assert!(metrics.contains("onsale_http_limited_total{class=\"place-per-account\",per=\"account\"} 1"), "{metrics}");
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let options = "[server]\nmax_connections_per_address = 3\n[limits]\nuncounted_addresses = \"127.0.0.1\"\n";
    let (_home, server) = node(None, options).await;
    let mut open = Vec::new();
    for _ in 0..3 {
        let mut connection = connect(&server, "127.0.0.2").await.expect("the server listens");
        connection.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("open");
        let mut first = [0; 12];
        connection.read_exact(&mut first).await.expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200");
        open.push(connection);
    }
    let livez = request("GET", "/livez", "");
    let fourth = connect(&server, "127.0.0.2").await.expect("the kernel takes it");
    assert_eq!(told(fourth).await, "", "closed without a word");
    for other in ["127.0.0.1", "127.0.0.3"] {
        assert_eq!(status(&ask(&server, other, &livez).await), 200, "{other}");
    }
    assert_eq!(metric(&server.client(), "onsale_http_crowded_total").await, 1.0);
    open.pop();
    let again = async || {
        let mut connection = connect(&server, "127.0.0.2").await.expect("the kernel takes it");
        let _closed_already = connection.write_all(livez.as_bytes()).await;
        told(connection).await
    };
    until("a place to be free again", again, |answer| answer.starts_with("http/1.1 200")).await;
}

#[tokio::test]
async fn a_client_is_behind_our_proxies_only() {
    let options = "[server]\ntrusted_proxies = \"127.0.0.7\"\n[limits]\nuncounted_addresses = \"\"\n\
                   auth_per_address = \"2 then 1/h\"\n[sse]\nmax_per_address = 1\nuncounted_addresses = \"\"\n";
    let (_home, server) = node(None, options).await;
    let post =
        |client: &str| request("POST", "/v1/auth/x", &format!("x-forwarded-for: {client}\r\ncontent-length: 0\r\n"));
    for (from, client, expected) in [
        ("127.0.0.7", "192.0.2.66, 203.0.113.7", false),
        ("127.0.0.7", "192.0.2.67, 203.0.113.7", false),
        ("127.0.0.7", "192.0.2.68, 203.0.113.7", true),
        ("127.0.0.7", "203.0.113.8", false),
        ("127.0.0.8", "192.0.2.1", false),
        ("127.0.0.8", "192.0.2.2", false),
        ("127.0.0.8", "192.0.2.3", true),
    ] {
        let answer = ask(&server, from, &post(client)).await;
        assert_eq!(status(&answer) == 429, expected, "{from} for {client}: {answer}");
    }
    // Streams sit by the same address.
    let stream = |client: &str| {
        format!("GET /v1/rankings/shows/events HTTP/1.1\r\nhost: x\r\nx-forwarded-for: {client}\r\n\r\n")
    };
    let mut seen = Vec::new();
    for (client, expected) in [("203.0.113.7", "200"), ("203.0.113.8", "200"), ("203.0.113.7", "429")] {
        let mut connection = connect(&server, "127.0.0.7").await.expect("the server listens");
        connection.write_all(stream(client).as_bytes()).await.expect("open");
        let mut first = [0; 12];
        connection.read_exact(&mut first).await.expect("an answer");
        assert_eq!(String::from_utf8_lossy(&first[9..]), expected, "{client}");
        seen.push(connection);
    }
}

#[tokio::test]
async fn headers_bodies_and_tokens_have_their_size() {
    let stage = Stage::set(Kind::Sqlite).await;
    let token = stage.home.token("kim", "member", None);
    let headers = |count: usize| (0..count).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let wide = |bytes: usize| format!("x-wide: {}\r\n", "a".repeat(bytes));
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let body = |bytes: usize| {
        let text = format!("{{\"seats\": [], \"reference\": \"{}\"}}", "r".repeat(bytes));
        let head = format!(
            "{}idempotency-key: k\r\ncontent-type: application/json\r\ncontent-length: {}\r\n",
            bearer(&token),
            text.len()
        );
        format!("{}{text}", request("POST", &stage.orders(), &head))
    };
    let (me, livez) = ("/v1/accounts/me", "/livez");
    let table = [
        // Two are there already.
        ("64 headers", request("GET", livez, &headers(62)), 200),
        ("65 headers", request("GET", livez, &headers(63)), 431),
        ("15 KiB of headers", request("GET", livez, &wide(15 << 10)), 200),
        ("17 KiB of headers", request("GET", livez, &wide(17 << 10)), 431),
        ("a path of 17 KiB", request("GET", &format!("/{}", "a".repeat(17 << 10)), ""), 431),
        ("a body just under 64 KiB", body((64 << 10) - 100), 422),
        ("a body just over 64 KiB", body(64 << 10), 413),
        ("a token of 4 kB", request("GET", me, &bearer(&"x".repeat(4_000))), 401),
        ("a token of 15 kB", request("GET", me, &bearer(&"x".repeat(15_000))), 401),
        ("a token of 100 kB", request("GET", me, &bearer(&"x".repeat(100_000))), 431),
        ("a good one", request("GET", me, &bearer(&token)), 200),
        ("two content lengths", request("POST", livez, "content-length: 1\r\ncontent-length: 2\r\n"), 400),
        ("no length", request("POST", livez, "content-length: \r\n"), 400),
        ("a negative length", request("POST", livez, "content-length: -1\r\n"), 400),
        ("a space in a name", request("GET", livez, "x y: 1\r\n"), 400),
        ("a folded line", request("GET", livez, "x: 1\r\n 2\r\n"), 400),
        ("no version", "GET /livez\r\n\r\n".to_owned(), 400),
        ("no path", "GET HTTP/1.1\r\n\r\n".to_owned(), 400),
        ("a zero byte", "GET /li\0vez HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(), 400),
        ("another protocol", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 0),
        ("a method that nobody offers", request("BREW", "/v1/venues", ""), 405),
        ("a method of proxies", request("CONNECT", "x:1", ""), 404),
    ];
    let before = stage.home.export().len();
    let mut wrong = Vec::new();
    for (what, bytes, expected) in table {
        let mut connection = connect(&stage.server, "127.0.0.1").await.expect("the server listens");
        // Whoever is refused early may not get everything out.
        let _refused_early = connection.write_all(bytes.as_bytes()).await;
        let answer = told(connection).await;
        // The kernel may throw the answer to a flood away together with what was not read of it.
        let lost = expected == 431 && answer.is_empty();
        if !lost && status(&answer) != expected {
            wrong.push(format!("{what}: {answer:.200}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(stage.home.export().len(), before, "nothing was appended");
    stage.anyone.get(livez).await.expect(200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let stage = Stage::set(Kind::Sqlite).await;
    let token = stage.home.token("kim", "member", None);
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{",
        stage.orders()
    );
    let begun = SystemClock.elapsed();
    let answer = ask(&stage.server, "127.0.0.1", &head).await;
    let took = SystemClock.elapsed() - begun;
    assert!(answer.starts_with("http/1.1 408") && answer.contains("\"request-timeout\""), "{answer}");
    assert!((Duration::from_secs(7)..Duration::from_secs(12)).contains(&took), "closed after {took:?}");
}
