//! How is text compared when somebody searches? One spelling for what people see as the same.
//!
//! Hangul typed on some systems arrives in pieces (a consonant and a vowel for one syllable), Latin letters in either
//! case; both are folded before they are stored for searching and before they are searched for.

use unicode_normalization::UnicodeNormalization;

/// The form in which texts are stored for, and looked up by, searching.
#[must_use]
pub fn folded(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).nfc().collect::<String>().split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_the_same_is_the_same() {
        let table = [
            ("잠실", "\u{110c}\u{1161}\u{11b7}\u{1109}\u{1175}\u{11af}"),
            ("Olympic  Hall", " olympic hall "),
            ("Ａｒｅｎａ", "arena"),
            ("İ", "i\u{307}"),
        ];
        for (a, b) in table {
            assert_eq!(folded(a), folded(b), "{a}");
        }
        assert_ne!(folded("가"), folded("나"));
    }
}
