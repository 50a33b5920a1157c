//! Do sessions, second factors and revocations count at the edge, on every route?

use super::*;
use crate::ids::CredentialId;

/// Routes that every signed-in person needs to set up a second factor, and to go out.
fn own_business(template: &str) -> bool {
    template.starts_with("/v1/auth/") || template == "/v1/accounts/me"
}

fn session(role: Role, proven: bool) -> String {
    session_of("se_1", role, proven)
}

fn session_of(session: &str, role: Role, proven: bool) -> String {
    let who = Principal { session: Some(CredentialId::new(session)), proven, ..operator(role) };
    let signer = Signer::new(&keys().access);
    format!("Bearer {}", signer.for_session(&who, Duration::from_secs(60), SystemClock.wall()).expect("signs"))
}

#[tokio::test]
async fn admins_need_a_second_factor_on_every_route_and_sellers_to_put_something_on_sale() {
    let app = router(handles().await);
    for (place, (method, template, who)) in WHO_MAY.iter().enumerate() {
        for (role, letter) in ROLES.into_iter().filter(|(role, _)| !role.is_device()) {
            if !who.contains(letter) {
                continue;
            }
            let creates = *method == "POST" && ["/v1/shows", "/v1/performances"].contains(template);
            let asked = (role == Role::Admin && !own_business(template)) || (role == Role::Seller && creates);
            for proven in [false, true] {
                // A session of its own: some routes end the one that asks.
                let bearer = session_of(&format!("se_{place}{letter}{proven}"), role, proven);
                let headers = [("authorization", bearer), ("idempotency-key", "k".to_owned())];
                let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
                let body = json_of(send(&app, method, &concrete(template), &headers).await).await;
                let refused = body["code"] == json!("second-factor-required");
                assert_eq!(refused, asked && !proven, "{method} {template} {role:?} {proven}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn an_admins_ticket_shows_the_second_factor_too() {
    let app = router(handles().await);
    let path = format!("/v1/orders/o1_{HASH}/events");
    for (proven, expected) in [(false, "second-factor-required"), (true, "not-found")] {
        let who = Principal { session: Some(CredentialId::new("se_1")), proven, ..operator(Role::Admin) };
        let tickets = Tickets::new(&keys().tickets, Revoked::default());
        let ticket = tickets.issue(&who, &path, SystemClock.wall()).expect("signs");
        let body = json_of(send(&app, "GET", &format!("{path}?ticket={ticket}"), &[]).await).await;
        assert_eq!(body["code"], json!(expected));
    }
}

#[tokio::test]
async fn what_was_revoked_opens_no_route_and_no_stream() {
    let handles = handles().await;
    let revoked = handles.revoked.clone();
    let app = router(handles);
    let path = format!("/v1/orders/o1_{HASH}/events");
    let who = Principal { session: Some(CredentialId::new("se_1")), ..operator(Role::Member) };
    let tickets = Tickets::new(&keys().tickets, Revoked::default());
    let ticket = tickets.issue(&who, &path, SystemClock.wall()).expect("signs");
    let (bearer, opened) = (session(Role::Member, true), format!("{path}?ticket={ticket}"));
    let reconnect = [("last-event-id", "1:1")];
    for (headers, expected) in [(&[][..], 404), (&reconnect[..], 404)] {
        assert_eq!(send(&app, "GET", &opened, headers).await.status(), expected, "let in, and there is no such order");
    }
    revoked.note("se_1", SystemClock.wall(), None);
    for (method, template, who) in WHO_MAY.iter().filter(|(_, _, who)| *who != "*") {
        let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
        let status = send(&app, method, &concrete(template), &headers).await.status();
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{method} {template} {who}");
    }
    for headers in [&[][..], &reconnect[..]] {
        let body = json_of(send(&app, "GET", &opened, headers).await).await;
        assert_eq!(body["code"], json!("ticket-invalid"));
    }
}
