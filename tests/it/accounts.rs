//! Accounts through the real binary: coming in, going out, being somebody else, being forgotten.

use serde_json::{Value, json};

use crate::support::people::{PASSWORD, code, enrol, login, mail, mails_to, sign_up, step, totp_at};
use crate::support::server::{BOTH, Home};
use crate::support::stage::{FAR, OPEN};
use crate::support::{Client, Kind, Server};

const KIM: &str = "kim@example.com";

async fn opened(kind: Kind) -> (Home, Server, Client) {
    let home = Home::new(kind).await;
    let server = Server::start(&home).await;
    let anyone = server.client();
    (home, server, anyone)
}

#[tokio::test]
async fn a_member_signs_up_buys_and_is_forgotten_while_the_books_stay() {
    for kind in BOTH {
        let (home, server, anyone) = opened(kind).await;
        anyone
            .post("/v1/accounts", &json!({"email": "x", "password": "short", "nickname": ""}))
            .await
            .problem(422, "invalid-value");
        let id = sign_up(&home, &server, KIM).await;
        let tokens = login(&anyone, KIM, None).await;
        let kim = anyone.with_token(&tokens.access);
        let me = kim.get("/v1/accounts/me").await.expect(200);
        assert_eq!((me.str("sub"), me.str("role")), (id.clone(), "member".to_owned()));
        assert_eq!(me.body["account"]["email"], KIM);
        let changed = json!({"nickname": "이온세", "phone": "010-1234-5678", "marketing_consent": true});
        let me = kim.patch("/v1/accounts/me", &changed).await.expect(200);
        assert_eq!(
            (&me.body["account"]["nickname"], &me.body["account"]["marketing_consent"]),
            (&json!("이온세"), &json!(true))
        );
        kim.patch("/v1/accounts/me", &json!({"email": "a@b.kr"})).await.problem(400, "malformed-body");

        let seller = anyone.with_token(&home.token("seller-1", "seller", None));
        let coupon = json!({"name": "쿠폰", "stock": 5, "opens_at": OPEN, "closes_at": FAR, "valid_until": FAR,
            "discount": {"kind": "percent", "value": 10}});
        let coupon = seller.post("/v1/coupons", &coupon).await.expect(201).str("coupon_id");
        kim.post(&format!("/v1/coupons/{coupon}/issue"), &json!({})).await.expect(201);

        let gone = kim.try_send(kim.request(reqwest::Method::DELETE, "/v1/accounts/me")).await.expect("an answer");
        gone.expect(204);
        kim.get("/v1/accounts/me").await.problem(401, "unauthorized");
        let body = json!({"refresh_token": tokens.refresh});
        anyone.post("/v1/auth/refresh", &body).await.problem(401, "refresh-token-invalid");
        let body = json!({"email": KIM, "password": PASSWORD});
        anyone.post("/v1/auth/login", &body).await.problem(401, "invalid-credentials");
        // The books know the id, and nobody can tell whose it was.
        let issued = seller.get(&format!("/v1/coupons/{coupon}/issues")).await.expect(200);
        assert_eq!(issued.body["items"][0]["account_id"], json!(id));
        server.terminate().await;
        home.assert_audit_passes();
        let replay = home.run(&["replay", "--verify"]);
        assert!(replay.status.success(), "{}", String::from_utf8_lossy(&replay.stderr));
        assert_nothing_of(&home, kind, &[KIM, "이온세", "김온세", "010-1234-5678"]).await;
    }
}

/// Neither in files nor in the database, sealed or not: not even as bytes of a page that is no longer used.
async fn assert_nothing_of(home: &Home, kind: Kind, words: &[&str]) {
    let mut files = vec![home.data().to_owned()];
    while let Some(path) = files.pop() {
        if path.is_dir() {
            // The mails are the mail server's, so to say: this is where they would have left the machine.
            if !path.ends_with("mail") {
                files.extend(std::fs::read_dir(&path).expect("ours").map(|entry| entry.expect("an entry").path()));
            }
            continue;
        }
        let bytes = std::fs::read(&path).expect("ours");
        for word in words {
            let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{word} in {}", path.display());
        }
    }
    if kind == Kind::Postgres {
        let text = crate::base::postgres::dump(&home.owner_url().expect("a database"));
        assert!(text.contains("accounts.document"), "the accounts are in it");
        assert!(words.iter().all(|word| !text.contains(word)), "somebody is still in the database");
    }
}

