//! Does the payment provider say of the money what the log says?
//!
//! Compares two lists of plain rows, and knows neither the log nor the provider. A payment whose answer is not known yet
//! may stand either way: it is counted, and not judged.

use std::collections::HashMap;

use crate::ids::{OrderId, PaymentKey};

/// One payment of an order, as the log has it. Amounts in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    pub key: PaymentKey,
    pub order: OrderId,
    pub amount: u64,
    pub captured: u64,
    /// Of refunds that are done.
    pub refunded: u64,
    /// Of refunds that are requested only.
    pub refunding: u64,
    /// Requested, and neither captured nor declined.
    pub open: bool,
}

/// One payment as the provider has it. Amounts in minor units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Booked {
    pub key: PaymentKey,
    pub order: OrderId,
    pub captured: u64,
    pub cancelled: u64,
}

/// What the comparison gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// One sentence each.
    pub violations: Vec<String>,
    pub agreeing: u64,
    /// Of these something is not known yet; they are not among the agreeing.
    pub open: u64,
}

#[must_use]
pub fn compare(log: &[Payment], ledger: &[Booked]) -> Comparison {
    let mut comparison = Comparison::default();
    // Under another order's name it is another payment: each of the two is then missing on one side.
    let mut booked: HashMap<(&PaymentKey, &OrderId), &Booked> =
        ledger.iter().map(|row| ((&row.key, &row.order), row)).collect();
    for payment in log {
        let row = booked.remove(&(&payment.key, &payment.order));
        let (captured, cancelled) = row.map_or((0, 0), |row| (row.captured, row.cancelled));
        match judge(payment, captured, cancelled) {
            Some(problem) => {
                let (key, order) = (&payment.key, &payment.order);
                comparison.violations.push(format!("payment {key} of {order}: {problem}"));
            }
            None if payment.open || payment.refunding > 0 => comparison.open += 1,
            None => comparison.agreeing += 1,
        }
    }
    for row in ledger.iter().filter(|row| row.captured > 0 && booked.contains_key(&(&row.key, &row.order))) {
        let Booked { key, order, captured, .. } = row;
        comparison
            .violations
            .push(format!("payment {key} of {order}: the provider took {captured}, the log never asked for it"));
    }
    comparison
}

fn judge(payment: &Payment, captured: u64, cancelled: u64) -> Option<String> {
    let Payment { amount, captured: ours, refunded, refunding, open, .. } = payment;
    let undecided = *open && *ours == 0 && (captured == 0 || captured == *amount);
    if *ours != captured && !undecided {
        return Some(format!("captured is {ours} in the log, {captured} in the provider's ledger"));
    }
    // The provider may have given back already what the log does not know to be done.
    let known = *refunded..=refunded + refunding;
    if !known.contains(&cancelled) && !undecided {
        return Some(format!("refunded is {refunded} in the log, {cancelled} in the provider's ledger"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payment(key: &str, captured: u64, refunded: u64) -> Payment {
        let (key, order) = (PaymentKey::new(key), OrderId::new("o1"));
        Payment { key, order, amount: 100, captured, refunded, refunding: 0, open: false }
    }

    fn booked(key: &str, captured: u64, cancelled: u64) -> Booked {
        Booked { key: PaymentKey::new(key), order: OrderId::new("o1"), captured, cancelled }
    }

    #[test]
    fn books_that_agree_are_counted() {
        let log = [payment("a", 100, 0), payment("b", 100, 40), payment("c", 0, 0), payment("d", 0, 0)];
        // The provider never heard of c, and declined d.
        let ledger = [booked("b", 100, 40), booked("a", 100, 0), booked("d", 0, 0), booked("e", 0, 0)];
        assert_eq!(compare(&log, &ledger), Comparison { agreeing: 4, ..Comparison::default() });
        assert_eq!(compare(&[], &[]), Comparison::default());
    }

    #[test]
    fn what_is_open_may_stand_either_way() {
        let open = |key: &str| Payment { open: true, ..payment(key, 0, 0) };
        let refunding = |key: &str| Payment { refunding: 60, ..payment(key, 100, 40) };
        let log = [open("a"), open("b"), open("c"), refunding("d"), refunding("e")];
        let ledger = [booked("a", 100, 0), booked("b", 0, 0), booked("d", 100, 40), booked("e", 100, 100)];
        assert_eq!(compare(&log, &ledger), Comparison { open: 5, ..Comparison::default() });
    }

    #[test]
    fn every_difference_is_told() {
        let open = Payment { open: true, ..payment("a", 0, 0) };
        let refunding = Payment { refunding: 60, ..payment("a", 100, 0) };
        let other = Booked { order: OrderId::new("o2"), ..booked("a", 100, 0) };
        let table = [
            ("captured here only", payment("a", 100, 0), vec![], 1),
            ("declined there", payment("a", 100, 0), vec![booked("a", 0, 0)], 1),
            ("another amount", payment("a", 100, 0), vec![booked("a", 99, 0)], 1),
            ("declined here, taken there", payment("a", 0, 0), vec![booked("a", 100, 0)], 1),
            ("another order's", payment("a", 100, 0), vec![other], 2),
            ("given back here only", payment("a", 100, 40), vec![booked("a", 100, 0)], 1),
            ("given back there only", payment("a", 100, 0), vec![booked("a", 100, 40)], 1),
            ("more than was asked back", refunding, vec![booked("a", 100, 61)], 1),
            ("open, but another amount is taken", open, vec![booked("a", 50, 0)], 1),
            ("never asked for", payment("a", 100, 0), vec![booked("a", 100, 0), booked("b", 7, 0)], 1),
        ];
        for (name, ours, theirs, violations) in table {
            let found = compare(&[ours], &theirs);
            assert_eq!(found.violations.len(), violations, "{name}: {found:?}");
        }
    }
}
