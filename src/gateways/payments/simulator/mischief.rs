//! What happens to this call? From test keys, the script and the dice to one plan: what becomes of the books, and what the
//! caller gets to hear. The two are independent, which is all that makes payments hard.
//!
//! Pure: dice are a hash of seed, payment, call and count, so that a run repeats whatever the order of its calls.

use std::time::Duration;

use super::script::{Fault, News, On, Script, With};
use crate::gateways::payments::codes;
use crate::ids::Hash16;

/// What shall happen to one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// `None`: nothing goes wrong.
    pub fault: Option<Fault>,
    pub act: Act,
    pub reply: Reply,
}

/// What becomes of the books.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    Do,
    Skip,
    Refuse(String),
    /// Done when somebody has looked so often.
    Late(u32),
}

/// What the caller gets to hear.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Honest,
    Delayed(Duration),
    Silence,
    Reset,
    Problem(u16, String),
    WrongAmount,
    WrongOrder,
    WrongKey,
    WrongCurrency,
    Malformed,
    Oversized,
    Redirect,
}

/// How often a payment's calls have met faults and been made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Count {
    pub calls: u32,
    pub faults: u32,
}

/// Test keys, by their beginning, and which of their calls goes wrong: `pk_…` is the one with which all is well.
const TEST_KEYS: &[(&str, On, Fault)] = &[
    ("slow_", On::Confirm, Fault::Delay),
    ("lost_", On::Confirm, Fault::DoneReset),
    ("late_", On::Confirm, Fault::Late),
    ("norefund_", On::Cancel, Fault::Error),
];
const GOOD: &str = "pk_";
const DECLINED: &str = "decline_";
/// How long `slow_…` takes.
const SLOW: Duration = Duration::from_secs(20);
/// How often a late payment is looked at in vain.
const LOOKS: u32 = 2;
const DEFAULT_REFUSAL: &str = "REJECT_CARD_PAYMENT";
const DEFAULT_CANCEL_REFUSAL: &str = "NOT_CANCELABLE_AMOUNT";

/// Would the provider's widget have made this payment?
#[must_use]
pub fn exists(script: &Script, payment: &str) -> bool {
    payment.starts_with(GOOD)
        || payment.starts_with(DECLINED)
        || TEST_KEYS.iter().any(|(beginning, ..)| payment.starts_with(beginning))
        || script.rules.iter().any(|rule| rule.is_about(payment))
}

/// Decides one call.
#[must_use]
pub fn plan(script: &Script, payment: &str, on: On, count: Count) -> Plan {
    let mut rules = script.rules.iter().filter(|rule| rule.is_about(payment) && rule.on == on && rule.fault.is_some());
    let mut behind = 0_u32;
    if let Some(first) = rules.next() {
        for rule in std::iter::once(first).chain(rules) {
            behind = behind.saturating_add(rule.times);
            if let Some(fault) = rule.fault.filter(|_| count.faults < behind) {
                return carried_out(fault, on, &rule.with());
            }
        }
        return honest();
    }
    if on == On::Confirm
        && let Some(code) = declined(payment)
    {
        return carried_out(Fault::Decline, on, &With { code: Some(code), ..With::default() });
    }
    let test_key = TEST_KEYS.iter().find(|(beginning, ..)| payment.starts_with(beginning));
    if let Some((_, when, fault)) = test_key {
        return if *when == on && count.faults == 0 { carried_out(*fault, on, &With::default()) } else { honest() };
    }
    let dice = match on {
        On::Confirm => &script.random.confirm,
        On::Cancel => &script.random.cancel,
        On::Query => &script.random.query,
    };
    let thrown = throw(script.random.seed, payment, &format!("{on:?}"), count.calls);
    match pick(dice.iter(), thrown) {
        Some(fault) => carried_out(fault, on, &With { ms: script.random.ms, ..With::default() }),
        None => honest(),
    }
}

