//! Do people get in, and do others not? The whole service over a file, with mails in hand and the clock held.

mod alike;
mod crashes;
mod people;
mod races;
mod repeats;
mod shaky;

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::store::{Place, SharedCabinet, open};
use super::*;
use crate::auth::{Keys, Role, TotpSeed, Verifier};
use crate::gateways::mail::{Mail, MailFault, Mailer};
use crate::ids::AccountId;
use crate::limits;
use crate::timestamp::Timestamp;

/// A clock in the test's hand.
#[derive(Clone)]
struct Hand(Arc<Mutex<Timestamp>>);

impl Clock for Hand {
    fn wall(&self) -> Timestamp {
        *self.0.lock()
    }

    fn elapsed(&self) -> Duration {
        self.wall().since(Timestamp(0))
    }
}

#[derive(Clone)]
struct Inbox(Arc<Mutex<Vec<Mail>>>, Arc<tokio::sync::Notify>);

#[async_trait::async_trait]
impl Mailer for Inbox {
    async fn send(&self, mail: Mail) -> Result<(), MailFault> {
        self.0.lock().push(mail);
        self.1.notify_waiters();
        Ok(())
    }
}

impl Inbox {
    /// The code of the `n`th mail to `to`, once it is there.
    async fn code(&self, to: &str, n: usize) -> String {
        self.mail(to, n)
            .await
            .text
            .split_whitespace()
            .find(|word| word.len() == 8 && word.bytes().all(|b| b.is_ascii_digit()))
            .expect("a code")
            .to_owned()
    }

    async fn mail(&self, to: &str, n: usize) -> Mail {
        loop {
            let heard = self.1.notified();
            let found = self.0.lock().iter().filter(|mail| mail.to.eq_ignore_ascii_case(to)).nth(n - 1).cloned();
            match found {
                Some(mail) => return mail,
                None => heard.await,
            }
        }
    }

    fn count(&self, to: &str) -> usize {
        self.0.lock().iter().filter(|mail| mail.to.eq_ignore_ascii_case(to)).count()
    }
}

struct Scene {
    accounts: Accounts,
    clock: Hand,
    inbox: Inbox,
    verifier: Verifier,
    revoked: Revoked,
}

const PASSWORD: &str = "correct horse battery 9";
const KIM: &str = "kim@example.com";

async fn scene() -> Scene {
    let dir = tempfile::tempdir().expect("a directory").keep();
    let passwords = Passwords::new(Entropy::seeded(5));
    scene_over(open(Place::File(dir)).await.expect("a cabinet"), &passwords, 6)
}

/// Always of the same keys; the dice differ by `seed`.
fn scene_over(cabinet: SharedCabinet, passwords: &Passwords, seed: u64) -> Scene {
    let clock = Hand(Arc::new(Mutex::new(Timestamp(1_800_000_000_000))));
    let (entropy, tracker) = (Entropy::seeded(seed), TaskTracker::new());
    let inbox = Inbox(Arc::default(), Arc::default());
    let keys = Keys::random(&Entropy::seeded(5));
    let revoked = Revoked::default();
    let accounts = Accounts::new(Parts {
        cabinet,
        passwords: passwords.clone(),
        seal: Seal::new(&keys.seal.current().sealing(), &[]),
        signer: Signer::new(&keys.access),
        revoked: revoked.clone(),
        post: Post::start(Arc::new(inbox.clone()), CancellationToken::new(), &tracker),
        clock: Arc::new(clock.clone()),
        entropy,
        tracker,
    });
    Scene { accounts, clock, inbox, verifier: Verifier::new(&keys, revoked.clone()), revoked }
}

fn wish(email: &str) -> SignUp {
    SignUp { email: email.into(), password: PASSWORD.into(), nickname: "김".into(), phone: None }
}

fn asked(key: u8) -> Asked {
    Asked { command: Some(Hash16([key; 16])), body: Hash16([key; 16]), from: None }
}

fn from(address: &str) -> Asked {
    Asked { from: Some(address.parse().expect("an address")), ..Asked::default() }
}

impl Scene {
    fn pass(&self, time: Duration) {
        let mut now = self.clock.0.lock();
        *now = now.plus(time);
    }

    async fn member(&self, email: &str) -> AccountId {
        let (id, _) = self.accounts.sign_up(wish(email), Asked::default()).await.expect("signed up");
        let code = self.inbox.code(email, 1).await;
        self.accounts.verify(email.into(), code, Asked::default()).await.expect("verified");
        id
    }

