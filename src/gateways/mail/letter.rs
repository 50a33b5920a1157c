//! What does a mail look like on the wire? A message of RFC 5322 in ASCII, whatever script it is written in.
//!
//! Nothing in it can begin a header of its own: addresses are read anew here, whoever checked them before. How it is
//! sent is not known here.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Message};

use super::{Mail, MailFault};
use crate::clock::{Clock, Entropy};

/// Who writes, and when.
#[derive(Clone)]
pub struct Letterhead {
    from: Mailbox,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
}

/// A message and the addresses that go with it.
pub(super) struct Letter {
    pub envelope: Envelope,
    pub bytes: Vec<u8>,
}

impl Letterhead {
    /// `from` as `onsale <no-reply@example.com>` or the address alone. `None`: it is no address.
    #[must_use]
    pub fn new(from: &str, clock: Arc<dyn Clock>, entropy: Entropy) -> Option<Self> {
        if from.chars().any(char::is_control) {
            return None;
        }
        let Mailbox { name, email } = from.parse().ok()?;
        Some(Self { from: Mailbox::new(name, in_ascii(&email)?), clock, entropy })
    }

    /// A name for a letter of now: the moment first, so that names sort by it; `number` keeps those of one moment in order.
    pub(super) fn name(&self, number: u32) -> String {
        let moment = self.clock.wall().to_string().replace([':', '-', '.'], "");
        format!("{moment}-{number:06}-{}", self.entropy.hash16())
    }

    pub(super) fn write(&self, mail: &Mail) -> Result<Letter, MailFault> {
        let bad = || MailFault::never("the recipient's address is none that mail can be sent to");
        if mail.to.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(bad());
        }
        let address: Address = mail.to.parse().map_err(|_| bad())?;
        let to = Mailbox::new(None, in_ascii(&address).ok_or_else(bad)?);
        // A line break would end the header; as a blank it is only ugly.
        let subject: String = mail.subject.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let millis = u64::try_from(self.clock.wall().0).unwrap_or(0);
        let id = format!("<{}@{}>", self.entropy.hash16(), self.from.email.domain());
        let message = Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
            .message_id(Some(id))
            // Nobody's holiday notice answers to a machine.
            .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()))
            .header(MIME_VERSION_1_0)
            .header(ContentType::TEXT_PLAIN)
            // Lines end in one way only, so that no server sees an end where another sees none.
            .body(mail.text.replace('\r', ""))
            .map_err(|_| MailFault::never("the message cannot be written"))?;
        Ok(Letter { envelope: message.envelope().clone(), bytes: message.formatted() })
    }
}

impl fmt::Debug for Letterhead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Letterhead")
    }
}

/// The same address with its domain as DNS knows it, so that servers without SMTPUTF8 take it.
fn in_ascii(address: &Address) -> Option<Address> {
    let odd = |c: char| c.is_ascii() && !c.is_ascii_alphanumeric() && c != '-' && c != '.';
    if address.domain().contains(odd) {
        return None;
    }
    if address.domain().is_ascii() {
        return Some(address.clone());
    }
    let url = reqwest::Url::parse(&format!("http://{}/", address.domain())).ok()?;
    Address::new(address.user(), url.host_str()?).ok()
}
