//! `onsale keys`: which keys there are, and how one of the data directory is changed without a gap.
//!
//! Keys themselves are never shown. A node reads its keys when it starts.

use std::io::Write;

use clap::{Subcommand, ValueEnum};

use super::Global;
use super::failure::Failure;
use super::output;
use crate::app;
use crate::auth::keys::{self, Kind};
use crate::clock::Entropy;
use crate::config::Config;

#[derive(clap::Args, Debug)]
pub struct Keys {
    #[command(subcommand)]
    act: Act,
}

#[derive(Subcommand, Debug)]
enum Act {
    /// Names every key by its id: what it is for, whether it signs or only verifies, and where it comes from.
    List,
    /// Makes a new key that signs from the next start of a node on; the old one still verifies.
    Rotate {
        /// What the key is for.
        kind: KindName,
    },
    /// Takes a previous key away: from the next start of a node on, nothing that it signed is good any more. What a seal
    /// key sealed is sealed anew first.
    Retire {
        kind: KindName,
        /// Its id, as `onsale keys list` names it.
        id: String,
    },
    /// Seals anew with the current seal key what older ones sealed, so that all but the oldest can go. Every node must
    /// have been started with the current one.
    Reseal,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum KindName {
    /// Access tokens.
    Access,
    /// Stream tickets.
    Ticket,
    /// Tokens of stores' devices.
    Device,
    /// Personal data.
    Seal,
    /// Ticket codes.
    TicketCode,
}

impl From<KindName> for Kind {
    fn from(name: KindName) -> Self {
        match name {
            KindName::Access => Self::Access,
            KindName::Ticket => Self::Ticket,
            KindName::Device => Self::Device,
            KindName::Seal => Self::Seal,
            KindName::TicketCode => Self::TicketCode,
        }
    }
}

impl Keys {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        match self.act {
            Act::List => list(&config, &mut std::io::stdout().lock()),
            Act::Rotate { kind } => {
                let kind = kept(&config, kind)?;
                let id = keys::rotate(&config.data.dir, kind, &Entropy::from_system())?;
                Ok(output::line(&format!("{} {id} signs from the next start of the node on", kind.name()))?)
            }
            Act::Retire { kind, id } => {
                let kind = kept(&config, kind)?;
                if kind == Kind::Seal {
                    app::accounts_beside(&config).await?.reseal().await?;
                }
                keys::retire(&config.data.dir, kind, &id, &Entropy::from_system())?;
                Ok(output::line(&format!("{} {id} is gone from the next start of the node on", kind.name()))?)
            }
            Act::Reseal => {
                let resealed = app::accounts_beside(&config).await?.reseal().await?;
                Ok(output::line(&format!("{resealed} sealed anew with the current seal key"))?)
            }
        }
    }
}

fn list(config: &Config, out: &mut impl Write) -> Result<(), Failure> {
    let chosen = app::chosen_keys(config)?;
    let keys = app::keys(config, &Entropy::from_system())?;
    for kind in Kind::ALL.iter().copied() {
        let from = if chosen.has(kind) { "configuration" } else { "data directory" };
        for (place, id) in keys.ids(kind).iter().enumerate() {
            let state = if place == 0 { "current" } else { "previous" };
            writeln!(out, "{:<12} {id:<17} {state:<9} {from}", kind.name())?;
        }
    }
    Ok(())
}

/// Only what the data directory keeps can be changed here.
fn kept(config: &Config, kind: KindName) -> Result<Kind, Failure> {
    let kind = Kind::from(kind);
    if app::chosen_keys(config)?.has(kind) {
        let (option, previous) = (kind.option(), kind.previous_option());
        let how = format!("{option} is configured: put a new key there, and the old one into {previous}");
        return Err(Failure::of(how));
    }
    Ok(kind)
}
