//! How many may watch, and how patient is the node with them? The operator's choices, brought to hub and listeners.

use rustix::process::{Resource, getrlimit, setrlimit};

use super::{StartError, target};
use crate::config::Config;
use crate::http::Terms;
use crate::ids::NodeId;
use crate::journal::open;
use crate::limits;
use crate::live::Places;
use crate::live::hub::Options;

pub async fn options(config: &Config, node: &NodeId) -> Result<Options, StartError> {
    let sse = &config.sse;
    let places = Places {
        per_node: sse.max_per_node,
        per_account: sse.max_per_account,
        per_address: sse.max_per_address,
        uncounted: sse.uncounted()?,
    };
    let presence = open::presence(&target(config)).await?;
    Ok(Options { node: node.clone(), places, store_resume: sse.store_resume(), presence })
}

pub fn terms(config: &Config, connections: usize) -> Terms {
    Terms { connections, stalled: config.sse.stalled() }
}

/// Each connection is an open file, and what systems allow unasked is far less than they allow. A node that gets less
/// than it wants still serves; it says so, since clients would wait in vain.
pub fn allow_files(connections: usize) {
    let wanted = u64::try_from(connections + limits::OTHER_FILES).unwrap_or(u64::MAX);
    let mut allowed = getrlimit(Resource::Nofile);
    let enough = |allowed: Option<u64>| allowed.is_none_or(|files| files >= wanted);
    if enough(allowed.current) {
        return;
    }
    allowed.current = Some(allowed.maximum.map_or(wanted, |most| most.min(wanted)));
    let raised = setrlimit(Resource::Nofile, allowed).is_ok();
    if !raised || !enough(allowed.current) {
        tracing::warn!(wanted, allowed = ?allowed.maximum, "fewer open files are allowed than sse.max_per_node may need");
    }
}
