//! What if something happens in the middle of something else? Every flow that gives somebody tokens or changes an account,
//! and at each of its calls to the cabinet another one that comes first, whole.

use futures::FutureExt;
use futures::future::BoxFuture;

use super::shaky::{Content, Event, Shaky};
use super::*;
use crate::accounts::record::Purpose;
use crate::accounts::store::{Cabinet, Kind};
use crate::accounts::{session, shelf};

const NEW: &str = "another fine phrase 3";

/// One who may act, as often as there are copies.
#[derive(Clone)]
struct Actor {
    accounts: Accounts,
    id: AccountId,
    refresh: String,
    reset: String,
}

type Act = fn(Actor) -> BoxFuture<'static, Result<Option<SignedIn>, AccountError>>;

const LOGIN: Act = |who| {
    let login = Login { email: KIM.into(), password: PASSWORD.into(), totp: None };
    async move { who.accounts.login(login, Asked::default()).await.map(Some) }.boxed()
};
const REFRESH: Act = |who| async move { who.accounts.refresh(who.refresh, Asked::default()).await.map(Some) }.boxed();
const RESET: Act = |who| {
    async move { who.accounts.reset_password(KIM.into(), who.reset, NEW.into(), Asked::default()).await.map(|_| None) }
        .boxed()
};
const CHANGE: Act = |who| {
    async move {
        who.accounts.change_password(who.id, None, PASSWORD.into(), NEW.into(), Asked::default()).await.map(|_| None)
    }
    .boxed()
};
const OUT: Act = |who| async move { who.accounts.logout_all(who.id, Asked::default()).await.map(|_| None) }.boxed();
const ERASE: Act = |who| async move { who.accounts.erase(who.id, Asked::default()).await.map(|()| None) }.boxed();
const ROLE: Act = |who| async move { who.accounts.set_role(KIM.into(), Role::Counsellor).await.map(|_| None) }.boxed();
const APPLY: Act = |who| async move { who.accounts.apply(who.id, Asked::default()).await.map(|_| None) }.boxed();
const APPROVE: Act = |who| {
    async move { who.accounts.approve(who.id, AccountId::new("ac_admin"), Asked::default()).await.map(|_| None) }
        .boxed()
};
const PROFILE: Act = |who| {
    let change = Change { nickname: Some("이".into()), marketing: Some(true), ..Change::default() };
    async move { who.accounts.change_profile(who.id, change, Asked::default()).await.map(|_| None) }.boxed()
};
const ENROL: Act =
    |who| async move { who.accounts.enrol(who.id, PASSWORD.into(), Asked::default()).await.map(|_| None) }.boxed();
const MAIL: Act = |who| {
    async move {
        let (_, person) = who.accounts.living(&who.id).await?;
        who.accounts.mail_code(&who.id, &person, Purpose::Unlock).await.map(|()| None)
    }
    .boxed()
};

struct Base {
    content: Content,
    passwords: Passwords,
    id: AccountId,
    refresh: String,
    reset: String,
}

/// What is there in the end.
struct End {
    scene: Scene,
    cabinet: Arc<Shaky>,
    first: Result<Option<SignedIn>, AccountError>,
    second: Option<SignedIn>,
    id: AccountId,
    what: String,
}

impl Base {
    async fn new() -> Self {
        let passwords = Passwords::new(Entropy::seeded(5));
        let cabinet = Shaky::with(Content::default());
        let scene = scene_over(cabinet.clone(), &passwords, 6);
        let id = scene.member(KIM).await;
        let refresh = scene.login(KIM, PASSWORD, None).await.expect("in").refresh;
        let (_, person) = scene.accounts.living(&id).await.expect("there");
        scene.accounts.mail_code(&id, &person, Purpose::Reset).await.expect("mailed");
        let reset = scene.inbox.code(KIM, 2).await;
        let content = cabinet.content.lock().clone();
        Self { content, passwords, id, refresh, reset }
    }

    /// `act`, and before each of its calls in turn the whole of `other`.
    async fn each(&self, name: &str, act: Act, other: Act) -> Vec<End> {
        let mut ends = Vec::new();
        for number in 0.. {
            let cabinet = Shaky::with(self.content.clone());
            let scene = scene_over(cabinet.clone(), &self.passwords, 100 + number as u64);
            let actor = Actor {
                accounts: scene.accounts.clone(),
                id: self.id.clone(),
                refresh: self.refresh.clone(),
                reset: self.reset.clone(),
            };
            let (said, heard) = tokio::sync::oneshot::channel();
            let rival = other(actor.clone());
            let meanwhile = async move { drop(said.send(rival.await)) };
            cabinet.at(number, Event::Meanwhile(meanwhile.boxed()));
            let first = act(actor).await;
            if !cabinet.happened() {
                assert!(number > 0, "{name} made {number} calls");
                return ends;
            }
            let second = heard.await.expect("it ended").ok().flatten();
            let (id, what) = (self.id.clone(), format!("{name}, before call {number}"));
            ends.push(End { scene, cabinet, first, second, id, what });
        }
        ends
    }
}

