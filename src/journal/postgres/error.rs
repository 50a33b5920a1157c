//! What does it mean when Postgres says no? The one place that reads its errors; above it nobody sees them.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::fault::Fault;
use crate::journal::AppendError;
use crate::journal::open::OpenError;

/// The server says that it does not know how its statement ended.
const COMPLETION_UNKNOWN: &str = "40003";
const UNDEFINED_TABLE: &str = "42P01";

/// A failed read or small write.
pub fn fault(error: sqlx::Error) -> Fault {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            Fault::internal(error.to_string())
        }
        other => Fault::unavailable(other.to_string()),
    }
}

/// Only the server's own answer, given by a session that lives on, says that nothing was written.
pub fn append(error: &sqlx::Error) -> AppendError {
    if is_definite(error) { AppendError::Rejected(error.to_string()) } else { AppendError::Unknown(error.to_string()) }
}

fn is_definite(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Database(answer) => answer
            .try_downcast_ref::<PgDatabaseError>()
            .is_some_and(|e| e.severity() == PgSeverity::Error && e.code() != COMPLETION_UNKNOWN),
        // Fails before anything is sent.
        sqlx::Error::Encode(_) => true,
        _ => false,
    }
}

pub fn has_no_schema(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == UNDEFINED_TABLE)
}

pub fn opening(place: &str, error: &sqlx::Error) -> OpenError {
    OpenError::NotReachable { place: place.to_owned(), detail: error.to_string() }
}
