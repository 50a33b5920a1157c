//! What are keys for? Each purpose has a name, a place in a file, and options of its own.

use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident $name:literal $option:literal $previous:literal;)+) => {
        /// What a key is for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum Kind {
            $($(#[$doc])* $kind),+
        }

        impl Kind {
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$kind => $name),+ }
            }

            /// Where an operator sets it, and the ones before it.
            #[must_use]
            pub fn option(self) -> &'static str {
                match self { $(Self::$kind => $option),+ }
            }

            #[must_use]
            pub fn previous_option(self) -> &'static str {
                match self { $(Self::$kind => $previous),+ }
            }
        }
    };
}

kinds! {
    /// Access tokens.
    #[serde(rename = "access")]
    Access "access" "auth.access_key" "auth.access_key_previous";
    /// Stream tickets.
    #[serde(rename = "tickets")]
    Ticket "ticket" "auth.ticket_key" "auth.ticket_key_previous";
    /// Tokens of a store's devices.
    #[serde(rename = "device")]
    Device "device" "auth.device_key" "auth.device_key_previous";
    /// Personal data.
    #[serde(rename = "seal")]
    Seal "seal" "auth.seal_key" "auth.seal_key_previous";
    /// Ticket codes, which gates check offline.
    #[serde(rename = "ticket-code")]
    TicketCode "ticket-code" "auth.ticket_code_key" "auth.ticket_code_key_previous";
}
