//! Venues: houses that can be sold. Any seller may use any venue; who made one is its owner.

// Routes: POST /v1/venues · GET /v1/venues/{id} · /{id}/sections · /{id}/seats

use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

use super::answer::{Answer, Answered, ProblemBody};
use super::error::Problem;
use super::extract::{Ask, At, Body, Checks, Input, Object, Params, Sellers, Whole};
use crate::actors::{CommandError, Dispatch};
use crate::domain::venue::{Command, Create, Venue};
use crate::events::VenueEvent;
use crate::events::venue::{Created, Row, RowSeats, Section};
use crate::ids::{AccountId, LogPosition, SeatId, StreamId, VenueId};
use crate::limits;

// Requests

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewVenue {
    pub name: String,
    /// An IANA name; `Asia/Seoul` when absent.
    pub timezone: Option<String>,
    #[schema(value_type = Vec<NewSection>)]
    pub sections: Vec<Object<NewSection>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSection {
    pub section: String,
    pub grade: String,
    #[schema(value_type = Vec<NewRow>)]
    pub rows: Vec<Object<NewRow>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewRow {
    pub row: String,
    pub seats: NewSeats,
}

/// How many, or their labels.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged, expecting = "seats must be an integer or a list of labels")]
pub enum NewSeats {
    #[schema(value_type = u32)]
    Count(Whole),
    Labels(Vec<String>),
}

impl Input for NewVenue {
    const LIMIT: usize = limits::VENUE_BODY_BYTES;
}

impl NewVenue {
    fn sections(self, checks: &mut Checks) -> Vec<Section> {
        let mut sections = Vec::with_capacity(self.sections.len());
        for (s, Object(section)) in self.sections.into_iter().enumerate() {
            let mut rows = Vec::with_capacity(section.rows.len());
            for (r, Object(row)) in section.rows.into_iter().enumerate() {
                let seats = match row.seats {
                    NewSeats::Count(n) => RowSeats::Count(checks.count(&format!("/sections/{s}/rows/{r}/seats"), n)),
                    NewSeats::Labels(labels) => RowSeats::Labels(labels),
                };
                rows.push(Row { row: row.row, seats });
            }
            sections.push(Section { section: section.section, grade: section.grade, rows });
        }
        sections
    }
}

// Responses

#[derive(Serialize, ToSchema)]
pub struct VenueCreated {
    #[schema(value_type = String)]
    venue_id: VenueId,
    seats: usize,
    #[schema(value_type = String)]
    position: LogPosition,
}

#[derive(Serialize, ToSchema)]
pub struct VenueView {
    #[schema(value_type = String)]
    venue_id: VenueId,
    #[schema(value_type = String)]
    owner: AccountId,
    name: String,
    timezone: String,
    seats: usize,
    #[schema(value_type = Option<String>)]
    position: Option<LogPosition>,
}

#[derive(Serialize, ToSchema)]
pub struct SectionsView {
    #[schema(value_type = String)]
    venue_id: VenueId,
    sections: Vec<SectionView>,
}

#[derive(Serialize, ToSchema)]
pub struct SectionView {
    section: String,
    grade: String,
    seats: usize,
    rows: Vec<RowView>,
}

#[derive(Serialize, ToSchema)]
pub struct RowView {
    row: String,
    seats: usize,
}

#[derive(Serialize, ToSchema)]
pub struct VenueSeats {
    #[schema(value_type = String)]
    venue_id: VenueId,
    seats: Vec<VenueSeat>,
}

#[derive(Serialize, ToSchema)]
pub struct VenueSeat {
    #[schema(value_type = String)]
    seat_id: SeatId,
    section: String,
    row: String,
    number: String,
    grade: String,
}

fn seats_of(sections: &[Section]) -> usize {
    sections.iter().map(Section::seats).sum()
}

// Handlers

/// The venue, and where its stream stands; shared with the performances, which copy its layout.
pub(super) async fn load(
    dispatch: &Dispatch,
    id: &VenueId,
) -> Result<Option<(Arc<Created>, Option<LogPosition>)>, CommandError> {
    let read = dispatch.read::<Venue, _>(StreamId::venue(id), |state| state.created.clone()).await?;
    Ok(read.value.map(|created| (created, read.position)))
}

#[utoipa::path(post, path = "/v1/venues", tag = "catalogue", request_body = NewVenue,
    responses((status = 201, body = VenueCreated), (status = "4XX", body = ProblemBody)))]
