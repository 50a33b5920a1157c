//! What did the operator choose? Options from flags, environment, file and defaults, in this order of precedence.
//!
//! `onsale.default.toml` is embedded and is both the manual and the schema: it names every key with its type, so there
//! is no second list of defaults. Errors name the key and where it stands, never the value, which may be a secret. This is
//! the only file that reads the environment; what the options do is not known here.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::de::{DeTable, DeValue};
use toml::{Table, Value};

use self::edge::networks;
pub use self::edge::{Cors, Forwarding, Limits, Rate};
pub use self::mail::Mail;
pub use self::secret::Secret;
pub use self::sse::Sse;
use crate::limits;

mod edge;
mod mail;
mod secret;
mod sse;

/// The commented defaults, as `onsale config --defaults` prints them.
pub const DEFAULTS: &str = include_str!("../onsale.default.toml");

const PREFIX: &str = "ONSALE_";
/// Names that people type often, and the keys that they stand for.
const SHORT_FORMS: &[(&str, &str, &str)] = &[
    ("ONSALE_DATA", "data", "dir"),
    ("ONSALE_DATABASE_URL", "database", "url"),
    ("ONSALE_REDIS_URL", "redis", "url"),
    ("ONSALE_PSP_URL", "psp", "url"),
];

/// Every option.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub server: Server,
    pub data: Data,
    pub database: Database,
    pub redis: Redis,
    pub projections: Projections,
    pub psp: Psp,
    pub mail: Mail,
    pub log: Log,
    pub auth: Auth,
    pub sse: Sse,
    pub limits: Limits,
    pub cors: Cors,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: String,
    pub admin_listen: String,
    pub node: String,
    pub follow: bool,
    pub trusted_proxies: String,
    pub forwarded_header: Forwarding,
    pub public_url: String,
    pub hsts_seconds: u64,
    pub max_connections_per_address: usize,
    pub production: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Data {
    pub dir: PathBuf,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: Secret,
    pub partitions: u16,
    pub server_role: String,
    pub server_password: Secret,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    pub url: Secret,
    pub prefix: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Projections {
    pub run: bool,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Psp {
    pub url: Secret,
    pub mode: PspMode,
    pub secret_key: Secret,
    pub client_key: String,
    pub call_ms: u64,
    pub review_after_seconds: u64,
}

/// Is real money at stake?
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum PspMode {
    Test,
    Live,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: Format,
    pub level: String,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    Pretty,
    Json,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub access_key: Secret,
    pub access_key_previous: Secret,
    pub ticket_key: Secret,
    pub ticket_key_previous: Secret,
    pub device_key: Secret,
    pub device_key_previous: Secret,
    pub seal_key: Secret,
    pub seal_key_previous: Secret,
    pub ticket_code_key: Secret,
    pub ticket_code_key_previous: Secret,
}

/// What is wrong with the configuration: the key and the place, in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct ConfigError {
    place: String,
    problem: String,
}

impl ConfigError {
    pub fn new(place: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { place: place.into(), problem: problem.into() }
    }
}

/// The value that a flag gives to a key.
#[derive(Clone, Debug)]
pub struct Flag {
    pub name: &'static str,
    pub section: &'static str,
    pub key: &'static str,
    pub value: String,
}

impl Config {
    /// Reads what this process was started with.
    pub fn load(file: Option<&Path>, flags: &[Flag]) -> Result<Self, ConfigError> {
        #[allow(clippy::disallowed_methods, reason = "the one place that reads the environment")]
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
            .filter(|(name, _)| name.starts_with(PREFIX))
            .map(|(name, value)| {
                let value = value.into_string();
                value.map(|value| (name.clone(), value)).map_err(|_| ConfigError::new(name, "is not valid UTF-8"))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let file = file
            .map(|path| {
                std::fs::read_to_string(path)
                    .map(|text| (path.display().to_string(), text))
                    .map_err(|e| ConfigError::new(path.display().to_string(), format!("cannot be read: {e}")))
            })
            .transpose()?;
        Self::from_parts(file.as_ref().map(|(name, text)| (name.as_str(), text.as_str())), environment, flags)
    }

    /// The same with everything handed in; only files that secrets are in are read.
    pub fn from_parts(
        file: Option<(&str, &str)>,
        mut environment: Vec<(String, String)>,
        flags: &[Flag],
    ) -> Result<Self, ConfigError> {
        let mut merged: Table = DEFAULTS.parse().map_err(|_| ConfigError::new("onsale.default.toml", "not TOML"))?;
        if let Some((name, text)) = file {
            merge_file(&mut merged, name, text)?;
        }
        // The long form of a key wins over the short one, whatever the order of the environment.
        environment.sort_by_key(|(name, _)| name.contains("__"));
        for (name, value) in &environment {
            merge_variable(&mut merged, name, value)?;
        }
        for flag in flags {
            put_text(&mut merged, flag.section, flag.key, &flag.value, &format!("--{}", flag.name))?;
        }
        let config: Self = merged.try_into().map_err(|e: toml::de::Error| {
            // Only secrets' files, ranges and closed sets of words can still be wrong here; serde would quote the value.
            let problem = secret::problem(e.message());
            ConfigError::new(
                last_key(&e),
                problem.unwrap_or("has a value that is out of range or not one of the choices"),
            )
        })?;
        config.checked()
    }

    fn checked(self) -> Result<Self, ConfigError> {
        let wrong = |key: &str, problem: String| Err(ConfigError::new(key, problem));
        if !(1..=limits::MAX_PARTITIONS).contains(&self.database.partitions) {
            return wrong("database.partitions", format!("must be 1 to {}", limits::MAX_PARTITIONS));
        }
        for (key, address) in
            [("server.listen", &self.server.listen), ("server.admin_listen", &self.server.admin_listen)]
        {
            let optional = key == "server.admin_listen" && address.is_empty();
            if !optional && address.parse::<std::net::SocketAddr>().is_err() {
                return wrong(key, "must be an address with a port, for example 127.0.0.1:8080".to_owned());
            }
        }
        let url = self.database.url.expose();
        let known = ["postgres://", "postgresql://", "sqlite:"];
        if !url.is_empty() && !known.iter().any(|scheme| url.starts_with(scheme)) {
            return wrong("database.url", "must start with postgres:// or sqlite:".to_owned());
        }
        let role = self.database.server_role.as_str();
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if role.len() > limits::ROLE_NAME_BYTES
            || !role.chars().all(plain)
            || role.starts_with(|c: char| c.is_ascii_digit())
        {
            return wrong(
                "database.server_role",
                "must be small letters, digits and _, and not begin with a digit".to_owned(),
            );
        }
        if !self.database.server_password.expose().chars().all(|c| c == ' ' || c.is_ascii_graphic()) {
            return wrong("database.server_password", "must be printable ASCII".to_owned());
        }
        if url == "sqlite:" {
            return wrong("database.url", "names no directory; sqlite:DIR does".to_owned());
        }
        let psp = limits::PSP_CALL_MILLIS_MIN..=limits::PSP_CALL_MILLIS_MAX;
        if !psp.contains(&self.psp.call_ms) {
            return wrong("psp.call_ms", format!("must be {} to {}", psp.start(), psp.end()));
        }
        let review = limits::REVIEW_SECONDS_MIN..=limits::REVIEW_SECONDS_MAX;
        if !review.contains(&self.psp.review_after_seconds) {
            return wrong("psp.review_after_seconds", format!("must be {} to {}", review.start(), review.end()));
        }
        if self.auth.access_key.is_set() != self.auth.ticket_key.is_set() {
            return wrong(
                "auth.access_key",
                "auth.access_key and auth.ticket_key are set together or not at all".to_owned(),
            );
        }
        self.sse.checked()?;
        self.server.edge_checked()?;
        self.limits.checked()?;
        self.cors.checked()?;
        Ok(self)
    }
}

/// The key that serde complains about, without the value.
fn last_key(error: &toml::de::Error) -> String {
    let text = error.to_string();
    let key = text.lines().find_map(|line| line.strip_prefix("in `")).and_then(|rest| rest.split('`').next());
    key.unwrap_or("configuration").to_owned()
}

fn merge_file(merged: &mut Table, name: &str, text: &str) -> Result<(), ConfigError> {
    let line = |offset: usize| text[..offset.min(text.len())].matches('\n').count() + 1;
    let place = |offset: usize| format!("{name}:{}", line(offset));
    let document = DeTable::parse(text)
        // The parser's own words about syntax; its rendering of the line could show a secret.
        .map_err(|e| ConfigError::new(place(e.span().map_or(0, |s| s.start)), format!("not TOML: {}", e.message())))?;
    for (section, table) in document.get_ref() {
        let section_name: &str = section.get_ref();
        let at = place(section.span().start);
        if !merged.contains_key(section_name) {
            return Err(ConfigError::new(
                at,
                format!("unknown section [{section_name}]{}", nearest(merged, section_name)),
            ));
        }
        let DeValue::Table(entries) = table.get_ref() else {
            return Err(ConfigError::new(at, format!("{section_name} must be a section: [{section_name}]")));
        };
        for (key, value) in entries {
            let value = owned(value.get_ref());
            put(merged, section_name, key.get_ref(), value, &place(key.span().start))?;
        }
    }
    Ok(())
}

fn merge_variable(merged: &mut Table, name: &str, value: &str) -> Result<(), ConfigError> {
    if let Some((_, section, key)) = SHORT_FORMS.iter().find(|(short, ..)| *short == name) {
        return put_text(merged, section, key, value, name);
    }
    // Other names with our prefix belong to somebody else (tests, scripts); only a double underscore speaks to us.
    match name.strip_prefix(PREFIX).and_then(|rest| rest.split_once("__")) {
        Some((section, key)) => {
            put_text(merged, &section.to_lowercase(), &key.to_lowercase(), value, &format!("environment {name}"))
        }
        None => Ok(()),
    }
}

/// A text from a flag or a variable takes the type of the default.
fn put_text(merged: &mut Table, section: &str, key: &str, text: &str, place: &str) -> Result<(), ConfigError> {
    let value = match merged.get(section).and_then(|s| s.get(key)) {
        Some(Value::Integer(_)) => text.parse().map(Value::Integer).ok(),
        Some(Value::Boolean(_)) => text.parse().map(Value::Boolean).ok(),
        _ => None,
    };
    put(merged, section, key, value.unwrap_or_else(|| Value::String(text.to_owned())), place)
}

fn put(merged: &mut Table, section: &str, key: &str, value: Value, place: &str) -> Result<(), ConfigError> {
    let hint = nearest(merged, section);
    let Some(Value::Table(entries)) = merged.get_mut(section) else {
        return Err(ConfigError::new(place, format!("unknown section {section}{hint}")));
    };
    let hint = nearest(entries, key);
    let Some(slot) = entries.get_mut(key) else {
        return Err(ConfigError::new(place, format!("unknown key {section}.{key}{hint}")));
    };
    if !slot.same_type(&value) {
        let (wanted, found) = (slot.type_str(), value.type_str());
        return Err(ConfigError::new(place, format!("{section}.{key} must be {}, not {}", a(wanted), a(found))));
    }
    *slot = value;
    Ok(())
}

/// `a string`, `an integer`.
fn a(kind: &str) -> String {
    let article = if kind.starts_with(['a', 'i']) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// What exists instead, for the message about a name that does not.
fn nearest(table: &Table, _name: &str) -> String {
    format!("; there are: {}", table.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// Types without meaning here keep their kind only, so that the mismatch can be named.
fn owned(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let parsed = i64::from_str_radix(number.as_str(), number.radix());
            parsed.map_or(Value::Float(0.0), Value::Integer)
        }
        DeValue::Boolean(flag) => Value::Boolean(*flag),
        DeValue::Float(_) => Value::Float(0.0),
        DeValue::Datetime(moment) => Value::Datetime(*moment),
        DeValue::Array(_) => Value::Array(Vec::new()),
        DeValue::Table(_) => Value::Table(Table::new()),
    }
}

#[cfg(test)]
mod tests;