#[tokio::test]
async fn an_answer_says_nothing_about_who_has_an_account() {
    for kind in BOTH {
        let (home, server, anyone) = opened(kind).await;
        sign_up(&home, &server, KIM).await;
        let body = |email: &str| json!({"email": email, "password": PASSWORD, "nickname": "누구"});
        let shape = |answer: &crate::support::http::Answer| {
            let members: Vec<String> = answer.body.as_object().expect("an object").keys().cloned().collect();
            let id = answer.str("account_id");
            (answer.status, members, id.len(), id[..3].to_owned(), answer.header("location").map(str::to_owned))
        };
        let taken = anyone.post("/v1/accounts", &body(KIM)).await.expect(201);
        let free = anyone.post("/v1/accounts", &body("lee@example.com")).await.expect(201);
        assert_eq!(shape(&taken), shape(&free));
        let key = anyone.key("same");
        let first = key.post("/v1/accounts", &body(KIM)).await.expect(201);
        let again = key.post("/v1/accounts", &body(KIM)).await.expect(201);
        assert_eq!((first.body, again.header("idempotent-replayed")), (again.body.clone(), Some("true")));
        key.post("/v1/accounts", &json!({"email": KIM, "password": PASSWORD, "nickname": "다른"}))
            .await
            .problem(422, "idempotency-key-reused");
        for email in [KIM, "nobody@example.com"] {
            let wrong = json!({"email": email, "password": "wrong wrong wrong"});
            let answer = anyone.post("/v1/auth/login", &wrong).await.problem(401, "invalid-credentials");
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
            for route in ["password/forgot", "unlock"] {
                anyone.post(&format!("/v1/auth/{route}"), &json!({"email": email})).await.expect(204);
            }
            let guess = json!({"email": email, "code": "00000000", "new_password": "another fine phrase 3"});
            anyone.post("/v1/auth/password/reset", &guess).await.problem(422, "code-invalid");
        }
        mail(&home, KIM, 5).await;
        assert!(mails_to(&home.data().join("mail"), "nobody@example.com").is_empty());
    }
}

#[tokio::test]
async fn sessions_turn_end_and_are_found_out() {
    for kind in BOTH {
        let (home, server, anyone) = opened(kind).await;
        sign_up(&home, &server, KIM).await;
        let first = login(&anyone, KIM, None).await;
        let refresh = |token: &str| json!({"refresh_token": token});
        let key = anyone.key("r-1");
        let second = key.post("/v1/auth/refresh", &refresh(&first.refresh)).await.expect(200);
        let again = key.post("/v1/auth/refresh", &refresh(&first.refresh)).await.expect(200);
        assert_eq!((second.body.clone(), again.header("idempotent-replayed")), (again.body.clone(), Some("true")));
        // It survives the server.
        server.kill().await;
        let server = Server::start(&home).await;
        let anyone = server.client();
        let third = anyone.post("/v1/auth/refresh", &refresh(&second.str("refresh_token"))).await.expect(200);
        let kim = anyone.with_token(&third.str("access_token"));
        kim.get("/v1/accounts/me").await.expect(200);
        anyone.post("/v1/auth/refresh", &refresh(&first.refresh)).await.problem(401, "refresh-token-invalid");
        kim.get("/v1/accounts/me").await.problem(401, "unauthorized");
        anyone
            .post("/v1/auth/refresh", &refresh(&third.str("refresh_token")))
            .await
            .problem(401, "refresh-token-invalid");

        let (one, two) = (login(&anyone, KIM, None).await, login(&anyone, KIM, None).await);
        anyone.with_token(&one.access).post("/v1/auth/logout", &json!({})).await.expect(204);
        anyone.with_token(&one.access).get("/v1/accounts/me").await.problem(401, "unauthorized");
        let kim = anyone.with_token(&two.access);
        let bad = json!({"current_password": "wrong", "new_password": "another fine phrase 3"});
        kim.post("/v1/auth/password/change", &bad).await.problem(401, "invalid-credentials");
        let three = login(&anyone, KIM, None).await;
        kim.post("/v1/auth/logout-all", &json!({})).await.expect(204);
        for tokens in [&two, &three] {
            anyone.with_token(&tokens.access).get("/v1/accounts/me").await.problem(401, "unauthorized");
        }
        anyone.post("/v1/auth/logout", &json!({})).await.problem(401, "unauthorized");
        assert!(login(&anyone, KIM, None).await.access.len() > 20);
    }
}

#[tokio::test]
async fn a_password_is_reset_by_mail() {
    let (home, server, anyone) = opened(Kind::Sqlite).await;
    sign_up(&home, &server, KIM).await;
    anyone.post("/v1/auth/password/forgot", &json!({"email": KIM})).await.expect(204);
    let code = code(&mail(&home, KIM, 2).await);
    let reset = |new: &str| json!({"email": KIM, "code": code, "new_password": new});
    let weak = anyone.post("/v1/auth/password/reset", &reset("password1")).await.problem(422, "invalid-value");
    assert_eq!(weak.body["errors"][0]["pointer"], "/new_password");
    anyone.post("/v1/auth/password/reset", &reset("another fine phrase 3")).await.expect(204);
    anyone.post("/v1/auth/password/reset", &reset("another fine phrase 3")).await.problem(422, "code-invalid");
    let old = json!({"email": KIM, "password": PASSWORD});
    anyone.post("/v1/auth/login", &old).await.problem(401, "invalid-credentials");
    let new = json!({"email": KIM, "password": "another fine phrase 3"});
    anyone.post("/v1/auth/login", &new).await.expect(200);
}

