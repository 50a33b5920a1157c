//! Does this text, number or repetition make sense at all? The small checks that several nouns share.
//!
//! Knows nothing of any noun. Every helper answers with the refusal that the edge shows, pointing into the request.

use super::{Asked, Decision, Refusal};
use crate::ids::{CommandId, Hash16, Version};
use crate::limits;

/// A value that can be read but means nothing; `pointer` is the JSON pointer into the request's body.
pub(super) fn invalid(pointer: impl Into<String>, detail: impl Into<String>) -> Refusal {
    Refusal::InvalidValue { pointer: pointer.into(), detail: detail.into() }
}

/// `Ok` if the thing holds, else the refusal that points at the value.
pub(super) fn require(holds: bool, pointer: &str, detail: &str) -> Result<(), Refusal> {
    if holds { Ok(()) } else { Err(invalid(pointer, detail)) }
}

/// A name, title or word: not blank, not endless, one line.
pub(super) fn name(pointer: &str, text: &str) -> Result<(), Refusal> {
    let chars = text.chars().count();
    require(
        chars <= limits::NAME_CHARS && !text.trim().is_empty(),
        pointer,
        &format!("must have 1 to {} characters", limits::NAME_CHARS),
    )?;
    require(!text.chars().any(char::is_control), pointer, "must not contain control characters")
}

/// A section, row or seat label. No `-`, which separates the parts of a seat's id.
pub(super) fn label(pointer: &str, text: &str) -> Result<(), Refusal> {
    let chars = text.chars().count();
    require(
        (1..=limits::LABEL_CHARS).contains(&chars),
        pointer,
        &format!("must have 1 to {} characters", limits::LABEL_CHARS),
    )?;
    require(
        text.chars().all(|c| c.is_alphanumeric() || c == ' ') && text.trim() == text,
        pointer,
        "must consist of letters, digits and inner spaces",
    )
}

/// One member name of a JSON pointer, escaped as RFC 6901 wants it.
pub(super) fn pointer_part(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// What a creation on an existing stream means: ids of new things are derived from the command, so only a repetition
/// comes here. A creation is one fact, the stream's first.
pub(super) fn created_again<E>(first_body: Hash16, asked: &Asked) -> Result<Decision<E>, Refusal> {
    if first_body == asked.body { Ok(Decision::Replay(Version(1))) } else { Err(Refusal::KeyReused) }
}

/// A command that was accepted, as much of it as recognising its repetition takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Done {
    pub command: CommandId,
    pub body: Hash16,
    /// Of the lead stream's last fact of the command.
    pub version: Version,
}

impl Done {
    /// `None`: another command; else what the repetition is told.
    pub(super) fn again<E>(&self, asked: &Asked) -> Option<Result<Decision<E>, Refusal>> {
        if self.command != asked.command {
            return None;
        }
        Some(if self.body == asked.body { Ok(Decision::Replay(self.version)) } else { Err(Refusal::KeyReused) })
    }
}
