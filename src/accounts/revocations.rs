//! How does every node hear what was revoked? The node that revokes knows at once; the others read the list again and again.
//!
//! A node that cannot read it keeps what it knows, says so once, and shows how old that is. The list is read before a node
//! answers anybody, so that a restart forgets nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::store::{Moment, Revocation, SharedCabinet};
use crate::auth::Revoked;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::{limits, telemetry};

/// Keeps a node's list up to date.
pub struct Revocations {
    cabinet: SharedCabinet,
    revoked: Revoked,
    clock: Arc<dyn Clock>,
    since: Moment,
    read_at: Duration,
    well: bool,
}

impl Revocations {
    /// Reads the whole list.
    pub async fn open(cabinet: SharedCabinet, revoked: Revoked, clock: Arc<dyn Clock>) -> Result<Self, Fault> {
        let (all, since) = cabinet.revoked(None).await?;
        note(&revoked, &all);
        let read_at = clock.elapsed();
        Ok(Self { cabinet, revoked, clock, since, read_at, well: true })
    }

    /// Reads what is new until `stop`.
    pub async fn keep(mut self, stop: CancellationToken) {
        let mut round = interval(limits::REVOCATION_ROUND);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = round.tick() => {}
            }
            self.look().await;
        }
    }

    async fn look(&mut self) {
        match self.cabinet.revoked(Some(self.since)).await {
            Ok((new, since)) => {
                note(&self.revoked, &new);
                self.since = since;
                self.read_at = self.clock.elapsed();
                self.revoked.forget(self.clock.wall());
                if !std::mem::replace(&mut self.well, true) {
                    tracing::info!("the list of revoked credentials can be read again");
                }
            }
            Err(fault) => {
                if std::mem::take(&mut self.well) {
                    tracing::warn!(%fault, "the list of revoked credentials cannot be read; the one before stays");
                }
            }
        }
        let age = self.clock.elapsed().saturating_sub(self.read_at);
        metrics::gauge!(telemetry::REVOCATIONS_AGE).set(age.as_secs_f64());
    }
}

fn note(revoked: &Revoked, list: &[Revocation]) {
    for Revocation { credential, at, until } in list {
        revoked.note(credential, *at, *until);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use parking_lot::Mutex;

    use super::*;
    use crate::accounts::store::{Cabinet, Document, Kind, Put, Stored, TrailEntry, Trailed};
    use crate::clock::SimulatedClock;
    use crate::ids::CredentialId;
    use crate::timestamp::Timestamp;

    /// A list that fails when it is told to, and remembers what it was asked.
    #[derive(Default)]
    struct List {
        noted: Mutex<Vec<Revocation>>,
        asked: Mutex<Vec<Option<Moment>>>,
        failing: AtomicBool,
    }

    fn never<T>() -> Result<T, Fault> {
        Err(Fault::internal("nobody asks for that here"))
    }

    #[async_trait::async_trait]
    impl Cabinet for List {
        async fn get(&self, _: Kind, _: &str) -> Result<Option<Stored>, Fault> {
            never()
        }
        async fn by_alias(&self, _: Kind, _: &str) -> Result<Option<Stored>, Fault> {
            never()
        }
        async fn family(&self, _: Kind, _: &str, _: &str, _: usize) -> Result<Vec<Stored>, Fault> {
            never()
        }
        async fn page(&self, _: Kind, _: &str, _: usize) -> Result<Vec<Stored>, Fault> {
            never()
        }
        async fn put(&self, _: Document, _: Option<u64>) -> Result<Put, Fault> {
            never()
        }
        async fn remove(&self, _: Kind, _: &str) -> Result<(), Fault> {
            never()
        }
        async fn revoke(&self, revocation: Revocation) -> Result<(), Fault> {
            self.noted.lock().push(revocation);
            Ok(())
        }
        async fn revoked(&self, since: Option<Moment>) -> Result<(Vec<Revocation>, Moment), Fault> {
            self.asked.lock().push(since);
            if self.failing.load(Ordering::SeqCst) {
                return Err(Fault::unavailable("not now"));
            }
            let all = self.noted.lock().clone();
            let from = usize::try_from(since.map_or(0, |moment| moment.0)).expect("a count");
            let moment = Moment(i64::try_from(all.len()).expect("a few"));
            Ok((all[from..].to_vec(), moment))
        }
        async fn note(&self, _: TrailEntry) -> Result<(), Fault> {
            never()
        }
        async fn trail(&self, _: Option<&str>, _: Option<i64>, _: usize) -> Result<Vec<Trailed>, Fault> {
            never()
        }
        async fn sweep(&self, _: Timestamp, _: Timestamp) -> Result<u64, Fault> {
            never()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_starts_with_the_whole_list_hears_of_more_and_keeps_it_through_an_outage() {
        let list = Arc::new(List::default());
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(Timestamp(1_000)));
        let revoke = |credential: &str, until: Option<i64>| {
            let revocation =
                Revocation { credential: credential.into(), at: Timestamp(1), until: until.map(Timestamp) };
            list.noted.lock().push(revocation);
        };
        revoke("se_1", Some(40_000));
        list.failing.store(true, Ordering::SeqCst);
        let revoked = Revoked::default();
        assert!(Revocations::open(list.clone(), revoked.clone(), clock.clone()).await.is_err(), "not without the list");
        list.failing.store(false, Ordering::SeqCst);
        let mut reader = Revocations::open(list.clone(), revoked.clone(), clock.clone()).await.expect("a list");
        let knows = |credential: &str| revoked.lists(&CredentialId::new(credential));
        assert!(knows("se_1"));
        revoke("dt_1", None);
        reader.look().await;
        assert!(knows("dt_1") && reader.well);
        assert_eq!(*list.asked.lock(), [None, None, Some(Moment(1))], "only what is new");
        list.failing.store(true, Ordering::SeqCst);
        revoke("se_2", None);
        tokio::time::advance(Duration::from_secs(20)).await;
        reader.look().await;
        assert!(knows("dt_1") && !knows("se_2") && !reader.well, "the old list stays");
        assert_eq!(clock.elapsed() - reader.read_at, Duration::from_secs(20));
        list.failing.store(false, Ordering::SeqCst);
        tokio::time::advance(Duration::from_secs(20)).await;
        reader.look().await;
        assert!(knows("se_2") && reader.well, "and is caught up with from where it was");
        assert!(!knows("se_1"), "what has run out is forgotten");
    }
}
