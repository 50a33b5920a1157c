//! What must not be so in production, and what is an operator told about it at start?
//!
//! `server.production` turns warnings about history into refusals. What the proxy in front does (TLS) is not seen here.

use crate::app::{StartError, target};
use crate::config::{Config, ConfigError, PspMode};
use crate::journal::open::{self, Target};

/// Refuses what must not be, and warns of what may be meant so.
pub(super) async fn check(config: &Config) -> Result<(), StartError> {
    if let Some(who) = open::editor(&target(config)).await? {
        let told = format!(
            "{who}, so this node could edit history: run `onsale migrate` as the owner of the log, and let this node's \
             address name the role {}",
            server_role(config)
        );
        if config.server.production {
            return Err(ConfigError::new("database.url", told).into());
        }
        tracing::warn!("database.url: {told}");
    }
    if config.server.production {
        for warning in doubts(config) {
            tracing::warn!("{warning}");
        }
    }
    Ok(())
}

fn server_role(config: &Config) -> &str {
    match config.database.server_role.as_str() {
        "" => "that database.server_role names",
        name => name,
    }
}

/// What is odd in production, but may be meant so.
fn doubts(config: &Config) -> Vec<&'static str> {
    let on_postgres = matches!(target(config), Target::Postgres { .. });
    let own_keys = !config.auth.access_key.is_set() || !config.auth.ticket_code_key.is_set();
    let table = [
        (
            !on_postgres,
            "database.url: the embedded log is one file on one machine; who may write to it could edit history",
        ),
        (
            on_postgres && own_keys,
            "auth: keys come from this node's data directory; other nodes on this database need the same ones",
        ),
        (config.psp.url.is_set() && config.psp.mode == PspMode::Test, "psp.mode: test payments move no money"),
    ];
    table.into_iter().filter(|(holds, _)| *holds).map(|(_, warning)| warning).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubts_are_told_one_by_one() {
        let config = |file: &str| Config::from_parts(Some(("f", file)), Vec::new(), &[]).unwrap();
        let postgres = "[database]\nurl = \"postgres://h/d\"\n";
        let keys =
            format!("[auth]\naccess_key = \"{0}\"\nticket_key = \"{0}\"\nticket_code_key = \"{0}\"\n", "k".repeat(32));
        let paying = |mode: &str| format!("[psp]\nurl = \"http://h\"\nmode = \"{mode}\"\n");
        let table = [
            (String::new(), vec!["database.url"]),
            (postgres.to_owned(), vec!["auth"]),
            (format!("{postgres}{keys}"), vec![]),
            (format!("{postgres}{keys}{}", paying("live")), vec![]),
            (format!("{postgres}{keys}{}", paying("test")), vec!["psp.mode"]),
        ];
        for (file, expected) in table {
            let found = doubts(&config(&file));
            let keys: Vec<&str> = found.iter().filter_map(|told| told.split(':').next()).collect();
            assert_eq!(keys, expected, "{file}");
        }
    }
}
