//! With which keys does a node sign and seal? What the operator configured, and the rest from the data directory.

use super::{StartError, target};
use crate::auth::keys::{Chosen, Kind};
use crate::auth::{KeyError, Keys};
use crate::clock::Entropy;
use crate::config::Config;
use crate::journal::open::Target;

/// The node's keys; those that nobody has are made.
pub fn keys(config: &Config, entropy: &Entropy) -> Result<Keys, StartError> {
    make_data_directory(config)?;
    Ok(Keys::open(chosen_keys(config)?, &config.data.dir, entropy)?)
}

/// What the operator configured of them.
pub fn chosen_keys(config: &Config) -> Result<Chosen, KeyError> {
    let auth = &config.auth;
    let mut chosen = Chosen::default();
    for (kind, current, previous) in [
        (Kind::Access, &auth.access_key, &auth.access_key_previous),
        (Kind::Ticket, &auth.ticket_key, &auth.ticket_key_previous),
        (Kind::Device, &auth.device_key, &auth.device_key_previous),
        (Kind::Seal, &auth.seal_key, &auth.seal_key_previous),
        (Kind::TicketCode, &auth.ticket_code_key, &auth.ticket_code_key_previous),
    ] {
        chosen.add(kind, current.expose(), previous.expose())?;
    }
    Ok(chosen)
}

/// Makes the directory, if anything is going to be kept there.
pub fn make_data_directory(config: &Config) -> Result<(), StartError> {
    let chosen = chosen_keys(config)?;
    let configured = Kind::ALL.iter().all(|kind| chosen.has(*kind));
    if configured && !matches!(target(config), Target::Sqlite { .. }) {
        return Ok(());
    }
    let directory = &config.data.dir;
    let failed = |source| StartError::Directory { path: directory.display().to_string(), source };
    std::fs::create_dir_all(directory).map_err(failed)
}
