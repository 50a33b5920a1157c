//! What do the watchers watch? Payments at stores, recorded by the stores' own counters in an open loop.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures::{StreamExt, TryStreamExt};
use parking_lot::Mutex;
use serde_json::json;

use super::watch::{Audience, nanos};
use crate::auth::principal::Role;
use crate::cli::bench::line::{Line, Parts, Token};
use crate::cli::bench::load::{Flow, Unit, Work};
use crate::cli::bench::tally::{Latency, Outcomes};
use crate::cli::bench::target::Target;
use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::token::sign;
use crate::clock::{Clock, SystemClock};

/// Stores made at the same time.
const AT_ONCE: usize = 64;

/// One store, and the tokens of its counter and of its screens.
pub struct Store {
    id: String,
    counter: String,
    pub screen: String,
}

impl Store {
    /// Where its feed is watched.
    pub fn feed(&self) -> String {
        format!("/v1/stores/{}/payments/events", self.id)
    }
}

/// Makes that many stores.
pub async fn stores(target: &Target, count: u32) -> Result<Vec<Store>, Failure> {
    let client = Client::new(&target.base)?;
    let seller = sign(&target.keys, "bench-seller", Role::Seller, None)?;
    let (client, seller) = (&client, &seller);
    let making = (0..count).map(|n| async move {
        let made = client.create("/v1/stores", seller, &json!({"name": format!("Bench {n}")})).await?;
        let id = made.text("store_id").to_owned();
        let token = |role| sign(&target.keys, "bench-device", role, Some(&id));
        let (counter, screen) = (token(Role::Pos)?, token(Role::Display)?);
        Ok::<_, Failure>(Store { id, counter, screen })
    });
    futures::stream::iter(making).buffered(AT_ONCE).try_collect().await
}

/// The counters of all stores, which take turns.
pub struct Counters {
    stores: Arc<Vec<Store>>,
    audience: Arc<Audience>,
    /// Keeps the payments of one phase apart from those of another.
    phase: usize,
    paid_at: String,
    pub recording: Latency,
    pub outcomes: Outcomes,
    /// Commands that were answered with 201, by number.
    recorded: Mutex<HashSet<u64>>,
}

impl Counters {
    pub fn new(stores: Arc<Vec<Store>>, audience: Arc<Audience>, phase: usize) -> Self {
        Self {
            stores,
            audience,
            phase,
            paid_at: SystemClock.wall().to_string(),
            recording: Latency::default(),
            outcomes: Outcomes::default(),
            recorded: Mutex::default(),
        }
    }

    /// Which commands were recorded, by store.
    pub fn recorded_by_store(&self) -> Vec<HashSet<u64>> {
        let mut all = vec![HashSet::new(); self.stores.len()];
        for n in self.recorded.lock().iter() {
            all[(n % self.stores.len() as u64) as usize].insert(*n);
        }
        all
    }

    pub fn recorded(&self) -> usize {
        self.recorded.lock().len()
    }

    /// How many frames all those watchers are owed.
    pub fn owed(&self, watchers_of: &[u64]) -> u64 {
        let topics = self.stores.len() as u64;
        self.recorded.lock().iter().map(|n| watchers_of[(n % topics) as usize]).sum()
    }
}

impl Work for Counters {
    async fn unit(&self, line: &mut Line, unit: Unit) -> Flow {
        let Some(moments) = self.audience.commands.get(unit.n as usize) else { return Flow::Exhausted };
        let store = &self.stores[(unit.n % self.stores.len() as u64) as usize];
        // The number at the end leads from the frame back to its command.
        let body = format!(
            r#"{{"payment_id":"{}-{}","amount":4500,"currency":"KRW","method":"card","paid_at":"{}"}}"#,
            self.phase, unit.n, self.paid_at
        );
        let parts = Parts { token: Token::whole(&store.counter), key: "", body: &body };
        moments.sent.store(nanos(), Ordering::Relaxed);
        let reply = line.post(&format!("/v1/stores/{}/payments", store.id), parts).await;
        let answered = nanos();
        match reply {
            Ok(reply) if reply.status == 201 => {
                moments.answered.store(answered, Ordering::Relaxed);
                self.recorded.lock().insert(unit.n);
                if unit.counts {
                    self.recording.record(SystemClock.elapsed().saturating_sub(unit.due));
                }
            }
            Ok(reply) => self.outcomes.count(reply.named()),
            Err(why) => self.outcomes.count(why),
        }
        Flow::Next
    }
}
