//! `onsale migrate`: creates the database's schema or brings it up to date, and prepares the role that nodes work as. Run
//! by the role that owns the schema.

use super::failure::Failure;
use super::{Global, output};
use crate::app;
use crate::config::Flag;
use crate::journal::open::{self, Target};

#[derive(clap::Args, Debug)]
pub struct Migrate {
    /// The Postgres role that nodes work as [default: onsale_server]. Its password comes from
    /// ONSALE_DATABASE__SERVER_PASSWORD.
    #[arg(long, value_name = "ROLE")]
    server_role: Option<String>,
}

impl Migrate {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let role =
            self.server_role.map(|value| Flag { name: "server-role", section: "database", key: "server_role", value });
        let config = global.load(role.into_iter().collect())?;
        let target = app::target(&config);
        app::make_data_directory(&config)?;
        let migration = app::migration(&config);
        open::migrate(&target, &migration).await?;
        let whose = match (&target, migration.server) {
            (Target::Postgres { .. }, Some(role)) => format!("; nodes work as the role {}", role.name),
            _ => {
                // The registry of the read models; they themselves are made by the next node that serves.
                app::open_store(&config).await?;
                String::new()
            }
        };
        Ok(output::line(&format!("the schema is up to date ({target:?}){whose}"))?)
    }
}
