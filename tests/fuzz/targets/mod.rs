//! Which parsers meet bytes from outside? One target each: what it begins with, and what it promises for any input.
//!
//! A target panics when a promise is broken. It knows nothing of who calls it: the short run of the tests, or libFuzzer.

mod facts;
mod hints;
mod ids;
mod psp;
mod states;
mod texts;
mod tokens;
mod web;

pub struct Target {
    pub name: &'static str,
    /// Good inputs, made from what the product itself writes.
    pub seeds: fn() -> Vec<Vec<u8>>,
    pub run: fn(&[u8]),
}

pub const TARGETS: &[Target] = &[
    facts::FACTS,
    states::STATES,
    ids::IDS,
    tokens::TOKENS,
    texts::CONFIG,
    texts::SCRIPT,
    psp::WEBHOOK,
    psp::ANSWER,
    hints::HINTS,
    web::REQUEST,
    web::WIRE,
];

pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Much nesting: whoever reads this by calling itself runs out of stack.
fn deep() -> Vec<Vec<u8>> {
    let nested = |open: &str| open.repeat(10_000).into_bytes();
    vec![nested("["), nested("{\"data\":"), nested("{\"a\":["), nested("[["), nested("a = [["), nested("a.")]
}
