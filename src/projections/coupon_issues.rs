//! Who has which coupon? One row per issue.
//!
//! The busiest table of all: an issue is one row that nobody reads before, at the end of its coupon's serials. What a coupon
//! is called and worth stands in the `coupons` read model.

use super::select::{Listed, Order, Page, Select};
use super::store::Build;
use super::table::{Row, Table, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit};
use crate::events::{CouponEvent, Event};
use crate::fault::Fault;
use crate::ids::{AccountId, CouponId, LogPosition, OrderId, TaskId};
use crate::timestamp::Timestamp;

// Rows

table! {
    /// One issue. Serials go up, so new rows come at the end of their coupon's; task ids would scatter them.
    pub struct IssueRow in "coupon_issues" {
        key { coupon_id: CouponId, serial: u64 }
        task_id: TaskId,
        account: AccountId,
        issued_at: Timestamp,
        revoked: bool,
        /// The order that has it now; a revoked one stays with its order.
        order_id: Option<OrderId>,
        /// That order was completed.
        used: bool,
        /// Of the last fact about this issue.
        position: LogPosition,
    }
}

// Fold

pub struct CouponIssues;

impl Projection for CouponIssues {
    fn name(&self) -> &'static str {
        "coupon_issues"
    }

    fn version(&self) -> u32 {
        2
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/coupon_issues.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/coupon_issues.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[IssueRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["coupon"]
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        let Event::Coupon(event) = &*fact.event else { return };
        let serial = match event {
            CouponEvent::Created(_) | CouponEvent::Issued(_) => return,
            CouponEvent::Revoked(revoked) => revoked.serial,
            CouponEvent::Reserved(reserved) => reserved.serial,
            CouponEvent::Used(used) => used.serial,
            CouponEvent::Returned(returned) => returned.serial,
        };
        needed.row::<IssueRow>(IssueRow::key(coupon(fact), serial));
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        let Event::Coupon(event) = &*fact.event else { return Ok(()) };
        let issue = |serial: u64| rows.expect::<IssueRow>(&IssueRow::key(coupon(fact), serial));
        let row = match event {
            CouponEvent::Created(_) => return Ok(()),
            CouponEvent::Issued(issued) => {
                rows.add(IssueRow {
                    coupon_id: coupon(fact),
                    serial: issued.serial,
                    task_id: issued.task_id.clone(),
                    account: issued.account_id.clone(),
                    issued_at: fact.at(),
                    revoked: false,
                    order_id: None,
                    used: false,
                    position: fact.position(),
                });
                return Ok(());
            }
            CouponEvent::Revoked(revoked) => IssueRow { revoked: true, ..issue(revoked.serial)? },
            CouponEvent::Reserved(reserved) => {
                let order_id = Some(reserved.order_id.clone());
                IssueRow { order_id, used: false, ..issue(reserved.serial)? }
            }
            CouponEvent::Used(used) => {
                IssueRow { order_id: Some(used.order_id.clone()), used: true, ..issue(used.serial)? }
            }
            CouponEvent::Returned(returned) => IssueRow { order_id: None, used: false, ..issue(returned.serial)? },
        };
        rows.put(IssueRow { position: fact.position(), ..row });
        Ok(())
    }
}

fn coupon(fact: &Fact) -> CouponId {
    CouponId::new(fact.record.stream.id())
}

// Lists

/// A member's coupons, the newest first.
pub async fn of_member(build: &dyn Build, account: AccountId, page: &Page) -> Result<Listed<IssueRow>, Fault> {
    const NEWEST: Order = Order::descending(&["issued_at", "serial", "coupon_id"]);
    Select::new().equal("account", account).page(build, NEWEST, page).await
}

