//! Can somebody go on whose request was interrupted anywhere? Every flow, each of its calls to the cabinet failed once
//! (before or after it had happened), the request repeated: the end is as if nothing had been.
//!
//! What a process that dies there leaves behind is what these failures leave behind.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::shaky::{Content, Event, Shaky};
use super::*;
use crate::accounts::record::{Purpose, Record};
use crate::accounts::store::{Cabinet, Kind};
use crate::auth::Email;

/// Somebody with an account, on two devices.
struct Kim {
    id: AccountId,
    here: SignedIn,
    there: SignedIn,
    /// Of the mails that were sent before.
    code: String,
}

struct Trial {
    scene: Scene,
    cabinet: Arc<Shaky>,
    kim: Arc<Kim>,
}

impl Trial {
    fn record(&self) -> Record {
        let content = self.cabinet.content.lock();
        let stored = &content.documents[&(Kind::Account.as_str(), self.kim.id.to_string())];
        serde_json::from_str(&stored.document.record).expect("a record")
    }

    fn kinds(&self, kind: Kind) -> usize {
        self.cabinet.content.lock().documents.keys().filter(|(of, _)| *of == kind.as_str()).count()
    }

    fn session(&self, signed_in: &SignedIn) -> Option<crate::ids::CredentialId> {
        self.scene.verifier.verify(&signed_in.access, self.scene.clock.wall()).ok()?.session
    }

    /// Are its tokens dead, and does it stay so?
    async fn is_over(&self, signed_in: &SignedIn) -> bool {
        let refreshed = self.scene.accounts.refresh(signed_in.refresh.clone(), Asked::default()).await;
        !self.scene.good(signed_in) && matches!(refreshed, Err(AccountError::Denied(Denied::RefreshInvalid)))
    }
}

type Act = for<'a> fn(&'a Trial) -> BoxFuture<'a, Result<(), AccountError>>;
type Check = for<'a> fn(&'a Trial) -> BoxFuture<'a, ()>;

struct Base {
    content: Content,
    passwords: Passwords,
    kim: Arc<Kim>,
}

impl Base {
    /// Kim is signed in twice; `before` happens next.
    async fn new(purpose: Option<Purpose>) -> Self {
        let passwords = Passwords::new(Entropy::seeded(5));
        let cabinet = Shaky::with(Content::default());
        let scene = scene_over(cabinet.clone(), &passwords, 6);
        let id = scene.member(KIM).await;
        let here = scene.login(KIM, PASSWORD, None).await.expect("in");
        let there = scene.login(KIM, PASSWORD, None).await.expect("in");
        let mut code = String::new();
        if let Some(purpose) = purpose {
            let (_, person) = scene.accounts.living(&id).await.expect("there");
            scene.accounts.mail_code(&id, &person, purpose).await.expect("mailed");
            code = scene.inbox.code(KIM, 2).await;
            for _ in 0..limits::FAILURES_FREE + 3 {
                scene.accounts.count_failure(&scene.accounts.name_of(KIM).0).await.expect("counted");
            }
        }
        let content = cabinet.content.lock().clone();
        Self { content, passwords, kim: Arc::new(Kim { id, here, there, code }) }
    }

    fn trial(&self, seed: u64) -> Trial {
        let cabinet = Shaky::with(self.content.clone());
        let scene = scene_over(cabinet.clone(), &self.passwords, seed);
        Trial { scene, cabinet, kim: self.kim.clone() }
    }

    /// Fails each call of `act` once.
    async fn survives(&self, what: &str, act: Act, check: Check) {
        let mut failed = 0;
        for number in 0.. {
            let mut over = false;
            for event in [Event::Lost, Event::AnswerLost] {
                let trial = self.trial(1_000 + number as u64);
                trial.cabinet.at(number, event);
                let outcome = act(&trial).await;
                over = !trial.cabinet.happened();
                match outcome {
                    Ok(()) => {}
                    Err(AccountError::Failed(_)) => {
                        failed += 1;
                        let again = act(&trial).await;
                        assert!(again.is_ok(), "{what}, call {number}, again: {again:?}");
                    }
                    Err(AccountError::Denied(denied)) => panic!("{what}, call {number}: {denied}"),
                }
                check(&trial).await;
            }
            if over {
                assert!(number > 2 && failed > 2, "{what} was tried with {number} calls");
                return;
            }
        }
    }
}

