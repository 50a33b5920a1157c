//! What was paid at which store? One row per payment, with what is left of it.

use std::sync::Arc;

use super::select::{Listed, Order, Page, Select};
use super::store::Build;
use super::table::{Row, Table, table};
use super::{Fact, Needed, Projection, Rows, Schema, Unfit};
use crate::events::{Event, StoreEvent};
use crate::fault::Fault;
use crate::ids::{LogPosition, PaymentId, StoreId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

// Rows

table! {
    /// One payment.
    pub struct PaymentRow in "store_payments" {
        key { store_id: StoreId, payment_id: PaymentId }
        amount: Amount,
        currency: Currency,
        method: Arc<str>,
        paid_at: Timestamp,
        terminal_id: Option<Arc<str>>,
        /// When it was recorded.
        at: Timestamp,
        remaining: Amount,
        status: Arc<str>,
        /// Of the last cancellation.
        cancelled_at: Option<Timestamp>,
        /// Of the payment's last fact.
        position: LogPosition,
    }
}

/// The words of the public contract.
pub mod status {
    pub const PAID: &str = "paid";
    pub const PARTIALLY_CANCELLED: &str = "partially_cancelled";
    pub const CANCELLED: &str = "cancelled";
    pub const WORDS: [&str; 3] = [PAID, PARTIALLY_CANCELLED, CANCELLED];
}

// Fold

pub struct StorePayments;

impl Projection for StorePayments {
    fn name(&self) -> &'static str {
        "store_payments"
    }

    fn version(&self) -> u32 {
        1
    }

    fn schema(&self) -> Schema {
        Schema {
            postgres: include_str!("../../migrations/postgres/read/store_payments.sql"),
            sqlite: include_str!("../../migrations/sqlite/read/store_payments.sql"),
        }
    }

    fn tables(&self) -> &'static [&'static Table] {
        &[PaymentRow::TABLE]
    }

    fn follows(&self) -> &'static [&'static str] {
        &["store"]
    }

    /// One payment that cannot be applied holds up only its own cancellations, not the whole store.
    fn parking_key(&self, fact: &Fact) -> Arc<str> {
        let payment = match &*fact.event {
            Event::Store(StoreEvent::PaymentRecorded(paid)) => &paid.payment_id,
            Event::Store(StoreEvent::PaymentCancelled(back)) => &back.payment_id,
            _ => return fact.record.stream.text(),
        };
        format!("{}/{payment}", fact.record.stream).into()
    }

    fn reads(&self, fact: &Fact, needed: &mut Needed) {
        if let Event::Store(StoreEvent::PaymentCancelled(back)) = &*fact.event {
            needed.row::<PaymentRow>(PaymentRow::key(store(fact), back.payment_id.clone()));
        }
    }

    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit> {
        let Event::Store(event) = &*fact.event else { return Ok(()) };
        match event {
            StoreEvent::Created(_) => {}
            StoreEvent::PaymentRecorded(paid) => rows.put(PaymentRow {
                store_id: store(fact),
                payment_id: paid.payment_id.clone(),
                amount: paid.amount,
                currency: paid.currency,
                method: paid.method.as_str().into(),
                paid_at: paid.paid_at,
                terminal_id: paid.terminal_id.as_deref().map(Into::into),
                at: fact.at(),
                remaining: paid.amount,
                status: status::PAID.into(),
                cancelled_at: None,
                position: fact.position(),
            }),
            StoreEvent::PaymentCancelled(back) => {
                let mut row: PaymentRow = rows.expect(&PaymentRow::key(store(fact), back.payment_id.clone()))?;
                let all = back.remaining == Amount::ZERO;
                row.status = if all { status::CANCELLED } else { status::PARTIALLY_CANCELLED }.into();
                row.remaining = back.remaining;
                row.cancelled_at = Some(fact.at());
                row.position = fact.position();
                rows.put(row);
            }
        }
        Ok(())
    }
}

