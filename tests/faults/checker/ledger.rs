//! M1 and M2 once more, with the payment provider's books: who was really charged, what really went back, and does the log
//! say the same?

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::Verdict;
use super::orders::{Order, State};

/// Of one payment key and order.
#[derive(Clone, Copy, Debug, Default)]
struct Booked {
    captured: u64,
    captures: u32,
    cancelled: u64,
}

pub fn judge(text: &str, orders: &HashMap<String, Order>, verdict: &mut Verdict) -> Result<(), String> {
    let booked = read(text, verdict)?;
    let mut by_order: BTreeMap<&str, u64> = BTreeMap::new();
    for ((key, order), row) in &booked {
        if row.captures > 1 || row.cancelled > row.captured {
            verdict.broken("M1", format!("payment {key} of {order} at the provider: {row:?}"));
        }
        *by_order.entry(order).or_default() += row.captured.saturating_sub(row.cancelled);
        let known = orders.get(order).is_some_and(|order| order.attempts.values().any(|one| one.key == *key));
        if row.captured > 0 && !known {
            verdict.broken("M1", format!("payment {key} of {order} was captured, but the log never asked for it"));
        }
    }
    for order in orders.values() {
        let net = by_order.get(order.id.as_str()).copied().unwrap_or_default();
        let refunding = order.refunds.values().any(|refund| !refund.done);
        if net > order.amount && !refunding {
            verdict.broken("M1", format!("{} costs {}, the provider has {net}", order.id, order.amount));
        }
        compare(order, &booked, verdict);
    }
    Ok(())
}

fn compare(order: &Order, booked: &BTreeMap<(String, String), Booked>, verdict: &mut Verdict) {
    // A key may have been tried before and come to nothing.
    let mut keys: BTreeMap<&str, (u64, u64, u64, bool)> = BTreeMap::new();
    for one in order.attempts.values() {
        let sum = keys.entry(&one.key).or_default();
        sum.0 += one.captured();
        sum.1 += one.given_back;
        sum.2 += one.asked_back - one.given_back.min(one.asked_back);
        sum.3 |= one.state == State::Open;
    }
    for (key, (captured, back, asked, open)) in keys {
        let row = booked.get(&(key.to_owned(), order.id.clone())).copied().unwrap_or_default();
        if open && captured == 0 {
            continue;
        }
        verdict.saw("payments compared with the provider");
        if row.captured != captured {
            let detail = format!("payment {key} of {}: captured {captured} in the log", order.id);
            verdict.broken("M2", format!("{detail}, {} at the provider", row.captured));
        }
        if !(back..=back + asked).contains(&row.cancelled) {
            let detail = format!("payment {key} of {}: given back {back} in the log", order.id);
            verdict.broken("M2", format!("{detail}, {} at the provider", row.cancelled));
        }
    }
}

fn read(text: &str, verdict: &mut Verdict) -> Result<BTreeMap<(String, String), Booked>, String> {
    let mut booked: BTreeMap<(String, String), Booked> = BTreeMap::new();
    // A refund names its payment only.
    let mut orders: HashMap<String, String> = HashMap::new();
    // Only the last line may have been cut short: it was told to nobody.
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    for (number, line) in whole.lines().enumerate() {
        let entry: Value = serde_json::from_str(line).map_err(|e| format!("ledger, line {}: {e}", number + 1))?;
        let key = entry["payment_key"].as_str().unwrap_or_default().to_owned();
        let what = &entry["what"];
        let amount = what["amount"].as_u64().unwrap_or_default();
        if let Some(order) = what["order_id"].as_str() {
            orders.insert(key.clone(), order.to_owned());
        }
        let order = orders.get(&key).cloned().unwrap_or_default();
        match what["kind"].as_str() {
            Some("captured") => {
                let row = booked.entry((key, order)).or_default();
                (row.captured, row.captures) = (row.captured + amount, row.captures + 1);
            }
            Some("cancelled") => booked.entry((key, order)).or_default().cancelled += amount,
            Some("fault") => verdict.saw("faults of the provider"),
            _ => {}
        }
    }
    Ok(booked)
}
