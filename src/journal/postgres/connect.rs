//! How do we talk to the server? Connections of our own for what must not be cut short, a pool for what only reads.
//!
//! Nothing that writes runs in a future that its caller can drop, and no connection of the pool is given on while the
//! server still holds a transaction open in it.

use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions};
use sqlx::{ConnectOptions, PgConnection, Row};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::fault::Fault;
use crate::journal::open::OpenError;
use crate::limits;

/// The address without user and password, for messages.
#[must_use]
pub fn without_secrets(url: &str) -> String {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let before_query = after_scheme.split(['?', '#']).next().unwrap_or_default();
    let at = before_query.rfind('@').map_or(0, |at| at + 1);
    format!("postgres://{}", &before_query[at..])
}

pub fn options(url: &str) -> Result<PgConnectOptions, OpenError> {
    let statement_ms = limits::STATEMENT_TIME.as_millis().to_string();
    let options = PgConnectOptions::from_str(url)
        // The error text of the parser may quote the address, password and all.
        .map_err(|_| OpenError::BadAddress(without_secrets(url)))?
        .application_name("onsale")
        .options([
            ("statement_timeout", statement_ms.as_str()),
            ("idle_in_transaction_session_timeout", statement_ms.as_str()),
            ("tcp_keepalives_idle", "5"),
            ("tcp_keepalives_interval", "1"),
            ("tcp_keepalives_count", "3"),
            // Our statements take less than the compiling of their plans would: 40 ms for a load of half a millisecond.
            ("jit", "off"),
        ])
        .disable_statement_logging();
    Ok(options)
}

/// Connections for reading. A plan made while the log was small must not become a scan of a large one, nor of a whole
/// partition: to an empty table, an index whose result has to be sorted looks as good as the one that gives it in order.
pub async fn readers(options: &PgConnectOptions) -> Result<PgPool, sqlx::Error> {
    PgPoolOptions::new()
        .max_connections(limits::READ_CONNECTIONS)
        .acquire_timeout(limits::CONNECT_TIME)
        .after_release(|conn, _| {
            Box::pin(async move {
                // Outside a transaction both are the time of this statement; as one simple message, since in the
                // extended protocol the transaction begins with the parsing, before the statement does.
                let idle = sqlx::raw_sql("SELECT now() = statement_timestamp()").fetch_one(conn);
                match timeout(limits::CONNECT_TIME, idle).await {
                    Ok(row) => row?.try_get(0),
                    Err(_) => Ok(false),
                }
            })
        })
        .connect_with(options.clone().options([("enable_seqscan", "off"), ("enable_sort", "off")]))
        .await
}

/// One connection, in one hand at a time. It is thrown away when something about it is in doubt.
pub struct Owned {
    options: PgConnectOptions,
    slot: Mutex<Option<PgConnection>>,
}

/// Why a piece of work on an [`Owned`] connection gave no result.
pub enum Failure {
    /// There was no connection to send it on.
    NotSent(String),
    /// The answer did not come in time.
    NoAnswer,
    Sql(sqlx::Error),
}

impl Failure {
    pub fn text(&self) -> String {
        match self {
            Self::NotSent(detail) => format!("not sent: {detail}"),
            Self::NoAnswer => format!("no answer within {:?}", limits::STATEMENT_ANSWER),
            Self::Sql(error) => error.to_string(),
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sql(error) => super::error::fault(error),
            other => Self::unavailable(other.text()),
        }
    }
}

impl Owned {
    pub fn new(options: PgConnectOptions) -> Arc<Self> {
        Arc::new(Self { options, slot: Mutex::new(None) })
    }

    /// Runs work that ends every transaction it begins. The connection is kept only after a result, or after an error
    /// that is the server's answer to a single statement.
    pub async fn run<T>(
        &self,
        keep: impl Fn(&sqlx::Error) -> bool,
        work: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, Failure> {
        let mut slot = self.slot.lock().await;
        let mut conn = match slot.take() {
            Some(conn) => conn,
            None => connect(&self.options).await.map_err(Failure::NotSent)?,
        };
        match timeout(limits::STATEMENT_ANSWER, work(&mut conn)).await {
            Ok(Ok(result)) => {
                *slot = Some(conn);
                Ok(result)
            }
            Ok(Err(error)) => {
                if keep(&error) {
                    *slot = Some(conn);
                }
                Err(Failure::Sql(error))
            }
            Err(_) => Err(Failure::NoAnswer),
        }
    }
}

/// Runs work in a task of its own, so that dropping the caller's future cancels nothing half-way.
pub async fn apart<T: Send + 'static, E: Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
    lost: impl FnOnce(String) -> E,
) -> Result<T, E> {
    tokio::spawn(work).await.unwrap_or_else(|e| Err(lost(e.to_string())))
}

pub async fn connect(options: &PgConnectOptions) -> Result<PgConnection, String> {
    match timeout(limits::CONNECT_TIME, options.connect()).await {
        Ok(Ok(conn)) => Ok(conn),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no connection within {:?}", limits::CONNECT_TIME)),
    }
}

/// A reading that does not end is given up: the node must not wait for a connection that nobody answers on any more.
pub async fn answered<T>(reading: impl Future<Output = Result<T, Fault>>) -> Result<T, Fault> {
    let late = |_| Err(Fault::unavailable("the log does not answer"));
    tokio::time::timeout(limits::STATEMENT_ANSWER, reading).await.unwrap_or_else(late)
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn addresses_lose_their_secrets() {
        let table = [
            ("postgres://me:hush@db:5432/sale", "postgres://db:5432/sale"),
            ("postgres://me:hu@sh@db/sale?password=hush", "postgres://db/sale"),
            ("db/sale", "postgres://db/sale"),
        ];
        for (url, expected) in table {
            assert_eq!(without_secrets(url), expected);
        }
    }
}