#[tokio::test]
async fn coming_in_goes_on_after_any_interruption() {
    let base = Base::new(None).await;
    let login: Act = |trial| {
        async {
            let signed_in = trial.scene.login_as(KIM, PASSWORD, None, asked(1)).await?;
            assert!(trial.scene.good(&signed_in), "nobody gets tokens that are dead");
            Ok(())
        }
        .boxed()
    };
    let three: Check = |trial| {
        async {
            let live = trial.scene.accounts.live_sessions(&trial.kim.id).await.expect("an answer");
            assert_eq!(live.len(), 3, "one more, however often it was asked for");
        }
        .boxed()
    };
    base.survives("login", login, three).await;
    let refresh: Act = |trial| {
        async {
            let next = trial.scene.accounts.refresh(trial.kim.here.refresh.clone(), asked(1)).await?;
            assert!(trial.scene.good(&next));
            Ok(())
        }
        .boxed()
    };
    let turned: Check = |trial| {
        async {
            let live = trial.scene.accounts.live_sessions(&trial.kim.id).await.expect("an answer");
            assert!(live.iter().any(|(_, session)| session.number == 1), "turned once");
            assert_eq!(live.len(), 2);
        }
        .boxed()
    };
    base.survives("refresh", refresh, turned).await;
}

#[tokio::test]
async fn a_sign_up_and_its_code_go_on_after_any_interruption() {
    const LEE: &str = "lee@example.com";
    let passwords = Passwords::new(Entropy::seeded(5));
    let mut failed = 0;
    for number in 0.. {
        let mut over = false;
        for event in [Event::Lost, Event::AnswerLost] {
            let cabinet = Shaky::with(Content::default());
            let scene = scene_over(cabinet.clone(), &passwords, 7);
            cabinet.at(number, event);
            let mut signed_up = scene.accounts.sign_up(wish(LEE), asked(1)).await;
            if signed_up.is_err() {
                failed += 1;
                signed_up = scene.accounts.sign_up(wish(LEE), asked(1)).await;
            }
            assert!(signed_up.is_ok(), "call {number}");
            if scene.inbox.count(LEE) == 0 {
                // It was written, and the process ended before the mail: whoever waits in vain asks for another.
                let anew = || scene.accounts.sign_up(wish(LEE), Asked::default());
                assert!(anew().await.is_ok() || anew().await.is_ok(), "call {number}");
            }
            let code = scene.inbox.code(LEE, 1).await;
            let verify = || scene.accounts.verify(LEE.into(), code.clone(), asked(2));
            if verify().await.is_err() {
                failed += 1;
                verify().await.expect("again");
            }
            over = !cabinet.happened();
            let email = Email::parse(LEE).expect("an address");
            assert!(scene.accounts.account_of(&email).await.expect("an answer").is_some(), "call {number}");
        }
        if over {
            break;
        }
    }
    assert!(failed > 12, "{failed}");
}

#[tokio::test]
async fn a_new_password_goes_on_after_any_interruption() {
    let base = Base::new(None).await;
    let change: Act = |trial| {
        async {
            let session = trial.session(&trial.kim.here);
            let (id, new) = (trial.kim.id.clone(), "another fine phrase 3".to_owned());
            trial.scene.accounts.change_password(id, session, PASSWORD.into(), new, asked(1)).await.map(drop)
        }
        .boxed()
    };
    let others_end: Check = |trial| {
        async {
            assert!(trial.scene.good(&trial.kim.here) && trial.is_over(&trial.kim.there).await);
            assert!(trial.scene.accounts.refresh(trial.kim.here.refresh.clone(), Asked::default()).await.is_ok());
            assert_eq!(trial.record().epoch, 1, "changed once");
        }
        .boxed()
    };
    base.survives("change", change, others_end).await;

    let base = Base::new(Some(Purpose::Reset)).await;
    let reset: Act = |trial| {
        async {
            let (code, new) = (trial.kim.code.clone(), "another fine phrase 3".to_owned());
            trial.scene.accounts.reset_password(KIM.into(), code, new, asked(1)).await.map(drop)
        }
        .boxed()
    };
    let all_end: Check = |trial| {
        async {
            assert!(trial.is_over(&trial.kim.here).await && trial.is_over(&trial.kim.there).await);
            let record = trial.record();
            assert!(record.codes.is_empty() && record.epoch == 1);
            let name = trial.scene.accounts.name_of(KIM).0;
            let left = trial.cabinet.get(Kind::Throttle, &name).await.expect("an answer");
            assert!(left.is_none(), "and the account is open again");
        }
        .boxed()
    };
    base.survives("reset", reset, all_end).await;
}

#[tokio::test]
async fn an_unlocking_and_a_signing_out_go_on_after_any_interruption() {
    let base = Base::new(Some(Purpose::Unlock)).await;
    let unlock: Act = |trial| {
        async { trial.scene.accounts.unlock(KIM.into(), Some(trial.kim.code.clone()), asked(1)).await.map(drop) }
            .boxed()
    };
    let open: Check = |trial| {
        async {
            let name = trial.scene.accounts.name_of(KIM).0;
            assert!(trial.cabinet.get(Kind::Throttle, &name).await.expect("an answer").is_none());
            assert!(trial.record().codes.is_empty());
        }
        .boxed()
    };
    base.survives("unlock", unlock, open).await;
    let out: Act =
        |trial| async { trial.scene.accounts.logout_all(trial.kim.id.clone(), asked(1)).await.map(drop) }.boxed();
    let nobody: Check = |trial| {
        async { assert!(trial.is_over(&trial.kim.here).await && trial.is_over(&trial.kim.there).await) }.boxed()
    };
    base.survives("logout-all", out, nobody).await;
}

