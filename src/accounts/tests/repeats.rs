//! Is the same request the same command, and another body under its key refused? On every route that changes an account.

use super::shaky::{Content, Shaky};
use super::*;
use crate::accounts::record::Purpose;

const NEW: &str = "another fine phrase 3";

fn key(key: u8, body: u8) -> Asked {
    Asked { body: Hash16([body; 16]), ..asked(key) }
}

struct Known {
    scene: Scene,
    id: AccountId,
}

async fn known() -> Known {
    let scene = scene_over(Shaky::with(Content::default()), &Passwords::new(Entropy::seeded(5)), 6);
    let id = scene.member(KIM).await;
    Known { scene, id }
}

/// First no, then yes, and with another body a refusal.
async fn repeats<F: Future<Output = Result<bool, AccountError>>>(what: &str, act: impl Fn(Asked) -> F) {
    assert_eq!(act(key(1, 1)).await, Ok(false), "{what}");
    assert_eq!(act(key(1, 1)).await, Ok(true), "{what}: the same again");
    assert_eq!(act(key(1, 2)).await, Err(Denied::KeyReused.into()), "{what}: another body");
}

#[tokio::test]
async fn what_changes_an_account_is_done_once_per_key() {
    let Known { scene, id } = known().await;
    let accounts = &scene.accounts;
    repeats("profile", |asked| {
        let change = Change { nickname: Some("이".into()), ..Change::default() };
        let id = id.clone();
        async move { accounts.change_profile(id, change, asked).await.map(|(_, replayed)| replayed) }
    })
    .await;
    let Known { scene, id } = known().await;
    let accounts = &scene.accounts;
    repeats("apply", |asked| {
        let id = id.clone();
        async move { accounts.apply(id, asked).await.map(|(_, replayed)| replayed) }
    })
    .await;
    let admin = AccountId::new("ac_admin");
    repeats("approve", |mut asked| {
        asked.command = Some(Hash16([9; 16]));
        accounts.approve(id.clone(), admin.clone(), asked)
    })
    .await;
    let Known { scene, id } = known().await;
    let accounts = &scene.accounts;
    repeats("change", |asked| accounts.change_password(id.clone(), None, PASSWORD.into(), NEW.into(), asked)).await;
    let Known { scene, id } = known().await;
    repeats("logout-all", |asked| scene.accounts.logout_all(id.clone(), asked)).await;
}

#[tokio::test]
async fn what_is_done_with_a_mailed_code_is_done_once_per_key() {
    for purpose in [Purpose::Reset, Purpose::Unlock] {
        let Known { scene, id } = known().await;
        let accounts = &scene.accounts;
        let (_, person) = accounts.living(&id).await.expect("there");
        accounts.mail_code(&id, &person, purpose).await.expect("mailed");
        let code = scene.inbox.code(KIM, 2).await;
        repeats(purpose.as_str(), |asked| {
            let code = code.clone();
            async move {
                match purpose {
                    Purpose::Unlock => accounts.unlock(KIM.into(), Some(code), asked).await,
                    _ => accounts.reset_password(KIM.into(), code, NEW.into(), asked).await,
                }
            }
        })
        .await;
    }
    // Asking for a mail, whoever has an account.
    for email in [KIM, "lee@example.com"] {
        let Known { scene, .. } = known().await;
        repeats("forgot", |asked| scene.accounts.forgot_password(email.into(), asked)).await;
        let Known { scene, .. } = known().await;
        repeats("unlock", |asked| scene.accounts.unlock(email.into(), None, asked)).await;
    }
}

#[tokio::test]
async fn a_second_factor_is_set_up_and_given_up_once_per_key() {
    let Known { scene, id } = known().await;
    let accounts = &scene.accounts;
    let enrol = |asked| accounts.enrol(id.clone(), PASSWORD.into(), asked);
    let first = enrol(key(1, 1)).await.expect("a seed");
    let again = enrol(key(1, 1)).await.expect("the same");
    assert!(!first.replayed && again.replayed && first.secret == again.secret);
    assert_eq!(denied(enrol(key(1, 2)).await.map(drop)), Denied::KeyReused);
    let (_, person) = accounts.living(&id).await.expect("there");
    let seed = TotpSeed::from_bytes(&person.seed.expect("a seed")).expect("a seed");
    let code = |scene: &Scene| totp(&seed, scene.clock.wall());
    let shown = code(&scene);
    repeats("confirm", |mut asked| {
        asked.command = Some(Hash16([2; 16]));
        let (id, shown) = (id.clone(), shown.clone());
        async move { accounts.confirm(id, None, shown, asked).await.map(|confirmed| confirmed.replayed) }
    })
    .await;
    assert_eq!(denied(enrol(key(1, 1)).await.map(drop)), Denied::AlreadyEnrolled, "a seed is shown until it counts");
    scene.pass(Duration::from_secs(30));
    let shown = code(&scene);
    repeats("disable", |mut asked| {
        asked.command = Some(Hash16([3; 16]));
        accounts.give_up(id.clone(), PASSWORD.into(), shown.clone(), asked)
    })
    .await;
    // The codes of before belong to a seed that is gone.
    enrol(key(4, 4)).await.expect("another seed");
    let late = Asked { command: Some(Hash16([2; 16])), body: Hash16([1; 16]), from: None };
    let outcome = accounts.confirm(id.clone(), None, code(&scene), late).await;
    assert_eq!(denied(outcome.map(drop)), Denied::CodeInvalid);
}

#[tokio::test]
async fn a_factor_that_was_given_up_proves_nothing() {
    let Known { scene, id } = known().await;
    let accounts = &scene.accounts;
    accounts.enrol(id.clone(), PASSWORD.into(), Asked::default()).await.expect("a seed");
    let (_, person) = accounts.living(&id).await.expect("there");
    let seed = TotpSeed::from_bytes(&person.seed.expect("a seed")).expect("a seed");
    accounts.confirm(id.clone(), None, totp(&seed, scene.clock.wall()), Asked::default()).await.expect("confirmed");
    scene.pass(Duration::from_secs(30));
    let signed_in = scene.login(KIM, PASSWORD, Some(&totp(&seed, scene.clock.wall()))).await.expect("in");
    scene.pass(Duration::from_secs(30));
    let code = totp(&seed, scene.clock.wall());
    accounts.give_up(id, PASSWORD.into(), code, Asked::default()).await.expect("given up");
    let next = accounts.refresh(signed_in.refresh, Asked::default()).await.expect("it goes on");
    assert!(!scene.verifier.verify(&next.access, scene.clock.wall()).expect("good").proven);
}
