//! Where are the read models of this log? Beside it: in the same database, or in a directory of their own.

use std::sync::Arc;

use super::Store;
use super::builds::Engine;
use super::postgres::Schemas;
use super::registry::Registry;
use super::sqlite::Files;
use super::types::StoreError;
use crate::clock::SystemClock;
use crate::journal::open::Target;

/// Opens the store only if there is one: whoever just looks makes nothing.
pub async fn look(target: &Target) -> Result<Option<Arc<dyn Store>>, StoreError> {
    let there = match target {
        Target::Sqlite { dir } => Files::exist(dir),
        Target::Postgres { url } => Schemas::open(url).await?.exist().await?,
    };
    if there { open(target).await.map(Some) } else { Ok(None) }
}

/// Opens the store that belongs to a log; makes its registry if there is none.
pub async fn open(target: &Target) -> Result<Arc<dyn Store>, StoreError> {
    let engine: Arc<dyn Engine> = match target {
        Target::Sqlite { dir } => Arc::new(Files::open(dir)?),
        Target::Postgres { url } => Arc::new(Schemas::open(url).await?),
    };
    Ok(Arc::new(Registry::open(engine, Arc::new(SystemClock)).await?))
}
