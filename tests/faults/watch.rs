//! Watchers of a run: raw sockets that come back with the last id they saw, and a record of every frame.

use std::sync::Arc;

use onsale::clock::Entropy;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::AsyncReadExt;

use crate::load::Crew;
use crate::support::watcher::{ask, events};
use crate::wait::pause_between;

/// What one of them follows.
#[derive(Clone)]
pub struct Watcher {
    pub name: String,
    /// `seats` or `store`.
    pub topic: &'static str,
    pub target: String,
    pub path: String,
    pub token: Option<String>,
    last: Arc<Mutex<Option<String>>>,
}

/// Of each topic so many.
const EACH: usize = 3;

impl Watcher {
    pub fn all(crew: &Crew) -> Vec<Self> {
        let world = &crew.world;
        let seats =
            ("seats", world.performance.clone(), format!("/v1/performances/{}/seats/events", world.performance), None);
        let feed = format!("/v1/stores/{}/payments/events?resume=all", world.store);
        let store = ("store", world.store.clone(), feed, Some(world.display.clone()));
        let topics = [seats, store];
        let named = topics.into_iter().flat_map(|topic| (1..=EACH).map(move |n| (n, topic.clone())));
        let one = |(n, (topic, target, path, token)): (usize, _)| {
            let name = format!("{topic}-{n}");
            Self { name, topic, target, path, token, last: Arc::default() }
        };
        named.map(one).collect()
    }

    pub fn last(&self) -> Option<String> {
        self.last.lock().clone()
    }

    /// Watches until it is aborted; some leave by themselves now and then, in the middle of whatever comes.
    pub async fn watch(self, crew: Arc<Crew>, base: Arc<Mutex<String>>, dice: Entropy) {
        loop {
            let at = base.lock().clone();
            let last = self.last();
            if let Some(mut socket) = ask(&at, &self.path, self.token.as_deref(), last.as_deref()).await {
                crew.recorder.connect(&self.name, self.topic, &self.target, last.as_deref(), "a");
                crew.count("streams opened");
                let mut bytes = Vec::new();
                let leaves = 40 + dice.below(400);
                for _ in 0..leaves {
                    let read =
                        tokio::time::timeout(std::time::Duration::from_secs(20), socket.read_buf(&mut bytes)).await;
                    if !matches!(read, Ok(Ok(1..))) {
                        break;
                    }
                    for told in events(&mut bytes) {
                        self.note(&crew, &told.event, told.id, &told.data);
                    }
                }
                crew.recorder.told(&self.name, self.topic, &self.target, "end", &Value::Null);
            }
            pause_between(&dice, 20, 200).await;
        }
    }

    fn note(&self, crew: &Crew, event: &str, id: Option<String>, data: &str) {
        let data: Value = serde_json::from_str(data).unwrap_or(Value::Null);
        crew.recorder.frame(&self.name, self.topic, &self.target, (event, id.as_deref(), &data));
        crew.count(if event == "reset" { "resets" } else { "frames" });
        if event == "reset" {
            *self.last.lock() = None;
        }
        if let Some(id) = id {
            *self.last.lock() = Some(id);
        }
    }
}
