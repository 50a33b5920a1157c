//! What do many logins at once cost in memory? A process of its own, so that nobody else's memory is counted.

use futures::future::join_all;
use onsale::auth::{Password, Passwords};
use onsale::clock::Entropy;
use onsale::limits;

/// A line of this process's status, in KiB.
fn kib(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.split_whitespace().find_map(|word| word.parse().ok()).expect("a number")
}

#[tokio::test]
async fn two_hundred_logins_at_once_take_the_memory_of_two() {
    let passwords = Passwords::new(Entropy::from_system());
    let before = kib("VmRSS:");
    let right = Password::given("correct horse battery staple").expect("a password");
    let phc = passwords.hash(&right).await.expect("hashed");
    let logins = (0..200).map(|number| {
        let (passwords, phc) = (passwords.clone(), (number % 3 != 0).then(|| phc.clone()));
        let given = if number % 2 == 0 { right.clone() } else { Password::given("wrong").expect("a password") };
        async move { (number, passwords.verify(&given, phc.as_deref()).await.expect("there is room for all")) }
    });
    for (number, answer) in join_all(logins).await {
        assert_eq!(answer, number % 2 == 0 && number % 3 != 0, "{number}");
    }
    let most = kib("VmHWM:").saturating_sub(before);
    let allowed = limits::HASHES_AT_ONCE as u64 * u64::from(limits::HASH_KIB) * 110 / 100;
    assert!(most <= allowed, "{most} KiB, at most {allowed}");
    assert!(most >= u64::from(limits::HASH_KIB), "{most} KiB: nothing was hashed");
}
