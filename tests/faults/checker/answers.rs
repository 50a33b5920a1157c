//! C1, C2 and C3 of single answers: is everything that was answered with success in the log, where the answer says and as it
//! says? Is one wish one effect with one answer? And did a definite no do nothing?

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::Verdict;
use super::calls::{Call, Wish};
use super::coupons::Coupon;
use super::log::{Event, Log, position};
use super::orders::{Order, State};

/// What the log says, found by what calls name.
pub struct Facts<'a> {
    pub log: &'a Log,
    pub orders: &'a HashMap<String, Order>,
    pub coupons: &'a HashMap<String, Coupon>,
    /// Of a client's own order number.
    by_reference: HashMap<&'a str, Vec<&'a Order>>,
    by_payment: HashMap<&'a str, Vec<(&'a Order, u64)>>,
    /// Facts of a counter: by store and payment.
    recorded: HashMap<(String, String), Vec<&'a Event>>,
    returned: HashMap<(String, String), Vec<&'a Event>>,
    /// By performance and seat: partition, end of the unit, and whether it was taken from then on.
    pub seats: HashMap<String, Vec<(u64, u64, bool)>>,
    /// By position of the unit's end.
    ends: HashMap<(u64, u64), u64>,
}

impl<'a> Facts<'a> {
    pub fn of(log: &'a Log, orders: &'a HashMap<String, Order>, coupons: &'a HashMap<String, Coupon>) -> Self {
        let mut facts = Self {
            log,
            orders,
            coupons,
            by_reference: HashMap::new(),
            by_payment: HashMap::new(),
            recorded: HashMap::new(),
            returned: HashMap::new(),
            seats: HashMap::new(),
            ends: HashMap::new(),
        };
        for order in orders.values() {
            if let Some(reference) = &order.reference {
                facts.by_reference.entry(reference).or_default().push(order);
            }
            for (number, attempt) in &order.attempts {
                facts.by_payment.entry(&attempt.key).or_default().push((order, *number));
            }
        }
        for unit in log.units() {
            let Some(last) = unit.last() else { continue };
            for event in unit {
                facts.ends.insert((event.partition, event.position), last.position);
                if let Some(("seat", seat)) = event.stream.split_once('/') {
                    let taken = status_after(&event.kind).is_some();
                    facts.seats.entry(seat.to_owned()).or_default().push((event.partition, last.position, taken));
                }
                let list = match event.kind.as_str() {
                    "store.payment_recorded" => &mut facts.recorded,
                    "store.payment_cancelled" => &mut facts.returned,
                    _ => continue,
                };
                let store = event.stream.split_once('/').map_or("", |(_, id)| id).to_owned();
                list.entry((store, event.text("payment_id").to_owned())).or_default().push(event);
            }
        }
        facts
    }

    fn end_of(&self, event: &Event) -> (u64, u64) {
        (event.partition, self.ends.get(&(event.partition, event.position)).copied().unwrap_or_default())
    }

    /// Where the effect of a wish stands, if it has one: the end of its unit.
    pub fn effect(&self, wish: &Wish<'_>) -> Option<(u64, u64)> {
        let call = wish.first();
        match call.what.as_str() {
            "place" => {
                let order = self.orders.get(wish.oks().next()?.answered("order_id"))?;
                Some((order.partition, order.placed_at()?))
            }
            "pay" => {
                let (order, attempt) = self.payment(call)?;
                let position = order.attempts.get(&attempt)?.position;
                Some((order.partition, self.ends.get(&(order.partition, position)).copied()?))
            }
            "issue" => {
                let task = wish.oks().next()?.answered("task_id");
                let (_, _, end) = self.coupons.get(&call.target)?.issued.get(task)?;
                Some((wish.oks().next()?.position()?.0, *end))
            }
            "store-payment" => {
                let payment = call.asked["payment_id"].as_str()?.to_owned();
                let event = self.recorded.get(&(call.target.clone(), payment))?.first()?;
                Some(self.end_of(event))
            }
            _ => None,
        }
    }

    fn payment(&self, call: &Call) -> Option<(&'a Order, u64)> {
        let key = call.asked["payment_key"].as_str()?;
        self.by_payment.get(key)?.iter().find(|(order, _)| order.id == call.target).copied()
    }
}

