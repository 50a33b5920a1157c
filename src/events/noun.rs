//! How is a noun's set of facts declared? One line a kind; the enum, its kinds, and the way to bytes and JSON follow from it.

/// Declares the facts of a noun: each variant with its payload struct, its kind and the version written today.
macro_rules! noun_events {
    ($enum:ident in $noun:ident { $($variant:ident($kind:literal, $version:literal)),+ $(,)? }) => {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum $enum {
            $($variant($variant)),+
        }

        pub const KINDS: &[$crate::events::Kind] =
            &[$($crate::events::Kind { name: $kind, version: $version }),+];

        impl $enum {
            #[must_use]
            pub fn kind(&self) -> $crate::events::Kind {
                match self {
                    $(Self::$variant(_) => $crate::events::Kind { name: $kind, version: $version }),+
                }
            }

            pub(in $crate::events) fn encode(&self) -> Result<Vec<u8>, $crate::events::codec::CodecError> {
                match self {
                    $(Self::$variant(data) => $crate::events::codec::pack(data)),+
                }
            }

            pub(in $crate::events) fn decode(
                kind: &str,
                bytes: &[u8],
            ) -> Option<Result<Self, $crate::events::codec::CodecError>> {
                match kind {
                    $($kind => Some($crate::events::codec::unpack(bytes).map(Self::$variant)),)+
                    _ => None,
                }
            }

            /// The payload as people and foreign checkers read it.
            pub(in $crate::events) fn to_json(&self) -> serde_json::Result<serde_json::Value> {
                match self {
                    $(Self::$variant(data) => serde_json::to_value(data)),+
                }
            }
        }

        $(impl From<$variant> for $enum {
            fn from(data: $variant) -> Self {
                Self::$variant(data)
            }
        })+

        impl $crate::events::NounEvent for $enum {
            fn into_event(self) -> $crate::events::Event {
                $crate::events::Event::$noun(self)
            }

            fn from_event(event: $crate::events::Event) -> Option<Self> {
                match event {
                    $crate::events::Event::$noun(event) => Some(event),
                    _ => None,
                }
            }

            fn kind(&self) -> $crate::events::Kind {
                $enum::kind(self)
            }

            fn payload(&self) -> Result<Vec<u8>, $crate::events::codec::CodecError> {
                self.encode()
            }
        }
    };
}
pub(crate) use noun_events;