#[tokio::test]
async fn a_page_keeps_its_session_in_a_cookie_that_other_pages_cannot_use() {
    let (home, server, anyone) = opened(Kind::Sqlite).await;
    sign_up(&home, &server, KIM).await;
    let own = server.base.clone();
    let body = json!({"email": KIM, "password": PASSWORD, "cookie": true});
    anyone
        .with("origin", "https://evil.example")
        .post("/v1/auth/login", &body)
        .await
        .problem(403, "origin-not-allowed");
    let answer = anyone.with("origin", &own).post("/v1/auth/login", &body).await.expect(200);
    assert!(answer.body.get("refresh_token").is_none(), "no script sees it");
    let set = answer.header("set-cookie").expect("a cookie").to_owned();
    for part in ["__Host-onsale-refresh=", "; Path=/", "; Secure", "; HttpOnly", "; SameSite=Strict"] {
        assert!(set.contains(part), "{part} in {set}");
    }
    let kept = set.split(';').next().expect("a pair").to_owned();
    let page = |origin: &str| anyone.with("cookie", &kept).with("origin", origin);
    page("https://evil.example").post("/v1/auth/refresh", &json!({})).await.problem(403, "origin-not-allowed");
    page("null").post("/v1/auth/logout", &json!({})).await.problem(403, "origin-not-allowed");
    let turned = page(&own).post("/v1/auth/refresh", &json!({})).await.expect(200);
    let next = turned.header("set-cookie").expect("the next one").split(';').next().expect("a pair").to_owned();
    assert_ne!(next, kept);
    let out = anyone.with("cookie", &next).with("origin", &own).post("/v1/auth/logout", &json!({})).await.expect(204);
    assert!(out.header("set-cookie").is_some_and(|set| set.contains("Max-Age=0")));
    anyone.post("/v1/auth/refresh", &json!({})).await.problem(400, "malformed-body");
}