pub fn judge(facts: &Facts<'_>, wishes: &[Wish<'_>], verdict: &mut Verdict) {
    for wish in wishes {
        verdict.saw("wishes");
        for call in wish.oks() {
            verdict.saw("commands answered with success");
            acknowledged(facts, call, verdict);
        }
        once(facts, wish, verdict);
        if wish.calls.len() > 1 && wish.calls.iter().any(|call| call.outcome == super::calls::Outcome::Unknown) {
            verdict.saw("unknown outcomes that were asked about again");
        }
        if wish.refused() {
            verdict.saw("wishes refused");
            refused(facts, wish, verdict);
        }
        for call in &wish.calls {
            told(facts, call, verdict);
        }
    }
}

/// C1: it is in the log, where it says.
fn acknowledged(facts: &Facts<'_>, call: &Call, verdict: &mut Verdict) {
    let mut missing = |what: String| verdict.broken("C1", format!("{}: {what}", call.name()));
    let Some(position) = call.position() else {
        if matches!(call.what.as_str(), "place" | "pay" | "cancel" | "issue" | "store-payment" | "store-cancel") {
            missing("success without a position".to_owned());
        }
        return;
    };
    if facts.log.unit_ending(position.0, position.1).is_none() {
        missing(format!("it says {position:?}, where no unit of the log ends"));
        return;
    }
    match call.what.as_str() {
        "place" => {
            let Some(order) = facts.orders.get(call.answered("order_id")) else {
                return missing(format!("{} is not in the log", call.answered("order_id")));
            };
            let at = order.placed_at().unwrap_or_default();
            if (order.partition, at) != position || order.account != call.client || order.performance != call.target {
                missing(format!("it says {position:?}, {} of {} stands at {at}", order.id, order.account));
            }
            let answered = call.answer["seats"].as_array();
            let answered =
                answered.map(|all| all.iter().filter_map(|seat| seat["seat_id"].as_str()).collect::<Vec<_>>());
            let other = |seats: &Vec<&str>| {
                seats.len() != order.seats.len() || seats.iter().any(|seat| !order.seats.contains(*seat))
            };
            if answered.as_ref().is_some_and(other) {
                missing(format!("it says {answered:?}, the log {:?}", order.seats));
            }
        }
        "pay" => {
            view(facts, call, "C1", verdict);
            paid(facts, call, verdict);
        }
        "cancel" => {
            view(facts, call, "C1", verdict);
            if facts.orders.get(&call.target).is_some_and(|order| !order.undone) {
                verdict.broken("C1", format!("{}: nothing of it was cancelled", call.name()));
            }
        }
        "issue" => {
            let task = facts.coupons.get(&call.target).and_then(|coupon| coupon.issued.get(call.answered("task_id")));
            let Some((member, serial, end)) = task else { return missing("it is not in the log".to_owned()) };
            let answered = call.answer["serial"].as_u64().unwrap_or(*serial);
            if *member != call.client || answered != *serial || *end != position.1 {
                missing(format!("it says serial {answered} at {position:?}, the log {serial} of {member} at {end}"));
            }
        }
        "store-payment" | "store-cancel" => counter(facts, call, position, verdict),
        _ => {}
    }
}

fn counter(facts: &Facts<'_>, call: &Call, position: (u64, u64), verdict: &mut Verdict) {
    let (list, amount) = match call.what.as_str() {
        "store-payment" => (&facts.recorded, &call.asked["amount"]),
        _ => (&facts.returned, &call.answer["amount"]),
    };
    // Of what is cancelled the answer says the name; what is recorded has the name that was asked for.
    let payment = call.answer["payment_id"].as_str().or_else(|| call.asked["payment_id"].as_str());
    let found = list.get(&(call.target.clone(), payment.unwrap_or_default().to_owned()));
    let there = found.into_iter().flatten().find(|event| facts.end_of(event) == position);
    if there.is_none_or(|event| event.data["amount"] != *amount) {
        verdict.broken("C1", format!("{}: {position:?} is not where it stands: {there:?}", call.name()));
    }
}

