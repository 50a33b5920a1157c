//! What did the operator choose about mails? Section `[mail]`.

use serde::Deserialize;

use super::Secret;

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// With a password, so it is kept as one. Empty: files.
    pub url: Secret,
    pub from: String,
}
