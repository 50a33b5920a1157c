//! Who may do what with the log? The owner migrates it; the server's role adds to history and cannot change it.
//!
//! `grants.sql` is the whole list. Nobody here knows what the server does with what it may.

mod scram;

use sqlx::{Connection, PgConnection, Row};

use super::boot::run;
use super::connect::{connect, options, without_secrets};
use super::error::{opening, preparing};
use crate::clock::Entropy;
use crate::journal::open::{OpenError, ServerRole};

/// Makes the server's role if there is none, and gives it its password if there is one. Within a transaction.
pub async fn make(conn: &mut PgConnection, role: &ServerRole, place: &str) -> Result<(), OpenError> {
    let failed = |e: sqlx::Error| preparing(place, &role.name, &e);
    let row =
        sqlx::query(include_str!("role_state.sql")).bind(&role.name).fetch_one(&mut *conn).await.map_err(failed)?;
    let (us, exists, may_create) = (row.get::<&str, _>(0), row.get::<bool, _>(1), row.get::<bool, _>(2));
    if us == role.name {
        return Err(OpenError::MigratesAsServer(role.name.clone()));
    }
    if !exists && !may_create {
        let detail = format!(
            "it does not exist, and {us} may not create it; let an administrator run: CREATE ROLE {} LOGIN",
            role.name
        );
        return Err(OpenError::ServerRole { role: role.name.clone(), detail });
    }
    set(conn, "onsale.server_role", &role.name).await.map_err(failed)?;
    if !exists {
        run(conn, include_str!("role_create.sql")).await.map_err(failed)?;
    }
    let Some(password) = &role.password else { return Ok(()) };
    let verifier = scram::verifier(password, &Entropy::from_system().hash16().0);
    set(conn, "onsale.server_verifier", &verifier).await.map_err(failed)?;
    run(conn, include_str!("role_password.sql")).await.map_err(|e| match failed(e) {
        OpenError::ServerRole { role, detail } => {
            let detail = format!("its password may not be set ({detail}); leave database.server_password empty");
            OpenError::ServerRole { role, detail }
        }
        other => other,
    })
}

/// Gives the role exactly what the server needs. Within the transaction of [`make`].
pub async fn grant(conn: &mut PgConnection, role: &ServerRole, place: &str) -> Result<(), OpenError> {
    run(conn, include_str!("grants.sql")).await.map_err(|e| preparing(place, &role.name, &e))
}

async fn set(conn: &mut PgConnection, name: &str, value: &str) -> Result<(), sqlx::Error> {
    let query = sqlx::query(include_str!("role_setting.sql")).bind(name).bind(value);
    query.execute(conn).await.map(drop)
}

/// Could whoever this address logs in as edit history, and why? `None` also where there is no log yet.
pub async fn editor(url: &str) -> Result<Option<String>, OpenError> {
    let place = without_secrets(url);
    let conn = connect(&options(url)?).await;
    let mut conn = conn.map_err(|detail| OpenError::NotReachable { place: place.clone(), detail })?;
    let failed = |e: sqlx::Error| opening(&place, &e);
    let found = sqlx::query(include_str!("editor.sql")).fetch_optional(&mut conn).await.map_err(failed)?;
    // It has done its work, however it ends.
    let _ended = conn.close().await;
    let Some(row) = found else { return Ok(None) };
    let (who, why): (String, Option<String>) = (row.try_get(0).map_err(failed)?, row.try_get(1).map_err(failed)?);
    Ok(why.map(|why| format!("{who} {why}")))
}
