//! Is this the password? The policy for new ones, and Argon2id, bounded so that logins cannot take the node's memory.
//!
//! Two threads hash, each in one block of memory of its own, and give way to the threads that sell. Whoever stops
//! waiting frees nothing and costs nothing: work that has begun ends on its own thread, work that has not is skipped.
//! Whose password it is, and how often somebody tried, is not known here.

use std::fmt;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use parking_lot::Mutex;
use tokio::sync::oneshot;
use unicode_normalization::UnicodeNormalization;
use zxcvbn::{Score, zxcvbn};

use crate::clock::Entropy;
use crate::fault::Fault;
use crate::limits;

const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;
/// Hashed for whoever does not exist, so that they take as long as others.
const NOBODY: &[u8; SALT_BYTES] = b"onsale: nobody's";
/// What Korean keyboards add to the passwords that everybody guesses: words of every day as they come out in Latin
/// letters, and as they are written.
const GUESSED_FIRST: &[&str] = &[
    "qlalfqjsgh",
    "dkssud",
    "dkssudgktpdy",
    "tkfkdgo",
    "tkfkdgody",
    "gksrnr",
    "eogksalsrnr",
    "rlaclwlro",
    "비밀번호",
    "안녕하세요",
    "사랑해",
    "사랑해요",
    "대한민국",
    "onsale",
];

/// Signs that stand for one letter each: a, c, g, i, l, s, t.
const SIGNS: [&str; 7] = ["4@", "({[<", "69", "1!|", "1|7", "$5", "+7"];
/// Those that stand for more than one.
const AMBIGUOUS_SIGNS: &str = "1|7";

/// A password as somebody typed it, in one normal form. Not to be printed, and not to be kept.
#[derive(Clone)]
pub struct Password(Box<str>);

/// Why a new password is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Weak {
    #[error("a password has at least {} characters", limits::PASSWORD_CHARS_MIN)]
    TooShort,
    #[error("a password has at most {} characters", limits::PASSWORD_CHARS)]
    TooLong,
    #[error("this password is among the first that people guess; take a longer one, or several words")]
    Common,
    #[error("a password has no control characters")]
    Control,
}

impl Password {
    /// A new password. `about` is what others know of the person: the e-mail address, the nickname.
    pub fn new(text: &str, about: &[&str]) -> Result<Self, Weak> {
        let password = Self::readable(text)?;
        if password.0.chars().count() < limits::PASSWORD_CHARS_MIN {
            return Err(Weak::TooShort);
        }
        if password.is_guessed(about) { Err(Weak::Common) } else { Ok(password) }
    }

    /// The password of somebody who logs in. `None`: nobody has one like that.
    #[must_use]
    pub fn given(text: &str) -> Option<Self> {
        Self::readable(text).ok().filter(|password| !password.0.is_empty())
    }

    /// The same characters are the same password, however a keyboard composes them (한 as one character or three).
    fn readable(text: &str) -> Result<Self, Weak> {
        if text.len() > limits::PASSWORD_BYTES {
            return Err(Weak::TooLong);
        }
        let normal: String = text.nfc().collect();
        if normal.chars().any(char::is_control) {
            return Err(Weak::Control);
        }
        if normal.chars().count() > limits::PASSWORD_CHARS { Err(Weak::TooLong) } else { Ok(Self(normal.into())) }
    }

    fn is_guessed(&self, about: &[&str]) -> bool {
        let own = words(about);
        let known: Vec<&str> = own.iter().map(String::as_str).chain(GUESSED_FIRST.iter().copied()).collect();
        zxcvbn(searched(&self.0), &known).score() < Score::Two
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password")
    }
}

/// The beginning, which is enough: what follows can only make it harder to guess. Shorter where so many signs stand for
/// letters that all ways to read them would take a second.
fn searched(password: &str) -> &str {
    let mut end = 0;
    for (at, character) in password.char_indices().take(limits::GUESSED_CHARS) {
        let next = at + character.len_utf8();
        if readings(&password[..next]) > limits::GUESSED_READINGS {
            break;
        }
        end = next;
    }
    &password[..end]
}

