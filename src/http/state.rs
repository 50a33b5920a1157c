//! Which handles does the edge have? Handlers extract the one they need; none sees them all.

use std::sync::Arc;

use axum::extract::FromRef;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;

use super::edge::Guard;
use super::ops::{Document, Readiness};
use super::streams::Stopping;
use crate::accounts::{Accounts, Devices};
use crate::actors::Dispatch;
use crate::auth::{Keys, Revoked, TicketCode, Tickets, Verifier};
use crate::clock::{Clock, Entropy};
use crate::journal::SharedJournal;
use crate::live::Hub;
use crate::projections::reads::Reads;
use crate::projections::runner::Runner;
use crate::sagas::Processes;

/// What `app` hands over.
pub struct Handles {
    pub accounts: Accounts,
    pub devices: Devices,
    pub dispatch: Dispatch,
    pub hub: Hub,
    pub runner: Runner,
    pub processes: Processes,
    pub journal: SharedJournal,
    pub keys: Keys,
    /// What was taken back; kept up to date by `app`.
    pub revoked: Revoked,
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    pub readiness: Arc<dyn Readiness>,
    /// `None`: the numbers have an address of their own.
    pub metrics: Option<PrometheusHandle>,
    /// Ends all streams.
    pub stopping: CancellationToken,
    pub guard: Arc<Guard>,
    /// Another node takes the commands.
    pub follows: bool,
}

/// The same, behind one pointer: it is cloned for each request.
#[derive(Clone)]
pub(super) struct Shared(Arc<Parts>);

struct Parts {
    handles: Handles,
    verifier: Arc<Verifier>,
    tickets: Arc<Tickets>,
    codes: Arc<TicketCode>,
    document: Document,
}

impl Shared {
    pub fn new(handles: Handles, document: String) -> Self {
        let verifier = Arc::new(Verifier::new(&handles.keys, handles.revoked.clone()));
        let tickets = Arc::new(Tickets::new(&handles.keys.tickets, handles.revoked.clone()));
        let codes = Arc::new(TicketCode::new(&handles.keys.codes));
        Self(Arc::new(Parts { handles, verifier, tickets, codes, document: Document(document.into()) }))
    }
}

macro_rules! handles {
    ($($handle:ty = $($field:ident).+;)+) => {$(
        impl FromRef<Shared> for $handle {
            fn from_ref(shared: &Shared) -> Self {
                shared.0.$($field).+.clone()
            }
        }
    )+};
}

handles! {
    Accounts = handles.accounts;
    Devices = handles.devices;
    Dispatch = handles.dispatch;
    Hub = handles.hub;
    Runner = handles.runner;
    Processes = handles.processes;
    SharedJournal = handles.journal;
    Arc<dyn Clock> = handles.clock;
    Arc<dyn Readiness> = handles.readiness;
    Revoked = handles.revoked;
    Option<PrometheusHandle> = handles.metrics;
    Arc<Verifier> = verifier;
    Arc<Tickets> = tickets;
    Arc<TicketCode> = codes;
    Document = document;
}

impl FromRef<Shared> for Reads {
    fn from_ref(shared: &Shared) -> Self {
        shared.0.handles.runner.reads()
    }
}

impl FromRef<Shared> for Stopping {
    fn from_ref(shared: &Shared) -> Self {
        Self(shared.0.handles.stopping.clone())
    }
}
