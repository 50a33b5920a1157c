//! `onsale migrate`: creates the database's schema or brings it up to date. Run by the role that owns the schema.

use super::failure::Failure;
use super::{Global, output};
use crate::{app, journal};

#[derive(clap::Args, Debug)]
pub struct Migrate {}

impl Migrate {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        let target = app::target(&config);
        app::make_data_directory(&config)?;
        journal::open::migrate(&target, app::chosen_partitions(&config)).await?;
        // The registry of the read models; they themselves are made by the next node that serves.
        app::open_store(&config).await?;
        Ok(output::line(&format!("the schema is up to date ({target:?})"))?)
    }
}
