//! Does this person hold the second factor? One-time codes of an authenticator (RFC 6238), and recovery codes.
//!
//! Says which step of 30 s a code belongs to. That a step is accepted once, over all nodes, is the accounts' business;
//! so is keeping the seed sealed.

use std::fmt;

use totp_rs::{Algorithm, Builder, Secret, Totp};
use unicode_normalization::UnicodeNormalization;

use crate::clock::Entropy;
use crate::limits;
use crate::timestamp::Timestamp;

const ISSUER: &str = "onsale";
const DIGITS: u8 = 6;
const STEP_SECONDS: u64 = 30;
const SEED_BYTES: usize = 20;
/// 32 characters of which none looks like another: what people type for `0` and `1` is understood.
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
const CODE_CHARS: usize = 12;
const GROUP: usize = 4;
const _: () = assert!(CODE_CHARS * 5 >= 60, "nobody guesses one, not even of many");

/// What a server and an authenticator share.
#[derive(Clone)]
pub struct TotpSeed([u8; SEED_BYTES]);

impl TotpSeed {
    #[must_use]
    pub fn random(entropy: &Entropy) -> Self {
        let mut bytes = [0; SEED_BYTES];
        entropy.fill(&mut bytes);
        Self(bytes)
    }

    /// What [`bytes`](Self::bytes) gave. `None`: that was no seed.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().map(Self).ok()
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8; SEED_BYTES] {
        &self.0
    }

    /// For people who type it into their authenticator.
    #[must_use]
    pub fn base32(&self) -> String {
        Secret::new_stack(self.0).to_base32()
    }

    /// What an authenticator reads from the QR picture. The label is what it shows beside the code.
    #[must_use]
    pub fn otpauth(&self, account_label: &str) -> String {
        // A colon ends the issuer, and an empty label is none.
        let label: String = account_label.chars().filter(|c| *c != ':' && !c.is_control()).collect();
        let label: String = label.trim().chars().take(limits::TOTP_LABEL_CHARS).collect();
        let label = if label.is_empty() { ISSUER.to_owned() } else { label };
        self.totp(label).to_url().expect("the label is not empty and has no colon")
    }

    /// The step that the code belongs to, if that is this one or a neighbour.
    #[must_use]
    pub fn matched_step(&self, code: &str, now: Timestamp) -> Option<u64> {
        if code.len() != usize::from(DIGITS) || !code.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let totp = self.totp(ISSUER.to_owned());
        let step = u64::try_from(now.0).unwrap_or(0) / 1_000 / STEP_SECONDS;
        let skew = u64::from(limits::TOTP_SKEW);
        let mut matched = None;
        // All steps are compared, whichever it is; of two with the same code the earlier, which is used up sooner.
        for step in step.saturating_sub(skew)..=step + skew {
            let expected = totp.generate(step * STEP_SECONDS).to_string();
            let same = aws_lc_rs::constant_time::verify_slices_are_equal(expected.as_bytes(), code.as_bytes()).is_ok();
            matched = matched.or(same.then_some(step));
        }
        matched
    }

    fn totp(&self, label: String) -> Totp {
        let builder = Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_skew(limits::TOTP_SKEW)
            .with_step_duration(STEP_SECONDS)
            .with_secret(Secret::new_stack(self.0))
            .with_issuer(Some(ISSUER))
            .with_account_name(label);
        builder.build().expect("20 bytes, 6 digits and 30 s are what the standard wants")
    }
}

impl fmt::Debug for TotpSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TotpSeed")
    }
}

/// Codes for the day on which the authenticator is lost, each good once: `k7m2-9xqp-4dtn`.
#[must_use]
pub fn recovery_codes(entropy: &Entropy) -> Vec<String> {
    let mut random = [0; CODE_CHARS];
    let code = |random: &[u8]| -> String {
        // The alphabet has as many characters as five bits have values: none comes more often than another.
        grouped(random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])))
    };
    (0..limits::RECOVERY_CODES)
        .map(|_| {
            entropy.fill(&mut random);
            code(&random)
        })
        .collect()
}

/// A recovery code as somebody typed it, in the form in which it was made. `None`: it cannot be one.
#[must_use]
pub fn recovery_code(text: &str) -> Option<String> {
    if text.len() > limits::TYPED_CODE_BYTES {
        return None;
    }
    let plain = text.nfkc().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace() && *c != '-');
    let read = plain.map(|c| match c {
        'o' => '0',
        'i' | 'l' => '1',
        other => other,
    });
    let read: Vec<char> = read.collect();
    let fits = read.len() == CODE_CHARS && read.iter().all(|c| c.is_ascii() && ALPHABET.contains(&(*c as u8)));
    fits.then(|| grouped(read.into_iter()))
}

