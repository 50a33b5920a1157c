//! `onsale parked`: which events could a read model not apply, and what shall become of them? The decision is written down
//! with its reason; the serving node carries it out, at once or when it starts.

use std::sync::Arc;

use clap::Subcommand;

use super::failure::Failure;
use super::{Global, output};
use crate::app;
use crate::clock::{Clock, Entropy, SystemClock};
use crate::limits;
use crate::projections::place::ParkedId;
use crate::projections::store::{Action, Build, Decision, ParkedKey, Store};
use crate::projections::{Projection, ROSTER};

#[derive(clap::Args, Debug)]
pub struct Parked {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand, Debug)]
enum Act {
    /// Prints what waits: id, events, since when, why.
    List,
    /// Has the key's events applied again, for example after the program was mended.
    Retry(Wish),
    /// Leaves the key's first event out for ever, also in later rebuilds, and goes on with the rest of the key.
    Skip(Wish),
}

#[derive(clap::Args, Debug)]
struct Wish {
    /// As `onsale parked list` prints it.
    #[arg(value_name = "ID")]
    id: String,
    /// Kept with the decision.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who decides; kept with the decision.
    #[arg(long, value_name = "NAME")]
    actor: String,
}

impl Parked {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        let store = app::look_at_store(&config).await?;
        let store = store.ok_or_else(|| Failure::of("there are no read models here yet; onsale serve makes them"))?;
        match self.act {
            Act::List => list(&*store).await,
            Act::Retry(wish) => decide(&*store, wish, Action::Retry).await,
            Act::Skip(wish) => decide(&*store, wish, Action::Skip).await,
        }
    }
}

async fn list(store: &dyn Store) -> Result<(), Failure> {
    for projection in ROSTER.iter().copied() {
        let Some(build) = active(store, projection).await? else { continue };
        let mut after = None;
        loop {
            let keys = build.parked_keys(after, limits::LIST_MAX).await?;
            let Some(last) = keys.last() else { break };
            after = Some((last.partition, last.position));
            for ParkedKey { key, partition, position, error, since, events } in keys {
                let name = projection.name();
                output::line(&format!("{name}.{partition}.{position}  {key}  {events} events since {since}: {error}"))?;
            }
        }
    }
    Ok(())
}

async fn active(store: &dyn Store, projection: &'static dyn Projection) -> Result<Option<Arc<dyn Build>>, Failure> {
    let registered = store.registered().await?;
    let known =
        registered.iter().find(|known| known.name == projection.name() && known.version == projection.version());
    match known {
        Some(known) => Ok(Some(store.open(projection, known.active).await?)),
        None => Ok(None),
    }
}

async fn decide(store: &dyn Store, wish: Wish, action: Action) -> Result<(), Failure> {
    for (flag, text) in [("--reason", &wish.reason), ("--actor", &wish.actor)] {
        let length = text.trim().chars().count();
        if length == 0 || length > limits::REASON_CHARS || text.contains('\0') {
            return Err(Failure::usage(format!("{flag} is a text of 1 to {} characters", limits::REASON_CHARS)));
        }
    }
    let gone = || Failure::of(format!("nothing is parked under {}; see onsale parked list", wish.id));
    let id = ParkedId::parse(&wish.id).ok_or_else(gone)?;
    let build = active(store, id.projection).await?.ok_or_else(gone)?;
    let (partition, position) = (id.place.partition, id.place.position);
    let before = crate::ids::Position(position.0.saturating_sub(1));
    let first = build.parked_keys(Some((partition, before)), 1).await?.pop();
    let first = first.filter(|key| (key.partition, key.position) == (partition, position)).ok_or_else(gone)?;
    let decision = Decision {
        id: 0,
        projection: id.projection.name().to_owned(),
        partition,
        position,
        key: first.key,
        action,
        reason: wish.reason,
        command: Entropy::from_system().hash16().to_string(),
        actor: wish.actor,
        decided_at: SystemClock.wall(),
        outcome: None,
    };
    store.decide(decision).await?;
    Ok(output::line(&format!("{} of {} is decided; the serving node carries it out", action.as_str(), id))?)
}
