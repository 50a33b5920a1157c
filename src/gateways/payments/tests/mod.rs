//! Is "yes", "no" and "unknown" said of the right answers? By table (`answers`), and through real connections (`client`).

mod answers;
mod client;

use super::{Confirm, Refund, Share};
use crate::ids::{Hash16, OrderId, PaymentKey, RefundId};
use crate::money::{Amount, Currency};

/// The question of all tests: 50,000 won for one order.
fn confirm(payment_key: &str) -> Confirm {
    Confirm {
        payment_key: PaymentKey::new(payment_key),
        order_id: OrderId::new(format!("order-{payment_key}")),
        amount: won(50_000),
        currency: Currency::KRW,
        idempotency_key: Hash16::of("test", &[payment_key.as_bytes()]),
    }
}

fn refund(payment_key: &str, id: &str, share: Share, amount: u64) -> Refund {
    Refund {
        payment_key: PaymentKey::new(payment_key),
        order_id: OrderId::new(format!("order-{payment_key}")),
        refund_id: RefundId::new(id),
        share,
        amount: won(amount),
        currency: Currency::KRW,
        reason: "마음이 바뀌었어요".to_owned(),
        idempotency_key: Hash16::of("test refund", &[payment_key.as_bytes(), id.as_bytes()]),
    }
}

fn won(amount: u64) -> Amount {
    Amount::new(amount).expect("an amount below 2^53")
}
