//! `onsale account`: gives an account another role, as only operators can. How the first admin is made.

use clap::Subcommand;

use super::Global;
use super::failure::Failure;
use super::output;
use super::roles::roles;
use crate::app;
use crate::auth::Role;

#[derive(clap::Args, Debug)]
pub struct Account {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand, Debug)]
enum What {
    /// Gives the account of that mail address a role. Its sessions end; the next sign-in has the role.
    Role {
        #[arg(long, value_name = "ADDRESS")]
        email: String,
        #[arg(long, value_parser = roles(Role::OF_PEOPLE))]
        role: Role,
    },
}

impl Account {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        let accounts = app::accounts_beside(&config).await?;
        let What::Role { email, role } = self.what;
        let id = accounts.set_role(email, role).await.map_err(|error| Failure::of(error.to_string()))?;
        Ok(output::line(&format!("{id} is {} from its next sign-in on", role.as_str()))?)
    }
}