#[tokio::test]
async fn an_erasure_goes_on_after_any_interruption() {
    let base = Base::new(Some(Purpose::Reset)).await;
    let erase: Act = |trial| {
        async {
            // Somebody else has just tried to sign up with the address.
            if trial.kinds(Kind::SignUp) == 0 && trial.record().erased_at.is_none() {
                trial.scene.accounts.apply(trial.kim.id.clone(), asked(7)).await?;
            }
            trial.scene.accounts.erase(trial.kim.id.clone(), asked(1)).await
        }
        .boxed()
    };
    let nothing: Check = |trial| {
        async {
            let record = trial.record();
            assert!(record.erased_at.is_some() && record.password.is_none() && record.codes.is_empty());
            assert!(trial.is_over(&trial.kim.here).await && trial.is_over(&trial.kim.there).await);
            assert_eq!(trial.kinds(Kind::Application) + trial.kinds(Kind::SignUp) + trial.kinds(Kind::Throttle), 0);
            let content = trial.cabinet.content.lock();
            assert!(content.documents.values().all(|stored| stored.document.sealed.is_none()));
            assert!(content.documents.values().all(|stored| stored.document.alias.is_none()));
        }
        .boxed()
    };
    base.survives("erase", erase, nothing).await;
}

#[tokio::test]
async fn a_second_factor_and_a_new_role_go_on_after_any_interruption() {
    let base = Base::new(None).await;
    let enrol: Act = |trial| {
        async {
            let (id, session) = (trial.kim.id.clone(), trial.session(&trial.kim.here));
            let confirmed = trial.record().factor().is_some();
            if !confirmed {
                trial.scene.accounts.enrol(id.clone(), PASSWORD.into(), asked(1)).await?;
            }
            let (_, person) = trial.scene.accounts.living(&id).await?;
            let seed = TotpSeed::from_bytes(&person.seed.expect("a seed")).expect("a seed");
            let code = totp(&seed, trial.scene.clock.wall());
            let confirmed = trial.scene.accounts.confirm(id, session, code, asked(2)).await?;
            assert_eq!(confirmed.recovery.len(), limits::RECOVERY_CODES);
            Ok(())
        }
        .boxed()
    };
    let proven: Check = |trial| {
        async {
            assert!(trial.record().factor().is_some());
            let next = trial.scene.accounts.refresh(trial.kim.here.refresh.clone(), Asked::default()).await;
            let next = next.expect("it goes on");
            assert!(trial.scene.verifier.verify(&next.access, trial.scene.clock.wall()).expect("good").proven);
        }
        .boxed()
    };
    base.survives("second factor", enrol, proven).await;
    let apply: Act = |trial| {
        async {
            let (id, admin) = (trial.kim.id.clone(), AccountId::new("ac_admin"));
            trial.scene.accounts.apply(id.clone(), asked(1)).await?;
            trial.scene.accounts.approve(id, admin, asked(2)).await.map(drop)
        }
        .boxed()
    };
    let seller: Check = |trial| {
        async {
            assert_eq!((trial.record().role, trial.kinds(Kind::Application)), (Role::Seller, 0));
        }
        .boxed()
    };
    base.survives("seller", apply, seller).await;
    let role: Act = |trial| async { trial.scene.accounts.set_role(KIM.into(), Role::Admin).await.map(drop) }.boxed();
    let admin: Check = |trial| {
        async {
            assert_eq!(trial.record().role, Role::Admin);
            assert!(trial.is_over(&trial.kim.here).await && trial.is_over(&trial.kim.there).await);
        }
        .boxed()
    };
    base.survives("role", role, admin).await;
}

#[tokio::test]
async fn a_cabinet_that_is_down_fails_who_comes_in_and_nobody_who_is_in() {
    let base = Base::new(None).await;
    for number in 0..6 {
        let trial = base.trial(9);
        trial.cabinet.at(number, Event::Down);
        let outcome = trial.scene.login(KIM, PASSWORD, None).await;
        assert!(matches!(outcome, Err(AccountError::Failed(Fault::Unavailable { .. }))), "call {number}");
        assert!(trial.scene.good(&trial.kim.here), "tokens are checked without it");
        trial.scene.pass(Duration::from_secs(20));
        assert!(trial.cabinet.happened());
        trial.scene.login(KIM, PASSWORD, None).await.expect("it is there again");
    }
}
