//! What can be wrong with a history? One violation each, and the rule that must find it.

use serde_json::{Value, json};

use super::history::{COUPON, History, PERFORMANCE, STORE};

pub struct Plant {
    pub name: &'static str,
    pub rule: &'static str,
    pub act: fn(&mut History),
}

const fn plant(rule: &'static str, name: &'static str, act: fn(&mut History)) -> Plant {
    Plant { name, rule, act }
}

impl History {
    /// The event of this kind that has this in it.
    fn event(&mut self, kind: &str, has: &str) -> &mut Value {
        let found = self.log.iter_mut().find(|event| event["kind"] == kind && event.to_string().contains(has));
        found.unwrap_or_else(|| panic!("no {kind} with {has} in the history"))
    }

    /// The end of the call of this kind that has this in it.
    fn ended(&mut self, what: &str, has: &str) -> &mut Value {
        let found = self.clients.iter_mut().find(|call| {
            call["what"] == what && call["outcome"] != "begun" && call["status"] != 0 && call.to_string().contains(has)
        });
        found.unwrap_or_else(|| panic!("no {what} with {has} in the history"))
    }

    /// The frames of a watcher.
    fn frames(&self, watcher: &str) -> Vec<usize> {
        let frame = |line: &Value| line["watcher"] == watcher && line["what"] == "frame" && line["event"] != "snapshot";
        (0..self.streams.len()).filter(|index| frame(&self.streams[*index])).collect()
    }

    /// Takes events out and closes the gaps, as if they had never been; what pointed at them points nowhere.
    fn forget(&mut self, gone: impl Fn(&Value) -> bool) {
        let mut moved = std::collections::HashMap::new();
        let (mut heads, mut versions) = (std::collections::HashMap::new(), std::collections::HashMap::new());
        for event in &mut self.log {
            let place = format!("{}:{}", event["partition"], event["position"]);
            if gone(event) {
                moved.insert(place, "3:99999".to_owned());
                continue;
            }
            let head: &mut u64 = heads.entry(event["partition"].as_u64()).or_default();
            let version: &mut u64 = versions.entry(event["stream"].to_string()).or_default();
            (*head, *version) = (*head + 1, *version + 1);
            (event["position"], event["version"]) = (json!(*head), json!(*version));
            moved.insert(place, format!("{}:{head}", event["partition"]));
        }
        self.log.retain(|event| !gone(event));
        for line in self.clients.iter_mut().chain(&mut self.streams) {
            for pointer in ["/answer/position", "/id", "/last", "/data/prev", "/data/position"] {
                let Some(place) = line.pointer_mut(pointer) else { continue };
                if let Some(new) = place.as_str().and_then(|old| moved.get(old)) {
                    *place = json!(new);
                }
            }
        }
    }

    fn unit_of_seat(&mut self, kind: &'static str, seat: &str, order: &str, reason: &str) {
        let data = json!({"order_id": order, "reason": reason, "ticket_id": "t_x", "price": 1_000});
        self.unit(3, &[(format!("seat/{PERFORMANCE}/{seat}"), kind, data)]);
    }

    fn unit_of_order(&mut self, kind: &'static str, order: &str, mut data: Value) {
        data["order_id"] = json!(order);
        self.unit(3, &[(format!("order/{order}"), kind, data)]);
    }
}