    async fn login(&self, email: &str, password: &str, totp: Option<&str>) -> Result<SignedIn, AccountError> {
        self.login_as(email, password, totp, Asked::default()).await
    }

    async fn login_as(
        &self,
        email: &str,
        password: &str,
        totp: Option<&str>,
        asked: Asked,
    ) -> Result<SignedIn, AccountError> {
        let login = Login { email: email.into(), password: password.into(), totp: totp.map(str::to_owned) };
        self.accounts.login(login, asked).await
    }

    fn good(&self, signed_in: &SignedIn) -> bool {
        self.verifier.verify(&signed_in.access, self.clock.wall()).is_ok()
    }
}

fn denied<T>(outcome: Result<T, AccountError>) -> Denied {
    match outcome {
        Err(AccountError::Denied(denied)) => denied,
        Err(AccountError::Failed(fault)) => panic!("{fault}"),
        Ok(_) => panic!("let in"),
    }
}

#[tokio::test]
async fn an_account_begins_with_the_code_of_its_own_mail() {
    let scene = scene().await;
    let (id, again) = scene.accounts.sign_up(wish(KIM), asked(1)).await.expect("signed up");
    assert!(!again);
    assert_eq!(scene.accounts.sign_up(wish(KIM), asked(1)).await.expect("the same request"), (id.clone(), true));
    let other = Asked { body: Hash16([9; 16]), ..asked(1) };
    assert_eq!(denied(scene.accounts.sign_up(wish(KIM), other).await), Denied::KeyReused);
    assert_eq!(denied(scene.login(KIM, PASSWORD, None).await), Denied::InvalidCredentials, "not verified yet");
    // Somebody else signs up with Kim's address, and a password of their own.
    let theirs = SignUp { password: "some other phrase 77".into(), ..wish(KIM) };
    scene.accounts.sign_up(theirs, Asked::default()).await.expect("the same answer");
    let (code, thief) = (scene.inbox.code(KIM, 1).await, scene.inbox.code(KIM, 2).await);
    let warned = |mail: Mail| mail.text.contains("no other");
    assert!(!warned(scene.inbox.mail(KIM, 1).await) && warned(scene.inbox.mail(KIM, 2).await));
    let verify = |code: &str| scene.accounts.verify(KIM.to_uppercase(), code.to_owned(), Asked::default());
    assert_eq!(denied(verify("00000000").await), Denied::CodeInvalid);
    verify(&code).await.expect("Kim's own code");
    verify(&code).await.expect("the answer may have been lost");
    assert_eq!(denied(verify(&thief).await), Denied::CodeInvalid, "the other sign-up is over");
    assert_eq!(denied(scene.login(KIM, "some other phrase 77", None).await), Denied::InvalidCredentials);
    let signed_in = scene.login(KIM, PASSWORD, None).await.expect("let in");
    let principal = scene.verifier.verify(&signed_in.access, scene.clock.wall()).expect("a good token");
    assert_eq!((principal.account, principal.role, principal.proven), (id, Role::Member, false));
}

#[tokio::test]
async fn an_address_that_is_taken_looks_like_any_other() {
    let scene = scene().await;
    let first = scene.member(KIM).await;
    let (second, _) = scene.accounts.sign_up(wish("KIM@Example.com"), asked(1)).await.expect("the same answer");
    assert_ne!(first, second);
    assert_eq!(scene.accounts.sign_up(wish("KIM@Example.com"), asked(1)).await.expect("again"), (second, true));
    let told = scene.inbox.mail(KIM, 2).await;
    assert!(told.subject.contains("already"), "{}", told.subject);
    assert!(scene.login(KIM, PASSWORD, None).await.is_ok(), "nothing was changed");
}

#[tokio::test]
async fn what_makes_no_sense_is_told_at_once() {
    let scene = scene().await;
    let bad =
        SignUp { email: "kim".into(), password: "12345678".into(), nickname: " ".into(), phone: Some("x".into()) };
    let Denied::Invalid(values) = denied(scene.accounts.sign_up(bad, Asked::default()).await) else { panic!("422") };
    let pointers: Vec<&str> = values.iter().map(|value| value.pointer).collect();
    assert_eq!(pointers, ["/email", "/nickname", "/password", "/phone"]);
    let own = SignUp { password: "kim@example.com".into(), ..wish(KIM) };
    assert!(matches!(denied(scene.accounts.sign_up(own, Asked::default()).await), Denied::Invalid(_)));
}

