//! How does a watcher get its frames? Server-sent events over the hub's bytes; whose stream it is, the routes decide.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRef, FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::{Code, Problem, not_watched};
use super::extract::{Anyone, Asking, Body as Sent, By, Checks, ClientAddress, Input, Params};
use super::server::Peer;
use crate::auth::{Principal, Revoked, Tickets};
use crate::clock::Clock;
use crate::fault::Fault;
use crate::ids::{LogPosition, StoreId};
use crate::live::{self, BoardWatch, Heartbeat, Hub, Resume, Seat, Topic, Visitor, Watch};
use crate::{limits, telemetry};

/// The end of all streams when the node stops.
#[derive(Clone, Debug)]
pub struct Stopping(pub CancellationToken);

/// What the client said about how its stream shall begin and go on.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    pub last: Option<LogPosition>,
    pub heartbeat: Heartbeat,
}

impl Wish {
    pub fn of(headers: &HeaderMap, params: &Params) -> Result<Self, Problem> {
        let heartbeat = params.word("heartbeat", &[("event", Heartbeat::Event), ("comment", Heartbeat::Comment)])?;
        Ok(Self { last: last_event_id(headers, params)?, heartbeat: heartbeat.unwrap_or_default() })
    }

    #[must_use]
    pub fn resume(&self) -> Resume {
        self.last.map_or(Resume::Fresh, Resume::After)
    }
}

/// The header wins over the parameter: a reconnecting `EventSource` sends it by itself, with the URL of the first time.
pub fn last_event_id(headers: &HeaderMap, params: &Params) -> Result<Option<LogPosition>, Problem> {
    let junk = || Problem::new(Code::InvalidEventId, "not an id of an event: <partition>:<n>");
    let text = match headers.get("last-event-id") {
        Some(value) => Some(value.to_str().map_err(|_| junk())?),
        None => params.get("last_event_id"),
    };
    text.map(|text| LogPosition::parse(text).ok_or_else(junk)).transpose()
}

/// What a stream needs besides what is watched: who comes from where, and the word that the node stops.
#[derive(Clone, Debug)]
pub struct Entrance {
    stop: CancellationToken,
    peer: Option<Arc<Peer>>,
    address: Option<IpAddr>,
    revoked: Revoked,
    who: Option<Principal>,
}

impl Entrance {
    /// A stream that asked for a name.
    #[must_use]
    pub fn of(self, who: &Principal) -> Self {
        Self { who: Some(who.clone()), ..self }
    }

    fn seat(&self, hub: &Hub) -> Result<Seat, Problem> {
        let visitor = Visitor { account: self.who.as_ref().map(|who| who.account.clone()), address: self.address };
        hub.seat(&visitor).map_err(|error| not_watched(error).unwrap_or_else(Problem::not_found))
    }
}

impl<S> FromRequestParts<S> for Entrance
where
    S: Send + Sync,
    Stopping: FromRef<S>,
    Revoked: FromRef<S>,
{
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let Stopping(stop) = Stopping::from_ref(state);
        let ClientAddress(address) = ClientAddress::from_request_parts(parts, state).await?;
        let (peer, revoked) = (parts.extensions.get::<Arc<Peer>>().cloned(), Revoked::from_ref(state));
        Ok(Self { stop, peer, address, revoked, who: None })
    }
}

/// Opens the stream of a topic.
pub async fn open(hub: &Hub, entrance: Entrance, topic: Topic, resume: Resume, heartbeat: Heartbeat) -> Answered {
    let seat = entrance.seat(hub)?;
    follow(hub, entrance, seat, topic, resume, heartbeat).await
}

/// As [`open`] for a store's feed, whose watchers its owner can see.
pub async fn open_display(
    hub: &Hub,
    entrance: Entrance,
    (store, who): (StoreId, &Principal),
    resume: Resume,
    wish: Wish,
) -> Answered {
    let entrance = entrance.of(who);
    let mut seat = entrance.seat(hub)?;
    hub.list_display(&mut seat, &store, who, wish.last);
    follow(hub, entrance, seat, Topic::Store(store), resume, wish.heartbeat).await
}

async fn follow(
    hub: &Hub,
    entrance: Entrance,
    seat: Seat,
    topic: Topic,
    resume: Resume,
    heartbeat: Heartbeat,
) -> Answered {
    match hub.watch(topic, resume, heartbeat).await {
        Ok(watch) => Ok(stream(hub, entrance, seat, Source::Topic(Box::new(watch)))),
        Err(error) => match not_watched(error) {
            Some(problem) => Err(problem),
            None => Ok(StatusCode::NO_CONTENT.into_response()),
        },
    }
}

/// Opens the stream of a board: what moves with time, and cannot be resumed.
pub fn open_board(hub: &Hub, entrance: Entrance, name: &str, source: live::Source, heartbeat: Heartbeat) -> Answered {
    let seat = entrance.seat(hub)?;
    match hub.board(name, source, heartbeat) {
        Ok(watch) => Ok(stream(hub, entrance, seat, Source::Board(Box::new(watch)))),
        Err(error) => Err(not_watched(error).unwrap_or_else(Problem::not_found)),
    }
}

