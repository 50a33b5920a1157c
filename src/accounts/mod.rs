//! Who are the people? Accounts: beside the log, erasable, sealed.
//!
//! The log knows people by an opaque id and nothing else. Who they are, how they prove it and what happened to their
//! accounts is here: pure rules (`record`, `session`, `throttle`), the cabinet that keeps them (`store`), and one file per
//! thing that people do. How a request carries a token is `http`'s business, what a token is that of `auth`.

pub mod devices;
pub mod record;
pub mod revocations;
pub mod session;
pub mod store;
pub mod throttle;

mod codes;
mod counting;
mod denied;
mod letters;
mod login;
mod made_with;
mod passwords;
mod profile;
mod refresh;
mod reseal;
mod second_factor;
mod sellers;
mod shelf;
mod sign_up;
mod sweep;
#[cfg(test)]
mod tests;
mod trail;
mod unlock;

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_util::task::TaskTracker;

pub use denied::{AccountError, Denied, Invalid};
pub use devices::{DeviceError, DeviceParts, Devices, NewDevice};
pub use login::{Login, SignedIn};
pub use made_with::made_with;
pub use profile::{Change, Profile};
pub use revocations::Revocations;
pub use second_factor::{Confirmed, Enrolment};
pub use sellers::Application;
pub use sign_up::SignUp;
pub use trail::Happened;

use self::store::SharedCabinet;
use crate::auth::{Passwords, Revoked, Seal, Signer};
use crate::clock::{Clock, Entropy};
use crate::fault::Fault;
use crate::gateways::mail::Post;
use crate::ids::{CommandId, Hash16};

/// What the accounts need.
pub struct Parts {
    pub cabinet: SharedCabinet,
    pub passwords: Passwords,
    pub seal: Seal,
    pub signer: Signer,
    pub revoked: Revoked,
    pub post: Post,
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    pub tracker: TaskTracker,
}

/// All that people do with their accounts. Cheap to clone. The cell is full once the accounts are known to be under our seal.
#[derive(Clone)]
pub struct Accounts(Arc<Parts>, Arc<OnceCell<()>>);

/// Which request is this, and where does it come from?
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    /// `None`: it came without an idempotency key.
    pub command: Option<CommandId>,
    pub body: Hash16,
    /// `None`: an address that stands for many people, or none is known.
    pub from: Option<IpAddr>,
}

impl Accounts {
    #[must_use]
    pub fn new(parts: Parts) -> Self {
        Self(Arc::new(parts), Arc::default())
    }

    /// Runs to its end even when whoever asked is gone: what was begun is done, and noted.
    async fn apart<T, W>(&self, work: impl FnOnce(Self) -> W) -> Result<T, AccountError>
    where
        T: Send + 'static,
        W: Future<Output = Result<T, AccountError>> + Send + 'static,
    {
        let task = self.0.tracker.spawn(work(self.clone()));
        task.await.unwrap_or_else(|error| Err(Fault::internal(error.to_string()).into()))
    }

    fn now(&self) -> crate::timestamp::Timestamp {
        self.0.clock.wall()
    }

    /// A keyed hash that fits into a record.
    fn keyed(&self, what: &str, text: &str) -> Hash16 {
        Hash16(self.0.seal.code_hash(what, text))
    }
}
