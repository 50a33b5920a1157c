//! Are ids made and read in one way only, and does routing never change?

use super::*;

#[test]
fn the_partition_function_never_changes() {
    let golden = [("pf_1", 64), ("coupon", 64), ("스토어", 64), ("", 64), ("pf_1", 7)];
    let got: Vec<u16> = golden.iter().map(|(key, n)| Partition::of_key(key, *n).0).collect();
    assert_eq!(got, GOLDEN_PARTITIONS, "{got:?}");
}

const GOLDEN_PARTITIONS: [u16; 5] = [31, 18, 43, 47, 4];

#[test]
fn ids_carry_where_they_live() {
    let command = Hash16::of("test", &[b"a"]);
    let order = OrderId::derive(Partition(12), &command);
    assert_eq!(order.partition(), Some(Partition(12)));
    assert_eq!(StreamId::order(&order).partition(64), Some(Partition(12)));
    assert_eq!(StreamId::order(&order).partition(8), None);
    for junk in ["", "o", "o1", "o1_", "o01_00000000000000000000000000000000", "o1_0000", "12_ab"] {
        assert_eq!(OrderId::new(junk).partition(), None, "{junk}");
    }
    let ticket = TicketId::of(&order, 3);
    assert_eq!((ticket.as_str(), ticket.order()), (format!("t{}_3", &order.as_str()[1..]).as_str(), Some(order)));
    for junk in ["", "t", "t1_x_1", "t12_00000000000000000000000000000000", "t12_00000000000000000000000000000000_0"] {
        assert_eq!(TicketId::new(junk).order(), None, "{junk}");
    }
    let coupon = CouponId::derive(&command);
    assert_eq!(TaskId::derive(&coupon, &command).coupon(), Some(coupon));
    assert_eq!(TaskId::new("ct_x_y").coupon(), None);
}

#[test]
fn a_seat_lives_with_its_performance() {
    let performance = PerformanceId::derive(&Hash16::of("test", &[b"p"]));
    let seat = StreamId::seat(&performance, &SeatId::new("A-1-7"));
    assert_eq!(seat.partition(64), StreamId::performance(&performance).partition(64));
    assert_eq!(seat.seat_id(), Some(SeatId::new("A-1-7")));
    assert!(seat.as_str().starts_with(&StreamId::seat_prefix(&performance)));
}

#[test]
fn a_member_is_counted_with_the_performance() {
    let performance = PerformanceId::derive(&Hash16::of("test", &[b"p"]));
    for account in ["ann", "a/b", "acc_1|x"] {
        let member = StreamId::member(&performance, &AccountId::new(account));
        assert_eq!(member.partition(64), StreamId::performance(&performance).partition(64), "{account}");
        assert_eq!((member.noun(), member.seat_id()), ("member", None));
    }
}

#[test]
fn payment_keys_are_plain() {
    for good in ["pk_1", "tviva20240513-A_b=", "5zJ4xY7m0kODnyRpQWGrN2xqGlNvLrKwv1M9ENjbeoPaZdL6"] {
        assert!(PaymentKey::parse(good).is_some(), "{good}");
    }
    for junk in ["", "..", "a/b", "a b", "a?b", "a%2fb", "키", &"a".repeat(limits::PAYMENT_KEY_BYTES + 1)] {
        assert_eq!(PaymentKey::parse(junk), None, "{junk}");
    }
}

#[test]
fn positions_have_one_spelling() {
    assert_eq!(LogPosition::parse("3:17").map(|p| p.to_string()).as_deref(), Some("3:17"));
    for junk in ["", "3", "3:", ":1", "+3:1", "3:01", "3:-1", "70000:1", "3:99999999999999999999", "3:1 "] {
        assert_eq!(LogPosition::parse(junk), None, "{junk}");
    }
}
