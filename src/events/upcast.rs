//! How is a fact of an older shape read today? Raises payloads version by version to the one that is written now.
//!
//! Every kind is at version 1 so far, so there is nothing to raise. A new field in a stored struct makes old bytes
//! unreadable, even with a serde default: add a version here that decodes the old struct, fills the field and packs the
//! new one, and keep the old golden file.

use std::borrow::Cow;

use super::codec::CodecError;

/// `payload` of `kind` at `version`, as bytes of version `known`.
pub fn raise<'a>(kind: &str, version: u16, known: u16, payload: &'a [u8]) -> Result<Cow<'a, [u8]>, CodecError> {
    if version == known {
        Ok(Cow::Borrowed(payload))
    } else {
        Err(CodecError::Malformed(format!("no way to raise {kind} from version {version} to {known}")))
    }
}
