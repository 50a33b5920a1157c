//! Which coupons are there, and how do they go? One row per coupon with its counts, and one per second of its sale.
//!
//! Whether a coupon is open is not in its row: that depends on the time at which somebody asks. What was refused is not in
//! the log, so it cannot be here.

use std::sync::Arc;

use super::select::{Listed, Order, Page, Select, one};
use super::store::Build;
use super::table::{Cell, Row, Table, Value, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit, text};
use crate::events::coupon::Created;
use crate::events::{CouponEvent, Event};
use crate::fault::Fault;
use crate::ids::{AccountId, CouponId, LogPosition};
use crate::limits;
use crate::timestamp::Timestamp;

// Rows

table! {
    /// One coupon and its counts. Texts are shared, since the hottest row of all is taken out and put back for each issue.
    pub struct CouponRow in "coupons" {
        key { coupon_id: CouponId }
        owner: AccountId,
        name: Arc<str>,
        name_folded: Arc<str>,
        stock: u64,
        per_member: u32,
        opens_at: Timestamp,
        closes_at: Timestamp,
        valid_until: Timestamp,
        /// JSON as in the log.
        discount: Arc<str>,
        /// JSON: the ids of shows.
        shows: Arc<str>,
        created_at: Timestamp,
        /// How many were ever issued, revoked ones included.
        issued: u64,
        revoked: u64,
        remaining: u64,
        first_issued_at: Option<Timestamp>,
        last_issued_at: Option<Timestamp>,
        /// When none was left for the first time.
        sold_out_at: Option<Timestamp>,
        /// Of the coupon's last fact.
        position: LogPosition,
    }
}

table! {
    /// What was issued within one second.
    pub struct SecondRow in "coupon_seconds" {
        key { coupon_id: CouponId, second: i64 }
        issued: u64,
    }
}

// Fold

pub struct Coupons;

impl Projection for Coupons {
    fn name(&self) -> &'static str {
        "coupons"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/coupons.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/coupons.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[CouponRow::TABLE, SecondRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["coupon"]
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        match &*fact.event {
            Event::Coupon(CouponEvent::Issued(_)) => {
                needed.row::<CouponRow>(CouponRow::key(coupon(fact)));
                needed.row::<SecondRow>(SecondRow::key(coupon(fact), second(fact.at())));
            }
            Event::Coupon(CouponEvent::Revoked(_)) => needed.row::<CouponRow>(CouponRow::key(coupon(fact))),
            _ => {}
        }
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        let Event::Coupon(event) = &*fact.event else { return Ok(()) };
        match event {
            CouponEvent::Created(new) => created(fact, new, rows),
            CouponEvent::Issued(_) => issued(fact, rows),
            CouponEvent::Revoked(_) => revoked(fact, rows),
            // What a member does with a coupon is not counted here.
            CouponEvent::Reserved(_) | CouponEvent::Used(_) | CouponEvent::Returned(_) => Ok(()),
        }
    }
}

fn coupon(fact: &Fact) -> CouponId {
    CouponId::new(fact.record.stream.id())
}

fn second(at: Timestamp) -> i64 {
    at.0.div_euclid(1_000)
}

fn created(fact: &Fact, new: &Created, rows: &mut Rows) -> Result<(), Unfit> {
    let unwritable = |error: serde_json::Error| Unfit::Impossible(error.to_string());
    rows.put(CouponRow {
        coupon_id: new.coupon_id.clone(),
        owner: new.owner.clone(),
        name: new.name.as_str().into(),
        name_folded: text::folded(&new.name).into(),
        stock: new.stock,
        per_member: new.per_member,
        opens_at: new.opens_at,
        closes_at: new.closes_at,
        valid_until: new.valid_until,
        discount: serde_json::to_string(&new.discount).map_err(unwritable)?.into(),
        shows: serde_json::to_string(&new.shows).map_err(unwritable)?.into(),
        created_at: fact.at(),
        issued: 0,
        revoked: 0,
        remaining: new.stock,
        first_issued_at: None,
        last_issued_at: None,
        sold_out_at: None,
        position: fact.position(),
    });
    Ok(())
}

fn issued(fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
    let mut row: CouponRow = rows.expect(&CouponRow::key(coupon(fact)))?;
    let left = row.remaining.checked_sub(1);
    row.remaining = left.ok_or_else(|| Unfit::Impossible(format!("{} has none left to issue", row.coupon_id)))?;
    row.issued += 1;
    row.first_issued_at.get_or_insert(fact.at());
    row.last_issued_at = Some(fact.at());
    if row.remaining == 0 {
        row.sold_out_at.get_or_insert(fact.at());
    }
    row.position = fact.position();
    let (coupon_id, second) = (row.coupon_id.clone(), second(fact.at()));
    rows.put(row);
    let before = rows.get::<SecondRow>(&SecondRow::key(coupon_id.clone(), second))?.map_or(0, |row| row.issued);
    rows.put(SecondRow { coupon_id, second, issued: before + 1 });
    Ok(())
}

