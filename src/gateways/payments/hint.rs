//! Which payment does a webhook of Toss Payments speak of? That, and nothing else, is taken from it.
//!
//! Webhooks are not signed and anybody can send one, so what they say of money is not even read: whoever gets a hint looks the
//! payment up.

use serde::Deserialize;

use crate::ids::{OrderId, PaymentKey};
use crate::limits;

/// A reason to look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint {
    pub order_id: OrderId,
    /// Some kinds of news name only the order.
    pub payment_key: Option<PaymentKey>,
}

#[derive(Deserialize)]
struct Wire {
    data: Option<Named>,
    #[serde(flatten)]
    bare: Named,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Named {
    order_id: Option<String>,
    payment_key: Option<String>,
}

impl Hint {
    /// `None`: it names nothing that could be looked up.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        if body.len() > limits::PSP_ANSWER_BYTES {
            return None;
        }
        let wire: Wire = serde_json::from_slice(body).ok()?;
        // `PAYMENT_STATUS_CHANGED` wraps the payment, `DEPOSIT_CALLBACK` does not.
        let named = wire.data.unwrap_or(wire.bare);
        let order = named.order_id.filter(|id| PaymentKey::parse(id).is_some())?;
        Some(Self {
            order_id: OrderId::new(order),
            payment_key: named.payment_key.and_then(|key| PaymentKey::parse(&key)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_are_taken_from_a_webhook() {
        let both = Hint { order_id: OrderId::new("o1_a"), payment_key: Some(PaymentKey::new("pk_1")) };
        let order = Hint { payment_key: None, ..both.clone() };
        let table = [
            (
                r#"{"eventType":"PAYMENT_STATUS_CHANGED","data":{"paymentKey":"pk_1","orderId":"o1_a","status":"DONE"}}"#,
                Some(both.clone()),
            ),
            (r#"{"data":{"paymentKey":"pk_1","orderId":"o1_a","totalAmount":"junk"}}"#, Some(both)),
            (r#"{"eventType":"DEPOSIT_CALLBACK","orderId":"o1_a","secret":"x","status":"DONE"}"#, Some(order.clone())),
            (r#"{"data":{"paymentKey":"../x","orderId":"o1_a"}}"#, Some(order)),
            (r#"{"data":{"paymentKey":"pk_1"}}"#, None),
            (r#"{"data":{"orderId":"../../ledger"}}"#, None),
            (r#"{"data":5}"#, None),
            ("", None),
            ("[]", None),
            ("null", None),
        ];
        for (body, expected) in table {
            assert_eq!(Hint::parse(body.as_bytes()), expected, "{body}");
        }
        assert_eq!(Hint::parse(&vec![b' '; limits::PSP_ANSWER_BYTES + 1]), None);
    }
}
