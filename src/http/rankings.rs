//! Rankings: what sold out fastest, and what sells most, as a list and live. Public; whole answers, nothing to resume.

// Routes: GET /v1/rankings/sold-out · /events · GET /v1/rankings/shows · /events

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::{Code, Problem};
use super::extract::{Listing, Params};
use super::lists::shows::day;
use super::streams::{self, Entrance};
use crate::actors::Dispatch;
use crate::fault::Fault;
use crate::ids::{Partition, PerformanceId, ShowId};
use crate::limits;
use crate::live::{Heartbeat, Hub, Source, frame};
use crate::projections::rankings::{self, Window};
use crate::projections::reads::Reads;
use crate::projections::store::Build;
use crate::timestamp::Timestamp;

// Responses

#[derive(Serialize, ToSchema)]
pub struct SoldOutRanking {
    date: String,
    items: Vec<SoldOutItem>,
}

#[derive(Serialize, ToSchema)]
pub struct SoldOutItem {
    rank: usize,
    #[schema(value_type = String)]
    performance_id: PerformanceId,
    title: Option<String>,
    #[schema(value_type = String)]
    sold_out_at: Timestamp,
    /// After the opening of the sale.
    seconds_to_sell_out: f64,
}

#[derive(Serialize, ToSchema)]
pub struct ShowRanking {
    /// `1h`, `24h`, `7d`.
    window: &'static str,
    items: Vec<ShowItem>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RankedShow)]
pub struct ShowItem {
    rank: usize,
    #[schema(value_type = String)]
    show_id: ShowId,
    title: Option<String>,
    /// Sold within the window; refunds are not taken off.
    tickets: u64,
}

async fn sold_out_now(build: &dyn Build, date: &str, limit: usize) -> Result<SoldOutRanking, Fault> {
    let found = rankings::sold_out(build, date, limit).await?;
    #[allow(clippy::cast_precision_loss, reason = "milliseconds of a sale fit exactly")]
    let items = (1..).zip(found).map(|(rank, one)| SoldOutItem {
        rank,
        performance_id: one.performance_id,
        title: one.title,
        sold_out_at: one.sold_out_at,
        seconds_to_sell_out: one.ms as f64 / 1_000.0,
    });
    Ok(SoldOutRanking { date: date.to_owned(), items: items.collect() })
}

async fn shows_now(build: &dyn Build, window: Window, now: Timestamp, limit: usize) -> Result<ShowRanking, Fault> {
    let found = rankings::selling(build, window, now, limit).await?;
    let items = (1..).zip(found).map(|(rank, one)| ShowItem {
        rank,
        show_id: one.show_id,
        title: one.title,
        tickets: one.tickets,
    });
    Ok(ShowRanking { window: window.as_str(), items: items.collect() })
}

/// Which day is asked for; without one, a ranking would mix sales that have nothing to do with each other.
fn date(params: &Params) -> Result<String, Problem> {
    let day = day(params, "date")?;
    day.map(str::to_owned).ok_or_else(|| Problem::new(Code::InvalidParameter, "date is required: YYYY-MM-DD"))
}

fn window(params: &Params) -> Result<Window, Problem> {
    Ok(params.word("window", &Window::WORDS)?.unwrap_or(Window::Day))
}

fn heartbeat(params: &Params) -> Result<Heartbeat, Problem> {
    let words = [("event", Heartbeat::Event), ("comment", Heartbeat::Comment)];
    Ok(params.word("heartbeat", &words)?.unwrap_or_default())
}

// Handlers

#[utoipa::path(get, path = "/v1/rankings/sold-out", tag = "rankings",
    params(("date" = String, Query, description = "the local date at the venue, YYYY-MM-DD"),
        ("limit" = Option<u32>, Query,)),
    responses((status = 200, body = SoldOutRanking), (status = "4XX", body = ProblemBody)))]
pub async fn sold_out(params: Params, listing: Listing, State(reads): State<Reads>) -> Answered {
    let date = date(&params)?;
    let build = listing.of(&reads, "rankings").await?;
    Ok(Answer::ok(&sold_out_now(&*build, &date, listing.page().limit).await?)?.done())
}

#[utoipa::path(get, path = "/v1/rankings/shows", tag = "rankings",
    params(("window" = Option<String>, Query, description = "`1h`, `24h` (when absent), `7d`"),
        ("limit" = Option<u32>, Query,)),
    responses((status = 200, body = ShowRanking), (status = "4XX", body = ProblemBody)))]
pub async fn shows(
    params: Params,
    listing: Listing,
    State(reads): State<Reads>,
    State(dispatch): State<Dispatch>,
) -> Answered {
    let window = window(&params)?;
    let build = listing.of(&reads, "rankings").await?;
    Ok(Answer::ok(&shows_now(&*build, window, dispatch.at(Partition(0)), listing.page().limit).await?)?.done())
}

#[utoipa::path(get, path = "/v1/rankings/sold-out/events", tag = "rankings",
    params(("date" = String, Query,), ("heartbeat" = Option<String>, Query,)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = ProblemBody)))]
pub async fn sold_out_events(
    params: Params,
    State(reads): State<Reads>,
    State(hub): State<Hub>,
    entrance: Entrance,
) -> Answered {
    let (date, limit) = (date(&params)?, limits::LIST_DEFAULT);
    let name = format!("sold-out/{date}");
    let source: Source = Arc::new(move || {
        let (reads, date) = (reads.clone(), date.clone());
        Box::pin(async move {
            let build = reads.of("rankings")?;
            frame::event("ranking", None, &sold_out_now(&*build, &date, limit).await?)
        })
    });
    streams::open_board(&hub, entrance, &name, source, heartbeat(&params)?)
}

#[utoipa::path(get, path = "/v1/rankings/shows/events", tag = "rankings",
    params(("window" = Option<String>, Query,), ("heartbeat" = Option<String>, Query,)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = ProblemBody)))]
pub async fn shows_events(
    params: Params,
    State(reads): State<Reads>,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    entrance: Entrance,
) -> Answered {
    let (window, limit) = (window(&params)?, limits::LIST_DEFAULT);
    let name = format!("shows/{}", window.as_str());
    let source: Source = Arc::new(move || {
        let (reads, dispatch) = (reads.clone(), dispatch.clone());
        Box::pin(async move {
            let build = reads.of("rankings")?;
            frame::event("ranking", None, &shows_now(&*build, window, dispatch.at(Partition(0)), limit).await?)
        })
    });
    streams::open_board(&hub, entrance, &name, source, heartbeat(&params)?)
}
