//! Can anybody tell who has an account? By what the cabinet is asked before the answer: the same calls, whoever it is. Looks
//! may differ, they take microseconds; writes reach the disk.

use super::shaky::{Content, Shaky};
use super::*;

struct Watched {
    scene: Scene,
    cabinet: Arc<Shaky>,
}

impl Watched {
    /// With Kim, who has an account.
    async fn new() -> Self {
        let cabinet = Shaky::with(Content::default());
        let scene = scene_over(cabinet.clone(), &Passwords::new(Entropy::seeded(5)), 6);
        scene.member(KIM).await;
        Self { scene, cabinet }
    }

    /// All calls that `act` makes.
    async fn calls<T>(&self, act: impl Future<Output = T>) -> Vec<String> {
        self.cabinet.calls.lock().clear();
        act.await;
        std::mem::take(&mut *self.cabinet.calls.lock())
    }

    async fn puts<T>(&self, act: impl Future<Output = T>) -> usize {
        self.calls(act).await.iter().filter(|call| call.starts_with("put") || call.starts_with("remove")).count()
    }
}

const LEE: &str = "lee@example.com";

#[tokio::test]
async fn a_login_that_fails_makes_the_same_calls_whoever_it_is() {
    let watched = Watched::new().await;
    // Somebody who has not shown their mail yet.
    watched.scene.accounts.sign_up(wish("waiting@example.com"), Asked::default()).await.expect("signed up");
    let fail = |email: &'static str| watched.scene.login_as(email, "wrong wrong", None, from("203.0.113.1"));
    let unknown = watched.calls(fail(LEE)).await;
    assert!(unknown.iter().filter(|call| call.starts_with("put")).count() == 2, "{unknown:?}");
    assert_eq!(watched.calls(fail(KIM)).await, unknown, "a wrong password");
    assert_eq!(watched.calls(fail("waiting@example.com")).await, unknown, "not verified");
    let fail = |email: &'static str| watched.scene.login(email, "wrong wrong", None);
    for _ in 0..limits::FAILURES_FREE {
        let _failed = (fail(KIM).await.is_err(), fail(LEE).await.is_err());
    }
    assert_eq!(watched.calls(fail(KIM)).await, watched.calls(fail(LEE)).await, "locked");
}

#[tokio::test]
async fn a_wrong_code_writes_as_much_whoever_it_is() {
    let watched = Watched::new().await;
    let accounts = &watched.scene.accounts;
    let wrong = "00000000".to_owned();
    let new = "another fine phrase 3".to_owned();
    let reset = |email: &str| accounts.reset_password(email.into(), wrong.clone(), new.clone(), Asked::default());
    let unlock = |email: &str| accounts.unlock(email.into(), Some(wrong.clone()), Asked::default());
    let verify = |email: &str| accounts.verify(email.into(), wrong.clone(), Asked::default());
    for mailed in [false, true] {
        if mailed {
            accounts.forgot_password(KIM.into(), Asked::default()).await.expect("mailed");
            watched.scene.inbox.code(KIM, 2).await;
        }
        for email in [KIM, LEE, "no address"] {
            assert_eq!(watched.puts(reset(email)).await, 1, "{email}, {mailed}");
            assert_eq!(watched.puts(unlock(email)).await, 1, "{email}, {mailed}");
            assert_eq!(watched.puts(verify(email)).await, 1, "{email}, {mailed}");
        }
    }
    // Whoever signs up with somebody's address and guesses learns nothing from it either.
    for email in [KIM, LEE] {
        accounts.sign_up(wish(email), Asked::default()).await.expect("the same answer");
        assert_eq!(watched.puts(verify(email)).await, 1, "{email}");
    }
}

#[tokio::test]
async fn a_weak_new_password_is_told_to_everybody_and_no_code_is_tried() {
    let watched = Watched::new().await;
    let accounts = &watched.scene.accounts;
    for email in [KIM, LEE] {
        let outcome = accounts.reset_password(email.into(), "00000000".into(), "12345678".into(), Asked::default());
        assert!(matches!(denied(outcome.await), Denied::Invalid(_)), "{email}");
    }
}