/// How many ways there are, at most, to read signs as letters.
fn readings(text: &str) -> usize {
    let present = |signs: &str| signs.chars().filter(|sign| text.contains(*sign)).count();
    let letters: usize = SIGNS.iter().map(|signs| present(signs).max(1)).product();
    letters << present(AMBIGUOUS_SIGNS)
}

/// What is known of a person, whole and in parts: `kim.minsu@example.com` has `kim`, `minsu` and `kimminsu`.
fn words(about: &[&str]) -> Vec<String> {
    let mut words = Vec::new();
    for text in about {
        let text: String = text.nfc().take(limits::EMAIL_BYTES).collect::<String>().to_lowercase();
        let local = text.split('@').next().unwrap_or_default();
        let joined = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>();
        words.extend([text.clone(), local.to_owned(), joined(local), joined(&text)]);
        words.extend(text.split(|c: char| !c.is_alphanumeric()).map(str::to_owned));
    }
    // Shorter ones are in every password.
    words.retain(|word| word.chars().count() >= 3);
    words.truncate(limits::GUESSED_WORDS);
    words
}

/// Hashes passwords and compares them with hashes.
#[derive(Clone)]
pub struct Passwords {
    queue: SyncSender<Job>,
    entropy: Entropy,
}

/// Something to do in the memory of a hashing thread.
type Job = Box<dyn FnOnce(&mut Vec<Block>) + Send>;

impl Passwords {
    /// Starts the threads that hash. They end with the last clone of this.
    #[must_use]
    pub fn new(entropy: Entropy) -> Self {
        let (queue, jobs) = sync_channel(limits::HASHES_WAITING);
        let jobs = Arc::new(Mutex::new(jobs));
        for number in 0..limits::HASHES_AT_ONCE {
            let jobs = jobs.clone();
            let thread = std::thread::Builder::new().name(format!("hash-{number}"));
            if let Err(error) = thread.spawn(move || hash_for_all(&jobs)) {
                tracing::error!(%error, "a thread that hashes passwords cannot be started");
            }
        }
        Self { queue, entropy }
    }

    /// The hash of a new password, as a PHC string.
    pub async fn hash(&self, password: &Password) -> Result<String, Fault> {
        let mut salt = [0; SALT_BYTES];
        self.entropy.fill(&mut salt);
        let password = password.clone();
        self.run(move |memory| Recipe::ours().phc(&password, &salt, memory)).await?
    }

    /// Is it the password of this hash? `None` and what is no hash of ours take as long, and are no.
    pub async fn verify(&self, password: &Password, phc: Option<&str>) -> Result<bool, Fault> {
        let known = phc.and_then(Known::read);
        let password = password.clone();
        self.run(move |memory| match known {
            Some(known) => known.is(&password, memory),
            None => Recipe::ours().fill(&password, NOBODY, &mut [0; HASH_BYTES], memory).map(|()| false),
        })
        .await?
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Vec<Block>) -> T + Send + 'static,
    ) -> Result<T, Fault> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |memory| {
            // Whoever asked may be gone by now; those who wait are better served without.
            if !answer.is_closed() {
                let _gone = answer.send(work(memory));
            }
        });
        match self.queue.try_send(job) {
            Ok(()) => answered.await.map_err(|_| Fault::internal("hashing a password ended in a panic")),
            Err(TrySendError::Full(_)) => Err(Fault::Overloaded { retry_after: Duration::from_secs(2) }),
            Err(TrySendError::Disconnected(_)) => Err(Fault::unavailable("no thread hashes passwords")),
        }
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passwords")
    }
}

