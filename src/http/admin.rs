//! What operators look at and decide: how read models do, what waits for them, and any stream of the log.

// Routes: GET /v1/admin/projections · GET /v1/admin/parked · POST /v1/admin/parked/{id}/retry · /skip ·
// GET /v1/admin/streams/{stream}

use std::sync::Arc;

use axum::extract::State;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::{Code, Problem};
use super::extract::{Admins, Ask, At, Body, By, Checks, Input, ListOf, Listing, Params};
use crate::clock::Clock;
use crate::events::{Record, codec};
use crate::fault::Fault;
use crate::ids::{LogPosition, StreamId, Version};
use crate::journal::SharedJournal;
use crate::limits;
use crate::projections::place::ParkedId;
use crate::projections::runner::{Runner, Status};
use crate::projections::select::Listed;
use crate::projections::store::{Action, Decision, ParkedKey, StoreError};
use crate::projections::table::Value;
use crate::projections::{Projection, ROSTER, named};
use crate::timestamp::Timestamp;

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Why {
    /// Kept with the decision.
    pub reason: String,
}

impl Input for Why {}

// Responses

#[derive(Serialize, ToSchema)]
pub struct ProjectionItem {
    name: &'static str,
    version: u32,
    /// The number of the build that readers see.
    build: Option<u32>,
    /// `building`, `live`, `waiting`, `stopped`.
    state: &'static str,
    /// Events of the log that it has not looked at yet.
    behind: u64,
    /// From the writing of an event to its rows, the last time.
    lag_ms: u64,
    /// Events since the node started.
    applied: u64,
    parked_keys: usize,
    /// Positions that are missing in the log; the partition stands still there.
    #[schema(value_type = Vec<String>)]
    gaps: Vec<LogPosition>,
    last_error: Option<String>,
    #[schema(value_type = Option<String>)]
    last_error_at: Option<Timestamp>,
}

impl ProjectionItem {
    fn of(name: &'static str, status: Status) -> Self {
        let gap = |(partition, position)| LogPosition { partition, position };
        Self {
            name,
            version: status.version,
            build: status.build,
            state: status.state.as_str(),
            behind: status.behind,
            lag_ms: status.lag_ms,
            applied: status.applied,
            parked_keys: status.parked_keys,
            gaps: status.gaps.into_iter().map(gap).collect(),
            last_error: status.last_error,
            last_error_at: status.last_error_at,
        }
    }
}

#[derive(Serialize, ToSchema)]
pub struct ParkedItem {
    id: String,
    projection: &'static str,
    key: String,
    /// Of the first event that waits.
    #[schema(value_type = String)]
    position: LogPosition,
    error: String,
    #[schema(value_type = String)]
    since: Timestamp,
    /// How many wait.
    events: u64,
}

#[derive(Serialize, ToSchema)]
pub struct DecisionBody {
    id: String,
    /// `retry` or `skip`.
    action: &'static str,
    reason: String,
    actor: String,
    #[schema(value_type = String)]
    decided_at: Timestamp,
    /// What came of it; absent while no node has carried it out.
    outcome: Option<String>,
}

// Handlers

#[utoipa::path(get, path = "/v1/admin/projections", tag = "operators",
    responses((status = 200, body = ListOf<ProjectionItem>), (status = "4XX", body = ProblemBody)))]
pub async fn projections(_by: By<Admins>, listing: Listing, State(runner): State<Runner>) -> Answered {
    // They are few, and all of them fit on one page.
    let items = runner.statuses().into_iter().map(|(name, status)| ProjectionItem::of(name, status)).collect();
    listing.items::<ProjectionItem>(items, None)
}

#[utoipa::path(get, path = "/v1/admin/parked", tag = "operators",
    params(("projection" = Option<String>, Query,), ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<ParkedItem>), (status = "4XX", body = ProblemBody)))]
