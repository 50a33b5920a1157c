//! Can anything in a mail become a header, a second recipient or a command?

use proptest::prelude::*;

use super::head;
use super::server::{body, header};
use crate::gateways::mail::Mail;

/// The names of the headers, in order.
fn names(message: &str) -> Vec<String> {
    let head = message.split("\r\n\r\n").next().unwrap_or_default();
    let own = head.split("\r\n").filter(|line| !line.starts_with([' ', '\t']));
    own.map(|line| line.split(':').next().unwrap_or_default().to_owned()).collect()
}

const EXPECTED: [&str; 9] = [
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "Content-Type",
    "MIME-Version",
    "Content-Transfer-Encoding",
];

fn written(to: &str, subject: &str, text: &str) -> Option<(Vec<String>, String)> {
    let mail = Mail { to: to.into(), subject: subject.into(), text: text.into() };
    let letter = head().write(&mail).ok()?;
    let to = letter.envelope.to().iter().map(ToString::to_string).collect();
    Some((to, String::from_utf8(letter.bytes).expect("ASCII")))
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

fn expected() -> Vec<String> {
    sorted(EXPECTED.map(str::to_owned).to_vec())
}

#[test]
fn addresses_cannot_bring_lines_of_their_own() {
    for to in [
        "",
        "kim",
        "kim@example.com\r\nBcc: lee@example.com",
        "kim@example.com\nBcc: lee@example.com",
        "\"kim\r\nBcc: lee\"@example.com",
        "kim@example.com>\r\nRCPT TO:<lee@example.com",
        "kim@example.com, lee@example.com",
        "Kim <kim@example.com>",
        "kim@example.com\0",
        "kim@도메인.한국/x",
        "kim@[127.0.0.1]",
    ] {
        let fault = head().write(&Mail { to: to.into(), subject: "x".into(), text: "x".into() }).map(drop);
        let fault = fault.expect_err(to);
        assert!(!fault.retryable && !fault.detail.contains("kim"), "{fault}");
    }
}

#[test]
fn subjects_cannot_bring_lines_of_their_own() {
    for subject in ["x\r\nBcc: lee@example.com", "x\nBcc: lee@example.com", "확인\r\n\r\n<b>", "x\r\n\r\nbody\0"] {
        let (to, message) = written("kim@example.com", subject, "text").expect("written");
        assert_eq!((sorted(names(&message)), to.len()), (expected(), 1), "{message}");
        assert_eq!(body(&message).trim_end(), "text");
    }
}

#[test]
fn a_domain_in_another_script_goes_out_as_dns_knows_it() {
    let (to, message) = written("minsu@도메인.한국", "x", "x").expect("written");
    assert_eq!(to, ["minsu@xn--hq1bm8jm9l.xn--3e0b707e"]);
    assert!(message.is_ascii());
}

proptest! {
    #[test]
    fn nothing_that_is_written_becomes_a_header(to in ".{0,30}", subject in ".{0,80}", text in "(?s).{0,200}") {
        for to in [format!("{to}@example.com"), "kim@example.com".to_owned()] {
            if let Some((to, message)) = written(&to, &subject, &text) {
                prop_assert_eq!(sorted(names(&message)), expected(), "{}", message);
                prop_assert_eq!(to.len(), 1);
                let (got, text) = (body(&message), text.replace('\r', ""));
                prop_assert_eq!(got.trim_end(), text.trim_end());
            }
        }
    }

    #[test]
    fn any_subject_survives(subject in "[가-힣a-z0-9 !_:;,.<>@]{1,80}") {
        let (_, message) = written("kim@example.com", &subject, "x").expect("written");
        let got = header(&message, "Subject");
        prop_assert_eq!(got.split_whitespace().collect::<Vec<_>>(), subject.split_whitespace().collect::<Vec<_>>());
        prop_assert!(message.lines().all(|line| line.len() < 998));
    }
}
