//! How many may watch, and how patient is the node with them? The operator's choices, brought to hub and listeners.

use std::sync::Arc;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::runtime::{Builder, Handle, Runtime};

use super::{StartError, target};
use crate::config::Config;
use crate::gateways::payments::SharedPayments;
use crate::http::{Crowd, Terms};
use crate::ids::NodeId;
use crate::journal::open;
use crate::limits;
use crate::live::hub::Options;
use crate::live::{PaymentWindow, Places};

pub async fn options(config: &Config, node: &NodeId, payments: Option<&SharedPayments>) -> Result<Options, StartError> {
    let sse = &config.sse;
    let places = Places {
        per_node: sse.max_per_node,
        per_account: sse.max_per_account,
        per_address: sse.max_per_address,
        uncounted: sse.uncounted()?,
    };
    let presence = open::presence(&target(config)).await?;
    let window =
        payments.map(|payments| PaymentWindow { provider: "toss", client_key: Arc::from(payments.client_key()) });
    Ok(Options { node: node.clone(), places, store_resume: sse.store_resume(), presence, window })
}

pub fn terms(config: &Config, connections: usize, crowd: Crowd) -> Terms {
    Terms { connections, crowd, stalled: config.sse.stalled() }
}

/// Each connection is an open file, and what systems allow unasked is far less than they allow. A node that gets less
/// than its streams may need still serves, and says so, since clients would wait in vain.
pub fn allow_files(config: &Config) {
    let files = |connections: usize| u64::try_from(connections + limits::OTHER_FILES).unwrap_or(u64::MAX);
    let (wanted, needed) = (files(config.sse.connections()), files(config.sse.max_per_node));
    let mut allowed = getrlimit(Resource::Nofile);
    if allowed.current.is_none_or(|files| files >= wanted) {
        return;
    }
    allowed.current = Some(allowed.maximum.map_or(wanted, |most| most.min(wanted)));
    // What cannot be changed stays as it was, which the next look shows.
    let _refused = setrlimit(Resource::Nofile, allowed);
    let got = getrlimit(Resource::Nofile).current;
    if got.is_some_and(|files| files < needed) {
        tracing::warn!(needed, ?got, "fewer open files are allowed than sse.max_per_node may need");
    }
}

/// The threads on which streams are written, beside those that serve requests and run commands.
pub(super) struct Streams(Option<Runtime>);

impl Streams {
    pub fn start() -> std::io::Result<Self> {
        let threads = Builder::new_multi_thread().thread_name("streams").enable_all().build()?;
        Ok(Self(Some(threads)))
    }

    pub fn handle(&self) -> Handle {
        self.0.as_ref().map_or_else(Handle::current, |threads| threads.handle().clone())
    }
}

/// Whatever is still written on them has had its time.
impl Drop for Streams {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            threads.shutdown_background();
        }
    }
}
