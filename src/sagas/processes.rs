//! What can others ask of the processes? The handle to all of them, and what they share.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch as channel};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Watch, payment, runner};
use crate::actors::Dispatch;
use crate::clock::Entropy;
use crate::domain::order::Pay;
use crate::fault::Fault;
use crate::gateways::payments::{Confirm, SharedPayments};
use crate::ids::{OrderId, StreamId};
use crate::journal::SharedJournal;
use crate::money::Currency;

/// What processes are made of.
pub struct Parts {
    pub dispatch: Dispatch,
    pub journal: SharedJournal,
    /// `None`: nobody takes money here.
    pub payments: Option<SharedPayments>,
    pub entropy: Entropy,
    /// After that long without a yes or a no, people have to look.
    pub patience: Duration,
    pub stop: CancellationToken,
    pub tracker: TaskTracker,
}

/// The handle to all of them. Cheap to clone.
#[derive(Clone)]
pub struct Processes(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) parts: Parts,
    pub(super) room: Arc<Semaphore>,
    pub(super) hints: Arc<Semaphore>,
    /// Streams for whose next step somebody waits.
    pub(super) watched: Mutex<HashMap<StreamId, channel::Sender<()>>>,
    /// Orders that are being placed with a coupon.
    pub(super) placing: Mutex<HashSet<OrderId>>,
    /// Streams that were told to be under review, so that each is told once.
    pub(super) reviewed: Mutex<HashSet<StreamId>>,
    /// Wakes the process of a stream from its back-off.
    pub(super) running: Mutex<HashMap<StreamId, Arc<Notify>>>,
}

impl Processes {
    /// Begins to work on whatever waits, now and from now on.
    #[must_use]
    pub fn start(parts: Parts) -> Self {
        let processes = Self(Arc::new(Inner {
            room: Arc::new(Semaphore::new(crate::limits::PROCESSES)),
            hints: Arc::new(Semaphore::new(crate::limits::HINTS)),
            watched: Mutex::default(),
            placing: Mutex::default(),
            reviewed: Mutex::default(),
            running: Mutex::default(),
            parts,
        }));
        processes.0.parts.tracker.spawn(runner::run(processes.0.clone()));
        processes
    }

    /// Can money be asked for now? Not without a provider, nor while too much waits for it.
    #[must_use]
    pub fn can_pay(&self) -> bool {
        self.0.parts.payments.is_some() && self.0.room.available_permits() > 0
    }

    /// Can the provider take this currency? Without a provider it does not matter.
    #[must_use]
    pub fn takes(&self, currency: crate::money::Currency) -> bool {
        self.0.parts.payments.as_ref().is_none_or(|payments| payments.takes(currency))
    }

    #[must_use]
    pub fn patience(&self) -> Duration {
        self.0.parts.patience
    }

    #[must_use]
    pub fn watch(&self, stream: &StreamId) -> Watch {
        let mut watched = self.0.watched.lock();
        let told = watched.entry(stream.clone()).or_insert_with(|| channel::channel(()).0).subscribe();
        Watch { of: self.0.clone(), stream: stream.clone(), told }
    }

    /// Processes under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        crate::limits::PROCESSES.saturating_sub(self.0.room.available_permits())
    }

    /// People have said how the stream stands: its process looks at once, not when its pause is over.
    pub fn nudge(&self, stream: &StreamId) {
        if let Some(nudge) = self.0.running.lock().get(stream) {
            nudge.notify_one();
        }
    }

    /// What must not be done, and only a planted bug does: the provider is asked, and the log knows nothing of it.
    pub async fn ask_too_early(&self, order: &OrderId, pay: &Pay) {
        let (Some(payments), Some(key)) = (&self.0.parts.payments, &pay.payment_key) else { return };
        let asked = Confirm {
            payment_key: key.clone(),
            order_id: order.clone(),
            amount: pay.amount,
            currency: Currency::KRW,
            idempotency_key: crate::ids::Hash16::of("payment", &[order.as_str().as_bytes(), &1_u32.to_le_bytes()]),
        };
        let _answer = payments.confirm(&asked).await;
    }

    /// Something may have happened at the provider: somebody looks. What the hint says is not believed. An error: nobody
    /// could look, and whoever told must tell again.
    pub async fn hint(&self, body: &[u8]) -> Result<(), Fault> {
        match crate::gateways::payments::Hint::parse(body) {
            Some(hint) => payment::hinted(&self.0, hint).await,
            None => Ok(()),
        }
    }
}
