//! What shall go wrong? The script of a simulated provider: rules by payment key, and dice.
//!
//! TOML:
//!
//! ```toml
//! [webhook]
//! url = "http://127.0.0.1:8080/v1/psp/toss/webhook"
//!
//! [[rule]]                  # rules for the same key and call apply one after the other
//! key = "pk_1"              # or "pk_vip*" for all that begin so
//! on = "confirm"            # confirm (the default), cancel or query
//! fault = "error"
//! status = 500
//! times = 10                # calls per payment (default 1)
//!
//! [random]                  # for whatever no rule and no prefix speaks of
//! seed = 7
//! confirm = { decline = 0.1, done-reset = 0.02 }
//! cancel = { done-silence = 0.05 }
//! webhook = { duplicated = 0.1 }
//! ```
//!
//! A mistake names the key and its line. What a fault does stands in `mischief.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits;

/// Which calls a fault meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum On {
    #[default]
    Confirm,
    Cancel,
    Query,
}

/// What goes wrong. `done-…`: the thing was done, and only the answer is bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    Decline,
    Delay,
    Silence,
    DoneSilence,
    Reset,
    DoneReset,
    Error,
    DoneError,
    RateLimit,
    Late,
    Duplicate,
    WrongAmount,
    WrongOrder,
    WrongKey,
    WrongCurrency,
    Malformed,
    Oversized,
    Redirect,
}

/// How the news of a payment goes round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum News {
    Normal,
    /// Before the call is answered, and before it has happened.
    Early,
    Late,
    Duplicated,
    /// "Done" and "aborted" at once.
    Contradictory,
    /// About a payment that does not exist.
    Forged,
    None,
}

/// A script as it is written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    #[serde(default)]
    pub webhook: Webhook,
    #[serde(default, rename = "rule")]
    pub rules: Vec<Rule>,
    #[serde(default)]
    pub random: Random,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    #[serde(default)]
    pub url: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub key: String,
    #[serde(default)]
    pub on: On,
    pub fault: Option<Fault>,
    pub webhook: Option<News>,
    #[serde(default = "once")]
    pub times: u32,
    /// Of `decline`, `error` and `done-error`.
    pub code: Option<String>,
    /// Of `error` and `done-error`.
    pub status: Option<u16>,
    /// Of `delay` and of late news.
    pub ms: Option<u64>,
    /// Of `late`: the payment is captured when it is looked up for the n-th time.
    pub looks: Option<u32>,
}

/// What some faults need to know.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct With {
    pub code: Option<String>,
    pub status: Option<u16>,
    pub ms: Option<u64>,
    pub looks: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Random {
    #[serde(default)]
    pub seed: u64,
    /// How long `delay` and late news take.
    pub ms: Option<u64>,
    #[serde(default)]
    pub confirm: BTreeMap<Fault, f64>,
    #[serde(default)]
    pub cancel: BTreeMap<Fault, f64>,
    #[serde(default)]
    pub query: BTreeMap<Fault, f64>,
    #[serde(default)]
    pub webhook: BTreeMap<News, f64>,
}

fn once() -> u32 {
    1
}

/// What is wrong with a script, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ScriptError {
    pub line: usize,
    pub problem: String,
}

impl Script {
    pub fn parse(text: &str) -> Result<Self, ScriptError> {
        let script: Self = toml::from_str(text).map_err(|error| {
            let line = line_of(text, error.span().map_or(0, |span| span.start));
            ScriptError { line, problem: format!("{}{}", key_at(text, line), error.message()) }
        })?;
        script.check().map_err(|(key, problem)| {
            let line = text.lines().position(|line| names(line, &key)).map_or(1, |index| index + 1);
            ScriptError { line, problem: format!("{key}: {problem}") }
        })?;
        for (index, rule) in script.rules.iter().enumerate() {
            rule.check().map_err(|problem| ScriptError { line: rule_line(text, index), problem })?;
        }
        Ok(script)
    }

    fn check(&self) -> Result<(), (String, String)> {
        let wrong = |key: &str, problem: &str| Err((key.to_owned(), problem.to_owned()));
        if !self.webhook.url.is_empty() && !self.webhook.url.starts_with("http://") {
            return wrong("url", "must start with http://");
        }
        if self.rules.len() > limits::SIMULATOR_RULES {
            return wrong("rule", "there are too many");
        }
        let faults =
            [("confirm", &self.random.confirm), ("cancel", &self.random.cancel), ("query", &self.random.query)];
        for (name, dice) in faults {
            probabilities(dice.values()).or_else(|problem| wrong(name, problem))?;
        }
        probabilities(self.random.webhook.values()).or_else(|problem| wrong("webhook", problem))?;
        for (name, dice) in [("cancel", &self.random.cancel), ("query", &self.random.query)] {
            if dice.contains_key(&Fault::Late) || (name == "query" && dice.contains_key(&Fault::Decline)) {
                return wrong(name, "late is for confirm only, and decline is not for query");
            }
        }
        too_long(self.random.ms).or_else(|problem| wrong("ms", &problem))
    }
}

impl Rule {
    /// Does it speak of this payment?
    #[must_use]
    pub fn is_about(&self, payment: &str) -> bool {
        match self.key.strip_suffix('*') {
            Some(beginning) => payment.starts_with(beginning),
            None => payment == self.key,
        }
    }

    #[must_use]
    pub fn with(&self) -> With {
        With { code: self.code.clone(), status: self.status, ms: self.ms, looks: self.looks }
    }

