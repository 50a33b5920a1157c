//! What can be asked of the bench? Its own options, and those of `cargo test` that reach every test binary.

use std::path::PathBuf;

/// Breaks things on purpose and judges what is left.
#[derive(clap::Parser, Debug)]
#[command(name = "faults", disable_version_flag = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub act: Option<Act>,
    #[command(flatten)]
    pub choice: Choice,
    #[command(flatten)]
    pub harness: Harness,
    /// Of the test harness: which tests there are. There are none of its kind here.
    #[arg(long, hide = true)]
    pub list: bool,
}

/// Which rows run, and how often.
#[derive(clap::Args, Clone, Debug)]
pub struct Choice {
    /// Only rows whose name contains one of these.
    #[arg(value_name = "WORD")]
    pub words: Vec<String>,
    /// The rows that matter most, one round each (the default).
    #[arg(long, conflicts_with = "all")]
    pub quick: bool,
    /// Every row.
    #[arg(long)]
    pub all: bool,
    /// Only this row.
    #[arg(long, value_name = "ROW")]
    pub only: Vec<String>,
    /// How often each row runs.
    #[arg(long, default_value_t = 1)]
    pub rounds: u32,
    /// The first seed; round after round counts up from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Writes the results there, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Options that `cargo test` hands to every test binary; they mean nothing here.
#[derive(clap::Args, Debug)]
pub struct Harness {
    #[arg(long, hide = true)]
    format: Option<String>,
    #[arg(long, hide = true)]
    test_threads: Option<String>,
    #[arg(long, hide = true)]
    color: Option<String>,
    #[arg(long, hide = true)]
    skip: Vec<String>,
    #[arg(long, hide = true)]
    nocapture: bool,
    #[arg(long, hide = true)]
    no_capture: bool,
    #[arg(long, hide = true)]
    show_output: bool,
    #[arg(long, hide = true)]
    exact: bool,
    #[arg(long, hide = true)]
    include_ignored: bool,
    #[arg(long, hide = true)]
    ignored: bool,
    #[arg(short = 'q', long, hide = true)]
    quiet: bool,
    #[arg(short = 'Z', hide = true)]
    unstable: Option<String>,
}

#[derive(clap::Subcommand, Debug)]
pub enum Act {
    /// Prints the rows.
    List,
    /// Shows that the judge finds what was planted, and by which rule.
    SelfTest,
    /// Judges the files of a run that is over.
    Judge { directory: PathBuf },
    /// Load and random faults for a long time: does anything grow, hang or stay behind?
    Soak(Soak),
}

#[derive(clap::Args, Clone, Debug)]
pub struct Soak {
    #[arg(long, default_value_t = 30)]
    pub minutes: u64,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Writes the samples and the result there, too.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}