/// How the news of the n-th change of a payment goes round, and how late.
#[must_use]
pub fn news(script: &Script, payment: &str, on: On, change: u32) -> (News, Duration) {
    let rule = script.rules.iter().find(|rule| rule.is_about(payment) && rule.on == on && rule.webhook.is_some());
    let (news, ms) = match rule {
        Some(rule) => (rule.webhook, rule.ms),
        None => {
            let thrown = throw(script.random.seed, payment, "news", change);
            (pick(script.random.webhook.iter(), thrown), script.random.ms)
        }
    };
    (news.unwrap_or(News::Normal), Duration::from_millis(ms.unwrap_or(1_000)))
}

fn honest() -> Plan {
    Plan { fault: None, act: Act::Do, reply: Reply::Honest }
}

fn carried_out(fault: Fault, on: On, with: &With) -> Plan {
    let refusal = if on == On::Cancel { DEFAULT_CANCEL_REFUSAL } else { DEFAULT_REFUSAL };
    let breakdown = if on == On::Cancel { "FAILED_REFUND_PROCESS" } else { "FAILED_INTERNAL_SYSTEM_PROCESSING" };
    let code = |otherwise: &str| with.code.clone().unwrap_or_else(|| otherwise.to_owned());
    let problem = || Reply::Problem(with.status.unwrap_or(500), code(breakdown));
    let (act, reply) = match fault {
        Fault::Decline => (Act::Refuse(code(refusal)), Reply::Honest),
        Fault::Delay => (Act::Do, Reply::Delayed(with.ms.map_or(SLOW, Duration::from_millis))),
        Fault::Silence => (Act::Skip, Reply::Silence),
        Fault::DoneSilence => (Act::Do, Reply::Silence),
        Fault::Reset => (Act::Skip, Reply::Reset),
        Fault::DoneReset => (Act::Do, Reply::Reset),
        Fault::Error => (Act::Skip, problem()),
        Fault::DoneError => (Act::Do, problem()),
        Fault::RateLimit => (Act::Skip, Reply::Problem(429, "TOO_MANY_REQUESTS".to_owned())),
        Fault::Late => (Act::Late(with.looks.unwrap_or(LOOKS)), problem()),
        // The request reached them twice; this is the answer to the second.
        Fault::Duplicate if on == On::Cancel => (Act::Do, Reply::Problem(400, "ALREADY_CANCELED_PAYMENT".to_owned())),
        Fault::Duplicate => (Act::Do, Reply::Problem(400, "ALREADY_PROCESSED_PAYMENT".to_owned())),
        Fault::WrongAmount => (Act::Do, Reply::WrongAmount),
        Fault::WrongOrder => (Act::Do, Reply::WrongOrder),
        Fault::WrongKey => (Act::Do, Reply::WrongKey),
        Fault::WrongCurrency => (Act::Do, Reply::WrongCurrency),
        Fault::Malformed => (Act::Do, Reply::Malformed),
        Fault::Oversized => (Act::Do, Reply::Oversized),
        Fault::Redirect => (Act::Skip, Reply::Redirect),
    };
    Plan { fault: Some(fault), act, reply }
}

/// The code in `decline_<CODE>_…`, or the usual one for `decline_…`.
fn declined(payment: &str) -> Option<String> {
    let rest = payment.strip_prefix(DECLINED)?;
    let names = |code: &&str| rest.strip_prefix(*code).is_some_and(|after| after.is_empty() || after.starts_with('_'));
    let documented = codes::CONFIRM.iter().map(|refusal| refusal.code).filter(names).max_by_key(|code| code.len());
    // Codes that are not documented can be had too: letters up to the first part that is not in capitals.
    let capitals = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_uppercase());
    let shouted: Vec<&str> = rest.split('_').take_while(capitals).collect();
    let undocumented = (shouted.len() > 1).then(|| shouted.join("_"));
    Some(documented.map(str::to_owned).or(undocumented).unwrap_or_else(|| DEFAULT_REFUSAL.to_owned()))
}

/// A number in `0.0..1.0` that only these four decide.
fn throw(seed: u64, payment: &str, what: &str, count: u32) -> f64 {
    let parts: [&[u8]; 4] = [&seed.to_le_bytes(), payment.as_bytes(), what.as_bytes(), &count.to_le_bytes()];
    let hash = Hash16::of("psp simulator dice", &parts);
    let mut first = [0; 4];
    first.copy_from_slice(&hash.0[..4]);
    f64::from(u32::from_le_bytes(first)) / (f64::from(u32::MAX) + 1.0)
}

