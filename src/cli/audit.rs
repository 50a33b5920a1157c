//! `onsale audit`: does the log keep its promises? Prints every violation with its invariant and place; exit code 1 if
//! there is one. What is checked is `crate::audit`'s business.

use super::failure::Failure;
use super::{Global, output};
use crate::app;
use crate::journal::SharedJournal;
use crate::journal::open::Role;

#[derive(clap::Args, Debug)]
pub struct Audit {}

/// What the audit found, ready to print.
pub struct Verdict {
    /// One line each: invariant, place, what is wrong.
    pub violations: Vec<String>,
    pub summary: String,
}

impl Audit {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        let journal = app::open_journal(&config, Role::Read).await?;
        let verdict = check(&journal).await?;
        for violation in &verdict.violations {
            output::line(violation)?;
        }
        if verdict.violations.is_empty() { Ok(output::line(&verdict.summary)?) } else { Err(Failure::said()) }
    }
}