impl End {
    fn tokens(&self) -> Vec<&SignedIn> {
        self.first.iter().flatten().chain(&self.second).collect()
    }

    async fn live(&self) -> usize {
        self.scene.accounts.live_sessions(&self.id).await.expect("an answer").len()
    }

    async fn assert_nobody_is_in(&self) {
        assert_eq!(self.live().await, 0, "{}", self.what);
        for tokens in self.tokens() {
            assert!(!self.scene.good(tokens), "{}: a token lives", self.what);
            let refreshed = self.scene.accounts.refresh(tokens.refresh.clone(), Asked::default()).await;
            assert!(refreshed.is_err(), "{}: a session lives", self.what);
        }
    }
}

#[tokio::test]
async fn nobody_with_the_old_password_is_in_after_it_has_changed() {
    let base = Base::new().await;
    for (name, other) in [("reset", RESET), ("change", CHANGE), ("erase", ERASE)] {
        for end in base.each(&format!("login beside {name}"), LOGIN, other).await {
            assert!(end.first.is_err(), "{}", end.what);
            end.assert_nobody_is_in().await;
        }
        for end in base.each(&format!("{name} beside login"), other, LOGIN).await {
            end.assert_nobody_is_in().await;
        }
    }
}

#[tokio::test]
async fn a_session_that_is_refreshed_while_it_ends_has_ended() {
    let base = Base::new().await;
    for (name, other) in [("logout-all", OUT), ("reset", RESET), ("change", CHANGE), ("role", ROLE), ("erase", ERASE)] {
        for end in base.each(&format!("refresh beside {name}"), REFRESH, other).await {
            end.assert_nobody_is_in().await;
        }
        for end in base.each(&format!("{name} beside refresh"), other, REFRESH).await {
            end.assert_nobody_is_in().await;
        }
    }
}

#[tokio::test]
async fn who_comes_in_while_all_go_out_is_in_for_good_or_not_at_all() {
    let base = Base::new().await;
    for (name, other) in [("logout-all", OUT), ("role", ROLE)] {
        for end in base.each(&format!("login beside {name}"), LOGIN, other).await {
            let live = end.live().await;
            match &end.first {
                Ok(Some(tokens)) => {
                    let principal = end.scene.verifier.verify(&tokens.access, end.scene.clock.wall()).expect("good");
                    let role = end.scene.accounts.profile(end.id.clone()).await.expect("there").expect("there").role;
                    assert_eq!((live, principal.role), (1, role), "{}", end.what);
                    let next = end.scene.accounts.refresh(tokens.refresh.clone(), Asked::default()).await;
                    assert!(next.is_ok(), "{}", end.what);
                }
                _ => assert_eq!(live, 0, "{}", end.what),
            }
        }
    }
}

#[tokio::test]
async fn of_two_who_show_one_token_at_most_one_goes_on() {
    let base = Base::new().await;
    for end in base.each("refresh beside refresh", REFRESH, REFRESH).await {
        let good = end.tokens().into_iter().filter(|tokens| end.scene.good(tokens)).count();
        assert_eq!(good, 0, "{}: the second use ends it for both", end.what);
        end.assert_nobody_is_in().await;
    }
}

#[tokio::test]
async fn who_was_erased_stays_erased() {
    let base = Base::new().await;
    let others = [
        ("profile", PROFILE),
        ("apply", APPLY),
        ("approve", APPROVE),
        ("enrol", ENROL),
        ("mail", MAIL),
        ("role", ROLE),
        ("erase", ERASE),
    ];
    for (name, other) in others {
        let mut ends = base.each(&format!("{name} beside erase"), other, ERASE).await;
        ends.extend(base.each(&format!("erase beside {name}"), ERASE, other).await);
        for end in ends {
            let shelf::Kept { record, person, .. } =
                end.scene.accounts.account(&end.id).await.expect("an answer").expect("the bare id stays");
            assert!(record.erased_at.is_some() && person.is_none(), "{}", end.what);
            let bare = record.password.is_none() && record.factor.is_none() && record.codes.is_empty();
            assert!(bare && record.applied_at.is_none() && record.done.is_empty(), "{}", end.what);
            let waits = end.cabinet.get(Kind::Application, end.id.as_str()).await.expect("an answer");
            assert!(waits.is_none(), "{}: an application of nobody", end.what);
            end.assert_nobody_is_in().await;
        }
    }
}

#[tokio::test]
async fn of_two_who_verify_at_once_both_hear_yes_and_there_is_one_account() {
    let passwords = Passwords::new(Entropy::seeded(5));
    for number in 0..12 {
        let cabinet = Shaky::with(Content::default());
        let scene = scene_over(cabinet.clone(), &passwords, 6);
        scene.accounts.sign_up(wish(KIM), Asked::default()).await.expect("signed up");
        let code = scene.inbox.code(KIM, 1).await;
        let (accounts, again) = (scene.accounts.clone(), code.clone());
        let twin = async move {
            accounts.verify(KIM.into(), again, Asked::default()).await.expect("the twin");
        };
        cabinet.at(number, Event::Meanwhile(twin.boxed()));
        scene.accounts.verify(KIM.into(), code, Asked::default()).await.expect("verified");
        let content = cabinet.content.lock();
        let made = content.documents.keys().filter(|(kind, _)| *kind == Kind::Account.as_str()).count();
        assert_eq!(made, 1, "before call {number}");
    }
}

