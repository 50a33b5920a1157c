//! Which kinds of requests have a limit of their own, and whom does each count? One table.
//!
//! Which request belongs to which, the edge says; how many are allowed, the operator.

macro_rules! classes {
    ($($(#[$doc:meta])* $class:ident $name:literal $per:ident $shared:literal;)+) => {
        /// A kind of request, and whom it is counted for.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Class {
            $($(#[$doc])* $class),+
        }

        impl Class {
            pub const ALL: [Self; [$(Self::$class),+].len()] = [$(Self::$class),+];

            /// As in `RateLimit` and in the configuration.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$class => $name),+ }
            }

            #[must_use]
            pub fn per(self) -> Per {
                match self { $(Self::$class => Per::$per),+ }
            }

            /// Do all nodes count together, where they can?
            #[must_use]
            pub fn shared(self) -> bool {
                match self { $(Self::$class => $shared),+ }
            }
        }
    };
}

classes! {
    /// What people guess at: logins, codes, sign-up.
    AuthPerAddress "auth-per-address" Address true;
    /// What nobody can guess: refreshing a session and ending it.
    SessionPerAddress "session-per-address" Address true;
    StreamPerAddress "stream-per-address" Address true;
    ReadPerAddress "read-per-address" Address false;
    CommandPerAddress "command-per-address" Address false;
    ReadPerAccount "read-per-account" Account false;
    CommandPerAccount "command-per-account" Account false;
    /// Placing orders, which holds seats.
    PlacePerAccount "place-per-account" Account false;
    /// What a store's payment source sends.
    FeedPerAccount "feed-per-account" Account false;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    Address,
    Account,
}

impl Per {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Account => "account",
        }
    }
}