#[tokio::test]
async fn a_login_whose_answer_was_lost_is_the_same_login() {
    let scene = scene().await;
    scene.member(KIM).await;
    let first = scene.login_as(KIM, PASSWORD, None, asked(1)).await.expect("let in");
    scene.pass(Duration::from_secs(3));
    let again = scene.login_as(KIM, PASSWORD, None, asked(1)).await.expect("the same");
    assert!(again.replayed && again.access == first.access && again.refresh == first.refresh);
    let other = Asked { body: Hash16([2; 16]), ..asked(1) };
    assert_eq!(denied(scene.login_as(KIM, PASSWORD, None, other).await), Denied::KeyReused);
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_the_session_for_both() {
    let scene = scene().await;
    let id = scene.member(KIM).await;
    let first = scene.login(KIM, PASSWORD, None).await.expect("let in");
    let refresh = |token: &str, asked| scene.accounts.refresh(token.to_owned(), asked);
    let second = refresh(&first.refresh, asked(1)).await.expect("turned");
    let lost = refresh(&first.refresh, asked(1)).await.expect("the answer was lost");
    assert!(lost.replayed && lost.refresh == second.refresh && lost.access == second.access);
    let third = refresh(&second.refresh, Asked::default()).await.expect("turned again");
    assert!(scene.good(&third));
    assert_eq!(denied(refresh(&second.refresh, Asked::default()).await), Denied::RefreshInvalid);
    assert_eq!(denied(refresh(&third.refresh, Asked::default()).await), Denied::RefreshInvalid, "the family is over");
    assert!(!scene.good(&third), "and so is what was signed for it");
    for junk in ["", "x", "se_1.0.0", &first.refresh[..first.refresh.len() - 1], &format!("{}0", first.refresh)] {
        assert_eq!(denied(refresh(junk, Asked::default()).await), Denied::RefreshInvalid, "{junk}");
    }
    let trail = scene.accounts.happened(Some(id.to_string()), None, 50).await.expect("a trail");
    assert!(trail.iter().any(|happened| happened.entry.kind == "refresh-token-reused"));
}

#[tokio::test]
async fn of_many_refreshes_at_once_one_wins() {
    let scene = scene().await;
    scene.member(KIM).await;
    let first = scene.login(KIM, PASSWORD, None).await.expect("let in");
    let all = (0..6).map(|_| scene.accounts.refresh(first.refresh.clone(), Asked::default()));
    let outcomes = futures::future::join_all(all).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "never two live tokens");
}

#[tokio::test]
async fn logging_out_ends_one_session_or_all() {
    let scene = scene().await;
    let id = scene.member(KIM).await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(scene.login(KIM, PASSWORD, None).await.expect("let in"));
    }
    scene.accounts.logout(None, Some(sessions[0].refresh.clone())).await.expect("out");
    assert_eq!(sessions.iter().map(|one| scene.good(one)).collect::<Vec<_>>(), [false, true, true]);
    let principal = scene.verifier.verify(&sessions[1].access, scene.clock.wall()).expect("good");
    scene.accounts.logout(principal.session.map(|s| s.to_string()), None).await.expect("out");
    assert_eq!(sessions.iter().map(|one| scene.good(one)).collect::<Vec<_>>(), [false, false, true]);
    scene.accounts.logout_all(id, Asked::default()).await.expect("out");
    assert!(!sessions.iter().any(|one| scene.good(one)));
    let refused = scene.accounts.refresh(sessions[2].refresh.clone(), Asked::default()).await;
    assert_eq!(denied(refused), Denied::RefreshInvalid);
    let fresh = scene.login(KIM, PASSWORD, None).await.expect("let in again at once");
    assert!(scene.good(&fresh), "what was signed later is good");
}

