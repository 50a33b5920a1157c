//! People with accounts, as they come in through the front door: sign-up, the mailed code, login, second factor.

use std::path::Path;

use aws_lc_rs::hmac;
use onsale::clock::{Clock, SystemClock};
use serde_json::json;

use super::wait::until;
use super::{Client, Server};
use crate::support::server::Home;

pub const PASSWORD: &str = "correct horse battery 9";

/// The newest mail to that address, once there are `count`.
pub async fn mail(home: &Home, to: &str, count: usize) -> String {
    let directory = home.data().join("mail");
    let mails = until("a mail", async || mails_to(&directory, to), |mails| mails.len() >= count).await;
    mails[count - 1].clone()
}

pub fn mails_to(directory: &Path, to: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.retain(|path| path.extension().is_some_and(|end| end == "eml"));
    paths.sort();
    let texts = paths.iter().filter_map(|path| std::fs::read_to_string(path).ok());
    texts.filter(|text| text.lines().any(|line| line.starts_with("To:") && line.contains(to))).collect()
}

/// The eight digits of a mail.
pub fn code(mail: &str) -> String {
    let mut words = mail.split_whitespace();
    let code = words.find(|word| word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit()));
    code.expect("a mail with a code").to_owned()
}

/// Signs up and verifies; the account's id.
pub async fn sign_up(home: &Home, server: &Server, email: &str) -> String {
    let anyone = server.client();
    let body = json!({"email": email, "password": PASSWORD, "nickname": "김온세"});
    let id = anyone.post("/v1/accounts", &body).await.expect(201).str("account_id");
    let code = code(&mail(home, email, 1).await);
    anyone.post("/v1/accounts/verify", &json!({"email": email, "code": code})).await.expect(204);
    id
}

pub struct Tokens {
    pub access: String,
    pub refresh: String,
}

pub async fn login(anyone: &Client, email: &str, totp: Option<&str>) -> Tokens {
    let mut body = json!({"email": email, "password": PASSWORD});
    if let Some(totp) = totp {
        body["totp"] = json!(totp);
    }
    let answer = anyone.post("/v1/auth/login", &body).await.expect(200);
    assert_eq!((&answer.body["token_type"], &answer.body["expires_in"]), (&json!("Bearer"), &json!(600)));
    Tokens { access: answer.str("access_token"), refresh: answer.str("refresh_token") }
}

/// Sets up a second factor for whoever is signed in, and gives the secret.
pub async fn enrol(who: &Client) -> String {
    let answer = who.post("/v1/auth/totp/enrol", &json!({"password": PASSWORD})).await.expect(200);
    assert!(answer.str("qr_svg").contains("<svg"), "a picture");
    let secret = answer.str("secret");
    let confirmed = who.post("/v1/auth/totp/confirm", &json!({"code": totp(&secret)})).await.expect(200);
    assert_eq!(confirmed.body["recovery_codes"].as_array().map(Vec::len), Some(10));
    secret
}

/// The number of the step that an app shows now.
pub fn step() -> u64 {
    u64::try_from(SystemClock.wall().0).expect("after 1970") / 30_000
}

/// What an app shows now.
pub fn totp(secret: &str) -> String {
    totp_at(secret, step())
}

pub fn totp_at(secret: &str, step: u64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &base32(secret));
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let at = usize::from(tag.as_ref()[19] & 15);
    let mut four = [0; 4];
    four.copy_from_slice(&tag.as_ref()[at..at + 4]);
    format!("{:06}", (u32::from_be_bytes(four) & 0x7fff_ffff) % 1_000_000)
}

fn base32(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let bits: String = text.chars().map(|c| format!("{:05b}", ALPHABET.find(c).expect("base32"))).collect();
    let whole = bits.as_bytes().chunks_exact(8);
    whole.map(|eight| u8::from_str_radix(std::str::from_utf8(eight).expect("bits"), 2).expect("bits")).collect()
}
