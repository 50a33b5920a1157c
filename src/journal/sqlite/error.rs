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

/// Before COMMIT everything is rolled back, whatever went wrong.
pub fn before_commit(error: &sqlx::Error) -> AppendError {
    AppendError::Rejected(error.to_string())
}

/// At COMMIT the frames may stand in the file although the answer was an error.
pub fn at_commit(error: &sqlx::Error) -> AppendError {
    AppendError::Unknown(error.to_string())
}

/// SQLite's primary result codes that opening a file can end with.
const PERM: i32 = 3;
const READONLY: i32 = 8;
const CANTOPEN: i32 = 14;
const CORRUPT: i32 = 11;
const NOTADB: i32 = 26;

pub fn opening(place: &str, error: &sqlx::Error) -> OpenError {
    let (place, detail) = (place.to_owned(), error.to_string());
    let code = error.as_database_error().and_then(|e| e.code()).and_then(|code| code.parse::<i32>().ok());
    match code.map(|code| code & 0xff) {
        Some(NOTADB | CORRUPT) => OpenError::NotADatabase { place, detail },
        Some(READONLY | PERM | CANTOPEN) => OpenError::NotWritable { place, detail },
        _ => OpenError::NotReachable { place, detail },
    }
}
