//! `onsale config`: prints the commented defaults, which are the manual of all options.

use super::failure::Failure;
use super::output;
use crate::config;

#[derive(clap::Args, Debug)]
pub struct Settings {
    /// Print every option with its default and what it does.
    #[arg(long, required = true)]
    defaults: bool,
}

impl Settings {
    pub fn run(self) -> Result<(), Failure> {
        debug_assert!(self.defaults, "clap requires the flag");
        Ok(output::line(config::DEFAULTS.trim_end())?)
    }
}
