//! Where are the accounts of this log? Beside the log.

use super::{StartError, target};
use crate::accounts::store::{self, Place, SharedCabinet};
use crate::config::Config;
use crate::journal::open::Target;
use crate::journal::postgres;

/// Opens the cabinet that belongs to the log.
pub async fn cabinet(config: &Config) -> Result<SharedCabinet, StartError> {
    let place = match target(config) {
        Target::Sqlite { dir } => Place::File(dir),
        Target::Postgres { url } => Place::Database(Box::new(postgres::options(&url)?)),
    };
    Ok(store::open(place).await?)
}
