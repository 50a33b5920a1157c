//! What does the sheet say to each command, and what is written on it then?

use super::*;
use crate::money::shares;

fn no(refusal: Refusal) -> Said {
    Said::Refuses(refusal)
}

impl Sheet {
    pub fn says(&mut self, step: &Step) -> Said {
        match step {
            Step::Wait(millis) => self.now += millis,
            Step::Until(shift) => {
                self.now = self.deadline().map_or(self.now, |at| self.now.max(at + shift));
            }
            Step::Pause(paused) => self.paused = *paused,
            Step::Off => self.off = true,
            // Whose seats are sold already is not this order's to say.
            Step::Stranger(seat) => {
                if self.promise.is_none() {
                    self.strangers[*seat] = !self.strangers[*seat];
                }
            }
            Step::Again(place, same) => match self.accepted.get(*place) {
                None => {}
                Some((.., version)) if *same => return Said::Replays(*version),
                Some(_) => return no(Refusal::KeyReused),
            },
            Step::Ask(who, act) => {
                let said = self.asks(*who, act);
                if let Said::Happens(kinds) = &said {
                    self.written += kinds.len() as u64;
                    if act.is_keyed() {
                        self.accepted.push((*who, act.clone(), self.written));
                    }
                }
                return said;
            }
        }
        Said::Unchanged
    }

    fn asks(&mut self, who: Who, act: &Act) -> Said {
        if let Act::Place { seats, same } = act {
            return self.place(seats, *same);
        }
        let of_process = !act.is_keyed() && *act != Act::Due;
        if self.promise.is_none() || of_process && who.authority() != Authority::Any {
            return no(Refusal::NotFound);
        }
        match act {
            Act::Place { .. } => Said::Unchanged,
            Act::Pay { key, exact } => self.pay(who, *key, *exact),
            Act::Cancel(named) => self.cancel(who, named),
            Act::CheckIn(number) => self.check_in(who, *number),
            Act::Rule(ruling) => self.rule(who, *ruling),
            Act::Due => self.due(),
            Act::Settle { attempt, yes } => self.settle(*attempt, *yes),
            Act::Late(key) => self.late(*key),
            Act::Returned { number, done } => self.returned(*number, *done),
            Act::CallOff => self.call_off(),
            Act::Coupon(used) => {
                if self.discount == 0 || self.told == Some(*used) {
                    return Said::Unchanged;
                }
                self.told = Some(*used);
                Said::happens("order.coupon_settled")
            }
        }
    }

    fn place(&mut self, seats: &[&str], same: bool) -> Said {
        if self.promise.is_some() {
            return if same { Said::Replays(1) } else { no(Refusal::KeyReused) };
        }
        if seats.is_empty() {
            return Said::Invalid("/seats".into());
        }
        if let Some(twice) = (0..seats.len()).find(|i| seats[..*i].contains(&seats[*i])) {
            return Said::Invalid(format!("/seats/{twice}"));
        }
        if seats.len() > 4 {
            return no(Refusal::TooManySeats { limit: 4 });
        }
        if let Some(unknown) = seats.iter().position(|seat| !SEATS.contains(seat)) {
            return Said::Invalid(format!("/seats/{unknown}"));
        }
        let (now, at) = (self.now, Timestamp(self.now));
        if now < 1_000 {
            return no(Refusal::SaleNotOpen { opens_at: Timestamp(1_000), at });
        }
        if now >= 2_000 || self.off {
            return no(Refusal::SaleClosed);
        }
        if self.paused {
            return no(Refusal::SalePaused);
        }
        if self.discount > 0 && now >= CLAIM_UNTIL {
            return no(Refusal::CouponNotUsable { reason: "expired" });
        }
        let taken = |seat: &&&str| SEATS.iter().zip(self.strangers).any(|(known, taken)| known == *seat && taken);
        let taken: Vec<SeatId> = seats.iter().filter(taken).map(|seat| SeatId::new(*seat)).collect();
        if !taken.is_empty() {
            return no(Refusal::SeatUnavailable { seats: taken });
        }
        let faces = seats.iter().map(|seat| won(self.prices[usize::from(seat.starts_with('B'))]));
        let faces: Vec<Amount> = faces.collect();
        let subtotal: u64 = faces.iter().map(|face| face.minor()).sum();
        let discount = self.discount.min(subtotal);
        let less = shares(won(discount), &faces);
        let paid = faces.iter().zip(less).map(|(face, less)| face.minor() - less.minor()).collect();
        self.promise = Some(Promise { at: now, until: now + HOLD_MS, minor: subtotal - discount, paid });
        Said::happens("order.placed")
    }

