//! Under which terms is a performance sold? What its neighbours, above all the order, may read of it.
//!
//! The house is shared: pausing or changing a sale of 50,000 seats copies a handful of fields. This file decides nothing.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, DefaultHasher};
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::member::Limits;
use crate::events::performance::{Changed, GradePrice, Scheduled};
use crate::events::venue::{RowSeats, Section};
use crate::ids::{AccountId, PerformanceId, SeatId, ShowId, VenueId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

/// Fixed keys: the rules draw no randomness. These maps are only ever looked up in, never walked.
type Map<K, V> = HashMap<K, V, BuildHasherDefault<DefaultHasher>>;
type Set<T> = HashSet<T, BuildHasherDefault<DefaultHasher>>;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    pub performance_id: PerformanceId,
    pub owner: AccountId,
    pub show_id: ShowId,
    pub venue_id: VenueId,
    pub timezone: String,
    pub starts_at: Timestamp,
    pub sale_opens_at: Timestamp,
    pub sale_closes_at: Timestamp,
    pub cancel_until: Option<Timestamp>,
    pub currency: Currency,
    pub prices: Vec<GradePrice>,
    pub max_seats_per_order: u32,
    pub max_seats_per_member: Option<u32>,
    pub hold_seconds: u32,
    pub max_live_orders_per_member: Option<u32>,
    pub max_unpaid_holds_per_member: Option<u32>,
    /// Every order is counted for its member. Once begun it never ends: what was not counted would be missing later.
    pub members_counted: bool,
    pub layout: Arc<Layout>,
    pub paused: bool,
    /// It does not take place, and nothing is sold.
    pub cancelled: bool,
}

/// One seat of the house, under the terms of the sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeatTerms<'a> {
    pub section: &'a str,
    pub row: &'a str,
    pub number: Cow<'a, str>,
    pub grade: &'a str,
    pub price: Amount,
}

impl Terms {
    pub(super) fn of(scheduled: &Scheduled) -> Self {
        let mut terms = Self {
            performance_id: scheduled.performance_id.clone(),
            owner: scheduled.owner.clone(),
            show_id: scheduled.show_id.clone(),
            venue_id: scheduled.venue_id.clone(),
            timezone: scheduled.timezone.clone(),
            starts_at: scheduled.starts_at,
            sale_opens_at: scheduled.sale_opens_at,
            sale_closes_at: scheduled.sale_closes_at,
            cancel_until: scheduled.cancel_until,
            currency: scheduled.currency,
            prices: scheduled.prices.clone(),
            max_seats_per_order: scheduled.max_seats_per_order,
            max_seats_per_member: scheduled.max_seats_per_member,
            hold_seconds: scheduled.hold_seconds,
            max_live_orders_per_member: scheduled.max_live_orders_per_member,
            max_unpaid_holds_per_member: scheduled.max_unpaid_holds_per_member,
            members_counted: false,
            layout: Arc::new(Layout::new(scheduled.layout.clone())),
            paused: false,
            cancelled: false,
        };
        terms.members_counted = terms.limits_members();
        terms
    }

    /// From now on; what was ordered before keeps what it was ordered for.
    pub fn change(&mut self, changed: &Changed) {
        self.starts_at = changed.starts_at;
        self.sale_opens_at = changed.sale_opens_at;
        self.sale_closes_at = changed.sale_closes_at;
        self.cancel_until = changed.cancel_until;
        self.prices.clone_from(&changed.prices);
        self.max_seats_per_order = changed.max_seats_per_order;
        self.max_seats_per_member = changed.max_seats_per_member;
        self.hold_seconds = changed.hold_seconds;
        self.max_live_orders_per_member = changed.max_live_orders_per_member;
        self.max_unpaid_holds_per_member = changed.max_unpaid_holds_per_member;
        self.members_counted |= self.limits_members();
    }

    fn limits_members(&self) -> bool {
        let granted = self.granted();
        granted.seats.or(granted.live_orders).or(granted.unpaid_holds).is_some()
    }

