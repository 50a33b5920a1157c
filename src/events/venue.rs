//! What can happen to a venue? It is created with its sections and rows.

use serde::{Deserialize, Serialize};

use super::noun_events;
use crate::ids::{AccountId, Hash16, SeatId, VenueId};

noun_events!(VenueEvent in Venue {
    Created("venue.created", 1),
});

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    pub venue_id: VenueId,
    pub owner: AccountId,
    pub name: String,
    pub timezone: String,
    pub sections: Vec<Section>,
    pub body: Hash16,
}

/// A part of the house with one grade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    pub section: String,
    pub grade: String,
    pub rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    pub row: String,
    pub seats: RowSeats,
}

/// Seats 1 … n, or seats with labels of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RowSeats {
    Count(u32),
    Labels(Vec<String>),
}

impl RowSeats {
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Count(n) => *n as usize,
            Self::Labels(labels) => labels.len(),
        }
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The labels in the order of the row.
    pub fn labels(&self) -> impl Iterator<Item = String> + '_ {
        let (count, labels): (u32, &[String]) = match self {
            Self::Count(n) => (*n, &[]),
            Self::Labels(labels) => (0, labels),
        };
        (1..=count).map(|n| n.to_string()).chain(labels.iter().cloned())
    }

    #[must_use]
    pub fn contains(&self, label: &str) -> bool {
        match self {
            Self::Count(n) => label.parse::<u32>().is_ok_and(|i| (1..=*n).contains(&i) && i.to_string() == label),
            Self::Labels(labels) => labels.iter().any(|l| l == label),
        }
    }
}

impl Section {
    /// `<section>-<row>-<number>`
    #[must_use]
    pub fn seat_id(&self, row: &Row, number: &str) -> SeatId {
        SeatId::new(format!("{}-{}-{number}", self.section, row.row))
    }

    #[must_use]
    pub fn seats(&self) -> usize {
        self.rows.iter().map(|row| row.seats.len()).sum()
    }
}