    fn sold(&mut self) {
        self.end = End::Sold;
        self.tickets = vec![Paper::Good; self.promise.as_ref().map_or(0, |promise| promise.paid.len())];
    }

    fn pay(&mut self, who: Who, key: Option<u8>, exact: bool) -> Said {
        if who != Who::Ann {
            return no(Refusal::NotFound);
        }
        match self.status() {
            "paying" | "review" => return no(Refusal::PaymentInFlight),
            "awaiting_payment" if self.off => return no(Refusal::OrderNotPayable { status: "cancelled" }),
            "awaiting_payment" if self.promise.as_ref().is_some_and(|promise| promise.until <= self.now) => {
                return no(Refusal::OrderNotPayable { status: "expired" });
            }
            "awaiting_payment" => {}
            status => return no(Refusal::OrderNotPayable { status }),
        }
        if !exact {
            return no(Refusal::AmountMismatch { expected: won(self.minor()) });
        }
        if self.minor() == 0 {
            self.sold();
            return Said::happens("order.completed");
        }
        let goes_back = |key| self.tries.iter().any(|one| one.key == key && one.fate == Fate::Taken);
        match key {
            Some(key) if !goes_back(key) => {
                self.tries.push(Try { key, fate: Fate::Unknown, since: self.now });
                Said::happens("payment.requested")
            }
            _ => Said::Invalid("/payment_key".into()),
        }
    }

    /// What is known of an attempt now; whoever looked at it need not any more.
    fn known(&mut self, attempt: u32, fate: Fate) {
        self.tries[attempt as usize - 1].fate = fate;
        self.look.take_if(|look| *look == Look::Payment(attempt));
    }

    fn settle(&mut self, attempt: u32, yes: bool) -> Said {
        if self.open_try() != Some(attempt) {
            return Said::Unchanged;
        }
        Said::Happens(if yes { self.taken(attempt) } else { self.declined(attempt) })
    }

