//! A mail server that speaks as much of SMTP as a test needs, and can be told to be difficult.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::gateways::mail::{Smtp, SmtpOptions};

/// Not to answer at all.
pub const SILENCE: &str = "";

/// What the server saw.
#[derive(Default)]
pub struct Seen {
    pub connections: usize,
    pub commands: Vec<String>,
    pub messages: Vec<String>,
}

pub struct Server {
    pub address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

impl Server {
    /// Answers as a good server does, except that each of `moods` is its answer to one command that begins so: `(RCPT, 550
    /// no)`. The end of a message counts as the command `.`, a connection as `CONNECT`.
    pub async fn start(moods: &[(&'static str, &'static str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let seen = Arc::new(Mutex::new(Seen::default()));
        let moods = Arc::new(Mutex::new(moods.iter().copied().collect::<VecDeque<_>>()));
        let theirs = seen.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                theirs.lock().connections += 1;
                tokio::spawn(talk(stream, theirs.clone(), moods.clone()));
            }
        });
        Self { address, seen }
    }

    pub fn seen<T>(&self, look: impl FnOnce(&Seen) -> T) -> T {
        look(&self.seen.lock())
    }

    pub fn client(&self) -> Smtp {
        self.client_within(Duration::from_secs(10))
    }

    pub fn client_within(&self, call_time: Duration) -> Smtp {
        let url = format!("smtp://{}", self.address);
        Smtp::new(SmtpOptions { url, head: super::head(), call_time }).expect("an address")
    }
}

type Moods = Arc<Mutex<VecDeque<(&'static str, &'static str)>>>;

/// `None`: the connection ended.
async fn talk(stream: TcpStream, seen: Arc<Mutex<Seen>>, moods: Moods) -> Option<()> {
    let (reader, mut writer) = stream.into_split();
    let mut lines = BufReader::new(reader).lines();
    let mut answer = async |command: &str, usual: &str| -> Option<()> {
        let mood = {
            let mut moods = moods.lock();
            let found = moods.iter().position(|(at, _)| command.starts_with(at));
            found.and_then(|index| moods.remove(index))
        };
        let text = mood.map_or(usual, |(_, text)| text);
        if text != SILENCE {
            writer.write_all(format!("{text}\r\n").as_bytes()).await.ok()?;
        }
        Some(())
    };
    answer("CONNECT", "220 test").await?;
    while let Ok(Some(line)) = lines.next_line().await {
        seen.lock().commands.push(line.clone());
        match line.split([' ', ':']).next().unwrap_or_default() {
            "EHLO" => answer(&line, "250-test\r\n250-8BITMIME\r\n250 AUTH PLAIN LOGIN").await?,
            "AUTH" => answer(&line, "235 welcome").await?,
            "DATA" => {
                answer(&line, "354 go on").await?;
                let mut message = String::new();
                while let Some(line) = lines.next_line().await.ok()? {
                    if line == "." {
                        break;
                    }
                    // A dot that begins a line is sent as two.
                    message.push_str(line.strip_prefix('.').unwrap_or(&line));
                    message.push_str("\r\n");
                }
                seen.lock().messages.push(message);
                answer(".", "250 taken").await?;
            }
            "QUIT" => return answer(&line, "221 bye").await,
            _ => answer(&line, "250 fine").await?,
        }
    }
    None
}

/// Waits for a condition, and says what was there instead when it does not come.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(20), async {
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while !holds() {
            look.tick().await;
        }
    });
    assert!(waited.await.is_ok(), "{what} did not happen");
}

/// The header of that name, unfolded and decoded.
pub fn header(message: &str, name: &str) -> String {
    let unfolded = message.split("\r\n\r\n").next().unwrap_or_default().replace("\r\n ", " ");
    let mut found = unfolded.lines().filter_map(|line| line.strip_prefix(&format!("{name}: ")));
    let value = found.next().unwrap_or_default().to_owned();
    assert_eq!(found.next(), None, "{name} stands there twice");
    // The blanks between two encoded words belong to neither.
    let words = value.replace("?= =?utf-8?b?", "?==?utf-8?b?");
    let mut text = String::new();
    let mut rest = words.as_str();
    while let Some((before, after)) = rest.split_once("=?utf-8?b?") {
        let (word, after) = after.split_once("?=").expect("a whole word");
        text.push_str(before);
        text.push_str(&from_base64(word));
        rest = after;
    }
    text + rest
}

/// The text, decoded.
pub fn body(message: &str) -> String {
    let (_, raw) = message.split_once("\r\n\r\n").expect("a body");
    let text = match header(message, "Content-Transfer-Encoding").as_str() {
        "base64" => from_base64(&raw.replace("\r\n", "")),
        "quoted-printable" => from_quoted(raw),
        "7bit" => raw.to_owned(),
        other => panic!("{other}"),
    };
    text.replace("\r\n", "\n")
}

fn from_base64(text: &str) -> String {
    use base64::Engine;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).expect("base64");
    String::from_utf8(bytes).expect("UTF-8")
}

fn from_quoted(text: &str) -> String {
    let joined = text.replace("=\r\n", "");
    let mut parts = joined.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).expect("UTF-8")
}
