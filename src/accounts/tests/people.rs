//! What becomes of people: sellers, others, nobody. And what is said of them meanwhile.

use super::*;

#[tokio::test]
async fn a_seller_applies_and_an_admin_approves() {
    let scene = scene().await;
    let id = scene.member(KIM).await;
    let admin = AccountId::new("ac_admin");
    let approve = || scene.accounts.approve(id.clone(), admin.clone(), Asked::default());
    assert_eq!(denied(approve().await), Denied::NotApplied);
    let applied_at = scene.accounts.apply(id.clone(), Asked::default()).await.expect("applied").0;
    scene.pass(Duration::from_secs(9));
    assert_eq!(scene.accounts.apply(id.clone(), Asked::default()).await.expect("again").0, applied_at);
    let waiting = scene.accounts.applications(String::new(), 10).await.expect("a list");
    assert_eq!(waiting, [Application { account: id.clone(), nickname: "김".into(), applied_at }]);
    approve().await.expect("approved");
    approve().await.expect("again");
    assert!(scene.accounts.applications(String::new(), 10).await.expect("a list").is_empty());
    let signed_in = scene.login(KIM, PASSWORD, None).await.expect("in");
    assert_eq!(scene.verifier.verify(&signed_in.access, scene.clock.wall()).expect("good").role, Role::Seller);
    assert_eq!(denied(scene.accounts.apply(id, Asked::default()).await), Denied::AlreadySeller);
}

#[tokio::test]
async fn the_profile_is_changed_and_forgotten() {
    let scene = scene().await;
    let id = scene.member(KIM).await;
    let signed_in = scene.login(KIM, PASSWORD, None).await.expect("in");
    let change =
        Change { nickname: Some(" 이 ".into()), phone: Some(Some("010-1234-5678".into())), marketing: Some(true) };
    let (profile, _) = scene.accounts.change_profile(id.clone(), change, Asked::default()).await.expect("changed");
    assert_eq!((profile.nickname.as_str(), profile.email.as_str()), ("이", KIM));
    assert!(profile.phone.is_some() && profile.marketing_since.is_some());
    let change = Change { phone: Some(None), marketing: Some(false), ..Change::default() };
    let (profile, _) = scene.accounts.change_profile(id.clone(), change, Asked::default()).await.expect("changed");
    assert!(profile.phone.is_none() && profile.marketing_since.is_none() && profile.nickname == "이");
    let bad = Change { nickname: Some("\u{202e}".into()), ..Change::default() };
    assert!(matches!(
        denied(scene.accounts.change_profile(id.clone(), bad, Asked::default()).await),
        Denied::Invalid(_)
    ));

    scene.accounts.erase(id.clone(), Asked::default()).await.expect("erased");
    scene.accounts.erase(id.clone(), Asked::default()).await.expect("again");
    assert!(scene.accounts.profile(id.clone()).await.expect("an answer").is_none());
    assert!(!scene.good(&signed_in) && !scene.revoked.is_empty());
    assert_eq!(denied(scene.login(KIM, PASSWORD, None).await), Denied::InvalidCredentials);
    let again = scene.accounts.refresh(signed_in.refresh, Asked::default()).await;
    assert_eq!(denied(again), Denied::RefreshInvalid);
    // The address is free again: whoever has it can come back as somebody new.
    let (new, _) = scene.accounts.sign_up(wish(KIM), Asked::default()).await.expect("signed up");
    let code = scene.inbox.code(KIM, 2).await;
    scene.accounts.verify(KIM.into(), code, Asked::default()).await.expect("verified");
    assert_ne!(new, id);
}

#[tokio::test]
async fn nobody_is_flooded_with_mails() {
    let scene = scene().await;
    scene.member(KIM).await;
    for _ in 0..20 {
        scene.accounts.sign_up(wish(KIM), Asked::default()).await.expect("the same answer");
    }
    assert_eq!(scene.inbox.count(KIM), limits::MAILS_AN_HOUR as usize);
}

#[test]
fn what_is_printed_says_nothing_personal_and_opens_nothing() {
    let (id, at) = (AccountId::new("ac_1"), Timestamp(1));
    let secret = || "marker".to_owned();
    let profile = Profile {
        account: id.clone(),
        email: secret(),
        nickname: secret(),
        phone: Some(secret()),
        marketing_since: None,
        role: Role::Member,
        applied_at: None,
        second_factor: false,
        created_at: at,
    };
    let change = Change { nickname: Some(secret()), phone: Some(Some(secret())), marketing: None };
    let credential = crate::ids::CredentialId::device("dt_0123456789abcdef0123456789abcdef").expect("an id");
    let given = devices::Given { id: credential, token: secret(), replayed: false };
    let application = Application { account: id, nickname: secret(), applied_at: at };
    let record = record::Record::new(secret(), Hash16::default(), at);
    let shown = session::Shown { session: "se_1", number: 1, proof: "marker" };
    let printed = format!("{profile:?} {change:?} {given:?} {application:?} {record:?} {shown:?}");
    assert!(!printed.contains("marker") && printed.contains("dt_0123"), "{printed}");
}
