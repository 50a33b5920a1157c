//! How does a mail get to a mail server? Over SMTP: with TLS from the start or by STARTTLS, in plain text only to this
//! machine itself.
//!
//! Connections are kept for the next mail, but only those that ended a mail well: after a silence or a refusal nobody
//! knows which question a later answer belongs to. When to try again is not known here.

use std::collections::VecDeque;
use std::error::Error as _;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use parking_lot::Mutex;
use reqwest::Url;
use tokio::time::timeout;

use super::letter::Letter;
use super::{Letterhead, Mail, MailFault, Mailer};
use crate::limits;

/// The ports that mail programs hand their mails to: with TLS from the start, and with STARTTLS.
const PORT_TLS: u16 = 465;
const PORT_STARTTLS: u16 = 587;

/// What an operator chose.
pub struct SmtpOptions {
    /// `smtps://user:password@host:465` or `smtp://user:password@host:587`.
    pub url: String,
    pub head: Letterhead,
    /// One try ends within this.
    pub call_time: Duration,
}

/// A mail server.
pub struct Smtp {
    server: Server,
    head: Letterhead,
    call_time: Duration,
    idle: Mutex<VecDeque<AsyncSmtpConnection>>,
}

struct Server {
    host: String,
    port: u16,
    security: Security,
    credentials: Option<Credentials>,
    hello: ClientId,
}

enum Security {
    Tls(TlsParameters),
    StartTls(TlsParameters),
    Plain,
}

impl Smtp {
    /// Connects to nobody yet. `Err`: what is wrong with the address, without the address.
    pub fn new(options: SmtpOptions) -> Result<Self, &'static str> {
        let server = Server::read(&options.url)?;
        Ok(Self { server, head: options.head, call_time: options.call_time, idle: Mutex::default() })
    }

    async fn deliver(&self, letter: &Letter) -> Result<(), MailFault> {
        let mut connection = match self.kept().await {
            Some(connection) => connection,
            // What goes wrong before a mail is named says nothing about the mail, so it may be tried again.
            None => self.server.connect().await.map_err(|error| MailFault::later(described(&error)))?,
        };
        match connection.send(&letter.envelope, &letter.bytes).await {
            Ok(_) => {
                let mut idle = self.idle.lock();
                if idle.len() < limits::MAILS_AT_ONCE {
                    idle.push_back(connection);
                }
                Ok(())
            }
            Err(error) => {
                let hopeless = error.is_permanent() || error.is_client();
                Err(MailFault { retryable: !hopeless, detail: described(&error) })
            }
        }
    }

    /// A connection of an earlier mail that still stands; servers close them after some minutes.
    async fn kept(&self) -> Option<AsyncSmtpConnection> {
        loop {
            let mut connection = self.idle.lock().pop_back()?;
            if matches!(timeout(limits::MAIL_PROBE, connection.test_connected()).await, Ok(true)) {
                return Some(connection);
            }
        }
    }
}

#[async_trait::async_trait]
impl Mailer for Smtp {
    async fn send(&self, mail: Mail) -> Result<(), MailFault> {
        let letter = self.head.write(&mail)?;
        let silent = || MailFault::later(format!("no answer within {} ms", self.call_time.as_millis()));
        // A connection that this drops in mid-sentence is closed, since nobody has put it back.
        timeout(self.call_time, self.deliver(&letter)).await.unwrap_or_else(|_| Err(silent()))
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Smtp({}:{})", self.server.host, self.server.port)
    }
}

