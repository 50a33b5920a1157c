//! Is a member never granted more than the performance says, and does everything that is given back count again, once?

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::testing::{Story, Then, check, story};

fn order(name: &str) -> OrderId {
    OrderId::new(name)
}

fn hold(name: &str, seats: u32, limits: Limits) -> Command {
    Command::Hold { order_id: order(name), seats, limits }
}

fn sell(name: &str) -> Command {
    Command::Sell { order_id: order(name) }
}

fn release(name: &str, seats: u32, reason: ReleaseReason) -> Command {
    Command::Release { order_id: order(name), seats, reason }
}

fn seats(most: u32) -> Limits {
    Limits { seats: Some(most), ..Limits::default() }
}

const FREE: Limits = Limits { seats: None, live_orders: None, unpaid_holds: None };
const WINDOW: i64 = limits::UNPAID_HOLDS_WINDOW.as_millis() as i64;

use ReleaseReason::{Cancelled, Expired, Failed, Refunded};

#[test]
fn what_is_granted() {
    let nothing = || story::<Member>();
    let held = || nothing().after(&hold("o1", 2, FREE)).slept();
    let sold = || held().after(&sell("o1")).slept();
    let both = || sold().after(&hold("o2", 1, FREE)).slept();
    let limit = |limit, held, sold| Then::Refuses(Refusal::MemberLimit { limit, held, sold });
    let happens = Then::Happens(&["member.held"]);
    let all = Limits { seats: Some(3), live_orders: Some(1), unpaid_holds: Some(1) };
    let live = |most| Limits { live_orders: Some(most), ..FREE };
    check(vec![
        ("within the limit", nothing(), hold("o1", 2, seats(2)), happens.clone()),
        ("beyond it at once", nothing(), hold("o1", 3, seats(2)), limit(2, 0, 0)),
        ("held ones count", held(), hold("o2", 1, seats(2)), limit(2, 2, 0)),
        ("sold ones count", sold(), hold("o2", 1, seats(2)), limit(2, 0, 2)),
        ("both count", both(), hold("o3", 1, seats(3)), limit(3, 1, 2)),
        ("one more is granted", both(), hold("o3", 1, seats(4)), happens.clone()),
        ("the limit has become smaller than what they have", both(), hold("o3", 1, seats(1)), limit(1, 1, 2)),
        ("no limit", both(), hold("o3", 100, FREE), happens.clone()),
        ("more than can be counted", both(), hold("o3", u32::MAX, seats(4)), limit(4, 1, 2)),
        ("an unpaid order", held(), hold("o2", 1, live(1)), Then::Refuses(Refusal::TooManyLiveOrders { limit: 1 })),
        ("a paid one is not live", sold(), hold("o2", 1, live(1)), happens.clone()),
        ("two unpaid orders", held(), hold("o2", 1, live(2)), happens),
        ("the seats are told first", both(), hold("o3", 1, all), limit(3, 1, 2)),
    ]);
}

#[test]
fn what_comes_back_counts_again() {
    let held = || story::<Member>().after(&hold("o1", 3, FREE)).slept();
    let sold = || held().after(&sell("o1")).slept();
    let one_back = || sold().after(&release("o1", 1, Refunded)).slept();
    let (out, gone) = (Then::Happens(&["member.released"]), Then::Unchanged);
    check(vec![
        ("it expires", held(), release("o1", 3, Expired), out.clone()),
        ("it fails", held(), release("o1", 3, Failed), out.clone()),
        ("cancelled", held(), release("o1", 3, Cancelled), out.clone()),
        ("a refund of what is not sold", held(), release("o1", 3, Refunded), gone.clone()),
        ("sold", held(), sell("o1"), Then::Happens(&["member.sold"])),
        ("sold twice", sold(), sell("o1"), gone.clone()),
        ("a hold of what is sold ends", sold(), release("o1", 3, Expired), gone.clone()),
        ("one is given back", sold(), release("o1", 1, Refunded), out.clone()),
        ("the rest", one_back(), release("o1", 2, Refunded), out),
        // From before members were counted here.
        ("an order that nobody knows", held(), release("o0", 2, Expired), gone.clone()),
        ("it is sold", held(), sell("o0"), gone.clone()),
        ("and given back", sold(), release("o0", 2, Refunded), gone),
    ]);
    assert_eq!(one_back().state.standing(), (0, 2));
    let more = one_back().after(&release("o1", 9, Refunded));
    assert_eq!((more.state.standing(), more.state.orders.len()), ((0, 0), 0), "never more than there was");
}

#[test]
fn holds_let_go_unpaid_bar_for_a_while() {
    let limit = |most| Limits { unpaid_holds: Some(most), ..FREE };
    // Two holds, which ended at 1,000 and at 61,000.
    let twice = || {
        let first = story::<Member>().after(&hold("o1", 1, FREE)).at(1_000).after(&release("o1", 1, Expired));
        first.after(&hold("o2", 1, FREE)).at(61_000).after(&release("o2", 1, Cancelled)).slept()
    };
    let no =
        |limit, until, at| Then::Refuses(Refusal::TooManyHolds { limit, until: Timestamp(until), at: Timestamp(at) });
    let happens = Then::Happens(&["member.held"]);
    let by_seller = {
        let held = twice().after(&hold("o3", 1, FREE)).by("seller");
        held.at(62_000).after(&release("o3", 1, Cancelled)).by("ann")
    };
    let failed = twice().after(&hold("o3", 1, FREE)).at(62_000).after(&release("o3", 1, Failed));
    check(vec![
        ("two of three", twice(), hold("o3", 1, limit(3)), happens.clone()),
        ("two of two", twice(), hold("o3", 1, limit(2)), no(2, 1_000 + WINDOW, 61_000)),
        ("two of one", twice(), hold("o3", 1, limit(1)), no(1, 61_000 + WINDOW, 61_000)),
        ("the last moment", twice().at(999 + WINDOW), hold("o3", 1, limit(2)), no(2, 1_000 + WINDOW, 999 + WINDOW)),
        ("the oldest is forgiven", twice().at(1_000 + WINDOW), hold("o3", 1, limit(2)), happens.clone()),
        ("both are", twice().at(61_000 + WINDOW), hold("o3", 1, limit(1)), happens.clone()),
        ("the seller let it go", by_seller, hold("o4", 1, limit(3)), happens.clone()),
        ("payments that failed were tried", failed, hold("o4", 1, limit(3)), happens),
    ]);
    assert_eq!(Duration::from_millis(WINDOW.unsigned_abs()), limits::UNPAID_HOLDS_WINDOW);
}

