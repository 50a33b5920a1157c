//! Who comes during a soak? Buyers who give most of it back, so that there is always something to be had.
//!
//! What the server must remember for weeks (payments of a counter, issues of a coupon) comes slowly or ends soon: else its
//! memory would have to grow, and nothing else could be seen in it.

use std::sync::Arc;

use onsale::clock::Entropy;
use serde_json::json;

use crate::load::Crew;
use crate::stage::world::Person;
use crate::wait::pause_between;

/// Buys and gives back, for ever.
pub async fn regular(crew: Arc<Crew>, who: Person, dice: Entropy) {
    while !crew.stopped() {
        let world = &crew.world;
        let first = usize::try_from(dice.below(world.seats as u64 - 4)).expect("small");
        let many = usize::try_from(1 + dice.below(4)).expect("small");
        let seats: Vec<String> = (first..first + many).map(|n| world.seat(n)).collect();
        let key = crew.fresh_key("place");
        let body = json!({"seats": seats, "reference": key});
        let placed = crew.insist(&who, "place", &world.performance, &world.orders(), &key, &body).await;
        if placed.status == 201 {
            let order = placed.body["order_id"].as_str().unwrap_or_default().to_owned();
            let path = format!("/v1/orders/{order}");
            crew.read(&who, "read-order", &order, &path, placed.body["position"].as_str()).await;
            let kind = dice.below(100);
            if kind < 70 {
                let key = crew.fresh_key("pay");
                let body = json!({"payment_key": format!("pk_{key}"), "amount": placed.body["amount"]});
                crew.insist(&who, "pay", &order, &format!("{path}/payment"), &key, &body).await;
            }
            // Some let their hold run out; some keep what they have.
            if (1..90).contains(&kind) {
                let key = crew.fresh_key("cancel");
                crew.insist(&who, "cancel", &order, &format!("{path}/cancel"), &key, &json!({})).await;
            }
        }
        pause_between(&dice, 150, 500).await;
    }
}
