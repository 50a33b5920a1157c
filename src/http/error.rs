//! What does the world hear when something is refused or fails? The only file that knows the status codes of errors.
//!
//! Every error is an RFC 9457 problem with a stable code from one table, which `/problems/{code}` explains. A refusal is
//! the business saying no (4xx); a fault is ours (5xx) and never shows internal text. The body is written by `edge.rs`,
//! which knows the id of the request.

mod codes;

use std::borrow::Cow;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use http::header::{HeaderName, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, StatusCode};
use serde_json::{Map, Value, json};

pub use self::codes::Code;
use crate::accounts::{AccountError, Denied, DeviceError};
use crate::actors::CommandError;
use crate::auth::TokenError;
use crate::domain::Refusal;
use crate::fault::Fault;
use crate::limits;
use crate::live::{Bound, WatchError};
use crate::planted::{Bug, planted};
use crate::throttle::TooSoon;

/// An error on its way out.
#[derive(Clone, Debug)]
pub struct Problem {
    pub code: Code,
    detail: Cow<'static, str>,
    members: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    #[must_use]
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), members: Map::new(), headers: Vec::new() }
    }

    #[must_use]
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, "there is no such thing here")
    }

    #[must_use]
    pub fn unauthorized(detail: &'static str) -> Self {
        Self::new(Code::Unauthorized, detail).challenged()
    }

    /// The same answer as for a missing or expired token: a ticket is one.
    #[must_use]
    pub fn ticket_invalid() -> Self {
        Self::new(Code::TicketInvalid, "the ticket does not open this stream").challenged()
    }

    #[must_use]
    pub fn invalid(errors: &[Invalid]) -> Self {
        let errors: Vec<Value> = errors.iter().map(|e| json!({"pointer": e.pointer, "detail": e.detail})).collect();
        Self::new(Code::InvalidValue, "values of the body have no meaning here").with("errors", json!(errors))
    }

    #[must_use]
    pub fn read_behind() -> Self {
        Self::new(Code::ReadBehind, "the log has not come that far").retry(Duration::from_secs(1))
    }

    #[must_use]
    pub fn key_in_use() -> Self {
        Self::new(Code::KeyInUse, "the same request is being worked on").retry(Duration::from_secs(1))
    }

    #[must_use]
    pub fn payments_unavailable() -> Self {
        Self::new(Code::PaymentsUnavailable, "no payment can be taken just now").retry(Duration::from_secs(5))
    }

    /// A command that did not come back in time may yet happen; a reading may not.
    #[must_use]
    pub fn timed_out(command: bool) -> Self {
        if command {
            Self::from(Fault::UnknownOutcome)
        } else {
            Self::new(Code::TimedOut, "the answer could not be made in time").retry(Duration::from_secs(1))
        }
    }

    /// The command is done, but its answer cannot be made just now. Never "nothing was done": who asks again with the same
    /// key is told what came of it.
    #[must_use]
    pub fn unanswered(why: impl Into<Self>) -> Self {
        let code = why.into().code.name();
        tracing::warn!(code, "a command is done, but could not be answered");
        Self::from(Fault::UnknownOutcome)
    }

    #[must_use]
    pub fn rate_limited(TooSoon { class, retry_after }: TooSoon) -> Self {
        let per = class.per().as_str();
        Self::new(Code::RateLimited, format!("this {per} asks too often"))
            .with("per", json!(per))
            .with("limit", json!(class.name()))
            .retry(retry_after)
    }

    /// A command that reached a node which does not write.
    #[must_use]
    pub fn not_owner() -> Self {
        Self::new(Code::NotOwner, "this node does not take commands for it").retry(Duration::from_secs(1))
    }

    #[must_use]
    pub fn with(mut self, member: &str, value: Value) -> Self {
        self.members.insert(member.to_owned(), value);
        self
    }

    /// The same answer as the first time.
    #[must_use]
    pub fn replayed(mut self) -> Self {
        self.headers.push((super::answer::REPLAYED, HeaderValue::from_static("true")));
        self
    }

    fn retry(mut self, after: Duration) -> Self {
        let seconds = after.as_millis().div_ceil(1_000).max(1);
        self.headers.push((RETRY_AFTER, HeaderValue::from(u64::try_from(seconds).unwrap_or(u64::MAX))));
        self
    }

    fn challenged(mut self) -> Self {
        self.headers.push((WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")));
        self
    }

    /// The body as RFC 9457 has it.
    #[must_use]
    pub fn body(&self, request_id: &str) -> Vec<u8> {
        let mut body = json!({
            "type": format!("urn:onsale:problem:{}", self.code.name()),
            "title": self.code.title(),
            "status": self.code.status(),
            "detail": self.detail,
            "code": self.code.name(),
            "request_id": request_id,
        });
        if let Some(map) = body.as_object_mut() {
            map.extend(self.members.clone());
        }
        body.to_string().into_bytes()
    }
}

impl IntoResponse for Problem {
    /// Status and headers; the body follows at the edge, where the id of the request is known.
    fn into_response(mut self) -> Response {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        for (name, value) in self.headers.drain(..) {
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// One value of a body that has no meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub pointer: String,
    pub detail: String,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let detail = refusal.to_string();
        let no = |code| Self::new(code, detail);
        match refusal {
            Refusal::NotFound => Self::not_found(),
            Refusal::KeyReused => no(Code::KeyReused),
            Refusal::KeyRequired => no(Code::KeyRequired),
            Refusal::InvalidValue { pointer, detail } => Self::invalid(&[Invalid { pointer, detail }]),
            Refusal::SeatUnavailable { seats } => no(Code::SeatUnavailable).with("seats", json!(seats)),
            Refusal::SaleNotOpen { opens_at, at } => {
                no(Code::SaleNotOpen).with("opens_at", json!(opens_at)).with("at", json!(at))
            }
            Refusal::SaleClosed => no(Code::SaleClosed),
            Refusal::SalePaused => no(Code::SalePaused),
            Refusal::TooManySeats { limit } => no(Code::TooManySeats).with("limit", json!(limit)),
            Refusal::MemberLimit { limit, held, sold } => {
                no(Code::MemberLimit).with("limit", json!(limit)).with("held", json!(held)).with("sold", json!(sold))
            }
            Refusal::TooManyLiveOrders { limit } => no(Code::TooManyLiveOrders).with("limit", json!(limit)),
            Refusal::TooManyHolds { limit, until, at } => no(Code::TooManyHolds)
                .with("limit", json!(limit))
                .with("until", json!(until))
                .with("at", json!(at))
                .retry(until.since(at)),
            Refusal::InUse { detail: _ } => no(Code::InUse),
            // Not "status": that member is the problem's own, and the contract's name for this one collides with it.
            Refusal::OrderNotCancellable { status } => {
                no(Code::OrderNotCancellable).with("order_status", json!(status))
            }
            Refusal::PaymentInFlight => no(Code::PaymentInFlight),
            Refusal::OrderNotPayable { status } => no(Code::OrderNotPayable).with("order_status", json!(status)),
            Refusal::AmountMismatch { expected } => no(Code::AmountMismatch).with("expected", json!(expected)),
            Refusal::CancelClosed { cancel_until } => no(Code::CancelClosed).with("cancel_until", json!(cancel_until)),
            Refusal::TicketUsed { tickets } => no(Code::TicketUsed).with("tickets", json!(tickets)),
            Refusal::TicketVoid => no(Code::TicketVoid),
            Refusal::NotInReview { status } => no(Code::NotInReview).with("order_status", json!(status)),
            Refusal::RulingUnfit => no(Code::RulingUnfit),
            Refusal::PerformanceCancelled => no(Code::PerformanceCancelled),
            Refusal::CouponNotUsable { reason } => no(Code::CouponNotUsable).with("reason", json!(reason)),
            Refusal::CouponSoldOut => no(Code::CouponSoldOut),
            Refusal::CouponAlreadyIssued { serial } => no(Code::CouponAlreadyIssued).with("serial", json!(serial)),
            Refusal::CouponNotOpen { opens_at, at } => {
                no(Code::CouponNotOpen).with("opens_at", json!(opens_at)).with("at", json!(at))
            }
            Refusal::CouponClosed => no(Code::CouponClosed),
            Refusal::PaymentMismatch => no(Code::PaymentMismatch),
            Refusal::PaymentTooOld { oldest } => no(Code::PaymentTooOld).with("oldest", json!(oldest)),
            Refusal::AlreadyCancelled => no(Code::AlreadyCancelled),
            Refusal::AmountExceedsRemaining { remaining } => {
                no(Code::AmountExceedsRemaining).with("remaining", json!(remaining))
            }
            Refusal::StoreFull => no(Code::StoreFull),
        }
    }
}

impl From<DeviceError> for Problem {
    fn from(error: DeviceError) -> Self {
        let detail = error.to_string();
        match error {
            DeviceError::KeyReused => Self::new(Code::KeyReused, detail),
            DeviceError::Full => Self::new(Code::TooManyTokens, detail).with("limit", json!(limits::STORE_TOKENS)),
            DeviceError::Failed(fault) => fault.into(),
        }
    }
}

impl From<Fault> for Problem {
    fn from(fault: Fault) -> Self {
        let soon = Duration::from_secs(1);
        match fault {
            Fault::Overloaded { retry_after } => {
                Self::new(Code::Overloaded, "too many commands are under way").retry(retry_after)
            }
            Fault::Unavailable { retry_after, detail } => {
                tracing::warn!(%detail, "a request could not be served");
                Self::new(Code::Unavailable, "the log cannot be reached just now").retry(retry_after)
            }
            Fault::Superseded => Self::new(Code::Unavailable, "nothing was written, try again").retry(soon),
            Fault::NotOwner { .. } => Self::not_owner(),
            Fault::UnknownOutcome if planted(Bug::UnknownAsRefused) => Self::from(Fault::Superseded),
            Fault::UnknownOutcome => Self::new(Code::OutcomeUnknown, "the command may or may not have been done")
                .with("outcome", json!("unknown"))
                .retry(soon),
            Fault::Damaged { .. } | Fault::Rejected { .. } | Fault::Internal { .. } => {
                tracing::error!(error = %fault, "a request failed");
                Self::new(Code::Internal, "the request could not be served")
            }
        }
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refusal.into(),
            CommandError::Failed(fault) => fault.into(),
        }
    }
}

impl From<AccountError> for Problem {
    fn from(error: AccountError) -> Self {
        let denied = match error {
            AccountError::Failed(fault) => return fault.into(),
            AccountError::Denied(denied) => denied,
        };
        let detail = denied.to_string();
        let no = |code| Self::new(code, detail);
        match denied {
            Denied::InvalidCredentials => no(Code::InvalidCredentials).challenged(),
            Denied::TotpRequired => no(Code::TotpRequired).challenged(),
            Denied::RefreshInvalid => no(Code::RefreshInvalid).challenged(),
            Denied::CodeInvalid => no(Code::CodeInvalid),
            Denied::TooManyFailures { wait } => no(Code::TooManyFailures).retry(wait),
            Denied::Invalid(values) => {
                let invalid = |v: crate::accounts::Invalid| Invalid { pointer: v.pointer.into(), detail: v.detail };
                Self::invalid(&values.into_iter().map(invalid).collect::<Vec<_>>())
            }
            Denied::AlreadyEnrolled => no(Code::TotpEnrolled),
            Denied::NotEnrolled => no(Code::TotpMissing),
            Denied::FactorNeeded => no(Code::TotpNeeded),
            Denied::NotFound => Self::not_found(),
            Denied::AlreadySeller => no(Code::AlreadySeller),
            Denied::NotApplied => no(Code::NotApplied),
            Denied::KeyReused => no(Code::KeyReused),
        }
    }
}

impl From<TokenError> for Problem {
    fn from(error: TokenError) -> Self {
        Self::unauthorized(match error {
            TokenError::Invalid => "the token is not valid",
            TokenError::Expired => "the token has expired",
            TokenError::NotYet => "the token is not valid yet",
            TokenError::Revoked => "the token was revoked",
        })
    }
}

/// What a watcher gets instead of a stream; `Over` is no error and is answered by `streams.rs`.
#[must_use]
pub fn not_watched(error: WatchError) -> Option<Problem> {
    match error {
        WatchError::NotFound => Some(Problem::not_found()),
        WatchError::Full => {
            Some(Problem::new(Code::TooManyWatchers, "too many open streams").retry(Duration::from_secs(5)))
        }
        WatchError::NoPlace { bound: Bound::Node, retry_after } => {
            Some(Problem::new(Code::TooManyWatchers, "this node has as many open streams as it may").retry(retry_after))
        }
        WatchError::NoPlace { bound: bound @ (Bound::Account | Bound::Address), retry_after } => {
            let detail = format!("this {} has as many open streams as it may", bound.as_str());
            Some(Problem::new(Code::TooManyStreams, detail).with("per", json!(bound.as_str())).retry(retry_after))
        }
        WatchError::Over => None,
        WatchError::Failed(fault) => Some(fault.into()),
    }
}

#[cfg(test)]
mod tests;