/// What a payment's answer says about the money.
fn paid(facts: &Facts<'_>, call: &Call, verdict: &mut Verdict) {
    if call.asked["payment_key"].is_null() {
        return;
    }
    let state = facts.payment(call).and_then(|(order, number)| order.attempts.get(&number)).map(|one| one.state);
    let fits = match (call.status, call.answered("status")) {
        (200, "completed") => matches!(state, Some(State::Captured(_))),
        _ => state.is_some(),
    };
    if !fits {
        verdict.broken("C1", format!("{}: the payment is {state:?} in the log", call.name()));
    }
}

/// An order as it is shown is the order as it stood at the position that is shown.
pub fn view(facts: &Facts<'_>, call: &Call, rule: &'static str, verdict: &mut Verdict) {
    let (id, status) = (call.answered("order_id"), call.answered("status"));
    let Some((partition, position)) = call.position() else { return };
    verdict.saw("orders shown");
    let stood = facts.orders.get(id).filter(|order| order.partition == partition);
    let stood = stood.and_then(|order| order.history.get(&position)).copied();
    if stood != Some(status) {
        verdict.broken(
            rule,
            format!("{}: {id} is shown {status} at {partition}:{position}, where it is {stood:?}", call.name()),
        );
    }
}

/// C2: one effect, one answer.
fn once(facts: &Facts<'_>, wish: &Wish<'_>, verdict: &mut Verdict) {
    let first = wish.first();
    let mut answers = wish.oks().filter(|call| matches!(call.status, 200 | 201));
    if let Some(one) = answers.next() {
        for other in answers {
            verdict.saw("answers that were given again");
            // A payment's status is 201 the first time and 200 later; an order may go on after it was cancelled.
            let members: &[&str] = match one.what.as_str() {
                "cancel" => &["order_id"],
                _ => &["order_id", "task_id", "serial", "status", "position", "amount", "remaining"],
            };
            if let Some(member) = members.iter().find(|member| one.answer[**member] != other.answer[**member]) {
                verdict.broken("C2", format!("{} and {} differ in {member}", one.name(), other.name()));
            }
        }
    }
    let effects = match first.what.as_str() {
        "place" => first.asked["reference"].as_str().and_then(|name| facts.by_reference.get(name)).map_or(0, Vec::len),
        "pay" => {
            let key = first.asked["payment_key"].as_str().unwrap_or_default();
            let all = facts.by_payment.get(key).into_iter().flatten();
            // A key whose first attempt was declined may be tried again under another idempotency key.
            all.filter(|(order, number)| {
                order.id == first.target && order.attempts.get(number).is_some_and(|one| one.state != State::Declined)
            })
            .count()
        }
        "store-payment" => {
            let payment = first.asked["payment_id"].as_str().unwrap_or_default().to_owned();
            facts.recorded.get(&(first.target.clone(), payment)).map_or(0, Vec::len)
        }
        _ => 0,
    };
    if effects > 1 {
        verdict.broken("C2", format!("{}: {effects} effects", first.name()));
    }
}

/// A definite no has done nothing.
fn refused(facts: &Facts<'_>, wish: &Wish<'_>, verdict: &mut Verdict) {
    let call = wish.first();
    let declined = wish.calls.iter().any(|call| call.code == "payment-declined");
    let found = match call.what.as_str() {
        "place" => {
            let orders = call.asked["reference"].as_str().and_then(|name| facts.by_reference.get(name));
            orders.and_then(|all| all.first()).map(|order| order.id.clone())
        }
        "pay" => {
            let attempt = facts.payment(call).and_then(|(order, number)| order.attempts.get(&number));
            let wrong = attempt.filter(|one| !declined || one.state != State::Declined);
            if declined && attempt.is_none() {
                verdict.broken("C1", format!("{}: declined, but never asked for", call.name()));
            }
            wrong.map(|one| format!("{one:?}"))
        }
        "store-payment" => {
            let payment = call.asked["payment_id"].as_str().unwrap_or_default().to_owned();
            let mismatch = wish.calls.iter().any(|call| call.code == "payment-mismatch");
            let found = facts.recorded.get(&(call.target.clone(), payment)).filter(|_| !mismatch);
            found.and_then(|all| all.first()).map(|event| event.place())
        }
        _ => None,
    };
    if let Some(found) = found {
        let codes: Vec<&str> = wish.calls.iter().map(|call| call.code.as_str()).collect();
        verdict.broken("refused", format!("{}: told {codes:?}, but {found} is in the log", call.name()));
    }
}

