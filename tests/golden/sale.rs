//! Which facts stand for their kinds in the golden files of sales? Houses, shows, performances and their members.

use super::*;

fn sections() -> Vec<Section> {
    let rows = vec![
        Row { row: "1".into(), seats: RowSeats::Count(300) },
        Row { row: "나".into(), seats: RowSeats::Labels(vec!["왼쪽".into(), "7b".into()]) },
    ];
    vec![
        Section { section: "A".into(), grade: "VIP".into(), rows: rows.clone() },
        Section { section: "1루".into(), grade: "R".into(), rows },
    ]
}

pub fn performance_samples() -> Vec<Event> {
    let price = |grade: &str, price| GradePrice { grade: grade.into(), price: amount(price) };
    let plain = performance::Scheduled {
        performance_id: PerformanceId::derive(&hash("performance")),
        owner: owner(),
        show_id: ShowId::derive(&hash("show")),
        venue_id: VenueId::derive(&hash("venue")),
        timezone: "Asia/Seoul".into(),
        starts_at: at(86_400_000),
        sale_opens_at: at(0),
        sale_closes_at: at(86_000_000),
        cancel_until: None,
        currency: krw(),
        prices: vec![price("VIP", 150_000), price("R", 0)],
        max_seats_per_order: 4,
        max_seats_per_member: None,
        hold_seconds: 180,
        layout: sections(),
        body: hash("body"),
        max_live_orders_per_member: None,
        max_unpaid_holds_per_member: None,
    };
    let full = performance::Scheduled {
        max_live_orders_per_member: Some(2),
        max_unpaid_holds_per_member: Some(5),
        cancel_until: Some(at(80_000_000)),
        max_seats_per_member: Some(300),
        hold_seconds: 3_600,
        ..plain.clone()
    };
    let changed = |cancel_until, max_seats_per_member| performance::Changed {
        starts_at: at(86_400_000),
        sale_opens_at: at(0),
        sale_closes_at: at(86_000_000),
        cancel_until,
        prices: vec![price("VIP", 170_000), price("R", 1)],
        max_seats_per_order: 6,
        max_seats_per_member,
        hold_seconds: 90,
        body: hash("body"),
        max_live_orders_per_member: max_seats_per_member.map(|_| 1),
        max_unpaid_holds_per_member: max_seats_per_member.map(|_| 300),
    };
    let seats = vec![SeatId::new("A-1-7"), SeatId::new("1루-나-왼쪽")];
    let body = hash("body");
    vec![
        PerformanceEvent::from(plain).into(),
        PerformanceEvent::from(full).into(),
        PerformanceEvent::from(performance::Paused { body }).into(),
        PerformanceEvent::from(performance::Resumed { body }).into(),
        PerformanceEvent::from(performance::SeatsBlocked { seats: seats.clone(), body }).into(),
        PerformanceEvent::from(performance::SeatsUnblocked { seats, body }).into(),
        PerformanceEvent::from(changed(Some(at(80_000_000)), None)).into(),
        PerformanceEvent::from(changed(None, Some(300))).into(),
        PerformanceEvent::from(performance::Cancelled { body }).into(),
        PerformanceEvent::from(performance::CalledOff { orders: 10_000 }).into(),
    ]
}

pub fn catalogue_samples() -> Vec<Event> {
    let show = show::Created {
        show_id: ShowId::derive(&hash("show")),
        owner: owner(),
        title: "콘서트".into(),
        category: "concert".into(),
        description: "one line\nand another".into(),
        place: "Seoul".into(),
        starts_on: "2026-12-01".into(),
        ends_on: "2026-12-31".into(),
        body: hash("body"),
    };
    let venue = venue::Created {
        venue_id: VenueId::derive(&hash("venue")),
        owner: owner(),
        name: "돔".into(),
        timezone: "Asia/Seoul".into(),
        sections: sections(),
        body: hash("body"),
    };
    vec![ShowEvent::from(show).into(), VenueEvent::from(venue).into()]
}

pub fn member_samples() -> Vec<Event> {
    use ReleaseReason::{Cancelled, Expired, Failed, Refunded};
    let (order_id, account_id) = (order_id(), AccountId::new("member-1"));
    let released = |reason, seats, unpaid| member::Released { order_id: super::order_id(), seats, reason, unpaid };
    vec![
        MemberEvent::from(member::Held { order_id: order_id.clone(), account_id, seats: 2 }).into(),
        MemberEvent::from(member::Sold { order_id, seats: 300 }).into(),
        MemberEvent::from(released(Expired, 2, true)).into(),
        MemberEvent::from(released(Cancelled, 1, false)).into(),
        MemberEvent::from(released(Failed, 4, false)).into(),
        MemberEvent::from(released(Refunded, 1, false)).into(),
    ]
}