#[tokio::test]
async fn unknown_wrong_and_locked_are_alike_and_a_mailed_code_unlocks() {
    let scene = scene().await;
    scene.member(KIM).await;
    assert_eq!(denied(scene.login("lee@example.com", PASSWORD, None).await), Denied::InvalidCredentials);
    assert_eq!(denied(scene.login("not an address", "", None).await), Denied::InvalidCredentials);
    for _ in 0..limits::FAILURES_FREE {
        assert_eq!(denied(scene.login(KIM, "wrong", None).await), Denied::InvalidCredentials);
    }
    assert_eq!(denied(scene.login(KIM, PASSWORD, None).await), Denied::InvalidCredentials, "slowed down: alike");
    scene.pass(Duration::from_secs(1));
    assert!(scene.login(KIM, PASSWORD, None).await.is_ok(), "after the pause");
    for _ in 0..40 {
        let _wrong = scene.login(KIM, "wrong", None).await;
        scene.pass(Duration::from_secs(61));
    }
    assert_eq!(denied(scene.login(KIM, PASSWORD, None).await), Denied::InvalidCredentials, "locked");
    let code = scene.inbox.code(KIM, 2).await;
    assert_eq!(scene.inbox.count(KIM), 2, "one mail about the lock");
    let unlock = |code: &str| scene.accounts.unlock(KIM.into(), Some(code.to_owned()), Asked::default());
    assert_eq!(denied(unlock("00000000").await), Denied::CodeInvalid);
    unlock(&code).await.expect("unlocked");
    assert!(scene.login(KIM, PASSWORD, None).await.is_ok());
}

#[tokio::test]
async fn an_address_that_fails_too_often_waits_and_others_do_not() {
    let scene = scene().await;
    scene.member(KIM).await;
    for number in 0..limits::FAILURES_FREE {
        let email = format!("user{number}@example.com");
        let outcome = scene.login_as(&email, "wrong", None, from("203.0.113.7")).await;
        assert_eq!(denied(outcome), Denied::InvalidCredentials);
    }
    let here = scene.login_as(KIM, PASSWORD, None, from("203.0.113.7")).await;
    assert_eq!(denied(here), Denied::TooManyFailures { wait: Duration::from_secs(1) });
    assert!(scene.login_as(KIM, PASSWORD, None, from("203.0.113.8")).await.is_ok(), "another address");
    assert!(scene.login_as(KIM, PASSWORD, None, Asked::default()).await.is_ok(), "one that stands for many");
    scene.pass(Duration::from_secs(1));
    assert!(scene.login_as(KIM, PASSWORD, None, from("203.0.113.7")).await.is_ok());
}

#[tokio::test]
async fn a_forgotten_password_is_reset_by_mail_and_ends_all_sessions() {
    let scene = scene().await;
    scene.member(KIM).await;
    let before = scene.login(KIM, PASSWORD, None).await.expect("let in");
    scene.accounts.forgot_password("nobody@example.com".into(), Asked::default()).await.expect("alike");
    scene.accounts.forgot_password(KIM.into(), Asked::default()).await.expect("mailed");
    let code = scene.inbox.code(KIM, 2).await;
    let new = "another fine phrase 3";
    let reset = |code: &str, new: &str, asked| {
        scene.accounts.reset_password(KIM.into(), code.to_owned(), new.to_owned(), asked)
    };
    assert_eq!(denied(reset("00000000", new, Asked::default()).await), Denied::CodeInvalid);
    assert!(matches!(denied(reset(&code, "password", Asked::default()).await), Denied::Invalid(_)), "the code stays");
    reset(&code, new, asked(4)).await.expect("reset");
    reset(&code, new, asked(4)).await.expect("the answer may have been lost");
    assert_eq!(denied(reset(&code, new, Asked::default()).await), Denied::CodeInvalid, "once");
    assert!(!scene.good(&before));
    assert_eq!(denied(scene.login(KIM, PASSWORD, None).await), Denied::InvalidCredentials);
    assert!(scene.login(KIM, new, None).await.is_ok());
    assert_eq!(scene.inbox.count("nobody@example.com"), 0);
}

#[tokio::test]
async fn changing_the_password_ends_the_other_sessions() {
    let scene = scene().await;
    let id = scene.member(KIM).await;
    let (mine, other) =
        (scene.login(KIM, PASSWORD, None).await.expect("in"), scene.login(KIM, PASSWORD, None).await.expect("in"));
    let session = scene.verifier.verify(&mine.access, scene.clock.wall()).expect("good").session;
    let change = |current: &str, asked| {
        let (id, session) = (id.clone(), session.clone());
        scene.accounts.change_password(id, session, current.to_owned(), "another fine phrase 3".into(), asked)
    };
    assert_eq!(denied(change("wrong", Asked::default()).await), Denied::InvalidCredentials);
    change(PASSWORD, asked(1)).await.expect("changed");
    change(PASSWORD, asked(1)).await.expect("the answer may have been lost");
    assert_eq!((scene.good(&mine), scene.good(&other)), (true, false));
}

