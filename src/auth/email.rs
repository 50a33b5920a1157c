//! How can this person be reached and called? E-mail addresses, nicknames and telephone numbers, read with care.
//!
//! What is read here is shown to others, printed into headers of mails and compared: control characters, and those that
//! turn or hide text, are refused. Whether an address exists is found out by a mail, not here.

use std::fmt;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use crate::limits;

const LABEL_BYTES: usize = 63;

/// An e-mail address without a display name. Not to be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Email(String);

impl Email {
    /// Composed characters, the domain in small letters; the part before the @ as it was given.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() > limits::EMAIL_BYTES {
            return None;
        }
        let normal: String = text.nfc().collect();
        let (local, domain) = normal.rsplit_once('@')?;
        let domain: String = domain.to_lowercase().nfc().collect();
        let address = format!("{local}@{domain}");
        let fits = address.len() <= limits::EMAIL_BYTES && is_local(local) && is_domain(&domain);
        // What the mailer could not address is no address either.
        let sendable = fits && lettre::Address::new(local, domain.as_str()).is_ok();
        sendable.then_some(Self(address))
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What must be unique: addresses that look the same or differ in capitals only are one.
    #[must_use]
    pub fn key(&self) -> String {
        // Small letters may fall apart into what has a composed form.
        self.0.nfkc().flat_map(char::to_lowercase).nfkc().collect()
    }
}

impl fmt::Debug for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email")
    }
}

/// Letters of any script, and the punctuation that needs no quotes.
fn is_local(local: &str) -> bool {
    let fine = |c: char| is_letter(c) || "!#$%&'*+-/=?^_`{|}~".contains(c);
    let words = local.split('.').all(|word| !word.is_empty() && word.chars().all(fine));
    words && local.len() <= limits::EMAIL_LOCAL_BYTES
}

/// At least two labels; no addresses in numbers, no hosts of one's own network.
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        let edges = label.starts_with('-') || label.ends_with('-');
        !label.is_empty() && label.len() <= LABEL_BYTES && !edges && label.chars().all(|c| is_letter(c) || c == '-')
    };
    let top = domain.rsplit('.').next().unwrap_or_default();
    domain.contains('.') && domain.split('.').all(label) && !top.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_letter(c: char) -> bool {
    !is_hidden(c) && (c.is_alphanumeric() || is_combining_mark(c))
}

/// Characters that cannot be seen, or that change how others are seen.
fn is_hidden(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}' | '\u{200c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What others call this person. `None`: too long, empty, or with characters that hide or turn text.
#[must_use]
pub fn nickname(text: &str) -> Option<String> {
    let text = text.trim();
    // A character that is composed of many is at most that long.
    if text.len() > 16 * limits::NICKNAME_CHARS {
        return None;
    }
    let name: String = text.nfc().collect();
    let length = name.chars().count();
    let seen = name.chars().any(|c| !c.is_whitespace() && !is_combining_mark(c) && !is_joiner(c));
    let fine = name.chars().all(|c| !c.is_control() && !is_hidden(c));
    (seen && fine && (1..=limits::NICKNAME_CHARS).contains(&length)).then_some(name)
}

/// What makes one picture of several emoji: welcome between them, nothing alone.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
}