/// The issues of a coupon by serial, all or those to one member.
pub async fn of_coupon(
    build: &dyn Build,
    coupon: CouponId,
    account: Option<AccountId>,
    page: &Page,
) -> Result<Listed<IssueRow>, Fault> {
    const SERIALS: Order = Order::ascending(&["serial"]);
    // The same order, written so that the index of members serves it: the log's time never goes back within a coupon.
    const OF_MEMBER: Order = Order::ascending(&["issued_at", "serial"]);
    let order = if account.is_some() { OF_MEMBER } else { SERIALS };
    Select::new().equal("coupon_id", coupon).maybe_equal("account", account).page(build, order, page).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::coupon::{Issued, Reserved, Returned, Revoked, Used};
    use crate::ids::{Hash16, StreamId};
    use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter};

    #[test]
    fn an_issue_is_a_row_that_orders_mark() {
        let (coupon, task_id) = (CouponId::derive(&Hash16([7; 16])), TaskId::new("ct_7_1"));
        let (account_id, serial) = (AccountId::new("m1"), 1);
        let (first, second) = (OrderId::new("o0_1"), OrderId::new("o0_2"));
        let told = |event: CouponEvent| (StreamId::coupon(&coupon), event.into());
        let issued = || Issued { account_id: account_id.clone(), serial, task_id: task_id.clone() };
        let reserved = |order: &OrderId| {
            let Issued { account_id, serial, task_id } = issued();
            told(Reserved { account_id, serial, task_id, order_id: order.clone(), until: Timestamp(99) }.into())
        };
        let used = |order: &OrderId| {
            let Issued { account_id, serial, task_id } = issued();
            told(Used { account_id, serial, task_id, order_id: order.clone() }.into())
        };
        let returned = |order: &OrderId| {
            let Issued { account_id, serial, task_id } = issued();
            told(Returned { account_id, serial, task_id, order_id: order.clone() }.into())
        };
        let revoked = told(Revoked { account_id: account_id.clone(), serial, task_id: task_id.clone() }.into());
        let steps = [
            (told(issued().into()), (None, false, false)),
            (reserved(&first), (Some(&first), false, false)),
            (returned(&first), (None, false, false)),
            (reserved(&second), (Some(&second), false, false)),
            (used(&second), (Some(&second), true, false)),
            (revoked, (Some(&second), true, true)),
            (returned(&second), (None, false, true)),
        ];
        let mut story = Story::default();
        let mut shelf = Shelf::default();
        for (at, (fact, expected)) in (10..).zip(steps) {
            story.unit(at, [fact]);
            let fact = &story.facts[story.facts.len() - 1];
            shelf.apply(&CouponIssues, fact).expect("it fits");
            let rows = shelf.rows::<IssueRow>();
            let [row] = rows.as_slice() else { panic!("one issue, but: {rows:?}") };
            assert_eq!((row.order_id.as_ref(), row.used, row.revoked), expected, "at {at}");
            assert_eq!((row.issued_at, &row.position), (Timestamp(10), &fact.position()), "at {at}");
        }
        let mut stray = Story::default();
        stray.unit(1, [reserved(&first)]);
        assert!(Shelf::default().apply(&CouponIssues, &stray.facts[0]).is_err(), "it was never issued");
    }

    #[test]
    fn an_issue_is_a_row_that_a_revocation_marks() {
        let coupons: Vec<CouponId> = (0..3_u8).map(|n| CouponId::derive(&Hash16([n; 16]))).collect();
        let task = |n: usize, serial: u64| TaskId::new(format!("ct_{n}_{serial}"));
        let member = |serial: u64| AccountId::new(format!("m{serial}"));
        let issue = |n: usize, serial: u64| {
            let issued = Issued { account_id: member(serial), serial, task_id: task(n, serial) };
            (StreamId::coupon(&coupons[n]), CouponEvent::from(issued).into())
        };
        let revoke = |n: usize, serial: u64| {
            let revoked = Revoked { account_id: member(serial), serial, task_id: task(n, serial) };
            (StreamId::coupon(&coupons[n]), CouponEvent::from(revoked).into())
        };
        let mut story = Story::default();
        story.unit(10, [issue(0, 1)]).unit(11, [issue(1, 1)]).unit(12, [issue(0, 2)]).unit(13, [revoke(0, 1)]);
        story.unit(14, [issue(2, 1)]);
        let shelf = Shelf::of(&CouponIssues, &story.facts);
        let mut rows: Vec<_> = shelf
            .rows::<IssueRow>()
            .into_iter()
            .map(|row| (row.task_id.to_string(), row.account.to_string(), row.issued_at.0, row.revoked))
            .collect();
        rows.sort();
        let row = |task: &str, account: &str, at, revoked| (task.to_owned(), account.to_owned(), at, revoked);
        let expected = [
            row("ct_0_1", "m1", 10, true),
            row("ct_0_2", "m2", 12, false),
            row("ct_1_1", "m1", 11, false),
            row("ct_2_1", "m1", 14, false),
        ];
        assert_eq!(rows, expected);
        order_of_partitions_does_not_matter(&CouponIssues, &story);

        let mut stray = Story::default();
        stray.unit(1, [revoke(0, 7)]);
        assert!(Shelf::default().apply(&CouponIssues, &stray.facts[0]).is_err(), "it was never issued");
    }
}
