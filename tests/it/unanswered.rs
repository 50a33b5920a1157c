//! What is told when a command is done, but its answer cannot be made? That it may be done: never that it was not.

use serde_json::json;

use crate::base::postgres::{SERVER_ROLE, sql};
use crate::support::Kind;
use crate::support::shop::{Plan, Shop};

/// The log can be written, but not read: what is asked of it after a commit fails.
#[tokio::test]
async fn a_command_that_is_done_is_never_answered_with_nothing_was_done() {
    let shop = Shop::open(Plan { kind: Kind::Postgres, ..Plan::default() }).await;
    let owner = shop.home.owner_url().expect("on Postgres");
    let kim = shop.member("kim");
    let paid = shop.place(&kim, &["A-1-1"]).await;
    let cancelled = shop.place(&kim, &["A-1-2"]).await;
    let pay = json!({"payment_key": "pk_1", "amount": shop.price});
    let calls = [
        ("pay", format!("/v1/orders/{paid}/payment"), pay, "completed"),
        ("cancel", format!("/v1/orders/{cancelled}/cancel"), json!({}), "cancelled"),
    ];
    for (key, path, body, ends) in calls {
        sql(&owner, &format!("REVOKE SELECT ON log.events FROM {SERVER_ROLE}")).await;
        let answer = kim.key(key).post(&path, &body).await.problem(503, "outcome-unknown");
        assert_eq!(answer.body["outcome"], "unknown", "{}", answer.text);
        sql(&owner, &format!("GRANT SELECT ON log.events TO {SERVER_ROLE}")).await;
        let again = kim.key(key).post(&path, &body).await.expect(200);
        assert_eq!(again.body["status"], ends, "{}", again.text);
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{}", again.text);
    }
    shop.home.assert_audit_passes();
}
