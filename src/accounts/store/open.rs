//! Where are the accounts of this log? Beside it: in the same database, or in a file of their own.

use std::path::PathBuf;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;

use super::SharedCabinet;
use super::desk::Desk;
use super::postgres::Schema;
use super::sqlite::File;
use crate::fault::Fault;

#[derive(Clone)]
pub enum Place {
    /// In this directory.
    File(PathBuf),
    Database(Box<PgConnectOptions>),
}

/// Opens the accounts; makes their tables if there are none.
pub async fn open(place: Place) -> Result<SharedCabinet, Fault> {
    Ok(match place {
        Place::File(dir) => Arc::new(Desk(File::open(&dir).await?)),
        Place::Database(options) => Arc::new(Desk(Schema::open(*options).await?)),
    })
}
