//! Which thing does the path name? Text that cannot be an id names nothing, and never reaches an actor.

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;

use crate::http::error::Problem;
use crate::ids::{
    AccountId, CouponId, CredentialId, Hash16, OrderId, PaymentId, PerformanceId, ShowId, StoreId, TaskId, TicketId,
    VenueId,
};
use crate::limits;

/// An id with one spelling.
pub trait PathId: Sized + Send {
    fn parse(text: &str) -> Option<Self>;
}

macro_rules! prefixed {
    ($($name:ident $prefix:literal),+) => {$(
        impl PathId for $name {
            fn parse(text: &str) -> Option<Self> {
                Hash16::parse(text.strip_prefix($prefix)?).map(|_| Self::new(text))
            }
        }
    )+};
}

prefixed!(AccountId "ac_", VenueId "vn_", ShowId "sh_", PerformanceId "pf_", CouponId "cp_", StoreId "st_");

/// Of the credentials, only stores' tokens stand in paths.
impl PathId for CredentialId {
    fn parse(text: &str) -> Option<Self> {
        Self::device(text)
    }
}

impl PathId for OrderId {
    fn parse(text: &str) -> Option<Self> {
        let id = Self::new(text);
        id.partition().is_some().then_some(id)
    }
}

impl PathId for TicketId {
    fn parse(text: &str) -> Option<Self> {
        let id = Self::new(text);
        id.order().is_some().then_some(id)
    }
}

impl PathId for TaskId {
    fn parse(text: &str) -> Option<Self> {
        let id = Self::new(text);
        id.coupon().is_some().then_some(id)
    }
}

/// Chosen by the counter: any short visible text.
impl PathId for PaymentId {
    fn parse(text: &str) -> Option<Self> {
        let chars = text.chars().count();
        let sane = (1..=limits::PAYMENT_ID_CHARS).contains(&chars) && !text.chars().any(char::is_control);
        sane.then(|| Self::new(text))
    }
}

/// A name that is no id: any text, looked up in a list.
impl PathId for String {
    fn parse(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }
}

/// The path's only id.
#[derive(Clone, Debug)]
pub struct At<T>(pub T);

impl<T: PathId, S: Send + Sync> FromRequestParts<S> for At<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(Path(text)) = Path::<String>::from_request_parts(parts, state).await else {
            return Err(Problem::not_found());
        };
        T::parse(&text).map(Self).ok_or_else(Problem::not_found)
    }
}

/// The path's two ids.
#[derive(Clone, Debug)]
pub struct At2<A, B>(pub A, pub B);

impl<A: PathId, B: PathId, S: Send + Sync> FromRequestParts<S> for At2<A, B> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Ok(Path((a, b))) = Path::<(String, String)>::from_request_parts(parts, state).await else {
            return Err(Problem::not_found());
        };
        A::parse(&a).zip(B::parse(&b)).map(|(a, b)| Self(a, b)).ok_or_else(Problem::not_found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let hash = "0123456789abcdef0123456789abcdef";
        assert!(VenueId::parse(&format!("vn_{hash}")).is_some());
        for junk in ["", "vn_", "vn_0", &format!("sh_{hash}"), &format!("vn_{}", hash.to_uppercase()), "vn_../../etc"] {
            assert!(VenueId::parse(junk).is_none(), "{junk}");
        }
        assert!(OrderId::parse(&format!("o7_{hash}")).is_some() && OrderId::parse("7").is_none());
        assert!(PaymentId::parse("영수증 1").is_some() && PaymentId::parse("a\nb").is_none());
    }
}
