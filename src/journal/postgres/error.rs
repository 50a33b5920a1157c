//! What does it mean when Postgres says no? The one place that reads its errors; above it nobody sees them.

use sqlx::postgres::{PgDatabaseError, PgSeverity};

use crate::fault::Fault;
use crate::journal::AppendError;
use crate::journal::open::OpenError;

/// Classes of answers to a statement about its rows: cardinality, data, constraints, limits of the program, triggers.
const CONTENT: [&str; 5] = ["21", "22", "23", "54", "P0"];
/// Classes of answers about the moment: read-only, rolled back for another's sake, out of space, object in use.
const CIRCUMSTANCE: [&str; 4] = ["25", "40", "53", "55"];
/// The server says that it does not know how its statement ended.
const COMPLETION_UNKNOWN: &str = "40003";
const UNDEFINED_TABLE: &str = "42P01";
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// A failed read or small write.
pub fn fault(error: sqlx::Error) -> Fault {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            Fault::internal(error.to_string())
        }
        other => Fault::unavailable(other.to_string()),
    }
}

/// Only the server's own answer, given by a session that lives on, says that nothing was written; and only some answers
/// speak of the content. A cancelled statement (57014) may have been cancelled just after its commit.
pub fn append(error: &sqlx::Error) -> AppendError {
    let text = error.to_string();
    match error {
        // Fails before anything is sent.
        sqlx::Error::Encode(_) => AppendError::Rejected(text),
        sqlx::Error::Database(answer) => match answer.try_downcast_ref::<PgDatabaseError>() {
            Some(e) if e.severity() == PgSeverity::Error && e.code() != COMPLETION_UNKNOWN => {
                let class = e.code().get(..2).unwrap_or_default();
                if CONTENT.contains(&class) {
                    AppendError::Rejected(text)
                } else if CIRCUMSTANCE.contains(&class) {
                    AppendError::NotSent(text)
                } else {
                    AppendError::Unknown(text)
                }
            }
            _ => AppendError::Unknown(text),
        },
        _ => AppendError::Unknown(text),
    }
}

pub fn has_no_schema(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|e| e.code()).is_some_and(|code| code == UNDEFINED_TABLE)
}

/// Preparing the server's role: what a migrating role may not do is for somebody else to do.
pub fn preparing(place: &str, role: &str, error: &sqlx::Error) -> OpenError {
    match error.as_database_error() {
        Some(answer) if answer.code().is_some_and(|code| code == INSUFFICIENT_PRIVILEGE) => {
            OpenError::ServerRole { role: role.to_owned(), detail: answer.message().to_owned() }
        }
        _ => opening(place, error),
    }
}

pub fn opening(place: &str, error: &sqlx::Error) -> OpenError {
    OpenError::NotReachable { place: place.to_owned(), detail: error.to_string() }
}