fn grouped(characters: impl Iterator<Item = char>) -> String {
    let mut text = String::with_capacity(CODE_CHARS + CODE_CHARS / GROUP);
    for (index, character) in characters.enumerate() {
        if index > 0 && index % GROUP == 0 {
            text.push('-');
        }
        text.push(character);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The seed of the standard's appendix B.
    fn seed() -> TotpSeed {
        TotpSeed::from_bytes(b"12345678901234567890").expect("20 bytes")
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp(i64::try_from(seconds * 1_000).expect("small"))
    }

    #[test]
    fn codes_are_those_of_the_standard() {
        // Its table has eight digits; six are the last six of them.
        let table = [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ];
        for (seconds, code) in table {
            assert_eq!(seed().matched_step(&code[2..], at(seconds)), Some(seconds / 30), "{seconds}");
        }
    }

    #[test]
    fn a_neighbouring_step_counts_and_says_which_it_is() {
        // 287082 belongs to step 1: 30 s to 59 s.
        for (seconds, expected) in [(0, Some(1)), (29, Some(1)), (30, Some(1)), (89, Some(1)), (90, None), (500, None)]
        {
            assert_eq!(seed().matched_step("287082", at(seconds)), expected, "{seconds}");
        }
        assert_eq!(seed().matched_step("287082", Timestamp(-5)), Some(1), "a clock before 1970 is at its beginning");
    }

    #[test]
    fn only_six_digits_are_a_code() {
        for code in ["", "28708", "2870820", "28708a", "+87082", " 87082", "２８７０８２", "94287082", "287083"] {
            assert_eq!(seed().matched_step(code, at(59)), None, "{code}");
        }
    }

    #[test]
    fn an_authenticator_reads_back_what_was_meant() {
        for (label, shown) in [
            ("min@example.com", "min@example.com"),
            ("민수 (판매자)&secret=x?#/%", "민수 (판매자)&secret=x?#/%"),
            ("a:b\n", "ab"),
            (" : ", "onsale"),
        ] {
            let seed = TotpSeed::random(&Entropy::seeded(9));
            let url = seed.otpauth(label);
            assert!(url.starts_with("otpauth://totp/onsale:") && url.is_ascii(), "{url}");
            let read = Totp::from_url(&url).expect("a good address");
            assert_eq!((read.account_name(), read.issuer()), (shown, Some("onsale")), "{url}");
            assert_eq!((read.secret().as_bytes(), read.digits(), read.step()), (&seed.bytes()[..], 6, 30));
            assert_eq!(read.secret().to_base32(), seed.base32());
        }
        assert!(seed().otpauth(&"가".repeat(5_000)).len() < 2_000, "it fits into a QR picture");
    }

    #[test]
    fn seeds_are_random_and_not_printed() {
        let entropy = Entropy::seeded(3);
        let (one, two) = (TotpSeed::random(&entropy), TotpSeed::random(&entropy));
        assert_ne!(one.bytes(), two.bytes());
        assert_eq!(format!("{one:?}"), "TotpSeed");
        assert!(TotpSeed::from_bytes(&[0; 19]).is_none());
    }

    #[test]
    fn recovery_codes_differ_and_are_read_as_people_type_them() {
        let codes = recovery_codes(&Entropy::seeded(4));
        assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), limits::RECOVERY_CODES);
        for code in &codes {
            assert_eq!(code.len(), 14);
            assert_eq!(recovery_code(code).as_deref(), Some(code.as_str()));
            assert_eq!(recovery_code(&format!(" {} ", code.to_uppercase().replace('-', " "))).as_ref(), Some(code));
        }
        assert_eq!(recovery_code("OiL0-abcd-ＥＦ23").as_deref(), Some("0110-abcd-ef23"));
        let long = "a".repeat(10_000);
        for junk in
            ["", "k7m2-9xqp", "k7m2-9xqp-4dtu", "k7m2-9xqp-4dtn-0", "k7m2_9xqp_4dtn", "한글한글한글한글한글한글", &long]
        {
            assert_eq!(recovery_code(junk), None, "{junk:.20}");
        }
    }
}