    fn granted(&self) -> Limits {
        Limits {
            seats: self.max_seats_per_member,
            live_orders: self.max_live_orders_per_member,
            unpaid_holds: self.max_unpaid_holds_per_member,
        }
    }

    /// What each member is granted, where members are counted.
    #[must_use]
    pub fn member_limits(&self) -> Option<Limits> {
        self.members_counted.then(|| self.granted())
    }

    /// The seat of that id; `None` when the house has no such seat. Does not walk over the house.
    #[must_use]
    pub fn seat<'a>(&'a self, id: &'a SeatId) -> Option<SeatTerms<'a>> {
        let (section, row, number) = self.layout.find(id)?;
        let row = &section.rows[row].row;
        let price = self.price(&section.grade)?;
        Some(SeatTerms { section: &section.section, row, number: Cow::Borrowed(number), grade: &section.grade, price })
    }

    /// Every seat, section by section and row by row as the venue lists them.
    pub fn seats(&self) -> impl Iterator<Item = (SeatId, SeatTerms<'_>)> {
        self.layout.sections.iter().flat_map(move |section| {
            let price = self.price(&section.grade).unwrap_or_default();
            section.rows.iter().flat_map(move |row| {
                row.seats.labels().map(move |number| {
                    let id = section.seat_id(row, &number);
                    let (name, row, grade) = (&section.section, &row.row, &section.grade);
                    (id, SeatTerms { section: name, row, number: Cow::Owned(number), grade, price })
                })
            })
        })
    }

    #[must_use]
    pub fn seat_count(&self) -> usize {
        self.layout.seats
    }

    fn price(&self, grade: &str) -> Option<Amount> {
        self.prices.iter().find(|price| price.grade == grade).map(|price| price.price)
    }
}

/// The house with an index into it. Kept as the list of its sections; the index is made again.
#[derive(Debug)]
pub struct Layout {
    sections: Vec<Section>,
    seats: usize,
    index: Map<String, SectionIndex>,
}

#[derive(Debug)]
struct SectionIndex {
    section: usize,
    rows: Map<String, RowIndex>,
}

#[derive(Debug)]
struct RowIndex {
    row: usize,
    /// `None` where the row simply counts.
    labels: Option<Set<String>>,
}

impl Layout {
    #[must_use]
    pub fn new(sections: Vec<Section>) -> Self {
        let labels = |seats: &RowSeats| match seats {
            RowSeats::Count(_) => None,
            RowSeats::Labels(labels) => Some(labels.iter().cloned().collect()),
        };
        let rows = |section: &Section| {
            section
                .rows
                .iter()
                .enumerate()
                .map(|(i, row)| (row.row.clone(), RowIndex { row: i, labels: labels(&row.seats) }))
                .collect()
        };
        let index = sections
            .iter()
            .enumerate()
            .map(|(i, section)| (section.section.clone(), SectionIndex { section: i, rows: rows(section) }))
            .collect();
        let seats = sections.iter().map(Section::seats).sum();
        Self { sections, seats, index }
    }

    #[must_use]
    pub fn sections(&self) -> &[Section] {
        &self.sections
    }

    /// Section, place of the row in it, and the number. Labels have no `-`, so an id has one reading.
    fn find<'a>(&'a self, id: &'a SeatId) -> Option<(&'a Section, usize, &'a str)> {
        let mut parts = id.as_str().split('-');
        let (Some(section), Some(row), Some(number), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return None;
        };
        let index = self.index.get(section)?;
        let RowIndex { row, labels } = index.rows.get(row)?;
        let section = &self.sections[index.section];
        let exists = match labels {
            Some(labels) => labels.contains(number),
            None => section.rows[*row].seats.contains(number),
        };
        exists.then_some((section, *row, number))
    }
}

impl PartialEq for Layout {
    fn eq(&self, other: &Self) -> bool {
        self.sections == other.sections
    }
}

impl Eq for Layout {}

impl Serialize for Layout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.sections.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Layout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self::new)
    }
}