    fn taken(&mut self, attempt: u32) -> Vec<&'static str> {
        self.known(attempt, Fate::Taken);
        self.sold();
        vec!["payment.captured", "order.completed"]
    }

    fn declined(&mut self, attempt: u32) -> Vec<&'static str> {
        self.known(attempt, Fate::Declined);
        if self.tries.len() < 3 {
            return vec!["payment.declined"];
        }
        self.end = End::Failed;
        vec!["payment.declined", "order.failed"]
    }

    fn late(&mut self, key: u8) -> Said {
        let tries: Vec<usize> = (0..self.tries.len()).filter(|n| self.tries[*n].key == key).collect();
        let Some(last) = tries.last().filter(|_| tries.iter().all(|n| self.tries[*n].fate == Fate::Declined)) else {
            return Said::Unchanged;
        };
        self.tries[*last].fate = Fate::Taken;
        self.backs.push(Back { tickets: Vec::new(), minor: self.minor(), done: false, since: self.now });
        Said::Happens(vec!["payment.captured", "refund.requested"])
    }

    fn cancel(&mut self, who: Who, named: &[usize]) -> Said {
        if who != Who::Ann && !who.for_seller() {
            return no(Refusal::NotFound);
        }
        for (i, number) in named.iter().enumerate() {
            if !(1..=self.tickets.len()).contains(number) || named[..i].contains(number) {
                return Said::Invalid(format!("/tickets/{i}"));
            }
        }
        match self.status() {
            "awaiting_payment" => {
                self.end = End::Cancelled;
                return Said::happens("order.cancelled");
            }
            "paying" | "review" => return no(Refusal::PaymentInFlight),
            "cancelled" | "refunding" | "refunded" => return Said::Unchanged,
            "completed" => {}
            status => return no(Refusal::OrderNotCancellable { status }),
        }
        if who == Who::Ann && self.now > CANCEL_UNTIL {
            return no(Refusal::CancelClosed { cancel_until: Some(Timestamp(CANCEL_UNTIL)) });
        }
        let chosen: Vec<usize> = self.good().into_iter().filter(|n| named.is_empty() || named.contains(n)).collect();
        if chosen.is_empty() {
            return Said::Unchanged;
        }
        if self.open_back().is_some() {
            return no(Refusal::PaymentInFlight);
        }
        if chosen.len() < named.len() {
            return no(Refusal::TicketVoid);
        }
        let used: Vec<usize> = chosen.iter().copied().filter(|n| self.tickets[n - 1] == Paper::Used).collect();
        if !used.is_empty() {
            return no(Refusal::TicketUsed { tickets: used.into_iter().map(ticket).collect() });
        }
        Said::Happens(self.give_back(chosen))
    }

    fn give_back(&mut self, tickets: Vec<usize>) -> Vec<&'static str> {
        let paid = self.promise.as_ref().map(|promise| promise.paid.clone()).unwrap_or_default();
        let minor = tickets.iter().map(|n| paid[n - 1]).sum();
        tickets.iter().for_each(|n| self.tickets[n - 1] = Paper::Void);
        // Where nothing was paid, nobody has to be asked.
        let done = minor == 0;
        self.backs.push(Back { tickets, minor, done, since: self.now });
        match (done, self.good().is_empty()) {
            (false, _) => vec!["refund.requested"],
            (true, false) => vec!["refund.requested", "refund.done"],
            (true, true) => vec!["refund.requested", "refund.done", "order.refunded"],
        }
    }

    fn call_off(&mut self) -> Said {
        match self.status() {
            "awaiting_payment" => {
                self.end = End::Cancelled;
                Said::happens("order.cancelled")
            }
            "completed" if self.open_back().is_none() => {
                let all = self.good();
                Said::Happens(self.give_back(all))
            }
            _ => Said::Unchanged,
        }
    }

    fn is_back(&mut self, number: usize) -> Vec<&'static str> {
        self.backs[number - 1].done = true;
        self.look.take_if(|look| *look == Look::Refund(number));
        let last = !self.backs[number - 1].tickets.is_empty() && self.good().is_empty();
        if last { vec!["refund.done", "order.refunded"] } else { vec!["refund.done"] }
    }

    fn returned(&mut self, number: usize, done: bool) -> Said {
        if self.backs.get(number - 1).is_none_or(|back| back.done) {
            return Said::Unchanged;
        }
        if done {
            return Said::Happens(self.is_back(number));
        }
        if self.look.is_some() {
            return Said::Unchanged;
        }
        self.look = Some(Look::Refund(number));
        Said::happens("review.opened")
    }

    fn rule(&mut self, who: Who, ruling: Ruling) -> Said {
        if !who.for_seller() {
            return no(Refusal::NotFound);
        }
        let Some(look) = self.look else { return no(Refusal::NotInReview { status: self.status() }) };
        let follows = match (look, ruling) {
            (Look::Payment(attempt), Ruling::Captured) => self.taken(attempt),
            (Look::Payment(attempt), Ruling::NotCaptured) => self.declined(attempt),
            (Look::Payment(attempt), Ruling::Refunded) => {
                self.known(attempt, Fate::Taken);
                self.backs.push(Back { tickets: Vec::new(), minor: self.minor(), done: true, since: self.now });
                self.end = End::Cancelled;
                vec!["payment.captured", "refund.requested", "refund.done", "order.cancelled"]
            }
            (Look::Refund(number), Ruling::Captured) => {
                self.look = None;
                self.backs[number - 1].since = self.now;
                Vec::new()
            }
            (Look::Refund(number), Ruling::Refunded) => self.is_back(number),
            (Look::Refund(_), Ruling::NotCaptured) => return no(Refusal::RulingUnfit),
        };
        Said::Happens([vec!["review.settled"], follows].concat())
    }

    fn check_in(&mut self, who: Who, number: usize) -> Said {
        if !who.for_seller() || !(1..=self.tickets.len()).contains(&number) {
            return no(Refusal::NotFound);
        }
        match self.tickets[number - 1] {
            Paper::Good => {
                self.tickets[number - 1] = Paper::Used;
                Said::happens("ticket.checked_in")
            }
            Paper::Used => no(Refusal::TicketUsed { tickets: vec![ticket(number)] }),
            Paper::Void => no(Refusal::TicketVoid),
        }
    }

    fn due(&mut self) -> Said {
        if self.deadline().is_none_or(|at| self.now < at) {
            return Said::Unchanged;
        }
        if self.holds() {
            self.end = End::RanOut;
            return Said::happens("order.expired");
        }
        self.look = self.open_try().map(Look::Payment).or_else(|| self.open_back().map(Look::Refund));
        Said::happens("review.opened")
    }
}
