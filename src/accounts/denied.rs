//! What can be denied to somebody who signs in or changes an account, and why.
//!
//! A denial is a business no; that accounts could not be asked is a [`Fault`].

use std::time::Duration;

use crate::auth::Weak;
use crate::fault::Fault;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// Unknown, wrong or locked: alike.
    #[error("the e-mail address, the password or the code is wrong")]
    InvalidCredentials,
    #[error("a second factor is required")]
    TotpRequired,
    #[error("the code is wrong, used or too old")]
    CodeInvalid,
    #[error("the refresh token is not valid")]
    RefreshInvalid,
    #[error("too many failures from this address")]
    TooManyFailures { wait: Duration },
    #[error("values have no meaning here")]
    Invalid(Vec<Invalid>),
    #[error("a second factor is set up already")]
    AlreadyEnrolled,
    #[error("no second factor has been set up")]
    NotEnrolled,
    /// The role needs one.
    #[error("this role needs its second factor")]
    FactorNeeded,
    #[error("there is no such account")]
    NotFound,
    #[error("this is a seller already")]
    AlreadySeller,
    #[error("nobody has applied")]
    NotApplied,
    #[error("the same key came before with another body")]
    KeyReused,
}

/// One value without meaning, by its JSON pointer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub pointer: &'static str,
    pub detail: String,
}

/// Either kind of no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    #[error(transparent)]
    Denied(#[from] Denied),
    #[error(transparent)]
    Failed(#[from] Fault),
}

/// Collects all values without meaning, so that people see them at once.
#[derive(Debug, Default)]
pub struct Found(Vec<Invalid>);

impl Found {
    pub fn refuse(&mut self, pointer: &'static str, detail: impl Into<String>) {
        self.0.push(Invalid { pointer, detail: detail.into() });
    }

    /// The value, or a note about its absence.
    pub fn take<T>(&mut self, pointer: &'static str, value: Option<T>, detail: &str) -> Option<T> {
        if value.is_none() {
            self.refuse(pointer, detail);
        }
        value
    }

    pub fn password<T>(&mut self, pointer: &'static str, value: Result<T, Weak>) -> Option<T> {
        value.map_err(|weak| self.refuse(pointer, weak.to_string())).ok()
    }

    #[must_use]
    pub fn denied(self) -> Denied {
        Denied::Invalid(self.0)
    }
}
