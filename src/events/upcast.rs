//! How is a fact of an older shape read today? Raises payloads version by version to the one that is written now.
//!
//! A new field in a stored struct makes old bytes unreadable, even with a serde default. So new fields stand at the end of
//! their struct: a payload of the older version, followed by what the new fields were before there were any, is one of the
//! newer. A change of another shape decodes the old struct and packs the new one. The old golden files stay for ever.

use std::borrow::Cow;

use super::codec::{CodecError, pack};

/// `payload` of `kind` at `version`, as bytes of version `known`.
pub fn raise<'a>(kind: &str, version: u16, known: u16, payload: &'a [u8]) -> Result<Cow<'a, [u8]>, CodecError> {
    let mut raised = Cow::Borrowed(payload);
    for version in version..known {
        let added = added_after(kind, version)?;
        raised.to_mut().extend(added);
    }
    Ok(raised)
}

/// What the version after this one added at the end.
fn added_after(kind: &str, version: u16) -> Result<Vec<u8>, CodecError> {
    match (kind, version) {
        // Nobody was counted.
        ("order.placed", 1) => pack(&false),
        // No limit to the orders that hold seats, none to the holds that ended unpaid.
        ("performance.scheduled" | "performance.changed", 1) => pack(&(None::<u32>, None::<u32>)),
        _ => Err(CodecError::Malformed(format!("no way to raise {kind} from version {version}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_ever_written_is_raised() {
        assert_eq!(raise("order.placed", 2, 2, b"abc"), Ok(Cow::Borrowed(&b"abc"[..])));
        assert_eq!(raise("order.placed", 1, 2, b"abc").as_deref(), Ok(&b"abc\0"[..]));
        assert_eq!(raise("performance.changed", 1, 2, b"").as_deref(), Ok(&b"\0\0"[..]));
        for (kind, version) in [("order.placed", 0), ("seat.held", 0), ("order.expired", 1)] {
            assert!(raise(kind, version, version + 1, b"").is_err(), "{kind}");
        }
    }
}
