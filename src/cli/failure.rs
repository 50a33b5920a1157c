//! How does a verb end badly? One line on stderr and an exit code.

use std::io::Write;
use std::process::ExitCode;

use crate::app::StartError;
use crate::auth::KeyError;
use crate::config::ConfigError;
use crate::fault::Fault;
use crate::journal::open::OpenError;
use crate::projections::replay::ReplayError;
use crate::projections::store::StoreError;

/// The thing checked does not hold, or could not be done.
const FAILED: u8 = 1;
const USAGE: u8 = 2;
/// EX_CONFIG of sysexits.h.
const WRONG_CONFIGURATION: u8 = 78;

#[derive(Debug)]
pub struct Failure {
    code: u8,
    /// `None`: end quietly, the reader of our output went away.
    message: Option<String>,
}

impl Failure {
    pub fn of(message: impl Into<String>) -> Self {
        Self { code: FAILED, message: Some(message.into()) }
    }

    /// Wrong usage that only we can see, with the code that clap uses for it.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: Some(message.into()) }
    }

    pub fn configuration(message: impl Into<String>) -> Self {
        Self { code: WRONG_CONFIGURATION, message: Some(message.into()) }
    }

    /// Everything was said already.
    pub fn said() -> Self {
        Self { code: FAILED, message: None }
    }

    fn closed() -> Self {
        Self { code: 0, message: None }
    }

    /// Writes the line and gives the code.
    pub fn report(self) -> ExitCode {
        if let Some(message) = self.message {
            // Drivers like to explain themselves over several lines; operators grep for one.
            let line = message.split_whitespace().collect::<Vec<_>>().join(" ");
            // Nobody is left to be told if stderr is closed too.
            let _unheard = writeln!(std::io::stderr(), "onsale: {line}");
        }
        ExitCode::from(self.code)
    }
}

/// Errors of our own output. `onsale log export | head -1` closes the pipe, which is no error.
impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::BrokenPipe => Self::closed(),
            _ => Self::of(format!("cannot write: {error}")),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::configuration(format!("wrong configuration: {error}"))
    }
}

impl From<OpenError> for Failure {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::BadAddress(_)
            | OpenError::WrongPartitions { .. }
            | OpenError::BadPartitions(_)
            | OpenError::MigratesAsServer(_) => Self::configuration(format!("wrong configuration: {error}")),
            _ => Self::of(error.to_string()),
        }
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::of(fault.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::of(format!("the read models: {error}"))
    }
}

impl From<ReplayError> for Failure {
    fn from(error: ReplayError) -> Self {
        Self::of(error.to_string())
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        match error {
            // The disk's fault, not the operator's choice.
            KeyError::File { .. } => Self::of(error.to_string()),
            // What was asked for cannot be done; the configuration is well.
            KeyError::Full
            | KeyError::Current { .. }
            | KeyError::Oldest { .. }
            | KeyError::NoSuchKey { .. }
            | KeyError::NotMade { .. } => Self::of(error.to_string()),
            _ => Self::configuration(format!("wrong configuration: {error}")),
        }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::Config(error) => error.into(),
            StartError::Open(error) => error.into(),
            StartError::Keys(error) => error.into(),
            StartError::OtherSeal | StartError::NobodyToFollow => {
                Self::configuration(format!("wrong configuration: {error}"))
            }
            _ => Self::of(error.to_string()),
        }
    }
}