/// What a no says has to be true, too.
fn told(facts: &Facts<'_>, call: &Call, verdict: &mut Verdict) {
    if call.code == "coupon-already-issued" {
        let serial = call.answer["serial"].as_u64();
        let mut issued = facts.coupons.get(&call.target).into_iter().flat_map(|coupon| coupon.issued.values());
        if !issued.any(|(member, number, _)| *member == call.client && Some(*number) == serial) {
            verdict.broken("C3", format!("{}: serial {serial:?} is not in the log", call.name()));
        }
    }
}

/// What readings show is in the log, as of the position that they name.
pub fn readings(facts: &Facts<'_>, calls: &[Call], verdict: &mut Verdict) {
    let mut maps: BTreeMap<&str, Vec<(u64, u64, &Call)>> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.outcome == super::calls::Outcome::Ok && call.status != 304) {
        let shown = call.position();
        match (call.what.as_str(), shown) {
            ("read-order", _) => view(facts, call, "C3", verdict),
            ("read-seats", Some((partition, position))) => {
                maps.entry(&call.target).or_default().push((partition, position, call));
            }
            ("read-coupon", Some((_, position))) => {
                verdict.saw("coupons shown");
                let counts = facts.coupons.get(&call.target).map(|coupon| &coupon.counts);
                let stood = counts.and_then(|counts| counts.range(..=position).next_back()).map(|(_, count)| *count);
                if stood != call.answer["issued"].as_u64() {
                    verdict
                        .broken("C3", format!("{}: issued {}, the log {stood:?}", call.name(), call.answer["issued"]));
                }
            }
            _ => {}
        }
        let asked = call.asked["min_position"].as_str().and_then(position);
        if let (Some(asked), Some(shown)) = (asked, shown)
            && asked.0 == shown.0
            && shown.1 < asked.1
            && call.what == "read-order"
        {
            verdict.broken("C3", format!("{}: shows {shown:?}, at least {asked:?} was asked for", call.name()));
        }
    }
    for (performance, mut shown) in maps {
        shown.sort_by_key(|(_, position, _)| *position);
        seat_maps(facts, performance, &shown, verdict);
    }
}

/// Seat maps in the order of their positions, against the log as of these.
fn seat_maps(facts: &Facts<'_>, performance: &str, shown: &[(u64, u64, &Call)], verdict: &mut Verdict) {
    let Some(&(partition, ..)) = shown.first() else { return };
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    let prefix = format!("seat/{performance}/");
    let events = facts.log.partitions.get(&partition).map(Vec::as_slice).unwrap_or_default();
    let mut next = 0;
    for (_, position, call) in shown {
        while let Some(event) = events.get(next).filter(|event| event.position <= *position) {
            if let Some(seat) = event.stream.strip_prefix(&prefix) {
                match status_after(&event.kind) {
                    Some(status) => taken.insert(seat, status),
                    None => taken.remove(seat),
                };
            }
            next += 1;
        }
        verdict.saw("seat maps shown");
        let all = call.answer["seats"].as_array().into_iter().flatten();
        let read: BTreeMap<&str, &str> = all
            .filter_map(|seat| Some((seat["seat_id"].as_str()?, seat["status"].as_str()?)))
            .filter(|(_, status)| *status != "available")
            .collect();
        if read != taken {
            verdict.broken("C3", format!("{} at {position}: {}", call.name(), difference(&read, &taken)));
        }
    }
}

/// `None`: available.
pub fn status_after(kind: &str) -> Option<&'static str> {
    match kind {
        "seat.held" => Some("held"),
        "seat.sold" => Some("sold"),
        "seat.blocked" => Some("blocked"),
        _ => None,
    }
}

pub fn difference(shown: &BTreeMap<&str, &str>, log: &BTreeMap<&str, &str>) -> String {
    let seats = shown.keys().chain(log.keys()).find(|seat| shown.get(*seat) != log.get(*seat));
    seats.map_or(String::new(), |seat| {
        format!("{seat} is shown {:?}, the log says {:?}", shown.get(seat), log.get(seat))
    })
}

/// For records of watchers, which hold JSON values.
pub fn statuses(seats: &Value) -> BTreeMap<&str, &str> {
    let all = seats.as_array().into_iter().flatten();
    all.filter_map(|seat| Some((seat["seat_id"].as_str()?, seat["status"].as_str()?))).collect()
}