#[tokio::test]
async fn a_second_factor_is_shown_once_per_step_and_five_wrong_codes_lock() {
    let scene = scene().await;
    let id = scene.member(KIM).await;
    let first = scene.login(KIM, PASSWORD, None).await.expect("in");
    let session = scene.verifier.verify(&first.access, scene.clock.wall()).expect("good").session;
    assert_eq!(
        denied(scene.accounts.enrol(id.clone(), "wrong".into(), Asked::default()).await),
        Denied::InvalidCredentials
    );
    let enrolment = scene.accounts.enrol(id.clone(), PASSWORD.into(), Asked::default()).await.expect("a seed");
    assert!(enrolment.uri.starts_with("otpauth://totp/"));
    let (_, person) = scene.accounts.living(&id).await.expect("there");
    let seed = TotpSeed::from_bytes(&person.seed.expect("a seed")).expect("a seed");
    assert!(scene.login(KIM, PASSWORD, None).await.is_ok(), "not before it is confirmed");
    let code = |scene: &Scene| totp(&seed, scene.clock.wall());
    let confirm = |code: String, asked| scene.accounts.confirm(id.clone(), session.clone(), code, asked);
    assert_eq!(denied(confirm("000000".into(), Asked::default()).await), Denied::CodeInvalid);
    let confirmed = confirm(code(&scene), asked(1)).await.expect("confirmed");
    assert_eq!(confirm(code(&scene), asked(1)).await.expect("again").recovery, confirmed.recovery);
    let proven = scene.accounts.refresh(first.refresh, Asked::default()).await.expect("turned");
    assert!(scene.verifier.verify(&proven.access, scene.clock.wall()).expect("good").proven);

    assert_eq!(denied(scene.login(KIM, PASSWORD, None).await), Denied::TotpRequired);
    assert_eq!(denied(scene.login(KIM, "wrong", None).await), Denied::InvalidCredentials);
    assert_eq!(denied(scene.login(KIM, PASSWORD, Some(&code(&scene))).await), Denied::InvalidCredentials, "used");
    scene.pass(Duration::from_secs(30));
    let shown = code(&scene);
    let twice = [scene.login(KIM, PASSWORD, Some(&shown)), scene.login(KIM, PASSWORD, Some(&shown))];
    let outcomes = futures::future::join_all(twice).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "a step is accepted once");
    let signed_in = scene.login(KIM, PASSWORD, Some(&confirmed.recovery[0].to_uppercase())).await.expect("recovery");
    assert!(scene.verifier.verify(&signed_in.access, scene.clock.wall()).expect("good").proven);
    assert_eq!(denied(scene.login(KIM, PASSWORD, Some(&confirmed.recovery[0])).await), Denied::InvalidCredentials);

    for _ in 0..limits::TOTP_TRIES {
        assert_eq!(denied(scene.login(KIM, PASSWORD, Some("000000")).await), Denied::InvalidCredentials);
    }
    scene.pass(Duration::from_secs(60));
    assert_eq!(denied(scene.login(KIM, PASSWORD, Some(&code(&scene))).await), Denied::InvalidCredentials, "locked");
    let mailed = scene.inbox.code(KIM, 2).await;
    scene.accounts.unlock(KIM.into(), Some(mailed), Asked::default()).await.expect("unlocked");
    assert!(scene.login(KIM, PASSWORD, Some(&code(&scene))).await.is_ok());
    let give_up = |code: String| scene.accounts.give_up(id.clone(), PASSWORD.into(), code, Asked::default());
    scene.pass(Duration::from_secs(30));
    give_up(code(&scene)).await.expect("given up");
    assert!(scene.login(KIM, PASSWORD, None).await.is_ok());
}

/// What an app shows, by RFC 4226.
fn totp(seed: &TotpSeed, now: Timestamp) -> String {
    use aws_lc_rs::hmac;
    let step = u64::try_from(now.0).expect("after 1970") / 30_000;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed.bytes());
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let mut four = [0; 4];
    four.copy_from_slice(&tag.as_ref()[at..at + 4]);
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}