pub async fn create(ask: Ask<Sellers>, State(dispatch): State<Dispatch>, body: Body<NewVenue>) -> Answered {
    let request = ask.request(&body, None);
    let mut checks = Checks::default();
    let (name, timezone) = (body.value.name.clone(), body.value.timezone.clone());
    let sections = body.value.sections(&mut checks);
    checks.done()?;
    let venue_id = VenueId::derive(&ask.command);
    let timezone = timezone.unwrap_or_else(|| "Asia/Seoul".to_owned());
    let command = Command::Create(Create { venue_id: venue_id.clone(), name, timezone, sections });
    let outcome = dispatch.execute::<Venue>(StreamId::venue(&venue_id), command, request).await?;
    let seats = outcome.events.iter().map(|VenueEvent::Created(created)| seats_of(&created.sections)).sum();
    let location = format!("/v1/venues/{venue_id}");
    let body = VenueCreated { venue_id, seats, position: outcome.position };
    Ok(Answer::created(&location, &body)?.replayed(outcome.replayed).done())
}

#[utoipa::path(get, path = "/v1/venues/{id}", tag = "catalogue", params(("id" = String, Path,)),
    responses((status = 200, body = VenueView), (status = 404, body = ProblemBody)))]
pub async fn get(At(id): At<VenueId>, State(dispatch): State<Dispatch>) -> Answered {
    let (venue, position) = load(&dispatch, &id).await?.ok_or_else(Problem::not_found)?;
    let body = VenueView {
        venue_id: id,
        owner: venue.owner.clone(),
        name: venue.name.clone(),
        timezone: venue.timezone.clone(),
        seats: seats_of(&venue.sections),
        position,
    };
    Ok(Answer::ok(&body)?.done())
}

#[utoipa::path(get, path = "/v1/venues/{id}/sections", tag = "catalogue", params(("id" = String, Path,)),
    responses((status = 200, body = SectionsView), (status = 404, body = ProblemBody)))]
pub async fn sections(At(venue_id): At<VenueId>, State(dispatch): State<Dispatch>) -> Answered {
    let (venue, _) = load(&dispatch, &venue_id).await?.ok_or_else(Problem::not_found)?;
    let row = |row: &Row| RowView { row: row.row.clone(), seats: row.seats.len() };
    let section = |section: &Section| SectionView {
        section: section.section.clone(),
        grade: section.grade.clone(),
        seats: section.seats(),
        rows: section.rows.iter().map(row).collect(),
    };
    Ok(Answer::ok(&SectionsView { venue_id, sections: venue.sections.iter().map(section).collect() })?.done())
}

#[utoipa::path(get, path = "/v1/venues/{id}/seats", tag = "catalogue",
    params(("id" = String, Path,), ("section" = Option<String>, Query,)),
    responses((status = 200, body = VenueSeats), (status = 404, body = ProblemBody)))]
pub async fn seats(At(venue_id): At<VenueId>, params: Params, State(dispatch): State<Dispatch>) -> Answered {
    let (venue, _) = load(&dispatch, &venue_id).await?.ok_or_else(Problem::not_found)?;
    let wanted = |section: &&Section| params.get("section").is_none_or(|name| section.section == name);
    let mut seats = Vec::new();
    for section in venue.sections.iter().filter(wanted) {
        for row in &section.rows {
            seats.extend(row.seats.labels().map(|number| VenueSeat {
                seat_id: section.seat_id(row, &number),
                section: section.section.clone(),
                row: row.row.clone(),
                number,
                grade: section.grade.clone(),
            }));
        }
    }
    Ok(Answer::ok(&VenueSeats { venue_id, seats })?.done())
}
