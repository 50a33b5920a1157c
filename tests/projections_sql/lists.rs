//! Do both engines answer the same when lists are read? Rows that no command can make yet, and statements of their own.

use onsale::ids::{
    AccountId, CouponId, Hash16, LogPosition, OrderId, Partition, PerformanceId, Position, SeatId, ShowId, TicketId,
    VenueId,
};
use onsale::money::{Amount, Currency};
use onsale::projections::coupons::{self, CouponRow, SecondRow, Series};
use onsale::projections::notifications::{self, NotificationRow};
use onsale::projections::orders::{self, TicketRow, status};
use onsale::projections::performances::{self, Filter, PerformanceRow, Status};
use onsale::projections::select::Page;
use onsale::projections::store::{Build, Changes, Purpose};
use onsale::projections::{Rows, named};
use onsale::timestamp::Timestamp;

use crate::{Place, both};

/// A build of a read model that has exactly these rows.
async fn holding(place: &Place, projection: &str, fill: impl FnOnce(&mut Rows)) -> std::sync::Arc<dyn Build> {
    let projection = named(projection).expect("a projection of the roster");
    let build = place.store().await.create(projection, 8, Purpose::Serve).await.expect("a build");
    let mut rows = Rows::default();
    fill(&mut rows);
    let changes = Changes { tables: rows.changes(), ..Changes::default() };
    build.writer().await.expect("a writer").commit(&changes).await.expect("rows");
    build
}

const POSITION: LogPosition = LogPosition { partition: Partition(1), position: Position(2) };

fn order(number: u8) -> OrderId {
    OrderId::derive(Partition(1), &Hash16([number; 16]))
}

fn performance(number: u8) -> PerformanceId {
    PerformanceId::derive(&Hash16([number; 16]))
}

fn ticket(of: u8, seat: &str, account: &str, sold_at: i64) -> TicketRow {
    TicketRow {
        order_id: order(of),
        seat_id: SeatId::new(seat),
        ticket_id: TicketId::new(format!("tk_{of}_{seat}")),
        performance_id: performance(of % 2),
        account: AccountId::new(account),
        price: Amount::ZERO,
        paid: Amount::ZERO,
        currency: Currency::KRW,
        status: status::VALID.into(),
        sold_at: Timestamp(sold_at),
        used_at: None,
        position: POSITION,
    }
}

fn ids(rows: &[TicketRow]) -> Vec<String> {
    rows.iter().map(|row| row.ticket_id.to_string()).collect()
}

#[tokio::test]
async fn tickets_are_listed_for_their_holder_and_by_their_orders() {
    for place in both().await {
        let build = holding(&place, "orders", |rows| {
            rows.put(ticket(1, "A-1-1", "kim", 10));
            rows.put(ticket(1, "A-1-2", "kim", 10));
            rows.put(ticket(2, "A-1-3", "kim", 20));
            rows.put(ticket(3, "A-1-4", "lee", 15));
            rows.put(TicketRow { status: status::REFUNDED.into(), ..ticket(3, "A-1-5", "lee", 15) });
        });
        let build = build.await;
        let kim = || AccountId::new("kim");
        let page = Page { limit: 2, after: None };
        let first = orders::tickets(&*build, kim(), None, None, &page).await.expect("a page");
        assert_eq!(ids(&first.rows), ["tk_2_A-1-3", "tk_1_A-1-2"], "{}", place.name());
        let page = Page { limit: 2, after: first.next };
        let second = orders::tickets(&*build, kim(), None, None, &page).await.expect("a page");
        assert_eq!((ids(&second.rows), second.next), (vec!["tk_1_A-1-1".to_owned()], None), "{}", place.name());
        let all = Page { limit: 50, after: None };
        let of = async |performance_id, order_id| {
            let found = orders::tickets(&*build, kim(), performance_id, order_id, &all).await.expect("a page");
            ids(&found.rows)
        };
        assert_eq!(of(Some(performance(0)), None).await, ["tk_2_A-1-3"]);
        assert_eq!(of(None, Some(order(1))).await, ["tk_1_A-1-2", "tk_1_A-1-1"]);
        assert_eq!(of(None, Some(order(3))).await, Vec::<String>::new(), "somebody else's");
        let some = orders::tickets_of(&*build, vec![order(3), order(1)]).await.expect("tickets");
        assert_eq!(ids(&some), ["tk_1_A-1-1", "tk_1_A-1-2", "tk_3_A-1-4"], "without the refunded one");
        assert!(orders::tickets_of(&*build, Vec::new()).await.expect("nothing").is_empty());
    }
}

fn news(number: u64, account: &str, at: i64) -> NotificationRow {
    NotificationRow {
        position: LogPosition { partition: Partition(1), position: Position(number) },
        account: AccountId::new(account),
        kind: "refunded".into(),
        order_id: order(1),
        performance_id: performance(1),
        amount: Some(Amount::ZERO),
        currency: Currency::KRW,
        at: Timestamp(at),
    }
}

