//! How are many seats of one performance asked at once, and what is said when some refuse? For the house and for orders.
//!
//! Whether a seat is free is not known here: each seat answers for itself.

use std::collections::HashSet;

use super::Terms;
use crate::domain::checks::{invalid, require};
use crate::domain::{Refusal, seat};
use crate::ids::{PerformanceId, SeatId, StreamId};
use crate::limits;

/// The seats of a block: some, not too many, none twice, all of this house.
pub(super) fn check_seats(terms: &Terms, seats: &[SeatId]) -> Result<(), Refusal> {
    require(!seats.is_empty(), "/seats", "must name at least one seat")?;
    require(seats.len() <= limits::BLOCK_SEATS, "/seats", &format!("must name at most {} seats", limits::BLOCK_SEATS))?;
    let mut seen = HashSet::new();
    for (i, seat) in seats.iter().enumerate() {
        if !seen.insert(seat) {
            return Err(invalid(format!("/seats/{i}"), "is named twice"));
        }
        if terms.seat(seat).is_none() {
            return Err(invalid(format!("/seats/{i}"), "is not a seat of this performance"));
        }
    }
    Ok(())
}

/// All refused seats under their ids, in the order in which the caller named them; any other refusal goes first.
pub(in crate::domain) fn unavailable(asked_for: &[SeatId], refused: Vec<(StreamId, Refusal)>) -> Refusal {
    let mut taken = HashSet::new();
    for (stream, refusal) in refused {
        match (refusal, stream.seat_id()) {
            (Refusal::SeatUnavailable { .. }, Some(seat)) => taken.insert(seat),
            (other, _) => return other,
        };
    }
    Refusal::SeatUnavailable { seats: asked_for.iter().filter(|seat| taken.contains(*seat)).cloned().collect() }
}

/// One command to each seat named, no seat twice. A list that the rule refuses anyway involves nobody.
pub(in crate::domain) fn each_seat(
    performance: &PerformanceId,
    seats: &[SeatId],
    most: usize,
    command: &seat::Command,
) -> Vec<(StreamId, seat::Command)> {
    let mut seen = HashSet::new();
    let named = if seats.len() > most { &[] } else { seats };
    named
        .iter()
        .filter(|seat| seen.insert(*seat))
        .map(|seat| (StreamId::seat(performance, seat), command.clone()))
        .collect()
}
