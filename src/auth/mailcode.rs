//! Does this person read that mail? Codes of eight digits that are mailed and typed back.
//!
//! How long one is good and how often it may be tried is not known here.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

use crate::clock::Entropy;
use crate::limits;

const DIGITS: usize = 8;
const CODES: u64 = 100_000_000;
/// The bits of a random number that are looked at: enough for every code.
const BITS: u32 = 27;
const _: () = assert!(1 << BITS >= CODES && 10_u64.pow(DIGITS as u32) == CODES, "every code can be drawn");

/// A code. Not to be printed, except into the mail.
#[derive(Clone)]
pub struct MailCode(String);

impl MailCode {
    #[must_use]
    pub fn random(entropy: &Entropy) -> Self {
        loop {
            let drawn = entropy.next_u64() >> (u64::BITS - BITS);
            // What is beyond the last code is drawn again: a remainder would make some codes likelier than others.
            if drawn < CODES {
                return Self(format!("{drawn:0DIGITS$}"));
            }
        }
    }

    /// What somebody typed or pasted: with spaces or dashes, in digits of any width.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > limits::TYPED_CODE_BYTES {
            return None;
        }
        let digits: String = text.nfkc().filter(|c| !c.is_whitespace() && !is_dash(*c)).collect();
        let fits = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
        fits.then_some(Self(digits))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for MailCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailCode")
    }
}

/// A hyphen, or what word processors make of one.
fn is_dash(c: char) -> bool {
    matches!(c, '-' | '\u{2010}'..='\u{2015}' | '\u{2212}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_eight_digits_of_even_chance() {
        let entropy = Entropy::seeded(5);
        let mut first = [0_u32; 10];
        for _ in 0..20_000 {
            let code = MailCode::random(&entropy);
            assert!(code.as_str().len() == 8 && MailCode::parse(code.as_str()).is_some());
            first[usize::from(code.as_str().as_bytes()[0] - b'0')] += 1;
        }
        // 2,000 each; the dice of this seed stay within a tenth.
        assert!(first.iter().all(|count| (1_800..2_200).contains(count)), "{first:?}");
    }

    #[test]
    fn codes_are_read_as_people_type_them() {
        for text in ["01234567", " 0123 4567 ", "0123-4567", "０１２３　４５６７", "0123–4567", "01 23 45 67\n"]
        {
            assert_eq!(MailCode::parse(text).as_ref().map(MailCode::as_str), Some("01234567"), "{text}");
        }
        let long = "0".repeat(5_000);
        for junk in ["", "0123456", "012345678", "0123456a", "+1234567", "٠١٢٣٤٥٦٧", "0123.4567", &long] {
            assert!(MailCode::parse(junk).is_none(), "{junk:.20}");
        }
        assert_eq!(format!("{:?}", MailCode::parse("01234567")), "Some(MailCode)");
    }
}
