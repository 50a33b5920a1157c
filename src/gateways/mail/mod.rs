//! How does a person get a mail? One trait, and two ways: over SMTP, or as files for whoever has no mail server yet.
//!
//! `letter` makes the message, `smtp` and `files` bring it away, `post` waits for them so that nobody else does. Why
//! somebody gets a mail, and what it says, is not known here. Addresses and texts are personal: no error and no line of
//! the log holds them.

mod files;
mod letter;
mod post;
mod smtp;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

pub use files::Files;
pub use letter::Letterhead;
pub use post::Post;
pub use smtp::{Smtp, SmtpOptions};

/// A mail to one person, as plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    pub to: String,
    pub subject: String,
    pub text: String,
}

impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mail({} bytes)", self.text.len())
    }
}

/// Why a mail was not sent. Without addresses and without what a server said, which may hold them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct MailFault {
    /// Can the same mail be taken later?
    pub retryable: bool,
    pub detail: String,
}

impl MailFault {
    #[must_use]
    pub fn later(detail: impl Into<String>) -> Self {
        Self { retryable: true, detail: detail.into() }
    }

    #[must_use]
    pub fn never(detail: impl Into<String>) -> Self {
        Self { retryable: false, detail: detail.into() }
    }
}

/// A way for mails. `Ok` means that somebody else answers for the mail now; after a fault that is retryable it may have
/// been sent nevertheless, so a second try can bring it twice.
#[async_trait::async_trait]
pub trait Mailer: Send + Sync {
    async fn send(&self, mail: Mail) -> Result<(), MailFault>;
}

pub type SharedMailer = Arc<dyn Mailer>;

/// For what has nobody to write to: a node that only follows, a tool.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

#[async_trait::async_trait]
impl Mailer for Nobody {
    async fn send(&self, _mail: Mail) -> Result<(), MailFault> {
        Err(MailFault::never("nobody here sends mails"))
    }
}