/// Was it made with other parameters than today's? Then it is made anew when its password is known.
#[must_use]
pub fn outdated(phc: &str) -> bool {
    Known::read(phc).is_none_or(|known| known.recipe != Recipe::ours() || known.hash.len() != HASH_BYTES)
}

/// The life of a hashing thread.
fn hash_for_all(jobs: &Mutex<Receiver<Job>>) {
    // A system that allows no such thing hashes at the common priority.
    let _unchanged = rustix::process::setpriority_process(None, limits::HASH_NICENESS);
    // Made with the first password and used for the next ones: 19 MiB that come and go with each would leave holes.
    let mut memory = Vec::new();
    loop {
        // One thread waits for work, the other for its turn to wait.
        let job = jobs.lock().recv_timeout(limits::HASH_MEMORY_IDLE);
        let job = match job {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                memory = Vec::new();
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| job(&mut memory)));
        if ended.is_err() {
            tracing::error!("hashing a password panicked");
        }
    }
}

/// The parameters of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Recipe {
    kib: u32,
    passes: u32,
    lanes: u32,
}

impl Recipe {
    fn ours() -> Self {
        Self { kib: limits::HASH_KIB, passes: limits::HASH_PASSES, lanes: limits::HASH_LANES }
    }

    /// Nobody may make a thread take more memory than it has, or work for minutes.
    fn bearable(&self) -> bool {
        self.kib <= limits::HASH_KIB && self.passes <= limits::HASH_PASSES_MAX && self.lanes <= limits::HASH_LANES_MAX
    }

    fn params(&self) -> Result<Params, Fault> {
        let params = Params::new(self.kib, self.passes, self.lanes, None);
        params.map_err(|error| Fault::internal(format!("parameters of Argon2: {error}")))
    }

    fn fill(&self, password: &Password, salt: &[u8], out: &mut [u8], memory: &mut Vec<Block>) -> Result<(), Fault> {
        let params = self.params()?;
        if memory.len() < params.block_count() {
            memory.resize(params.block_count(), Block::new());
        }
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let filled = argon.hash_password_into_with_memory(password.0.as_bytes(), salt, out, memory.as_mut_slice());
        filled.map_err(|error| Fault::internal(format!("Argon2: {error}")))
    }

    fn phc(&self, password: &Password, salt: &[u8], memory: &mut Vec<Block>) -> Result<String, Fault> {
        let mut out = [0; HASH_BYTES];
        self.fill(password, salt, &mut out, memory)?;
        let unwritable = |_| Fault::internal("a hash that cannot be written");
        let phc = PasswordHash {
            algorithm: argon2::ARGON2ID_IDENT,
            version: Some(Version::V0x13.into()),
            params: ParamsString::try_from(&self.params()?).map_err(|_| Fault::internal("parameters of Argon2"))?,
            salt: Some(Salt::new(salt).map_err(unwritable)?),
            hash: Some(Output::new(&out).map_err(unwritable)?),
        };
        Ok(phc.to_string())
    }
}

/// A stored hash that we can check.
struct Known {
    recipe: Recipe,
    salt: Salt,
    hash: Output,
}

impl Known {
    fn read(phc: &str) -> Option<Self> {
        let read = PasswordHash::new(phc).ok()?;
        if read.algorithm != argon2::ARGON2ID_IDENT || read.version != Some(Version::V0x13.into()) {
            return None;
        }
        let params = Params::try_from(&read).ok()?;
        let recipe = Recipe { kib: params.m_cost(), passes: params.t_cost(), lanes: params.p_cost() };
        recipe.bearable().then_some(Self { recipe, salt: read.salt?, hash: read.hash? })
    }