#[test]
fn only_as_many_unpaid_holds_are_kept_as_can_be_asked_for() {
    let mut member = story::<Member>();
    for number in 0..i64::from(limits::UNPAID_HOLDS) + 20 {
        member = member.at(number).after(&hold("o1", 1, FREE)).after(&release("o1", 1, Expired));
    }
    assert_eq!(member.state.unpaid.len(), limits::UNPAID_HOLDS as usize);
    assert_eq!(member.state.barred_until(limits::UNPAID_HOLDS), Some(Timestamp(20 + WINDOW)), "the latest are kept");
}

/// What the orders of one member did, told plainly: one entry an order.
#[derive(Clone, Copy, Debug, Default)]
struct Plain {
    held: u32,
    sold: u32,
}

#[derive(Clone, Debug)]
enum Act {
    Hold(usize, u32),
    Sell(usize),
    Back(usize, u32),
    Over(usize, ReleaseReason, bool),
    Wait(i64),
    Cap(Option<u32>, Option<u32>, Option<u32>),
}

fn any_act() -> impl Strategy<Value = Act> {
    let limit = |most: u32| prop::option::weighted(0.8, 1..=most);
    prop_oneof![
        6 => (0_usize..8, 1_u32..4).prop_map(|(order, seats)| Act::Hold(order, seats)),
        3 => (0_usize..8).prop_map(Act::Sell),
        3 => (0_usize..8, 1_u32..4).prop_map(|(order, seats)| Act::Back(order, seats)),
        5 => (0_usize..8, prop::sample::select(vec![Expired, Cancelled, Failed]), any::<bool>())
            .prop_map(|(order, reason, own)| Act::Over(order, reason, own)),
        2 => (0..WINDOW).prop_map(Act::Wait),
        1 => (limit(6), limit(3), limit(4)).prop_map(|(seats, live, unpaid)| Act::Cap(seats, live, unpaid)),
    ]
}

proptest! {
    /// The reference keeps every moment for ever and counts anew for each question.
    #[test]
    fn the_account_agrees_with_a_plain_count(acts in prop::collection::vec(any_act(), 0..80)) {
        let (mut plain, mut ended): ([Plain; 8], Vec<i64>) = ([Plain::default(); 8], Vec::new());
        let (mut limits, mut now) = (Limits { seats: Some(4), live_orders: Some(2), unpaid_holds: Some(3) }, 0);
        let mut member: Story<'static, Member> = story();
        for act in acts {
            now += 1;
            member = member.at(now).by("ann");
            let name = |order: usize| format!("o{order}");
            match act {
                Act::Wait(millis) => now += millis,
                Act::Cap(seats, live_orders, unpaid_holds) => limits = Limits { seats, live_orders, unpaid_holds },
                // An order is placed once, so one that has something is not asked again.
                Act::Hold(order, _) if plain[order].held + plain[order].sold > 0 => {}
                Act::Hold(order, seats) => {
                    let total: u32 = plain.iter().map(|one| one.held + one.sold).sum();
                    let live = plain.iter().filter(|one| one.held > 0).count();
                    let young = ended.iter().filter(|at| **at + WINDOW > now).count();
                    let granted = limits.seats.is_none_or(|most| total + seats <= most)
                        && limits.live_orders.is_none_or(|most| live < most as usize)
                        && limits.unpaid_holds.is_none_or(|most| young < most as usize);
                    let word = member.tell(&hold(&name(order), seats, limits));
                    prop_assert_eq!(word.is_ok(), granted, "{:?} with {:?}", word, plain);
                    if granted {
                        plain[order].held = seats;
                    }
                }
                Act::Sell(order) => {
                    let word = member.tell(&sell(&name(order))).expect("never refused");
                    prop_assert_eq!(matches!(word, Decision::Append(_)), plain[order].held > 0);
                    plain[order] = Plain { held: 0, sold: plain[order].sold + plain[order].held };
                }
                Act::Back(order, seats) => {
                    member.tell(&release(&name(order), seats, Refunded)).expect("never refused");
                    plain[order].sold = plain[order].sold.saturating_sub(seats);
                }
                Act::Over(order, reason, own) => {
                    member = member.by(if own { "ann" } else { "system" });
                    member.tell(&release(&name(order), 1, reason)).expect("never refused");
                    if plain[order].held > 0 && (reason == Expired || reason == Cancelled && own) {
                        ended.push(now);
                    }
                    plain[order].held = 0;
                }
            }
            member = member.slept();
            let (held, sold) = (plain.iter().map(|one| one.held).sum::<u32>(), plain.iter().map(|one| one.sold).sum::<u32>());
            prop_assert_eq!(member.state.standing(), (held as usize, sold as usize));
        }
    }
}