    fn check(&self) -> Result<(), String> {
        if self.key.is_empty() {
            return Err("key: must name a payment".to_owned());
        }
        if self.fault.is_none() && self.webhook.is_none() {
            return Err("rule: has neither fault nor webhook".to_owned());
        }
        match (self.fault, self.on) {
            (Some(Fault::Late), On::Cancel | On::Query) => return Err("on: late is for confirm only".to_owned()),
            (Some(Fault::Decline), On::Query) => return Err("on: decline is not for query".to_owned()),
            _ => {}
        }
        let status = self.status.unwrap_or(500);
        if !(400..=599).contains(&status) {
            return Err("status: must be 400 to 599".to_owned());
        }
        too_long(self.ms).map_err(|problem| format!("ms: {problem}"))
    }
}

fn too_long(ms: Option<u64>) -> Result<(), String> {
    let most = limits::SIMULATOR_SILENCE;
    match ms {
        Some(ms) if Duration::from_millis(ms) > most => Err(format!("must be at most {}", most.as_millis())),
        _ => Ok(()),
    }
}

fn probabilities<'a>(values: impl Iterator<Item = &'a f64>) -> Result<(), &'static str> {
    let mut sum = 0.0;
    for value in values {
        if !(0.0..=1.0).contains(value) {
            return Err("probabilities are between 0 and 1");
        }
        sum += value;
    }
    if sum > 1.000_001 { Err("the probabilities add up to more than 1") } else { Ok(()) }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

/// `key: ` of a line such as `key = value`, for messages that do not name it themselves.
fn key_at(text: &str, line: usize) -> String {
    let line = text.lines().nth(line - 1).unwrap_or_default();
    line.split_once('=').map_or_else(String::new, |(key, _)| format!("{}: ", key.trim()))
}

fn names(line: &str, key: &str) -> bool {
    let line = line.trim_start();
    line.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', ']']))
        || line.trim_end() == format!("[{key}]")
        || line.trim_end() == format!("[[{key}]]")
}

fn rule_line(text: &str, index: usize) -> usize {
    let heads = text.lines().enumerate().filter(|(_, line)| line.trim().starts_with("[[rule]]"));
    heads.map(|(number, _)| number + 1).nth(index).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read() {
        let text = "[webhook]\nurl = \"http://127.0.0.1:1/x\"\n[[rule]]\nkey = \"pk_1\"\nfault = \"done-reset\"\n\
                    [[rule]]\nkey = \"pk_*\"\non = \"cancel\"\nfault = \"error\"\nstatus = 503\ntimes = 10\n\
                    [random]\nseed = 7\nconfirm = { decline = 0.5, late = 0.5 }\nwebhook = { forged = 0.1 }\n";
        let script = Script::parse(text).unwrap();
        assert_eq!(script.rules[0].fault, Some(Fault::DoneReset));
        assert_eq!((script.rules[0].times, script.rules[1].times), (1, 10));
        assert!(
            script.rules[1].is_about("pk_x") && !script.rules[1].is_about("x") && !script.rules[0].is_about("pk_11")
        );
        assert_eq!(script.random.confirm[&Fault::Late], 0.5);
        assert_eq!(Script::parse("").unwrap(), Script::default());
    }

    #[test]
    fn mistakes_name_the_key_and_the_line() {
        let table = [
            ("[[rule]]\nkey = \"a\"\nfault = \"explode\"\n", "line 3: fault: unknown variant `explode`"),
            ("[[rule]]\nkey = \"a\"\nfault = \"error\"\ntimes = \"x\"\n", "line 4: times: invalid type"),
            ("[[rule]]\nfault = \"error\"\n", "line 1: missing field `key`"),
            ("\n[[rule]]\nkey = \"a\"\n", "line 2: rule: has neither fault nor webhook"),
            (
                "[[rule]]\nkey = \"a\"\nfault = \"error\"\n[[rule]]\nkey = \"\"\nfault = \"error\"\n",
                "line 4: key: must",
            ),
            ("[[rule]]\nkey = \"a\"\nfault = \"error\"\nstatus = 200\n", "line 1: status: must be 400 to 599"),
            ("[[rule]]\nkey = \"a\"\nfault = \"late\"\non = \"query\"\n", "line 1: on: late"),
            ("[[rule]]\nkey = \"a\"\nfault = \"delay\"\nms = 9999999\n", "line 1: ms: must be at most"),
            ("[random]\nseed = 1\nconfirm = { decline = 0.6, reset = 0.6 }\n", "line 3: confirm: the probabilities"),
            ("[random]\nconfirm = { decline = -1 }\n", "line 2: confirm: probabilities are"),
            ("[random]\nquery = { late = 0.1 }\n", "line 2: query: late"),
            ("[webhook]\nurl = \"nonsense\"\n", "line 2: url: must start with http://"),
            ("[webhok]\nurl = \"x\"\n", "line 1: unknown field `webhok`"),
            ("[random]\nseed = -1\n", "line 2: seed: "),
            ("[random\n", "line 1: "),
        ];
        for (text, expected) in table {
            let error = Script::parse(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{text:?}: {error}");
        }
        let unknown = Script::parse("[[rule]]\nkey = \"a\"\nfault = \"error\"\nnonsense = 1\n");
        let unknown = unknown.expect_err("an unknown member").to_string();
        assert!(unknown.contains("nonsense") && unknown.starts_with("line 4"), "{unknown}");
    }
}