pub const PLANTS: &[Plant] = &[
    plant("L1", "a row is missing", |h| drop(h.log.remove(5))),
    plant("L1", "two rows are swapped", |h| h.log.swap(4, 5)),
    plant("L1", "a stream skips a version", |h| h.event("order.cancelled", "o4")["version"] = json!(9)),
    plant("L1", "a chain comes twice", |h| h.log[7]["chain"] = h.log[6]["chain"].clone()),
    plant("L1", "an older epoch writes again", |h| h.log[3]["epoch"] = json!(2)),
    plant("L1", "time falls", |h| h.log[8]["at"] = json!("2026-11-21T19:00:00.000Z")),
    plant("L1", "a unit never ends", |h| {
        let last = h.log.iter_mut().rfind(|event| event["partition"] == 3);
        last.expect("events")["unit_last"] = json!(false);
    }),
    plant("C2", "a command has its effect twice", |h| {
        let command = h.event("order.placed", "\"o1\"")["command"].clone();
        h.event("review.opened", "o6")["command"] = command;
    }),
    plant("C2", "one wish makes two orders", |h| {
        h.event("order.placed", "\"o4\"")["data"]["reference"] = json!("buyer-1-o1");
    }),
    plant("C2", "a key has two answers", |h| {
        let mut again = h.ended("pay", "o1").clone();
        again["call"] = json!(900);
        again["answer"]["status"] = json!("refunded");
        h.clients.push(again);
    }),
    plant("C2", "a counter's payment is recorded twice", |h| {
        let twice = h.event("store.payment_recorded", "p1")["data"].clone();
        h.unit(7, &[(format!("store/{STORE}"), "store.payment_recorded", twice)]);
    }),
    plant("C2", "a retry asks for the money again", |h| {
        let mut data = h.event("payment.requested", "o6")["data"].clone();
        data["attempt"] = json!(2);
        h.unit_of_order("payment.requested", "o6", data);
    }),
    plant("I1", "a seat that is sold is held", |h| h.unit_of_seat("seat.held", "A-5", "o4", "")),
    plant("I1", "a seat goes to another than its holder", |h| {
        h.event("seat.sold", "A-2")["data"]["order_id"] = json!("o3");
    }),
    plant("I1", "a free seat is sold", |h| h.unit_of_seat("seat.sold", "A-9", "o1", "")),
    plant("I1", "a held seat is blocked", |h| h.unit_of_seat("seat.blocked", "A-7", "", "")),
    plant("I2", "a hold ends before its deadline", |h| {
        h.event("order.placed", "\"o2\"")["data"]["hold_until"] = json!("2026-11-21T20:03:00.000Z");
    }),
    plant("I2", "a hold ends twice", |h| h.unit_of_seat("seat.released", "A-3", "o2", "expired")),
    plant("I2", "an order ends twice", |h| h.unit_of_order("order.cancelled", "o2", json!({}))),
    plant("I3", "an order holds one of two seats", |h| {
        h.forget(|event| event["kind"] == "seat.held" && event["stream"] == "seat/pf_1/A-1");
    }),
    plant("I3", "an order's end leaves a seat behind", |h| {
        h.forget(|event| event["kind"] == "seat.released" && event["data"]["order_id"] == "o4")
    }),
    plant("I3", "a seat is held for nobody", |h| h.unit_of_seat("seat.held", "A-9", "o8", "")),
    plant("I3", "a seat is not given back with its ticket", |h| {
        h.forget(|event| event["kind"] == "seat.released" && event["stream"] == "seat/pf_1/A-4");
    }),
    plant("I4", "more coupons than there are", |h| h.event("coupon.created", COUPON)["data"]["stock"] = json!(2)),
    plant("I4", "serials are swapped", |h| {
        h.event("coupon.issued", "ct_1")["data"]["serial"] = json!(2);
        h.event("coupon.issued", "ct_2")["data"]["serial"] = json!(1);
    }),
    plant("I4", "a member has two", |h| h.event("coupon.issued", "ct_4")["data"]["account_id"] = json!("member-3")),
    plant("I4", "two orders have the same coupon", |h| {
        let mut data = h.event("coupon.reserved", "o9")["data"].clone();
        h.unit(5, &[(format!("coupon/{COUPON}"), "coupon.reserved", data.clone())]);
        data["order_id"] = json!("o10");
        h.unit(5, &[(format!("coupon/{COUPON}"), "coupon.reserved", data)]);
    }),
    plant("I4", "a coupon is used after it was given back", |h| {
        let data = h.event("coupon.used", "o9")["data"].clone();
        h.unit(5, &[(format!("coupon/{COUPON}"), "coupon.used", data)]);
    }),
    plant("I5", "more seats than a member may have", |h| {
        h.event("performance.scheduled", "pf_1")["data"]["max_seats_per_member"] = json!(1);
    }),
    plant("I5", "more orders than a member may hold", |h| {
        h.event("performance.scheduled", "pf_1")["data"]["max_live_orders_per_member"] = json!(1);
    }),
    plant("I5", "a member's account says another number", |h| h.event("member.held", "o3")["data"]["seats"] = json!(1)),
    plant("I5", "an order is not counted", |h| h.event("order.placed", "\"o4\"")["data"]["counted"] = json!(false)),
    plant("M1", "an order that is over is charged again", |h| {
        h.unit_of_order("payment.requested", "o1", json!({"attempt": 2, "amount": 2_000, "payment_key": "pk_o1_2"}));
        h.unit_of_order("payment.captured", "o1", json!({"attempt": 2, "amount": 2_000, "payment_key": "pk_o1_2"}));
    }),
    plant("M1", "two payments are open at once", |h| {
        h.unit_of_order("payment.requested", "o6", json!({"attempt": 2, "amount": 1_000, "payment_key": "pk_o6_2"}));
    }),
    plant("M1", "the provider took money that the log never asked for", |h| {
        let what = json!({"kind": "captured", "order_id": "o3", "amount": 2_000});
        h.ledger.push(json!({"n": 99, "payment_key": "pk_other", "what": what}));
    }),
    plant("M1", "the provider took the same twice", |h| {
        let again = h.ledger[0].clone();
        h.ledger.push(again);
    }),
    plant("M1", "the provider gave back twice", |h| {
        let again = h.ledger.iter().rfind(|entry| entry["what"]["kind"] == "cancelled").cloned();
        h.ledger.extend(again);
    }),
    plant("M1", "a refund is done twice", |h| {
        let data = h.event("refund.done", "r_o3_1")["data"].clone();
        h.unit_of_order("refund.done", "o3", data);
    }),
    plant("M1", "more is asked back than was paid", |h| {
        h.event("refund.requested", "r_o1_1")["data"]["amount"] = json!(9_000);
    }),
    plant("M1", "an order expires while its payment is open", |h| h.unit_of_order("order.expired", "o6", json!({}))),
    plant("M2", "less is given back than was paid", |h| {
        h.event("refund.requested", "r_o1_1")["data"]["amount"] = json!(1_500);
        h.event("refund.done", "r_o1_1")["data"]["amount"] = json!(1_500);
    }),
    plant("M2", "tickets are given out for nothing", |h| {
        h.forget(|event| event["kind"] == "payment.captured" && event["data"]["order_id"] == "o3");
    }),
    plant("M2", "the provider has no such capture", |h| h.ledger.retain(|entry| entry["payment_key"] != "pk_o3_2")),
    plant("M2", "a refund never reached the provider", |h| {
        h.ledger.retain(|entry| entry["what"]["kind"] != "cancelled")
    }),
    plant("M2", "a refusal at the provider was a capture", |h| {
        let declined = h.ledger.iter_mut().find(|entry| entry["what"]["kind"] == "declined");
        declined.expect("one was declined")["what"]["kind"] = json!("captured");
    }),
    plant("C1", "an acknowledged order is not in the log", |h| {
        h.forget(|event| event["data"]["order_id"] == "o4");
    }),
    plant("C1", "an acknowledged coupon is not in the log", |h| h.forget(|event| event["data"]["task_id"] == "ct_3")),
    plant("C1", "an acknowledged payment of a counter is not in the log", |h| {
        h.forget(|event| event["data"]["payment_id"] == "p3")
    }),
    plant("C1", "an answer names another position", |h| {
        h.ended("place", "o3")["answer"]["position"] = json!("3:4");
    }),
    plant("C1", "an answer names a position in the middle of a unit", |h| {
        h.ended("place", "o4")["answer"]["position"] = json!("3:3");
    }),
    plant("C1", "an answer names another serial", |h| h.ended("issue", "ct_2")["answer"]["serial"] = json!(3)),
    plant("C1", "an answer names other seats", |h| {
        h.ended("place", "o3")["answer"]["seats"] = json!([{"seat_id": "A-4"}, {"seat_id": "A-6"}]);
    }),
    plant("C1", "a payment is answered before it is captured", |h| {
        let at = h.event("payment.requested", "o6")["position"].clone();
        let call = h.ended("pay", "o6");
        (call["status"], call["answer"]["status"]) = (json!(200), json!("completed"));
        call["answer"]["position"] = json!(format!("3:{at}"));
    }),
    plant("C1", "a cancellation is answered, and nothing was cancelled", |h| {
        let mut call = h.ended("cancel", "o4").clone();
        let at = h.event("review.opened", "o6")["position"].clone();
        (call["call"], call["target"], call["answer"]) =
            (json!(901), json!("o6"), json!({"order_id": "o6", "status": "review", "position": format!("3:{at}")}));
        h.clients.push(call);
    }),
    plant("refused", "a refused order was placed", |h| {
        let call = h.ended("place", "o4");
        (call["outcome"], call["status"], call["code"]) = (json!("refused"), json!(503), json!("unavailable"));
    }),
    plant("refused", "a refused payment was asked for", |h| {
        let call = h.ended("pay", "o6");
        (call["outcome"], call["status"], call["code"]) = (json!("refused"), json!(409), json!("order-not-payable"));
    }),
    plant("refused", "a declined payment was captured", |h| {
        let call = h.ended("pay", "pk_o3_2");
        (call["outcome"], call["status"], call["code"]) = (json!("refused"), json!(402), json!("payment-declined"));
    }),
    plant("refused", "a counter is told no, and it was recorded", |h| {
        let call = h.ended("store-payment", "p3");
        (call["outcome"], call["status"], call["code"]) = (json!("refused"), json!(503), json!("overloaded"));
    }),
    plant("C3", "a reading is older than what was acknowledged", |h| {
        let at = h.ended("place", "\"o1\"")["answer"]["position"].clone();
        let read = h.ended("read-order", "o1");
        (read["answer"]["status"], read["answer"]["position"]) = (json!("awaiting_payment"), at);
    }),
    plant("C3", "a reading is older than was asked for", |h| {
        let at = h.ended("place", "\"o1\"")["answer"]["position"].clone();
        let read = h.ended("read-order", "o1");
        read["asked"]["min_position"] = read["answer"]["position"].clone();
        (read["node"], read["answer"]["status"], read["answer"]["position"]) =
            (json!("other"), json!("awaiting_payment"), at);
    }),
    plant("C3", "a reading shows what is not so yet", |h| {
        h.ended("read-order", "o1")["answer"]["status"] = json!("refunded")
    }),
    plant("C3", "a seat map shows a seat that is taken as free", |h| {
        let seats = h.ended("read-seats", PERFORMANCE)["answer"]["seats"].as_array_mut();
        seats.expect("seats").remove(0);
    }),
    plant("C3", "a coupon shows more than was issued", |h| {
        h.ended("read-coupon", COUPON)["answer"]["issued"] = json!(3)
    }),
    plant("C3", "a member is told of a serial that is not theirs", |h| {
        h.ended("issue", "coupon-already-issued")["answer"]["serial"] = json!(2);
    }),
    plant("C3", "a free seat is refused", |h| {
        h.ended("place", "seat-unavailable")["answer"]["seats"] = json!(["A-6"]);
    }),
    plant("C3", "a seat is refused that nobody ever had", |h| {
        h.ended("place", "seat-unavailable")["answer"]["seats"] = json!(["A-12"]);
    }),
    plant("C3", "what was answered first stands later", |h| {
        let call = h.ended("place", "\"o4\"");
        (call["begun_us"], call["ended_us"]) = (json!(0), json!(1));
    }),
    plant("C3", "a watcher is told of what is not in the log", |h| {
        let last = *h.frames("w1").last().expect("frames");
        h.streams[last]["id"] = json!("3:777");
    }),
    plant("C4", "a frame is lost", |h| drop(h.streams.remove(h.frames("w1")[3]))),
    plant("C4", "a frame comes twice", |h| {
        let index = h.frames("w1")[3];
        let again = h.streams[index].clone();
        h.streams.insert(index, again);
    }),
    plant("C4", "frames are out of order", |h| {
        let frames = h.frames("w1");
        h.streams.swap(frames[2], frames[3]);
    }),
    plant("C4", "a stream resumes one too late", |h| drop(h.streams.remove(h.frames("w2")[2]))),
    plant("C4", "a stream resumes one too early", |h| {
        let frames = h.frames("w2");
        let again = h.streams[frames[1]].clone();
        h.streams.insert(frames[2], again);
    }),
    plant("C4", "a snapshot lacks a seat", |h| {
        let snapshot = h.streams.iter_mut().find(|line| line["watcher"] == "w3" && line["event"] == "snapshot");
        snapshot.and_then(|line| line["data"]["seats"].as_array_mut()).expect("a snapshot").remove(0);
    }),
    plant("C4", "a frame shows part of an order", |h| {
        let frame = h.frames("w1")[0];
        h.streams[frame]["data"]["seats"] = json!(["A-1"]);
    }),
    plant("C4", "a frame names another before it", |h| {
        let frame = h.frames("w1")[4];
        h.streams[frame]["data"]["prev"] = json!("3:1");
    }),
    plant("C4", "the last frame never comes", |h| drop(h.streams.remove(*h.frames("w3").last().expect("frames")))),
    plant("C4", "a counter is not told of a payment", |h| {
        let frame = h.frames("w4")[2];
        h.streams[frame]["data"]["skipped"] = json!(0);
    }),
    plant("C4", "an order is shown as it is not", |h| {
        let frame = h.frames("w5")[1];
        h.streams[frame]["data"]["status"] = json!("completed");
    }),
    plant("settled", "an outcome stays unknown", |h| {
        let call = h.ended("place", "o4");
        (call["outcome"], call["status"], call["code"]) = (json!("unknown"), json!(503), json!("outcome-unknown"));
    }),
    plant("settled", "a payment stays open, and nobody looks", |h| h.forget(|event| event["kind"] == "review.opened")),
    plant("settled", "a hold outlives its deadline", |h| {
        h.forget(|event| {
            let kind = event["kind"].as_str().unwrap_or_default();
            event["data"]["order_id"] == "o2" && !matches!(kind, "seat.held" | "order.placed" | "member.held")
        });
    }),
];
