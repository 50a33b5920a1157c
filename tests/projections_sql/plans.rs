//! Is every list served by an index? Asks SQLite how it would find the rows of the very statements that lists are made of.

use std::sync::Arc;

use async_trait::async_trait;
use onsale::ids::{AccountId, CouponId, Hash16, OrderId, Partition, PerformanceId, Position, StoreId};
use onsale::projections::select::Page;
use onsale::projections::store::{Build, BuildId, ParkedKey, Purpose, Snapshot, StoreError, Writer, open};
use onsale::projections::table::{Cells, Value};
use onsale::projections::{coupon_issues, coupons, named, notifications, orders, store_payments};
use onsale::timestamp::Timestamp;
use parking_lot::Mutex;

use crate::Place;

/// A build that finds nothing, and remembers how it would have looked for it.
struct Planner {
    build: Arc<dyn Build>,
    /// Goes with the planner.
    _place: Place,
    plans: Mutex<Vec<String>>,
}

#[async_trait]
impl Build for Planner {
    fn id(&self) -> BuildId {
        self.build.id()
    }

    fn version(&self) -> u32 {
        self.build.version()
    }

    async fn cursors(&self) -> Result<Vec<Position>, StoreError> {
        self.build.cursors().await
    }

    async fn parked_keys(
        &self,
        after: Option<(Partition, Position)>,
        limit: usize,
    ) -> Result<Vec<ParkedKey>, StoreError> {
        self.build.parked_keys(after, limit).await
    }

    async fn query(&self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError> {
        let steps = self.build.query(&format!("EXPLAIN QUERY PLAN {sql}"), binds).await?;
        let told = steps.iter().map(|step| match step.last() {
            Some(Value::Text(detail)) => detail.to_string(),
            other => panic!("a step without words: {other:?}"),
        });
        self.plans.lock().push(told.collect::<Vec<_>>().join("; "));
        Ok(Vec::new())
    }

    async fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        self.build.writer().await
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        self.build.snapshot().await
    }
}

impl Planner {
    async fn of(projection: &str) -> Self {
        let place = Place::Files(tempfile::tempdir().expect("a directory"));
        let store = open(&place.target()).await.expect("a store");
        let projection = named(projection).expect("a projection of the roster");
        let build = store.create(projection, 8, Purpose::Serve).await.expect("a build");
        Self { build, _place: place, plans: Mutex::default() }
    }

    /// The one plan since the last time.
    #[track_caller]
    fn told(&self, begins: &str) {
        let plans = std::mem::take(&mut *self.plans.lock());
        let [plan] = plans.as_slice() else { panic!("not one statement: {plans:?}") };
        assert!(plan.starts_with(begins), "expected {begins}, got: {plan}");
        assert!(!plan.contains("TEMP B-TREE"), "nothing is sorted that an index could have in order: {plan}");
    }
}

