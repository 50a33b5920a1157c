//! What do a coupon's facts make of its counts and its seconds?

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::events::coupon::{Discount, Issued, Revoked};
use crate::ids::{Hash16, StreamId, TaskId};
use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter};

fn id(name: &str) -> CouponId {
    CouponId::derive(&Hash16::of("test", &[name.as_bytes()]))
}

fn new(name: &str, stock: u64) -> (StreamId, Event) {
    let created = Created {
        coupon_id: id(name),
        owner: AccountId::new("seller"),
        name: format!("봄 {name}"),
        stock,
        per_member: 1,
        opens_at: Timestamp(1_000),
        closes_at: Timestamp(90_000),
        valid_until: Timestamp(99_000),
        discount: Discount::Percent { value: 10, currency: None, max_amount: None, min_amount: None },
        shows: Vec::new(),
        body: Hash16::default(),
    };
    (StreamId::coupon(&id(name)), CouponEvent::from(created).into())
}

fn issue(name: &str, serial: u64) -> (StreamId, Event) {
    let task_id = TaskId::new(format!("ct_{name}_{serial}"));
    let issued = Issued { account_id: AccountId::new(format!("m{serial}")), serial, task_id };
    (StreamId::coupon(&id(name)), CouponEvent::from(issued).into())
}

fn revoke(name: &str, serial: u64) -> (StreamId, Event) {
    let task_id = TaskId::new(format!("ct_{name}_{serial}"));
    let revoked = Revoked { account_id: AccountId::new(format!("m{serial}")), serial, task_id };
    (StreamId::coupon(&id(name)), CouponEvent::from(revoked).into())
}

#[test]
fn counts_follow_issues_and_revocations() {
    let mut story = Story::default();
    story.unit(500, [new("A", 2)]).unit(600, [new("B", 5)]).unit(1_100, [issue("A", 1)]);
    story.unit(1_900, [issue("B", 1)]).unit(1_999, [issue("A", 2)]).unit(2_000, [issue("B", 2)]);
    story.unit(3_000, [revoke("A", 1)]).unit(4_000, [issue("A", 3)]);
    let shelf = Shelf::of(&Coupons, &story.facts);
    let mut counts: Vec<_> = shelf
        .rows::<CouponRow>()
        .into_iter()
        .map(|row| {
            let times = (row.first_issued_at, row.last_issued_at, row.sold_out_at);
            (row.name_folded.to_string(), row.issued, row.revoked, row.remaining, times)
        })
        .collect();
    counts.sort();
    let at = |ms| Some(Timestamp(ms));
    let expected = [
        ("봄 a".to_owned(), 3, 1, 0, (at(1_100), at(4_000), at(1_999))),
        ("봄 b".to_owned(), 2, 0, 3, (at(1_900), at(2_000), None)),
    ];
    assert_eq!(counts, expected);
    let of_a: Vec<_> = shelf.rows::<SecondRow>().into_iter().filter(|row| row.coupon_id == id("A")).collect();
    assert_eq!(of_a.iter().map(|row| (row.second, row.issued)).collect::<Vec<_>>(), [(1, 2), (4, 1)]);
    order_of_partitions_does_not_matter(&Coupons, &story);
}

#[test]
fn what_the_rules_forbid_is_not_counted() {
    let mut story = Story::default();
    story.unit(1, [new("A", 1)]).unit(2, [issue("A", 1)]).unit(3, [issue("A", 2)]).unit(4, [issue("B", 1)]);
    let mut shelf = Shelf::of(&Coupons, &story.facts[..2]);
    assert!(shelf.apply(&Coupons, &story.facts[2]).is_err(), "none was left");
    assert!(shelf.apply(&Coupons, &story.facts[3]).is_err(), "there is no such coupon");
    assert_eq!(shelf, Shelf::of(&Coupons, &story.facts[..2]), "and nothing changed");
}

#[test]
fn points_cover_the_sale_and_get_wider_as_it_gets_longer() {
    for (first, last, width, points) in
        [(7, 7, 1, 1), (0, 599, 1, 600), (0, 600, 2, 301), (-5, 1_194, 2, 600), (0, 86_400 * 365, 52_561, 600)]
    {
        let (got, series) = grid(first, last);
        assert_eq!((got, series.len()), (width, points), "{first} to {last}");
        assert_eq!(series[0].0, Timestamp(first * 1_000));
        let end = series[series.len() - 1].0.0 / 1_000 + i64::try_from(width).expect("small");
        assert!(end > last, "the last second is in the last point");
        assert!(series.len() as u64 <= limits::SERIES_POINTS);
    }
}

proptest! {
    /// Issues and revocations in any order that the rules allow: nothing is lost between the counts and the seconds.
    #[test]
    fn counts_and_seconds_agree(steps in prop::collection::vec((any::<bool>(), 0_i64..3_000), 0..60)) {
        const STOCK: u64 = 5;
        let mut story = Story::default();
        story.unit(0, [new("A", STOCK)]);
        let (mut at, mut serial, mut live, mut sold_out_at) = (0, 0, BTreeSet::new(), None);
        for (take_back, later) in steps {
            at += later;
            if take_back {
                if let Some(serial) = live.pop_first() {
                    story.unit(at, [revoke("A", serial)]);
                }
            } else if (live.len() as u64) < STOCK {
                serial += 1;
                live.insert(serial);
                story.unit(at, [issue("A", serial)]);
                if live.len() as u64 == STOCK {
                    sold_out_at.get_or_insert(Timestamp(at));
                }
            }
        }
        let shelf = Shelf::of(&Coupons, &story.facts);
        let row = shelf.rows::<CouponRow>().remove(0);
        prop_assert_eq!((row.issued, row.remaining), (serial, STOCK - live.len() as u64));
        prop_assert_eq!(row.issued - row.revoked, live.len() as u64);
        prop_assert_eq!(row.sold_out_at, sold_out_at);
        prop_assert_eq!(row.position, story.facts[story.facts.len() - 1].position());
        let in_seconds: u64 = shelf.rows::<SecondRow>().iter().map(|row| row.issued).sum();
        prop_assert_eq!(in_seconds, row.issued);
    }
}
