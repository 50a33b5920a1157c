//! What has an order been charged, what has it given back, and which of its tickets are live?

use std::collections::{BTreeMap, HashMap};

use super::Unit;
use crate::audit::Payment;
use crate::audit::findings::Findings;
use crate::events::Record;
use crate::events::order::{Captured, CheckedIn, Completed, Declined, Placed, RefundDone, RefundRequested, Requested};
use crate::ids::{OrderId, PaymentKey, RefundId, TicketId};
use crate::money::Amount;

pub(super) struct Order {
    amount: Amount,
    /// It ended without tickets.
    pub over: bool,
    attempts: BTreeMap<u32, Attempt>,
    completed: Option<Completion>,
    tickets: HashMap<TicketId, Ticket>,
    refunds: BTreeMap<RefundId, Refund>,
    /// Its sums were wrong once: they stay so, and that is told once.
    unbalanced: bool,
}

struct Attempt {
    key: PaymentKey,
    amount: Amount,
    state: State,
    /// Minor units of its money that were asked back, and those that went back.
    asked_back: u64,
    given_back: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Declined,
    Captured(Amount),
}

/// The attempt whose money became the tickets; none where nothing was to be paid.
struct Completion(Option<u32>);

struct Ticket {
    paid: Amount,
    live: bool,
    checked_in: bool,
}

struct Refund {
    attempt: u32,
    amount: Amount,
    tickets: Vec<TicketId>,
    done: bool,
}

impl Attempt {
    fn captured(&self) -> u64 {
        match self.state {
            State::Captured(amount) => amount.minor(),
            State::Open | State::Declined => 0,
        }
    }
}

impl Order {
    pub fn of(placed: &Placed) -> Self {
        Self {
            amount: placed.amount,
            over: false,
            attempts: BTreeMap::new(),
            completed: None,
            tickets: HashMap::new(),
            refunds: BTreeMap::new(),
            unbalanced: false,
        }
    }

    pub fn request(&mut self, record: &Record, requested: &Requested, findings: &mut Findings) {
        let Requested { order_id, attempt, amount, payment_key, .. } = requested;
        let due = self.attempts.last_key_value().map_or(1, |(last, _)| last + 1);
        if *attempt != due {
            findings.at(record, "M1", format!("attempt {attempt} of {order_id} where {due} is due"));
        }
        if self.over || self.completed.is_some() {
            findings.at(record, "M1", format!("money is asked for {order_id}, which is over"));
        }
        if *amount != self.amount || *amount == Amount::ZERO {
            findings.at(record, "M1", format!("{amount} is asked for {order_id}, which costs {}", self.amount));
        }
        let (key, amount) = (payment_key.clone(), *amount);
        // A number used again does not hide what the first attempt did.
        self.attempts.entry(*attempt).or_insert(Attempt {
            key,
            amount,
            state: State::Open,
            asked_back: 0,
            given_back: 0,
        });
    }

    /// True: money came that nobody had counted yet.
    pub fn capture(&mut self, record: &Record, captured: &Captured, findings: &mut Findings) -> bool {
        let Captured { order_id, attempt, amount, payment_key, .. } = captured;
        let Some(asked) = self.attempts.get_mut(attempt) else {
            findings.at(record, "M1", format!("attempt {attempt} of {order_id} is captured, but never requested"));
            return false;
        };
        if let State::Captured(_) = asked.state {
            findings.at(record, "M1", format!("attempt {attempt} of {order_id} is captured twice"));
            return false;
        }
        if *amount != asked.amount || *payment_key != asked.key {
            let (due, key) = (asked.amount, &asked.key);
            findings.at(
                record,
                "M1",
                format!("{amount} of payment {payment_key} is captured for {order_id}, asked was {due} of {key}"),
            );
        }
        asked.state = State::Captured(*amount);
        true
    }

    pub fn decline(&mut self, record: &Record, declined: &Declined, findings: &mut Findings) {
        let Declined { order_id, attempt, .. } = declined;
        match self.attempts.get_mut(attempt) {
            Some(asked) if asked.state == State::Open => asked.state = State::Declined,
            other => {
                let state = other.map(|asked| asked.state);
                findings.at(record, "M1", format!("attempt {attempt} of {order_id} is declined while it is {state:?}"));
            }
        }
    }

    /// `now`: the attempts whose money came in this unit.
    pub fn complete(&mut self, record: &Record, completed: &Completed, now: &[u32], findings: &mut Findings) {
        let id = &completed.order_id;
        if self.completed.is_some() {
            findings.at(record, "M1", format!("{id} becomes tickets a second time"));
            return;
        }
        let by = now.first().copied().filter(|_| self.amount != Amount::ZERO);
        if by.is_none() && self.amount != Amount::ZERO {
            findings.at(record, "M1", format!("{id} costs {}, but is completed without money", self.amount));
            self.unbalanced = true;
        }
        let paid: u64 = completed.tickets.iter().map(|ticket| ticket.paid.minor()).sum();
        if paid != self.amount.minor() {
            findings.at(record, "M2", format!("{id} costs {}, but its tickets {paid}", self.amount));
            self.unbalanced = true;
        }
        self.completed = Some(Completion(by));
        for ticket in &completed.tickets {
            let new = Ticket { paid: ticket.paid, live: true, checked_in: false };
            self.tickets.insert(ticket.ticket_id.clone(), new);
        }
    }