fn after(cells: &[Value]) -> Page {
    Page { limit: 50, after: Some(cells.to_vec()) }
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

#[tokio::test]
async fn orders_are_found_by_the_narrowest_index() {
    let planner = Planner::of("orders").await;
    let account = || Some(AccountId::new("kim"));
    let performance_id = || Some(PerformanceId::derive(&Hash16::default()));
    let everything = orders::Wanted::default;
    let table = [
        (everything(), "SEARCH orders USING INDEX orders_by_time"),
        (orders::Wanted { buyer: account(), ..everything() }, "SEARCH orders USING INDEX orders_by_account"),
        (
            orders::Wanted { buyer: account(), performance_id: performance_id(), ..everything() },
            "SEARCH orders USING INDEX orders_by_account",
        ),
        (
            orders::Wanted { buyer: account(), reference: Some("r".to_owned()), ..everything() },
            "SEARCH orders USING INDEX orders_by_account",
        ),
        (orders::Wanted { owner: account(), ..everything() }, "SEARCH orders USING INDEX orders_by_owner"),
        (
            orders::Wanted { owner: account(), status: Some("expired"), ..everything() },
            "SEARCH orders USING INDEX orders_by_owner",
        ),
        (
            orders::Wanted { owner: account(), account: account(), ..everything() },
            "SEARCH orders USING INDEX orders_by_account",
        ),
        (
            orders::Wanted { owner: account(), performance_id: performance_id(), ..everything() },
            "SEARCH orders USING INDEX orders_by_performance",
        ),
        (
            orders::Wanted { owner: account(), reference: Some("r".to_owned()), ..everything() },
            "SEARCH orders USING INDEX orders_by_reference",
        ),
    ];
    for (wanted, expected) in table {
        let page = after(&[Value::Int(5), text("o1_x")]);
        orders::list(&planner, wanted, &page).await.expect("a plan");
        planner.told(expected);
    }
    let page = after(&[Value::Int(5), text("t")]);
    let order = OrderId::derive(Partition(1), &Hash16::default());
    orders::tickets(&planner, AccountId::new("kim"), performance_id(), None, &page).await.expect("a plan");
    planner.told("SEARCH tickets USING INDEX tickets_by_account");
    orders::tickets_of(&planner, vec![order.clone(), order]).await.expect("a plan");
    planner.told("SEARCH tickets USING INDEX tickets_by_order (order_id=?");
}

#[tokio::test]
async fn coupons_news_and_payments_are_found_by_an_index() {
    let planner = Planner::of("coupons").await;
    let now = Timestamp(5);
    let page = after(&[Value::Int(5), text("cp_x")]);
    let own = coupons::Wanted { owner: Some(AccountId::new("seller")), ..coupons::Wanted::default() };
    coupons::list(&planner, own, now, &page).await.expect("a plan");
    planner.told("SEARCH coupons USING INDEX coupons_by_owner");
    let open = coupons::Wanted { status: Some(coupons::Status::Open), ..coupons::Wanted::default() };
    coupons::list(&planner, open, now, &page).await.expect("a plan");
    planner.told("SEARCH coupons USING INDEX coupons_by_time");

    let planner = Planner::of("coupon_issues").await;
    let (coupon, kim) = (CouponId::derive(&Hash16::default()), AccountId::new("kim"));
    let page = after(&[Value::Int(5), Value::Int(7), text("cp_x")]);
    coupon_issues::of_member(&planner, kim.clone(), &page).await.expect("a plan");
    planner.told("SEARCH coupon_issues USING INDEX coupon_issues_by_member");
    coupon_issues::of_coupon(&planner, coupon.clone(), None, &after(&[Value::Int(7)])).await.expect("a plan");
    planner.told("SEARCH coupon_issues USING PRIMARY KEY (coupon_id=? AND serial>?)");
    let page = after(&[Value::Int(5), Value::Int(7)]);
    coupon_issues::of_coupon(&planner, coupon, Some(kim), &page).await.expect("a plan");
    planner.told("SEARCH coupon_issues USING INDEX coupon_issues_by_member (account=?");

    let planner = Planner::of("notifications").await;
    let page = after(&[Value::Int(5), text("1:7")]);
    notifications::of_member(&planner, AccountId::new("kim"), &page).await.expect("a plan");
    planner.told("SEARCH notifications USING INDEX notifications_by_account (account=?");

    let planner = Planner::of("store_payments").await;
    let store = || StoreId::derive(&Hash16::default());
    let page = after(&[Value::Int(5), text("p")]);
    let late = store_payments::Wanted { from: Some(now), status: Some("paid"), ..store_payments::Wanted::default() };
    store_payments::list(&planner, store(), late, &page).await.expect("a plan");
    planner.told("SEARCH store_payments USING INDEX store_payments_by_time");
    let terminal = store_payments::Wanted { terminal_id: Some("t1".to_owned()), ..store_payments::Wanted::default() };
    store_payments::list(&planner, store(), terminal, &page).await.expect("a plan");
    planner.told("SEARCH store_payments USING INDEX store_payments_by_terminal");
}