#[tokio::test]
async fn strangers_cannot_bury_a_sign_up() {
    let watched = Watched::new().await;
    let accounts = &watched.scene.accounts;
    accounts.sign_up(wish(LEE), Asked::default()).await.expect("signed up");
    for _ in 0..limits::SIGN_UPS_PER_ADDRESS + 10 {
        let email = crate::auth::Email::parse(LEE).expect("an address");
        if !accounts.may_mail(&email).await.expect("counted") {
            break;
        }
    }
    for _ in 0..5 {
        accounts.sign_up(wish(LEE), Asked::default()).await.expect("the same answer");
    }
    let alias = accounts.alias(&crate::auth::Email::parse(LEE).expect("an address"));
    let family = crate::accounts::store::Cabinet::family(
        watched.cabinet.as_ref(),
        crate::accounts::store::Kind::SignUp,
        &alias,
        "",
        100,
    );
    assert_eq!(family.await.expect("an answer").len(), 1, "only what was mailed is looked through");
    let sealed = watched.cabinet.content.lock().documents.values().filter(|one| one.document.sealed.is_some()).count();
    assert_eq!(sealed, 2, "Kim, and that one: of the others nothing personal is kept");
    let code = watched.scene.inbox.code(LEE, 1).await;
    accounts.verify(LEE.into(), code, Asked::default()).await.expect("verified");
}

#[tokio::test]
async fn a_known_key_is_no_way_to_find_a_password() {
    let watched = Watched::new().await;
    let right = Asked { body: Hash16([7; 16]), ..asked(1) };
    let signed_in = watched.scene.login_as(KIM, PASSWORD, None, right).await.expect("in");
    for number in 0..limits::FAILURES_FREE {
        let wrong = Asked { body: Hash16([100 + u8::try_from(number).expect("few"); 16]), ..asked(1) };
        let outcome = watched.scene.login_as(KIM, "guess", None, wrong).await;
        assert_eq!(denied(outcome), Denied::KeyReused);
    }
    let found = watched.scene.login_as(KIM, PASSWORD, None, right).await;
    assert_eq!(denied(found), Denied::InvalidCredentials, "too many tries: also the right one says nothing");
    assert!(watched.scene.good(&signed_in));

    let accounts = &watched.scene.accounts;
    accounts.sign_up(wish(LEE), right).await.expect("signed up");
    for number in 0..limits::FAILURES_FREE {
        let wrong = Asked { body: Hash16([100 + u8::try_from(number).expect("few"); 16]), ..asked(1) };
        assert_eq!(denied(accounts.sign_up(wish(LEE), wrong).await), Denied::KeyReused);
    }
    assert_eq!(denied(accounts.sign_up(wish(LEE), right).await), Denied::KeyReused);
}

#[tokio::test]
async fn a_stolen_session_does_not_guess_the_password_for_ever() {
    let watched = Watched::new().await;
    let signed_in = watched.scene.login(KIM, PASSWORD, None).await.expect("in");
    let id = watched.scene.verifier.verify(&signed_in.access, watched.scene.clock.wall()).expect("good").account;
    let accounts = &watched.scene.accounts;
    for _ in 0..limits::FAILURES_FREE {
        let guess = accounts.enrol(id.clone(), "wrong wrong".into(), Asked::default()).await;
        assert_eq!(denied(guess.map(drop)), Denied::InvalidCredentials);
    }
    let right = accounts.enrol(id.clone(), PASSWORD.into(), Asked::default()).await;
    assert_eq!(denied(right.map(drop)), Denied::InvalidCredentials, "slowed down");
    let change = accounts.change_password(id, None, PASSWORD.into(), "another phrase 3".into(), Asked::default());
    assert_eq!(denied(change.await), Denied::InvalidCredentials, "here, too");
}