pub async fn parked(_by: By<Admins>, listing: Listing, params: Params, State(runner): State<Runner>) -> Answered {
    let wanted = match params.get("projection") {
        Some(name) => Some(named(name).ok_or_else(|| no_such_projection(name))?),
        None => None,
    };
    let listed = list_parked(&runner, wanted, &listing).await?;
    listing.answer(listed, |(projection, key)| {
        let position = LogPosition { partition: key.partition, position: key.position };
        let id = ParkedId { projection, place: position }.to_string();
        let ParkedKey { key, error, since, events, .. } = key;
        ParkedItem { id, projection: projection.name(), key, position, error, since, events }
    })
}

type ParkedRow = (&'static dyn Projection, ParkedKey);

/// A page over all read models, one after the other.
async fn list_parked(
    runner: &Runner,
    wanted: Option<&'static dyn Projection>,
    listing: &Listing,
) -> Result<Listed<ParkedRow>, Problem> {
    let page = listing.page();
    let (from, mut after) = match page.after.as_deref() {
        Some([Value::Text(name), Value::Int(partition), Value::Int(position)]) => {
            let place = (u16::try_from(*partition), u64::try_from(*position));
            let (Ok(partition), Ok(position)) = place else { return Ok(Listed { rows: Vec::new(), next: None }) };
            (Some(name.clone()), Some((crate::ids::Partition(partition), crate::ids::Position(position))))
        }
        _ => (None, None),
    };
    let start = from.and_then(|name| ROSTER.iter().position(|projection| projection.name() == &*name)).unwrap_or(0);
    let mut rows: Vec<ParkedRow> = Vec::new();
    for projection in ROSTER[start..].iter().copied() {
        let after = after.take();
        if wanted.is_some_and(|wanted| wanted.name() != projection.name()) {
            continue;
        }
        let Ok(build) = runner.reads().of(projection.name()) else { continue };
        let room = page.limit + 1 - rows.len();
        let keys = build.parked_keys(after, room).await.map_err(Fault::from)?;
        rows.extend(keys.into_iter().map(|key| (projection, key)));
        if rows.len() > page.limit {
            break;
        }
    }
    let more = rows.len() > page.limit;
    rows.truncate(page.limit);
    let next = rows.last().filter(|_| more).map(|(projection, key)| {
        let position = i64::try_from(key.position.0).unwrap_or(i64::MAX);
        vec![Value::Text(projection.name().into()), Value::Int(key.partition.0.into()), Value::Int(position)]
    });
    Ok(Listed { rows, next })
}

fn no_such_projection(name: &str) -> Problem {
    let names: Vec<&str> = ROSTER.iter().map(|projection| projection.name()).collect();
    let given: String = name.chars().filter(|c| !c.is_control()).take(50).collect();
    Problem::new(Code::InvalidParameter, format!("there is no {given}; there are: {}", names.join(", ")))
}

#[utoipa::path(post, path = "/v1/admin/parked/{id}/retry", tag = "operators", params(("id" = String, Path,)),
    request_body = Why, responses((status = 200, body = DecisionBody), (status = 202, body = DecisionBody),
        (status = "4XX", body = ProblemBody)))]
pub async fn retry(
    ask: Ask<Admins>,
    At(id): At<String>,
    State(runner): State<Runner>,
    State(clock): State<Arc<dyn Clock>>,
    body: Body<Why>,
) -> Answered {
    decide(&ask, &id, &runner, clock.wall(), body, Action::Retry).await
}

#[utoipa::path(post, path = "/v1/admin/parked/{id}/skip", tag = "operators", params(("id" = String, Path,)),
    request_body = Why, responses((status = 200, body = DecisionBody), (status = 202, body = DecisionBody),
        (status = "4XX", body = ProblemBody)))]
pub async fn skip(
    ask: Ask<Admins>,
    At(id): At<String>,
    State(runner): State<Runner>,
    State(clock): State<Arc<dyn Clock>>,
    body: Body<Why>,
) -> Answered {
    decide(&ask, &id, &runner, clock.wall(), body, Action::Skip).await
}