fn store(fact: &Fact) -> StoreId {
    StoreId::new(fact.record.stream.id())
}

// Lists

/// Which payments of a store; what is `None` does not matter.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// When it was paid: not before, and before.
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub terminal_id: Option<String>,
    pub status: Option<&'static str>,
}

/// Payments, the newest first by the counter's own time.
pub async fn list(build: &dyn Build, store: StoreId, wanted: Wanted, page: &Page) -> Result<Listed<PaymentRow>, Fault> {
    const NEWEST: Order = Order::descending(&["paid_at", "payment_id"]);
    Select::new()
        .equal("store_id", store)
        .maybe_equal("terminal_id", wanted.terminal_id)
        .maybe_equal("status", wanted.status.map(str::to_owned))
        .at_least("paid_at", wanted.from)
        .below("paid_at", wanted.to)
        .page(build, NEWEST, page)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::store::{PaymentCancelled, PaymentRecorded};
    use crate::ids::{Hash16, StreamId};
    use crate::projections::testing::{Shelf, Story, order_of_partitions_does_not_matter};

    fn won(amount: u64) -> Amount {
        Amount::new(amount).expect("small")
    }

    fn paid(store: &str, payment: &str, amount: u64) -> (StreamId, Event) {
        let recorded = PaymentRecorded {
            payment_id: PaymentId::new(payment),
            amount: won(amount),
            currency: Currency::KRW,
            method: "card".to_owned(),
            paid_at: Timestamp(1),
            terminal_id: Some("t1".to_owned()),
        };
        (StreamId::store(&StoreId::new(store)), StoreEvent::from(recorded).into())
    }

    fn back(store: &str, payment: &str, amount: u64, remaining: u64) -> (StreamId, Event) {
        let cancelled = PaymentCancelled {
            payment_id: PaymentId::new(payment),
            amount: won(amount),
            currency: Currency::KRW,
            remaining: won(remaining),
            body: Hash16::default(),
        };
        (StreamId::store(&StoreId::new(store)), StoreEvent::from(cancelled).into())
    }

    #[test]
    fn cancellations_take_from_their_own_payment() {
        let mut story = Story::default();
        story.unit(10, [paid("st_a", "p1", 100)]).unit(11, [paid("st_b", "p1", 50)]).unit(12, [paid("st_a", "p2", 7)]);
        story.unit(13, [back("st_a", "p1", 40, 60)]).unit(14, [back("st_b", "p1", 50, 0)]);
        let shelf = Shelf::of(&StorePayments, &story.facts);
        let rows: Vec<_> = shelf
            .rows::<PaymentRow>()
            .into_iter()
            .map(|row| {
                let name = format!("{}/{}", row.store_id, row.payment_id);
                (name, row.remaining.minor(), row.status.to_string(), row.cancelled_at.map(|at| at.0))
            })
            .collect();
        let row = |name: &str, left, status: &str, at| (name.to_owned(), left, status.to_owned(), at);
        let expected = [
            row("st_a/p1", 60, "partially_cancelled", Some(13)),
            row("st_a/p2", 7, "paid", None),
            row("st_b/p1", 0, "cancelled", Some(14)),
        ];
        assert_eq!(rows, expected);
        order_of_partitions_does_not_matter(&StorePayments, &story);
    }

    #[test]
    fn a_payment_and_its_cancellations_wait_together_and_hold_up_nobody_else() {
        let mut story = Story::default();
        story.unit(1, [paid("st_a", "p1", 5), back("st_a", "p1", 5, 0), paid("st_a", "p2", 5), paid("st_b", "p1", 5)]);
        let keys: Vec<_> = story.facts.iter().map(|fact| StorePayments.parking_key(fact).to_string()).collect();
        assert_eq!(keys, ["store/st_a/p1", "store/st_a/p1", "store/st_a/p2", "store/st_b/p1"]);
        assert!(Shelf::default().apply(&StorePayments, &story.facts[1]).is_err(), "it was never paid");
    }
}
