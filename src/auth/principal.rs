//! Who is it, in which role, and by which credential? Knows nothing of how that was proved (`token.rs`).

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, CredentialId, StoreId};
use crate::timestamp::Timestamp;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Member,
    Seller,
    Counsellor,
    Admin,
    /// A payment source, bound to one store.
    Pos,
    /// A screen, bound to one store.
    Display,
}

impl Role {
    pub const ALL: [Self; 6] = [Self::Member, Self::Seller, Self::Counsellor, Self::Admin, Self::Pos, Self::Display];
    /// What somebody with an account can be.
    pub const OF_PEOPLE: [Self; 4] = [Self::Member, Self::Seller, Self::Counsellor, Self::Admin];

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// As in tokens.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Seller => "seller",
            Self::Counsellor => "counsellor",
            Self::Admin => "admin",
            Self::Pos => "pos",
            Self::Display => "display",
        }
    }

    /// A thing on a counter, not a person: its token is good for one store alone.
    #[must_use]
    pub fn is_device(self) -> bool {
        matches!(self, Self::Pos | Self::Display)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: AccountId,
    pub role: Role,
    /// The one store that a `pos` or `display` token is good for.
    pub store: Option<StoreId>,
    /// The session or device token by which it acts, and with which that ends; `None`: a token of an operator, signed on the
    /// command line.
    pub session: Option<CredentialId>,
    /// Has a second factor been shown? An operator's token counts as such: who can sign one holds the keys.
    pub proven: bool,
    /// When the credential was given out. What was revoked later than that does not count any more.
    pub issued: Timestamp,
}

impl Principal {
    /// As an operator signs it on the command line.
    #[must_use]
    pub fn operator(account: AccountId, role: Role, store: Option<StoreId>, issued: Timestamp) -> Self {
        Self { account, role, store, session: None, proven: true, issued }
    }

    /// Sellers act on their own, admins on all.
    #[must_use]
    pub fn may_act_for(&self, owner: &AccountId) -> bool {
        self.role == Role::Admin || (self.role == Role::Seller && &self.account == owner)
    }
}