/// Where a stream's bytes come from.
enum Source {
    Topic(Box<Watch>),
    Board(Box<BoardWatch>),
}

impl Source {
    async fn next(&mut self) -> Option<Bytes> {
        match self {
            Self::Topic(watch) => watch.next().await,
            Self::Board(watch) => watch.next().await,
        }
    }
}

/// An open stream. Dropping it gives back its place.
struct Open {
    hub: Hub,
    stop: CancellationToken,
    /// `None`: everything was said.
    source: Option<Source>,
    seat: Seat,
    revoked: Revoked,
    /// `None`: a public stream. Boxed, since most of the many that wait are public.
    who: Option<Box<Principal>>,
    _streaming: Streaming,
}

impl Open {
    /// Was the credential taken back since the stream was opened? Asked with each piece that goes out, and there is a
    /// heartbeat at least: no list of streams by credential has to be kept, and no crowd wakes when one of them ends.
    fn is_revoked(&self) -> bool {
        self.who.as_ref().is_some_and(|who| self.revoked.covers(who))
    }

    async fn next(mut self) -> Option<(Bytes, Self)> {
        let source = self.source.as_mut()?;
        let bytes = tokio::select! {
            biased;
            () = self.stop.cancelled() => None,
            bytes = source.next() => bytes,
        };
        if self.is_revoked() {
            metrics::counter!(telemetry::SSE_CUT, "why" => "revoked").increment(1);
            return None;
        }
        if let Some(bytes) = bytes {
            self.seat.sent(&bytes);
            return Some((bytes, self));
        }
        // Topics end with the node, too, and may have heard of it first.
        if !self.stop.is_cancelled() {
            return None;
        }
        self.source = None;
        let (pause, farewell) = self.hub.farewell();
        tokio::time::sleep(pause).await;
        Some((farewell, self))
    }
}

/// Tells the connection that its answer has no end, as long as it goes on.
struct Streaming(Option<Arc<Peer>>);

impl Streaming {
    fn on(peer: Option<Arc<Peer>>) -> Self {
        if let Some(peer) = &peer {
            peer.streams(true);
        }
        Self(peer)
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        if let Some(peer) = &self.0 {
            peer.streams(false);
        }
    }
}

fn stream(hub: &Hub, entrance: Entrance, seat: Seat, source: Source) -> Response {
    let open = Open {
        hub: hub.clone(),
        stop: entrance.stop,
        source: Some(source),
        seat,
        revoked: entrance.revoked,
        who: entrance.who.map(Box::new),
        _streaming: Streaming::on(entrance.peer),
    };
    let frames = futures::stream::unfold(open, Open::next).map(Ok::<_, Infallible>);
    let mut response = Response::new(Body::from_stream(frames));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

// Stream tickets

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewTicket {
    /// The stream's path, without query.
    pub path: String,
}

impl Input for NewTicket {}

#[derive(Serialize, ToSchema)]
pub struct TicketIssued {
    pub ticket: String,
    pub expires_in: u64,
}

#[utoipa::path(post, path = "/v1/stream-tickets", tag = "streams", request_body = NewTicket,
    responses((status = 201, body = TicketIssued), (status = "4XX", body = ProblemBody)))]
pub async fn issue_ticket(
    by: By<Anyone>,
    _asking: Asking,
    State(tickets): State<Arc<Tickets>>,
    State(clock): State<Arc<dyn Clock>>,
    body: Sent<NewTicket>,
) -> Answered {
    let path = &body.value.path;
    let mut checks = Checks::default();
    let stream = path.starts_with("/v1/") && path.ends_with("/events");
    if !stream || path.len() > limits::STREAM_PATH_BYTES || !path.bytes().all(|b| b.is_ascii_graphic()) {
        checks.refuse("/path", "must be the path of a stream: /v1/…/events");
    }
    checks.done()?;
    let ticket = tickets.issue(&by.principal, path, clock.wall()).map_err(|e| Fault::internal(e.to_string()))?;
    let body = TicketIssued { ticket, expires_in: limits::TICKET_TIME.as_secs() };
    Ok(Answer::created(path, &body)?.no_store().done())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_wins_and_junk_is_refused() {
        let header = |text: &'static str| -> HeaderMap {
            [(HeaderName::from_static("last-event-id"), HeaderValue::from_static(text))].into_iter().collect()
        };
        let none = Params::default();
        assert_eq!(last_event_id(&header("3:7"), &none).expect("an id").map(|p| p.to_string()).as_deref(), Some("3:7"));
        assert!(last_event_id(&HeaderMap::new(), &none).expect("none").is_none());
        for junk in ["", "7", "3:-1", "3:7 ", "x:y", "3:99999999999999999999999", "65536:1"] {
            let code = last_event_id(&header(junk), &none).map_err(|problem| problem.code);
            assert_eq!(code, Err(Code::InvalidEventId), "{junk}");
        }
    }
}
