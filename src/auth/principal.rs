//! Who is it, in which role? Knows nothing of how that was proved (`token.rs`).

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, StoreId};

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
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    pub account: AccountId,
    pub role: Role,
    /// The one store that a `pos` or `display` token is good for.
    pub store: Option<StoreId>,
}

impl Principal {
    /// Sellers act on their own, admins on all.
    #[must_use]
    pub fn may_act_for(&self, owner: &AccountId) -> bool {
        self.role == Role::Admin || (self.role == Role::Seller && &self.account == owner)
    }
}