impl Server {
    fn read(url: &str) -> Result<Self, &'static str> {
        let url = Url::parse(url).map_err(|_| "is not an address such as smtps://user:password@host:465")?;
        let wrapped = match url.scheme() {
            "smtps" => true,
            "smtp" => false,
            _ => return Err("must start with smtps:// or smtp://"),
        };
        if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
            return Err("has something after the port");
        }
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or("names no host")?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let credentials = match (decoded(url.username())?, url.password().map(decoded).transpose()?) {
            (user, None) if user.is_empty() => None,
            (user, Some(password)) if !user.is_empty() && !password.is_empty() => {
                Some(Credentials::new(user, password))
            }
            _ => return Err("has a user without a password, or a password without a user"),
        };
        let tls = || TlsParameters::new(host.clone()).map_err(|_| "names a host that TLS cannot check");
        let security = match wrapped {
            true => Security::Tls(tls()?),
            false if is_this_machine(&host) => Security::Plain,
            false => Security::StartTls(tls()?),
        };
        let port = url.port().unwrap_or(if wrapped { PORT_TLS } else { PORT_STARTTLS });
        Ok(Self { host, port, security, credentials, hello: ClientId::default() })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let address = (self.host.as_str(), self.port);
        let wrapping = match &self.security {
            Security::Tls(parameters) => Some(parameters.clone()),
            Security::StartTls(_) | Security::Plain => None,
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(address, None, &self.hello, wrapping, None).await?;
        if let Security::StartTls(parameters) = &self.security {
            // A server that does not offer it, or somebody between who strikes it out, gets neither password nor mail.
            connection.starttls(parameters.clone(), &self.hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }
}

/// Percent-encoded, as it must be in an address.
fn decoded(part: &str) -> Result<String, &'static str> {
    let wrong = "has a user or a password that is not percent-encoded UTF-8";
    let mut bytes = Vec::with_capacity(part.len());
    let mut rest = part.as_bytes();
    while let [first, tail @ ..] = rest {
        (rest, _) = match (first, tail) {
            (b'%', [high, low, after @ ..]) => {
                let digits = [*high, *low];
                let digits = std::str::from_utf8(&digits).map_err(|_| wrong)?;
                (after, bytes.push(u8::from_str_radix(digits, 16).map_err(|_| wrong)?))
            }
            (b'%', _) => return Err(wrong),
            _ => (tail, bytes.push(*first)),
        };
    }
    String::from_utf8(bytes).map_err(|_| wrong)
}

fn is_this_machine(host: &str) -> bool {
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// What happened, without the words of the server: they may repeat an address or a name.
fn described(error: &SmtpError) -> String {
    if let Some(code) = error.status() {
        return format!("the mail server answered {code}");
    }
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(io) = cause.downcast_ref::<std::io::Error>() {
            return format!("the mail server cannot be reached: {}", io.kind());
        }
        source = cause.source();
    }
    match error {
        _ if error.is_tls() => "the mail server's certificate or its TLS is not good".to_owned(),
        _ if error.is_response() => "the mail server does not speak SMTP".to_owned(),
        // Only what the client itself found: no STARTTLS, no way to log in, no SMTPUTF8.
        _ if error.is_client() => error.to_string(),
        _ => "the conversation with the mail server broke off".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::mail::tests::{Server, head, mail};

    #[tokio::test]
    async fn without_encryption_another_machine_gets_neither_password_nor_mail() {
        let server = Server::start(&[]).await;
        let url = "smtp://shop:hunter2@mail.example.com".to_owned();
        let options = SmtpOptions { url, head: head(), call_time: Duration::from_secs(5) };
        let mut smtp = Smtp::new(options).expect("an address");
        assert_eq!(smtp.server.port, PORT_STARTTLS);
        (smtp.server.host, smtp.server.port) = ("127.0.0.1".to_owned(), server.address.port());
        let fault = smtp.send(mail("x")).await.expect_err("it offers no STARTTLS");
        assert!(fault.detail.contains("STARTTLS"), "{fault}");
        server.seen(|seen| assert!(seen.commands.iter().all(|line| line.starts_with("EHLO")), "{:?}", seen.commands));
    }

    #[tokio::test]
    async fn a_server_without_tls_gets_nothing_where_tls_was_asked_for() {
        let server = Server::start(&[]).await;
        let url = format!("smtps://shop:hunter2@{}", server.address);
        let smtp = Smtp::new(SmtpOptions { url, head: head(), call_time: Duration::from_secs(5) }).expect("an address");
        let fault = smtp.send(mail("x")).await.expect_err("it speaks no TLS");
        assert!(fault.retryable && !fault.detail.contains("hunter2"), "{fault}");
        server
            .seen(|seen| assert!(seen.messages.is_empty() && !seen.commands.iter().any(|line| line.contains("AUTH"))));
    }

    #[test]
    fn only_this_machine_is_spoken_to_in_plain_text() {
        let table = [
            ("smtp://localhost", "plain"),
            ("smtp://127.0.0.1", "plain"),
            ("smtp://[::1]", "plain"),
            ("smtp://127.0.0.1.example.com", "starttls"),
            ("smtp://10.0.0.1", "starttls"),
            ("smtp://mail.example.com", "starttls"),
            ("smtps://localhost", "tls"),
            ("smtps://mail.example.com", "tls"),
        ];
        for (url, expected) in table {
            let server = super::Server::read(url).expect(url);
            let got = match server.security {
                Security::Tls(_) => "tls",
                Security::StartTls(_) => "starttls",
                Security::Plain => "plain",
            };
            assert_eq!(got, expected, "{url}");
            assert_eq!(server.port, if expected == "tls" { PORT_TLS } else { PORT_STARTTLS });
        }
    }
}
