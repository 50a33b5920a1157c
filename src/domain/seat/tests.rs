//! Does a seat agree only to what its standing allows? A table; `model` asks in every order.

mod model;

use super::*;
use crate::domain::testing::{Then, check, story};

fn order(id: &str) -> OrderId {
    OrderId::new(id)
}

fn hold(id: &str) -> Command {
    Command::Hold { order_id: order(id) }
}

fn release(id: &str, reason: ReleaseReason) -> Command {
    Command::Release { order_id: order(id), reason }
}

fn sell(id: &str) -> Command {
    Command::Sell { order_id: order(id), ticket_id: TicketId::new("t"), price: Amount::ZERO }
}

#[test]
fn what_a_seat_agrees_to() {
    use ReleaseReason::{Cancelled, Expired, Refunded};
    let free = || story::<Seat>();
    let held = || free().after(&hold("o1")).slept();
    let sold = || held().after(&sell("o1")).slept();
    let blocked = || free().after(&Command::Block).slept();
    let no = || Then::Refuses(UNAVAILABLE);
    check(vec![
        ("hold a free one", free(), hold("o1"), Then::Happens(&["seat.held"])),
        ("hold a held one", held(), hold("o2"), no()),
        ("hold it twice for one order", held(), hold("o1"), no()),
        ("hold a sold one", sold(), hold("o2"), no()),
        ("hold a blocked one", blocked(), hold("o1"), no()),
        ("sell a free one", free(), sell("o1"), no()),
        ("sell to the holder", held(), sell("o1"), Then::Happens(&["seat.sold"])),
        ("sell to somebody else", held(), sell("o2"), no()),
        ("sell twice", sold(), sell("o1"), no()),
        ("release a free one", free(), release("o1", Expired), no()),
        ("release the holder's", held(), release("o1", Cancelled), Then::Happens(&["seat.released"])),
        ("release somebody else's", held(), release("o2", Expired), no()),
        ("refund what is only held", held(), release("o1", Refunded), no()),
        ("expire what is sold", sold(), release("o1", Expired), no()),
        ("refund what is sold", sold(), release("o1", Refunded), Then::Happens(&["seat.released"])),
        ("refund somebody else's", sold(), release("o2", Refunded), no()),
        ("block a free one", free(), Command::Block, Then::Happens(&["seat.blocked"])),
        ("block a held one", held(), Command::Block, no()),
        ("block a blocked one", blocked(), Command::Block, no()),
        ("unblock a blocked one", blocked(), Command::Unblock, Then::Happens(&["seat.unblocked"])),
        ("unblock a free one", free(), Command::Unblock, no()),
    ]);
}