fn pick<'a, T: Copy + 'a>(dice: impl Iterator<Item = (&'a T, &'a f64)>, thrown: f64) -> Option<T> {
    let mut reached = 0.0;
    for (face, probability) in dice {
        reached += probability;
        if thrown < reached {
            return Some(*face);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(calls: u32, faults: u32) -> Count {
        Count { calls, faults }
    }

    #[test]
    fn test_keys_work_like_test_cards() {
        let script = Script::default();
        let refuse = |code: &str| Act::Refuse(code.to_owned());
        let table = [
            ("pk_1", On::Confirm, 0, Act::Do, Reply::Honest),
            ("decline_1", On::Confirm, 0, refuse("REJECT_CARD_PAYMENT"), Reply::Honest),
            ("decline_1", On::Confirm, 5, refuse("REJECT_CARD_PAYMENT"), Reply::Honest),
            ("decline_INVALID_PASSWORD_7", On::Confirm, 0, refuse("INVALID_PASSWORD"), Reply::Honest),
            ("decline_EXCEED_MAX_AMOUNT", On::Confirm, 0, refuse("EXCEED_MAX_AMOUNT"), Reply::Honest),
            ("decline_PROVIDER_ERROR_x", On::Confirm, 0, refuse("PROVIDER_ERROR"), Reply::Honest),
            ("slow_1", On::Confirm, 0, Act::Do, Reply::Delayed(SLOW)),
            ("slow_1", On::Confirm, 1, Act::Do, Reply::Honest),
            ("lost_1", On::Confirm, 0, Act::Do, Reply::Reset),
            ("lost_1", On::Confirm, 1, Act::Do, Reply::Honest),
            ("lost_1", On::Query, 0, Act::Do, Reply::Honest),
            ("norefund_1", On::Confirm, 0, Act::Do, Reply::Honest),
            ("norefund_1", On::Cancel, 0, Act::Skip, Reply::Problem(500, "FAILED_REFUND_PROCESS".to_owned())),
            ("norefund_1", On::Cancel, 1, Act::Do, Reply::Honest),
        ];
        for (key, on, faults, act, reply) in table {
            let plan = plan(&script, key, on, count(faults, faults));
            assert_eq!((plan.act, plan.reply), (act, reply), "{key} {on:?} {faults}");
            assert!(exists(&script, key));
        }
        assert!(matches!(plan(&script, "late_1", On::Confirm, count(0, 0)).act, Act::Late(LOOKS)));
        assert!(!exists(&script, "somebody_elses"));
    }

    #[test]
    fn rules_apply_one_after_the_other_and_win_over_prefixes() {
        let text = "[[rule]]\nkey = \"lost_1\"\nfault = \"error\"\ntimes = 2\n\
                    [[rule]]\nkey = \"lost_*\"\nfault = \"wrong-amount\"\n";
        let script = Script::parse(text).unwrap();
        let faults: Vec<_> = (0..4).map(|n| plan(&script, "lost_1", On::Confirm, count(n, n)).fault).collect();
        assert_eq!(faults, [Some(Fault::Error), Some(Fault::Error), Some(Fault::WrongAmount), None]);
    }

    #[test]
    fn dice_repeat_and_come_near_their_probabilities() {
        let script = Script::parse("[random]\nseed = 7\nconfirm = { decline = 0.2, done-reset = 0.1 }\n").unwrap();
        let throws = |seed: u64| -> Vec<Option<Fault>> {
            let script =
                Script { random: super::super::script::Random { seed, ..script.random.clone() }, ..script.clone() };
            (0..2_000).map(|n| plan(&script, &format!("pk_{n}"), On::Confirm, count(0, 0)).fault).collect()
        };
        let seven = throws(7);
        assert_eq!(seven, throws(7));
        assert_ne!(seven, throws(8));
        let declined = seven.iter().filter(|fault| **fault == Some(Fault::Decline)).count();
        let lost = seven.iter().filter(|fault| **fault == Some(Fault::DoneReset)).count();
        assert!((320..480).contains(&declined) && (140..260).contains(&lost), "{declined} {lost}");
    }
}