async fn made_admin(home: &Home, server: &Server, email: &str) -> (Client, String) {
    sign_up(home, server, email).await;
    let output = home.run(&["account", "role", "--email", email, "--role", "admin"]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let anyone = server.client();
    let admin = anyone.with_token(&login(&anyone, email, None).await.access);
    admin.get("/v1/admin/sellers").await.problem(403, "second-factor-required");
    admin.get("/v1/accounts/me").await.expect(200);
    let secret = enrol(&admin).await;
    let next = next_code(&secret).await;
    (anyone.with_token(&login(&anyone, email, Some(&next)).await.access), secret)
}

/// The code of the next step, which the server takes already: clocks may be apart by one.
async fn next_code(secret: &str) -> String {
    totp_at(secret, step() + 1)
}

#[tokio::test]
async fn a_member_becomes_a_seller_and_shows_a_second_factor_before_selling() {
    for kind in BOTH {
        let (home, server, anyone) = opened(kind).await;
        let (admin, _) = made_admin(&home, &server, "admin@example.com").await;
        let id = sign_up(&home, &server, KIM).await;
        let kim = anyone.with_token(&login(&anyone, KIM, None).await.access);
        kim.get("/v1/admin/sellers").await.problem(403, "role-required");
        let approve = format!("/v1/admin/sellers/{id}/approve");
        admin.post(&approve, &json!({})).await.problem(409, "not-applied");
        let applied = kim.post("/v1/sellers/apply", &json!({})).await.expect(200);
        assert_eq!(applied.str("status"), "applied");
        let waiting = admin.get("/v1/admin/sellers").await.expect(200);
        assert_eq!(waiting.body["items"][0]["account_id"], json!(id));
        kim.post(&approve, &json!({})).await.problem(403, "role-required");
        admin.post(&approve, &json!({})).await.expect(200);
        admin.post(&approve, &json!({})).await.expect(200);
        admin
            .post("/v1/admin/sellers/ac_00000000000000000000000000000000/approve", &json!({}))
            .await
            .problem(404, "not-found");

        let seller = anyone.with_token(&login(&anyone, KIM, None).await.access);
        assert_eq!(seller.get("/v1/accounts/me").await.expect(200).str("role"), "seller");
        let show = json!({"title": "쇼", "category": "concert", "description": "x", "place": "서울",
            "starts_on": "2099-01-01", "ends_on": "2099-01-02"});
        seller.post("/v1/shows", &show).await.problem(403, "second-factor-required");
        let secret = enrol(&seller).await;
        let body = json!({"email": KIM, "password": PASSWORD});
        anyone.post("/v1/auth/login", &body).await.problem(401, "totp-required");
        let proven = anyone.with_token(&login(&anyone, KIM, Some(&next_code(&secret).await)).await.access);
        proven.post("/v1/shows", &show).await.expect(201);
        let give_up = json!({"password": PASSWORD, "code": "000000"});
        proven.post("/v1/auth/totp/disable", &give_up).await.problem(409, "totp-needed");

        let trail = admin.get(&format!("/v1/admin/security?account_id={id}&limit=200")).await.expect(200);
        let kinds: Vec<&str> =
            trail.body["items"].as_array().expect("items").iter().filter_map(|item| item["kind"].as_str()).collect();
        for kind in
            ["signed-up", "verified", "signed-in", "applied-as-seller", "approved-as-seller", "second-factor-set-up"]
        {
            assert!(kinds.contains(&kind), "{kind} in {kinds:?}");
        }
        let page = admin.get("/v1/admin/security?limit=2").await.expect(200);
        let cursor = page.str("next_cursor");
        let next = admin.get(&format!("/v1/admin/security?limit=2&cursor={cursor}")).await.expect(200);
        assert_ne!(page.body["items"], next.body["items"]);
        admin.get(&format!("/v1/admin/sellers?cursor={cursor}")).await.problem(400, "invalid-parameter");
    }
}

#[tokio::test]
async fn a_step_is_accepted_once_over_two_nodes_and_five_wrong_codes_lock() {
    let (home, server, anyone) = opened(Kind::Sqlite).await;
    sign_up(&home, &server, KIM).await;
    let kim = anyone.with_token(&login(&anyone, KIM, None).await.access);
    let secret = enrol(&kim).await;
    let shown = next_code(&secret).await;
    let body = json!({"email": KIM, "password": PASSWORD, "totp": shown});
    let all = (0..6).map(|_| anyone.post("/v1/auth/login", &body));
    let answers = futures::future::join_all(all).await;
    let mut seen: Vec<u16> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    seen.sort_unstable();
    assert_eq!(seen, [200, 401, 401, 401, 401, 401]);
    // Five of them were wrong: the account is locked, and its owner has a mail.
    let code = code(&mail(&home, KIM, 2).await);
    let locked = json!({"email": KIM, "password": PASSWORD, "totp": "000000"});
    anyone.post("/v1/auth/login", &locked).await.problem(401, "invalid-credentials");
    anyone.post("/v1/auth/unlock", &json!({"email": KIM, "code": "00000000"})).await.problem(422, "code-invalid");
    anyone.post("/v1/auth/unlock", &json!({"email": KIM, "code": code})).await.expect(204);
    let unlocked: Value = json!({"email": KIM, "password": PASSWORD});
    anyone.post("/v1/auth/login", &unlocked).await.problem(401, "totp-required");
}

#[tokio::test]
async fn guessing_slows_down_and_locks_by_account_and_by_address() {
    let home = Home::new(Kind::Sqlite).await;
    let options = "[server]\ntrusted_proxies = \"127.0.0.1\"\n";
    std::fs::write(home.config(), options).expect("ours");
    let server = Server::start(&home).await;
    let anyone = server.client();
    sign_up(&home, &server, KIM).await;
    let from = |address: &str| anyone.with("x-forwarded-for", address);
    let guess = |email: &str| json!({"email": email, "password": "wrong wrong wrong"});
    for number in 0..10 {
        let who = format!("user{number}@example.com");
        from("203.0.113.9").post("/v1/auth/login", &guess(&who)).await.problem(401, "invalid-credentials");
    }
    let waits =
        from("203.0.113.9").post("/v1/auth/login", &guess("new@example.com")).await.problem(429, "too-many-failures");
    assert!(waits.header("retry-after").is_some());
    let right = json!({"email": KIM, "password": PASSWORD});
    from("203.0.113.10").post("/v1/auth/login", &right).await.expect(200);
    // A crowd of addresses guesses at one account.
    for number in 0..12 {
        let address = format!("198.51.100.{number}");
        from(&address).post("/v1/auth/login", &guess(KIM)).await.problem(401, "invalid-credentials");
    }
    from("203.0.113.11").post("/v1/auth/login", &right).await.problem(401, "invalid-credentials");
    from("203.0.113.12").post("/v1/auth/unlock", &json!({"email": KIM})).await.expect(204);
    let code = code(&mail(&home, KIM, 2).await);
    from("203.0.113.12").post("/v1/auth/unlock", &json!({"email": KIM, "code": code})).await.expect(204);
    from("203.0.113.12").post("/v1/auth/login", &right).await.expect(200);
}
