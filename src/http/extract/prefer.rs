//! How patient is the client? `Prefer: respond-async` and `Prefer: wait=N` (RFC 7240); anything else is ignored.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::FromRequestParts;
use http::HeaderMap;
use http::request::Parts;

use crate::actors::CommandError;
use crate::http::error::Problem;
use crate::limits;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prefer {
    pub respond_async: bool,
    /// Seconds.
    pub wait: Option<u64>,
}

impl Prefer {
    fn of(headers: &HeaderMap) -> Self {
        let mut found = Self::default();
        let values = headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
        for preference in values.flat_map(|value| value.split(',')) {
            let token = preference.split(';').next().unwrap_or_default().trim();
            let (name, value) = token.split_once('=').map_or((token, ""), |(n, v)| (n.trim(), v.trim()));
            if name.eq_ignore_ascii_case("respond-async") {
                found.respond_async = true;
            } else if name.eq_ignore_ascii_case("wait") && found.wait.is_none() {
                found.wait = value.trim_matches('"').parse().ok();
            }
        }
        found
    }

    /// Wants an answer before the end: asked for it, and is not willing to wait at all.
    #[must_use]
    pub fn at_once(self) -> bool {
        self.respond_async && self.wait.is_none_or(|seconds| seconds == 0)
    }

    /// The bound that the client set, if it is one: no command can be answered for in no time at all.
    #[must_use]
    pub fn bound(self) -> Option<u64> {
        self.wait.filter(|seconds| *seconds > 0)
    }

    /// How long an answer may take at most, with a moment left to write it.
    #[must_use]
    pub fn bounded(self) -> Duration {
        self.bound().map_or(limits::ANSWER_TIME, Duration::from_secs).min(limits::ANSWER_TIME)
    }

    /// Waits for a command as long as the client will; who does not say how long, as long as any request may take (`edge`).
    /// What was begun goes on all the same.
    pub async fn patience<T>(self, command: impl Future<Output = Result<T, CommandError>>) -> Result<T, Problem> {
        let Some(seconds) = self.bound().filter(|seconds| *seconds < limits::REQUEST_TIME.as_secs()) else {
            return Ok(command.await?);
        };
        match tokio::time::timeout(Duration::from_secs(seconds), command).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Problem::timed_out(true)),
        }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Prefer {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self::of(&parts.headers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{Clock, SimulatedClock};
    use crate::http::error::Code;
    use crate::timestamp::Timestamp;
    use http::HeaderValue;

    #[test]
    fn preferences_are_read_and_others_ignored() {
        let of = |text: &'static str| {
            Prefer::of(
                &[(http::HeaderName::from_static("prefer"), HeaderValue::from_static(text))].into_iter().collect(),
            )
        };
        let table = [
            ("respond-async", true, None),
            ("Respond-Async, wait=10", true, Some(10)),
            ("wait=\"5\"; x=y", false, Some(5)),
            ("wait=soon", false, None),
            ("return=minimal", false, None),
        ];
        for (text, respond_async, wait) in table {
            assert_eq!(of(text), Prefer { respond_async, wait }, "{text}");
        }
        assert!(of("respond-async").at_once() && of("respond-async, wait=0").at_once());
        assert!(!of("respond-async, wait=3").at_once() && !Prefer::default().at_once());
        assert_eq!((of("wait=3").bound(), of("wait=0").bound()), (Some(3), None));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_they_said() {
        let never = || std::future::pending::<Result<(), CommandError>>();
        for (wait, seconds) in [(Some(3), Some(3)), (Some(60), None), (Some(0), None), (None, None)] {
            let clock = SimulatedClock::starting_at(Timestamp(0));
            let prefer = Prefer { respond_async: false, wait };
            let answer = tokio::time::timeout(limits::REQUEST_TIME, prefer.patience(never())).await;
            let code = answer.ok().map(|answer| answer.map_err(|problem| problem.code));
            assert_eq!(code, seconds.map(|_| Err(Code::OutcomeUnknown)), "{wait:?}: the edge ends what is left");
            assert_eq!(clock.elapsed(), seconds.map_or(limits::REQUEST_TIME, Duration::from_secs), "{wait:?}");
        }
    }
}