/// A telephone number, as digits with the + of its country if that was given.
#[must_use]
pub fn phone(text: &str) -> Option<String> {
    let plain: String = text.trim().chars().take(limits::PHONE_CHARS + 1).nfkc().collect();
    if plain.chars().count() > limits::PHONE_CHARS {
        return None;
    }
    let (plus, rest) = plain.strip_prefix('+').map_or(("", plain.as_str()), |rest| ("+", rest));
    if !rest.chars().all(|c| c.is_ascii_digit() || " -().".contains(c)) {
        return None;
    }
    let digits: String = rest.chars().filter(char::is_ascii_digit).collect();
    let fits = (limits::PHONE_DIGITS_MIN..=limits::PHONE_DIGITS).contains(&digits.len());
    fits.then(|| format!("{plus}{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_are_read_and_kept_as_given_but_for_the_domain() {
        let table = [
            ("kim@example.com", "kim@example.com", "kim@example.com"),
            (" Kim.Min-Su+1@Example.COM\n", "Kim.Min-Su+1@example.com", "kim.min-su+1@example.com"),
            ("o'hara@sub.example.co.kr", "o'hara@sub.example.co.kr", "o'hara@sub.example.co.kr"),
            ("민수@도메인.한국", "민수@도메인.한국", "민수@도메인.한국"),
            ("ｋim@example.com", "ｋim@example.com", "kim@example.com"),
            ("x@xn--hq1bm8jm9l.com", "x@xn--hq1bm8jm9l.com", "x@xn--hq1bm8jm9l.com"),
        ];
        for (given, kept, key) in table {
            let email = Email::parse(given).unwrap_or_else(|| panic!("{given}"));
            assert_eq!((email.as_str(), email.key().as_str()), (kept, key));
        }
        let decomposed: String = "민수@도메인.한국".nfd().collect();
        assert_eq!(Email::parse(&decomposed), Email::parse("민수@도메인.한국"));
        assert_eq!(format!("{:?}", Email::parse("kim@example.com")), "Some(Email)");
    }

    #[test]
    fn what_is_no_address_or_more_than_one_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long = format!("a@{}.com", vec!["b".repeat(60); 5].join("."));
        let label = format!("a@{}.com", "b".repeat(64));
        let junk = [
            "",
            "kim",
            "@example.com",
            "kim@",
            "kim@localhost",
            "kim@.com",
            "kim@example..com",
            "kim@example.com.",
            ".kim@example.com",
            "kim.@example.com",
            "k..m@example.com",
            "a@b@example.com",
            "kim@127.0.0.1",
            "kim@[127.0.0.1]",
            "kim@[::1]",
            "kim@-example.com",
            "kim@example.c_m",
            "kim @example.com",
            "Kim <kim@example.com>",
            "\"kim\"@example.com",
            "kim@example.com, lee@example.com",
            "kim@example.com\r\nBcc: lee@example.com",
            "kim\r\n@example.com",
            "kim\0@example.com",
            "kim\u{202e}@example.com",
            "kim\u{200b}@example.com",
            "kim@exam\u{ad}ple.com",
            "kim＠example.com",
            "kim@example。com",
            "kim(x)@example.com",
            "kim@example.com>",
            &long_local,
            &long,
            &label,
        ];
        for text in junk {
            assert_eq!(Email::parse(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn whatever_passes_is_one_line_and_its_key_is_its_own(local in "\\PC{1,20}", domain in "\\PC{1,12}") {
            if let Some(email) = Email::parse(&format!("{local}@{domain}.com")) {
                prop_assert!(!email.as_str().chars().any(|c| c.is_control() || c.is_whitespace() || "<>,;:\"()[]\\".contains(c)));
                prop_assert_eq!(Email::parse(email.as_str()), Some(email.clone()));
                let twice: String = email.key().nfkc().flat_map(char::to_lowercase).nfkc().collect();
                prop_assert_eq!(twice, email.key());
            }
        }

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,60}") {
            let (_email, _name, _number) = (Email::parse(&text), nickname(&text), phone(&text));
        }
    }

    #[test]
    fn nicknames_can_be_seen_and_hide_nothing() {
        let thirty = "가".repeat(30);
        for (given, expected) in [
            (" 민수 ", "민수"),
            ("Kim Min-su", "Kim Min-su"),
            ("x", "x"),
            (thirty.as_str(), thirty.as_str()),
            ("👩‍👩‍👧❤️", "👩‍👩‍👧❤️"),
            ("<b>&amp;", "<b>&amp;"),
        ] {
            assert_eq!(nickname(given).as_deref(), Some(expected));
        }
        let decomposed: String = "민수".nfd().collect();
        assert_eq!(nickname(&decomposed).as_deref(), Some("민수"));
        let long = "가".repeat(31);
        for junk in [
            "",
            "   ",
            "a\nb",
            "a\tb",
            "a\0b",
            "a\u{202e}b",
            "\u{200b}",
            "\u{3164}",
            "\u{ffa0}x",
            "\u{200d}",
            "a\u{2067}b",
            "x\u{e0041}",
            "\u{feff}a\u{feff}b",
            &long,
        ] {
            assert_eq!(nickname(junk), None, "{junk:?}");
        }
    }

    #[test]
    fn telephone_numbers_keep_their_digits() {
        for (given, expected) in [
            ("010-1234-5678", "01012345678"),
            (" +82 10 1234 5678 ", "+821012345678"),
            ("02-123-4567", "021234567"),
            ("(02) 123.4567", "021234567"),
            ("０１０－１２３４－５６７８", "01012345678"),
            ("1234567", "1234567"),
            ("+123456789012345", "+123456789012345"),
        ] {
            assert_eq!(phone(given).as_deref(), Some(expected), "{given}");
        }
        let long = "1".repeat(10_000);
        for junk in [
            "",
            "+",
            "123456",
            "1234567890123456",
            "010-1234-567x",
            "++821012345678",
            "82+1012345678",
            "٠١٢٣٤٥٦٧",
            "010\n1234\n5678",
            &long,
        ] {
            assert_eq!(phone(junk), None, "{junk:.20}");
        }
    }
}