async fn decide(
    ask: &Ask<Admins>,
    id: &str,
    runner: &Runner,
    at: Timestamp,
    body: Body<Why>,
    action: Action,
) -> Answered {
    let mut checks = Checks::default();
    checks.text("/reason", &body.value.reason, limits::REASON_CHARS);
    checks.done()?;
    let parked = ParkedId::parse(id).ok_or_else(Problem::not_found)?;
    let command = ask.command.to_string();
    let known = runner.store().decided(&command).await.map_err(Fault::from)?;
    let replayed = known.is_some();
    let decision = match known {
        Some(known) if known.reason != body.value.reason => {
            return Err(Problem::new(Code::KeyReused, "the same key came before with another reason"));
        }
        Some(known) => known,
        None => {
            let key = key_of(runner, parked).await?.ok_or_else(Problem::not_found)?;
            let wish = Decision {
                id: 0,
                projection: parked.projection.name().to_owned(),
                partition: parked.place.partition,
                position: parked.place.position,
                key,
                action,
                reason: body.value.reason,
                command,
                actor: ask.principal().account.to_string(),
                decided_at: at,
                outcome: None,
            };
            // Not given up when the caller goes away: what was decided is carried out.
            let runner = runner.clone();
            let decided = tokio::spawn(async move { runner.decide(wish).await });
            decided.await.map_err(|e| Fault::internal(e.to_string()))?.map_err(Fault::from)?
        }
    };
    let status = if decision.outcome.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    let Decision { reason, actor, decided_at, outcome, .. } = decision;
    let body = DecisionBody { id: id.to_owned(), action: action.as_str(), reason, actor, decided_at, outcome };
    Ok(Answer::json(status, &body)?.at("/v1/admin/parked").replayed(replayed).done())
}

/// The key whose first waiting event stands at this place.
async fn key_of(runner: &Runner, id: ParkedId) -> Result<Option<String>, Problem> {
    let build = runner.reads().of(id.projection.name())?;
    let (partition, position) = (id.place.partition, id.place.position);
    let before = crate::ids::Position(position.0.saturating_sub(1));
    let found =
        build.parked_keys(Some((partition, before)), 1).await.map_err(|error: StoreError| Fault::from(error))?;
    Ok(found.into_iter().find(|key| (key.partition, key.position) == (partition, position)).map(|key| key.key))
}

#[utoipa::path(get, path = "/v1/admin/streams/{*stream}", tag = "operators",
    params(("stream" = String, Path, description = "with its slashes, for example order/o12_…"),
        ("limit" = Option<u32>, Query,), ("cursor" = Option<String>, Query,)),
    responses((status = 200, body = ListOf<serde_json::Value>), (status = "4XX", body = ProblemBody)))]
pub async fn stream(
    _by: By<Admins>,
    At(name): At<String>,
    listing: Listing,
    State(journal): State<SharedJournal>,
) -> Answered {
    let after = match listing.page().after.as_deref() {
        Some([Value::Int(version)]) => Version(u64::try_from(*version).unwrap_or_default()),
        _ => Version(0),
    };
    if name.contains('\0') {
        return Err(Problem::not_found());
    }
    let limit = listing.page().limit;
    let mut records = journal.read_stream(&StreamId::from_log(name), after, limit + 1).await?;
    if records.is_empty() && after == Version(0) {
        return Err(Problem::not_found());
    }
    let more = records.len() > limit;
    records.truncate(limit);
    let last = records.last().map(|record| record.version.0).filter(|_| more);
    let next = last.map(|version| vec![Value::Int(i64::try_from(version).unwrap_or(i64::MAX))]);
    listing.items(records.iter().map(json).collect(), next.as_deref())
}

/// One that cannot be read is what an operator looks for: it says why, in place of its data.
fn json(record: &Record) -> serde_json::Value {
    let data = record.event().map_err(|error| error.to_string());
    match data.and_then(|event| codec::to_json(&event).map_err(|error| error.to_string())) {
        Ok(data) => record.to_json(&data),
        Err(error) => {
            let mut row = record.to_json(&serde_json::Value::Null);
            row["error"] = error.into();
            row
        }
    }
}