    fn is(&self, password: &Password, memory: &mut Vec<Block>) -> Result<bool, Fault> {
        let mut out = vec![0; self.hash.len()];
        self.recipe.fill(password, &self.salt, &mut out, memory)?;
        Ok(aws_lc_rs::constant_time::verify_slices_are_equal(&out, self.hash.as_ref()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn passwords() -> Passwords {
        Passwords::new(Entropy::seeded(1))
    }

    fn given(text: &str) -> Password {
        Password::given(text).expect("a password")
    }

    #[test]
    fn weak_passwords_are_refused_and_told_why() {
        let long = "가나다라마바사아".repeat(16);
        let longer = format!("{long}!");
        let about = ["kim.minsu@example.com", "햇살가득한날"];
        let table = [
            ("", Err(Weak::TooShort)),
            ("q7#kZ!x", Err(Weak::TooShort)),
            ("가나다라마바사", Err(Weak::TooShort)),
            (longer.as_str(), Err(Weak::TooLong)),
            ("with\0zero and more", Err(Weak::Control)),
            ("with\nline and more", Err(Weak::Control)),
            ("password", Err(Weak::Common)),
            ("P@ssw0rd", Err(Weak::Common)),
            ("12345678", Err(Weak::Common)),
            ("qwertyuiop", Err(Weak::Common)),
            ("aaaaaaaaaaaa", Err(Weak::Common)),
            ("비밀번호비밀번호", Err(Weak::Common)),
            ("qlalfqjsgh", Err(Weak::Common)),
            ("kim.minsu@example.com", Err(Weak::Common)),
            ("kimminsu", Err(Weak::Common)),
            ("Kim.Minsu", Err(Weak::Common)),
            ("햇살가득한날햇살가득한날", Err(Weak::Common)),
            ("correct horse battery staple", Ok(())),
            ("v9#kZ!xq", Ok(())),
            ("푸른하늘아래자전거세대", Ok(())),
            (long.as_str(), Ok(())),
        ];
        for (text, expected) in table {
            assert_eq!(Password::new(text, &about).map(drop), expected, "{text}");
        }
    }

    /// What costs a second to judge is not judged whole.
    #[test]
    fn the_search_is_bounded() {
        let all_signs = "4@8({[<369!1|7$50%2+".repeat(6);
        let table = [
            ("v9#kZ!xq".to_owned(), 8),
            ("0123456789".repeat(3), 30),
            ("a".repeat(128), limits::GUESSED_CHARS),
            ("푸른하늘".repeat(20), 3 * limits::GUESSED_CHARS),
            (all_signs, 12),
        ];
        for (password, bytes) in table {
            let searched = searched(&password);
            assert!(readings(searched) <= limits::GUESSED_READINGS);
            assert_eq!(searched.len(), bytes, "{password}");
        }
    }

    #[test]
    fn reasons_are_sentences_with_numbers() {
        assert_eq!(Weak::TooShort.to_string(), "a password has at least 8 characters");
        assert_eq!(Weak::TooLong.to_string(), "a password has at most 128 characters");
    }

    #[test]
    fn at_login_only_the_bounds_count() {
        let exact = "x".repeat(limits::PASSWORD_CHARS);
        for (text, expected) in [("", false), ("1", true), ("password", true), (&exact, true), ("a\u{1b}b", false)] {
            assert_eq!(Password::given(text).is_some(), expected, "{text}");
        }
        assert!(Password::given(&format!("{exact}x")).is_none());
        assert!(Password::given(&"한".repeat(100_000)).is_none());
        assert_eq!(format!("{:?}", given("hunter2")), "Password");
    }

    #[tokio::test]
    async fn the_right_password_is_known_again_in_any_normal_form() {
        let passwords = passwords();
        let composed = "푸른하늘아래자전거세대";
        let phc = passwords.hash(&given(composed)).await.expect("hashed");
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert!(!outdated(&phc));
        let decomposed: String = composed.nfd().collect();
        assert_ne!(composed, decomposed);
        assert!(passwords.verify(&given(&decomposed), Some(&phc)).await.expect("compared"));
        assert!(!passwords.verify(&given("푸른하늘아래자전거세"), Some(&phc)).await.expect("compared"));
        let again = passwords.hash(&given(composed)).await.expect("hashed");
        assert_ne!(phc, again, "each hash has a salt of its own");
    }

    #[tokio::test]
    async fn used_memory_hashes_like_fresh_memory() {
        let passwords = passwords();
        // More than there are threads, so that each memory has been used.
        for text in ["first one", "second one", "third one", "fourth one"] {
            let phc = passwords.hash(&given(text)).await.expect("hashed");
            let fresh = argon2::PasswordVerifier::verify_password(&Argon2::default(), text.as_bytes(), phc.as_str());
            assert!(fresh.is_ok(), "another implementation of the same thing disagrees");
        }
    }

    #[tokio::test]
    async fn nobody_and_junk_are_no() {
        let passwords = passwords();
        let dear = "$argon2id$v=19$m=4194304,t=2,p=1$b25zYWxlOiBub2JvZHlz$b25zYWxlOiBub2JvZHlzb25zYWxlOiBub2JvZHlz";
        for phc in [None, Some(""), Some("junk"), Some("$argon2i$v=19$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"), Some(dear)]
        {
            assert!(!passwords.verify(&given("x"), phc).await.expect("compared"), "{phc:?}");
            assert!(phc.is_none_or(outdated));
        }
    }

    #[tokio::test]
    async fn hashes_of_other_parameters_are_checked_and_made_anew() {
        let lighter = Recipe { kib: 1_024, passes: 3, lanes: 2 };
        let phc = lighter.phc(&given("hunter2"), NOBODY, &mut Vec::new()).expect("hashed");
        assert!(outdated(&phc));
        assert!(passwords().verify(&given("hunter2"), Some(&phc)).await.expect("compared"));
        assert!(!passwords().verify(&given("hunter3"), Some(&phc)).await.expect("compared"));
    }

    #[tokio::test]
    async fn too_many_are_turned_away_and_those_who_left_are_skipped() {
        let passwords = passwords();
        // Hold both threads, so that nothing leaves the queue.
        let (release, held) = std::sync::mpsc::sync_channel::<()>(0);
        let held = Arc::new(Mutex::new(held));
        let busy: Vec<_> = (0..limits::HASHES_AT_ONCE)
            .map(|_| {
                let (passwords, held) = (passwords.clone(), held.clone());
                tokio::spawn(async move { passwords.run(move |_| held.lock().recv().is_err()).await })
            })
            .collect();
        let (password, mut waiting) = (given("x"), Vec::new());
        let refused = loop {
            let mut asked = Box::pin(passwords.hash(&password));
            match futures::poll!(asked.as_mut()) {
                std::task::Poll::Ready(answer) => break answer,
                std::task::Poll::Pending => waiting.push(asked),
            }
            tokio::task::yield_now().await;
        };
        assert!(matches!(refused, Err(Fault::Overloaded { .. })));
        assert!(waiting.len() >= limits::HASHES_WAITING - limits::HASHES_AT_ONCE, "{}", waiting.len());
        drop(waiting);
        drop(release);
        for thread in busy {
            assert!(thread.await.expect("no panic").expect("it ran"), "the other end went away");
        }
        // Hundreds of hashes would take longer than a test may: they were skipped.
        assert!(passwords.hash(&given("x")).await.is_ok());
    }

    #[tokio::test]
    async fn a_panic_costs_one_answer() {
        let passwords = passwords();
        for _ in 0..limits::HASHES_AT_ONCE + 1 {
            assert!(passwords.run(|_| panic!("as the test wants")).await.map(|(): ()| ()).is_err());
        }
        assert!(passwords.hash(&given("x")).await.is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_text_is_judged_without_a_panic(text in "\\PC{0,140}", about in "\\PC{0,40}") {
            let _judged = Password::new(&text, &[&about]);
            let _given = Password::given(&text);
        }
    }
}