    pub fn request_refund(&mut self, record: &Record, refund: &RefundRequested, findings: &mut Findings) {
        let RefundRequested { order_id, refund_id, attempt, amount, whole, tickets, .. } = refund;
        for ticket in tickets {
            match self.tickets.get_mut(ticket) {
                Some(sold) if sold.live => sold.live = false,
                _ => findings.at(record, "M2", format!("{refund_id} is for ticket {ticket}, which is not live")),
            }
        }
        let (amount, attempt, tickets) = (*amount, *attempt, tickets.clone());
        let new = Refund { attempt, amount, tickets, done: false };
        if self.refunds.insert(refund_id.clone(), new).is_some() {
            findings.at(record, "M1", format!("{refund_id} is requested twice"));
        }
        match self.attempts.get_mut(&attempt) {
            Some(asked) => {
                asked.asked_back += amount.minor();
                let (back, captured) = (asked.asked_back, asked.captured());
                if back > captured || (*whole && back < captured) {
                    let detail = format!("with {refund_id}, {back} of {captured} of {order_id} is asked back");
                    findings.at(record, "M1", detail);
                }
            }
            // Nothing was paid, so there is nothing to give back.
            None if attempt == 0 && amount == Amount::ZERO => {}
            None => findings.at(record, "M1", format!("{refund_id} is of attempt {attempt}, which was never made")),
        }
    }

    pub fn finish_refund(&mut self, record: &Record, done: &RefundDone, findings: &mut Findings) {
        let id = &done.refund_id;
        let Some(refund) = self.refunds.get_mut(id) else {
            findings.at(record, "M1", format!("{id} is done, but was never requested"));
            return;
        };
        if refund.done {
            findings.at(record, "M1", format!("{id} is done twice"));
            return;
        }
        if refund.amount != done.amount || refund.tickets != done.tickets {
            let (amount, tickets) = (refund.amount, &refund.tickets);
            let detail = format!(
                "{id} gives back {} for {:?}, requested was {amount} for {tickets:?}",
                done.amount, done.tickets
            );
            findings.at(record, "M1", detail);
        }
        refund.done = true;
        if let Some(asked) = self.attempts.get_mut(&refund.attempt) {
            asked.given_back += done.amount.minor();
        }
    }

    pub fn check_in(&mut self, record: &Record, checked: &CheckedIn, findings: &mut Findings) {
        let ticket = &checked.ticket_id;
        match self.tickets.get_mut(ticket) {
            Some(sold) if sold.live && !sold.checked_in => sold.checked_in = true,
            Some(sold) if sold.live => findings.at(record, "M2", format!("ticket {ticket} is checked in twice")),
            _ => findings.at(record, "M2", format!("ticket {ticket} is checked in, but not live")),
        }
    }

    /// The unit is complete: what must hold between two units?
    pub fn settle(&mut self, id: &OrderId, unit: &Unit<'_>, findings: &mut Findings) {
        if let Some(record) = unit.requested {
            let open = self.attempts.iter().filter(|(_, asked)| asked.state == State::Open);
            let open: Vec<u32> = open.map(|(attempt, _)| *attempt).collect();
            if open.len() > 1 {
                findings.at(record, "M1", format!("attempts {open:?} of {id} are open at the same time"));
            }
        }
        let by = self.completed.as_ref().and_then(|completion| completion.0);
        for (attempt, record) in &unit.captured {
            let Some(asked) = self.attempts.get(attempt).filter(|_| by != Some(*attempt)) else { continue };
            let (back, captured) = (asked.asked_back, asked.captured());
            if back < captured {
                let detail = format!("attempt {attempt} of {id} buys nothing, but {back} of {captured} is asked back");
                findings.at(record, "M1", detail);
            }
        }
        if let Some(record) = unit.refunded {
            let left = self.tickets.values().any(|ticket| ticket.live);
            let waiting = self.refunds.values().any(|refund| !refund.done && !refund.tickets.is_empty());
            if self.completed.is_none() || left || waiting {
                findings.at(record, "M2", format!("{id} is refunded, but some of its tickets are not"));
            }
        }
        let kept = by.and_then(|by| self.attempts.get(&by)).map_or(0, |a| a.captured().saturating_sub(a.asked_back));
        let live: u64 = self.tickets.values().filter(|ticket| ticket.live).map(|ticket| ticket.paid.minor()).sum();
        if kept != live && !self.unbalanced {
            findings.at(unit.last, "M2", format!("{kept} is kept of {id}, whose live tickets cost {live}"));
            self.unbalanced = true;
        }
    }

    /// By the provider's name; an attempt may name a payment again whose first one came to nothing.
    pub fn payments(self, id: &OrderId) -> Vec<Payment> {
        let mut found: BTreeMap<PaymentKey, Payment> = BTreeMap::new();
        for asked in self.attempts.into_values() {
            let (captured, open) = (asked.captured(), asked.state == State::Open);
            let payment = found.entry(asked.key.clone()).or_insert_with(|| Payment {
                key: asked.key,
                order: id.clone(),
                amount: asked.amount.minor(),
                captured: 0,
                refunded: 0,
                refunding: 0,
                open: false,
            });
            payment.captured += captured;
            payment.refunded += asked.given_back;
            payment.refunding += asked.asked_back.saturating_sub(asked.given_back);
            payment.open |= open;
        }
        found.into_values().collect()
    }
}