/// Several wrong codes at once can all find the account locked and nobody told: the code that is mailed must stay good.
#[tokio::test]
async fn whoever_finds_an_account_locked_mails_one_code_that_stays_good() {
    let passwords = Passwords::new(Entropy::seeded(5));
    let cabinet = Shaky::with(Content::default());
    let scene = scene_over(cabinet.clone(), &passwords, 6);
    let id = scene.member(KIM).await;
    let session = scene.login(KIM, PASSWORD, None).await.expect("in").access;
    let session = scene.verifier.verify(&session, scene.clock.wall()).expect("good").session;
    scene.accounts.enrol(id.clone(), PASSWORD.into(), Asked::default()).await.expect("a seed");
    let (_, person) = scene.accounts.living(&id).await.expect("there");
    let seed = TotpSeed::from_bytes(&person.seed.expect("a seed")).expect("a seed");
    let shown = totp(&seed, scene.clock.wall());
    scene.accounts.confirm(id.clone(), session, shown, Asked::default()).await.expect("confirmed");
    for _ in 0..limits::TOTP_TRIES {
        assert!(scene.login(KIM, PASSWORD, Some("000000")).await.is_err());
    }
    let untold = |kept: &mut shelf::Kept| {
        kept.record.codes.clear();
        Ok(shelf::Ruled((), true))
    };
    scene.accounts.change(&id, untold).await.expect("as before the mail");
    let content = cabinet.content.lock().clone();
    for number in 0.. {
        let cabinet = Shaky::with(content.clone());
        let scene = scene_over(cabinet.clone(), &passwords, 100 + number as u64);
        let (accounts, twin) = (scene.accounts.clone(), id.clone());
        let twin = async move { accounts.tell_of_lock(&twin).await.expect("told") };
        cabinet.at(number, Event::Meanwhile(twin.boxed()));
        scene.accounts.tell_of_lock(&id).await.expect("told");
        if !cabinet.happened() {
            assert!(number > 2, "it made {number} calls");
            return;
        }
        let mailed = scene.inbox.code(KIM, 1).await;
        let opened = scene.accounts.unlock(KIM.into(), Some(mailed), Asked::default()).await;
        assert!(opened.is_ok(), "before call {number}: {opened:?}");
    }
}

#[tokio::test]
async fn a_sign_up_of_before_does_not_bring_back_who_was_erased() {
    let passwords = Passwords::new(Entropy::seeded(5));
    let cabinet = Shaky::with(Content::default());
    let scene = scene_over(cabinet.clone(), &passwords, 6);
    let (id, _) = scene.accounts.sign_up(wish(KIM), asked(1)).await.expect("signed up");
    let code = scene.inbox.code(KIM, 1).await;
    let kept = cabinet.get(Kind::SignUp, id.as_str()).await.expect("an answer").expect("it waits");
    scene.accounts.verify(KIM.into(), code.clone(), Asked::default()).await.expect("verified");
    scene.accounts.erase(id.clone(), Asked::default()).await.expect("erased");
    // As if another node had read the sign-up before all that.
    cabinet.put(kept.document, None).await.expect("an answer");
    let again = scene.accounts.verify(KIM.into(), code, Asked::default()).await;
    assert_eq!(denied(again), Denied::CodeInvalid);
    assert!(scene.accounts.profile(id).await.expect("an answer").is_none());
}

#[tokio::test]
async fn an_account_has_so_many_sessions_and_the_oldest_end() {
    let passwords = Passwords::new(Entropy::seeded(5));
    let cabinet = Shaky::with(Content::default());
    let scene = scene_over(cabinet.clone(), &passwords, 6);
    let id = scene.member(KIM).await;
    let oldest = scene.login(KIM, PASSWORD, None).await.expect("in");
    for number in 0..limits::SESSIONS_PER_ACCOUNT {
        assert!(scene.good(&oldest), "{number}");
        scene.pass(Duration::from_secs(1));
        scene.login(KIM, PASSWORD, None).await.expect("in");
    }
    assert!(!scene.good(&oldest));
    let live = scene.accounts.live_sessions(&id).await.expect("an answer");
    assert_eq!(live.len(), limits::SESSIONS_PER_ACCOUNT);
    assert!(live.iter().all(|(_, one): &(String, session::Session)| one.number == 0 && !one.ended));
    scene.pass(limits::SESSION_ENDED + Duration::from_secs(1));
    scene.accounts.sweep().await;
    let left = cabinet.content.lock().documents.keys().filter(|(kind, _)| *kind == Kind::Session.as_str()).count();
    assert_eq!(left, limits::SESSIONS_PER_ACCOUNT, "what has ended does not pile up");
}