#[tokio::test]
async fn news_is_told_to_whom_it_concerns_the_newest_first() {
    for place in both().await {
        let build = holding(&place, "notifications", |rows| {
            for (number, account, at) in [(1, "kim", 10), (2, "lee", 20), (3, "kim", 30), (4, "kim", 30)] {
                rows.put(news(number, account, at));
            }
        });
        let build = build.await;
        let of = async |account: &str, after| {
            let page = Page { limit: 2, after };
            notifications::of_member(&*build, AccountId::new(account), &page).await.expect("a page")
        };
        let numbers = |rows: &[NotificationRow]| rows.iter().map(|row| row.position.position.0).collect::<Vec<_>>();
        let first = of("kim", None).await;
        assert_eq!(numbers(&first.rows), [4, 3], "{}", place.name());
        let second = of("kim", first.next).await;
        assert_eq!((numbers(&second.rows), second.next), (vec![1], None), "{}", place.name());
        assert_eq!(numbers(&of("lee", None).await.rows), [2], "{}", place.name());
        assert!(of("ann", None).await.rows.is_empty(), "{}", place.name());
    }
}

fn on_sale(number: u8) -> PerformanceRow {
    PerformanceRow {
        performance_id: performance(number),
        owner: AccountId::new("seller"),
        show_id: ShowId::new("sh_1"),
        venue_id: VenueId::new("vn_1"),
        timezone: "Asia/Seoul".to_owned(),
        starts_at: Timestamp(i64::from(number)),
        sale_opens_at: Timestamp(100),
        sale_closes_at: Timestamp(200),
        cancel_until: None,
        currency: Currency::KRW,
        prices: "{}".into(),
        max_seats_per_order: 4,
        max_seats_per_member: None,
        max_live_orders_per_member: None,
        max_unpaid_holds_per_member: None,
        hold_seconds: 180,
        seats: 2,
        available: 2,
        paused: false,
        cancelled: false,
        position: POSITION,
    }
}

#[tokio::test]
async fn what_is_cancelled_is_nothing_else_any_more() {
    for place in both().await {
        let build = holding(&place, "performances", |rows| {
            let paused = PerformanceRow { paused: true, ..on_sale(2) };
            let sold_out = PerformanceRow { available: 0, ..on_sale(3) };
            for row in [on_sale(1), paused, sold_out] {
                let number = row.starts_at.0 + 10;
                let performance_id = performance(u8::try_from(number).expect("small"));
                let starts_at = Timestamp(number);
                rows.put(PerformanceRow { performance_id, starts_at, cancelled: true, ..row.clone() });
                rows.put(row);
            }
        });
        let build = build.await;
        let all = Page { limit: 50, after: None };
        let of = async |status| {
            let filter = Filter { status, ..Filter::default() };
            let listed = performances::list(&*build, filter, &all).await.expect("a page");
            listed.rows.iter().map(|row| row.starts_at.0).collect::<Vec<_>>()
        };
        let table = [
            (Status::Scheduled, 99, vec![1, 3]),
            (Status::OnSale, 150, vec![1]),
            (Status::Paused, 150, vec![2]),
            (Status::SoldOut, 150, vec![3]),
            (Status::Closed, 200, vec![1, 2, 3]),
        ];
        for (status, now, expected) in table {
            assert_eq!(of(Some((status, Timestamp(now)))).await, expected, "{status:?} {}", place.name());
            let cancelled = of(Some((Status::Cancelled, Timestamp(now)))).await;
            assert_eq!(cancelled, [11, 12, 13], "at {now}, {}", place.name());
        }
        assert_eq!(of(None).await, [1, 2, 3, 11, 12, 13], "{}", place.name());
    }
}

fn coupon(first: i64, last: i64) -> CouponRow {
    CouponRow {
        coupon_id: CouponId::derive(&Hash16::default()),
        owner: AccountId::new("seller"),
        name: "봄".into(),
        name_folded: "봄".into(),
        stock: 100,
        per_member: 1,
        opens_at: Timestamp(0),
        closes_at: Timestamp(9_000_000),
        valid_until: Timestamp(9_000_000),
        discount: "{}".into(),
        shows: "[]".into(),
        created_at: Timestamp(0),
        issued: 18,
        revoked: 0,
        remaining: 82,
        first_issued_at: Some(Timestamp(first)),
        last_issued_at: Some(Timestamp(last)),
        sold_out_at: None,
        position: POSITION,
    }
}

#[tokio::test]
async fn a_long_sale_is_told_in_wider_points() {
    for place in both().await {
        // 100 s to 1,300 s: 1,201 seconds, so three to a point.
        let row = coupon(100_250, 1_300_999);
        let seconds = [(100, 1), (101, 2), (102, 3), (103, 4), (700, 5), (1_299, 1), (1_300, 2)];
        let build = holding(&place, "coupons", |rows| {
            rows.put(row.clone());
            for (second, issued) in seconds {
                rows.put(SecondRow { coupon_id: row.coupon_id.clone(), second, issued });
            }
            let other = CouponId::derive(&Hash16([7; 16]));
            rows.put(SecondRow { coupon_id: other, second: 500, issued: 99 });
        });
        let build = build.await;
        let Series { width_seconds, peak, points } = coupons::series(&*build, &row).await.expect("a series");
        assert_eq!((width_seconds, peak, points.len()), (3, 5, 401), "{}", place.name());
        let busy: Vec<_> = points.into_iter().filter(|(_, issued)| *issued > 0).collect();
        let expected = [(100_000, 6), (103_000, 4), (700_000, 5), (1_297_000, 1), (1_300_000, 2)];
        assert_eq!(busy, expected.map(|(at, issued)| (Timestamp(at), issued)), "{}", place.name());

        let quiet = CouponRow { first_issued_at: None, last_issued_at: None, ..row };
        assert_eq!(coupons::series(&*build, &quiet).await.expect("a series"), Series::default());
    }
}