/// A revoked coupon is free again; its second stays as it was.
fn revoked(fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
    let mut row: CouponRow = rows.expect(&CouponRow::key(coupon(fact)))?;
    row.revoked += 1;
    row.remaining += 1;
    row.position = fact.position();
    rows.put(row);
    Ok(())
}

// Lists

/// A coupon's state at the time of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Scheduled,
    Open,
    SoldOut,
    Closed,
}

impl Status {
    /// The words of the public contract.
    pub const WORDS: [(&'static str, Self); 4] =
        [("scheduled", Self::Scheduled), ("open", Self::Open), ("sold_out", Self::SoldOut), ("closed", Self::Closed)];
}

/// Which coupons; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Part of the name, in any spelling.
    pub name: Option<String>,
    pub owner: Option<AccountId>,
    pub status: Option<Status>,
}

/// Coupons as of `now`, the newest first.
pub async fn list(build: &dyn Build, wanted: Wanted, now: Timestamp, page: &Page) -> Result<Listed<CouponRow>, Fault> {
    const NEWEST: Order = Order::descending(&["created_at", "coupon_id"]);
    let folded = wanted.name.as_deref().map(text::folded);
    let all = Select::new().maybe_equal("owner", wanted.owner).contains("name_folded", folded.as_deref());
    let running = |all: Select| all.at_most("opens_at", Some(now)).above("closes_at", Some(now));
    let select = match wanted.status {
        None => all,
        Some(Status::Closed) => all.at_most("closes_at", Some(now)),
        Some(Status::Scheduled) => all.above("opens_at", Some(now)).above("closes_at", Some(now)),
        Some(Status::Open) => running(all).above("remaining", Some(0_u64)),
        Some(Status::SoldOut) => running(all).equal("remaining", 0_u64),
    };
    select.page(build, NEWEST, page).await
}

/// One coupon; `None` if it is not here (yet).
pub async fn one_coupon(build: &dyn Build, coupon: &CouponId) -> Result<Option<CouponRow>, Fault> {
    one(build, &CouponRow::key(coupon.clone())).await
}

/// Some coupons, in the order of their ids; those that are not here are left out.
pub async fn some(build: &dyn Build, coupons: Vec<CouponId>) -> Result<Vec<CouponRow>, Fault> {
    const IDS: Order = Order::ascending(&["coupon_id"]);
    let all = Page { limit: coupons.len(), after: None };
    Ok(Select::new().one_of("coupon_id", coupons).page(build, IDS, &all).await?.rows)
}

/// How many were issued when, in points of equal width from the first issue to the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    pub width_seconds: u64,
    /// The most within one second.
    pub peak: u64,
    /// The beginning of each point and what was issued in it, nothing included.
    pub points: Vec<(Timestamp, u64)>,
}

pub async fn series(build: &dyn Build, row: &CouponRow) -> Result<Series, Fault> {
    let (Some(first), Some(last)) = (row.first_issued_at, row.last_issued_at) else { return Ok(Series::default()) };
    let (first, last) = (second(first), second(last));
    let (width, mut points) = grid(first, last);
    let of = row.coupon_id.clone().into_value();
    let step = Value::Int(i64::try_from(width).unwrap_or(i64::MAX));
    let sql = "SELECT CAST((second - $2) / $3 AS BIGINT), CAST(SUM(issued) AS BIGINT), CAST(MAX(issued) AS BIGINT) \
               FROM @.coupon_seconds WHERE coupon_id = $1 AND second >= $2 GROUP BY 1 ORDER BY 1";
    let mut peak = 0;
    for cells in build.query(sql, &[of, Value::Int(first), step]).await? {
        let [Value::Int(place), Value::Int(sum), Value::Int(most)] = cells[..] else {
            return Err(Fault::internal("a point of a series has another shape"));
        };
        // More may have been issued since the row was read: it belongs to the next answer.
        if let Some(point) = usize::try_from(place).ok().and_then(|place| points.get_mut(place)) {
            point.1 = u64::try_from(sum).unwrap_or(0);
        }
        peak = peak.max(u64::try_from(most).unwrap_or(0));
    }
    Ok(Series { width_seconds: width, peak, points })
}

/// Empty points over these seconds, as narrow as their number allows.
fn grid(first: i64, last: i64) -> (u64, Vec<(Timestamp, u64)>) {
    let span = u64::try_from(last - first).unwrap_or(0) + 1;
    let width = span.div_ceil(limits::SERIES_POINTS);
    let begin = |number| Timestamp(first.saturating_add_unsigned(number * width).saturating_mul(1_000));
    (width, (0..span.div_ceil(width)).map(|number| (begin(number), 0)).collect())
}

#[cfg(test)]
mod tests;
