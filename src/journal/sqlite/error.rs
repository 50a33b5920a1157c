//! What does it mean when SQLite says no? The one place that reads its errors; above it nobody sees them.

use crate::fault::Fault;
use crate::journal::AppendError;
use crate::journal::open::OpenError;

/// A failed read or small write.
pub fn fault(error: sqlx::Error) -> Fault {
    match error {
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) | sqlx::Error::ColumnNotFound(_) => {
            Fault::internal(error.to_string())
        }
        other => Fault::unavailable(other.to_string()),
    }
}

/// Before COMMIT everything is rolled back, whatever went wrong. Only a broken rule of the tables, or a value that does
/// not fit, speaks against the content; a full disk or a locked file may be better soon.
pub fn before_commit(error: &sqlx::Error) -> AppendError {
    let refused =
        matches!(error, sqlx::Error::Encode(_)) || matches!(code(error), Some(TOOBIG | CONSTRAINT | MISMATCH));
    if refused { AppendError::Rejected(error.to_string()) } else { AppendError::NotSent(error.to_string()) }
}

/// There is no connection, or no transaction could begin: the file may be locked by somebody.
pub fn not_begun(error: &sqlx::Error) -> AppendError {
    AppendError::NotSent(error.to_string())
}

/// At COMMIT the frames may stand in the file although the answer was an error.
pub fn at_commit(error: &sqlx::Error) -> AppendError {
    AppendError::Unknown(error.to_string())
}

/// SQLite's primary result codes that say something about a value or a row.
const TOOBIG: i32 = 18;
const CONSTRAINT: i32 = 19;
const MISMATCH: i32 = 20;

/// Those that opening a file can end with.
const PERM: i32 = 3;
const READONLY: i32 = 8;
const CANTOPEN: i32 = 14;
const CORRUPT: i32 = 11;
const NOTADB: i32 = 26;

pub fn opening(place: &str, error: &sqlx::Error) -> OpenError {
    let (place, detail) = (place.to_owned(), error.to_string());
    match code(error) {
        Some(NOTADB | CORRUPT) => OpenError::NotADatabase { place, detail },
        Some(READONLY | PERM | CANTOPEN) => OpenError::NotWritable { place, detail },
        _ => OpenError::NotReachable { place, detail },
    }
}

fn code(error: &sqlx::Error) -> Option<i32> {
    let extended = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(extended & 0xff)
}
