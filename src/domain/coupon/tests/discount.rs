//! Is it the promised amount less, and never more than the seats cost?

use proptest::prelude::*;

use super::*;

const SHOW: &str = "sh_1";

fn won(minor: u64) -> Amount {
    Amount::new(minor).expect("an amount")
}

fn usd() -> Currency {
    Currency::parse("USD").expect("a code")
}

fn amount(value: u64, least: Option<u64>) -> Discount {
    Discount::Amount { value: won(value), currency: Currency::KRW, min_amount: least.map(won) }
}

fn percent(value: u8, most: Option<u64>, least: Option<u64>) -> Discount {
    let currency = (most.is_some() || least.is_some()).then_some(Currency::KRW);
    Discount::Percent { value, currency, max_amount: most.map(won), min_amount: least.map(won) }
}

fn seller() -> AccountId {
    AccountId::new("seller")
}

/// Good until 1,000.
fn claim(discount: Discount, shows: &[&str]) -> Claim {
    let shows = shows.iter().map(|show| ShowId::new(*show)).collect();
    Claim { task_id: task("ann1"), discount, owner: seller(), shows, until: Timestamp(1_000) }
}

#[test]
fn what_is_taken_off() {
    let table = [
        ("an amount", amount(3_000, None), 10_000, 3_000),
        ("an amount, exactly enough", amount(3_000, Some(10_000)), 10_000, 3_000),
        ("an amount above the price", amount(3_000, None), 2_999, 2_999),
        ("free seats", amount(3_000, None), 0, 0),
        ("a part, rounded down", percent(33, None, None), 101, 33),
        ("a part of nearly nothing", percent(99, None, None), 1, 0),
        ("all of it", percent(100, None, None), 12_345, 12_345),
        ("a part below its bound", percent(10, Some(1_000), None), 9_999, 999),
        ("a part above its bound", percent(10, Some(1_000), None), 99_999, 1_000),
        ("a part, exactly enough", percent(10, None, Some(500)), 500, 50),
        ("all of the most there is", percent(100, None, None), Amount::MAX.minor(), Amount::MAX.minor()),
    ];
    for (name, discount, subtotal, off) in table {
        let got = claim(discount, &[]).discount_on(
            won(subtotal),
            Currency::KRW,
            (&ShowId::new(SHOW), &seller()),
            Timestamp(999),
        );
        assert_eq!(got, Ok(won(off)), "{name}");
    }
    let anywhere = claim(percent(10, None, None), &[]);
    assert_eq!(
        anywhere.discount_on(won(50), usd(), (&ShowId::new(SHOW), &seller()), Timestamp(0)),
        Ok(won(5)),
        "of any currency"
    );
}

#[test]
fn where_it_is_good_for_nothing() {
    let other = ["sh_2", "sh_3"];
    let table = [
        ("over, and all else wrong", claim(amount(9, Some(500)), &other), usd(), 499, 1_000, Err("expired")),
        ("another show, and more", claim(amount(9, Some(500)), &other), usd(), 499, 999, Err("show")),
        ("another currency, too cheap", claim(amount(9, Some(500)), &[SHOW]), usd(), 499, 999, Err("currency")),
        ("a part of another currency", claim(percent(9, Some(9), None), &[]), usd(), 499, 999, Err("currency")),
        ("too cheap", claim(amount(9, Some(500)), &[]), Currency::KRW, 499, 999, Err("min-amount")),
        ("too cheap for a part", claim(percent(9, None, Some(500)), &[]), Currency::KRW, 499, 999, Err("min-amount")),
        ("enough", claim(amount(9, Some(500)), &[]), Currency::KRW, 500, 999, Ok(9)),
        ("this show", claim(amount(9, None), &[SHOW]), Currency::KRW, 10, 999, Ok(9)),
        ("one of the shows", claim(amount(9, None), &["sh_2", SHOW]), Currency::KRW, 10, 999, Ok(9)),
    ];
    for (name, claim, currency, subtotal, at, expected) in table {
        let got = claim.discount_on(won(subtotal), currency, (&ShowId::new(SHOW), &seller()), Timestamp(at));
        let expected = expected.map(won).map_err(|reason| Refusal::CouponNotUsable { reason });
        assert_eq!(got, expected, "{name}");
    }
}

proptest! {
    #[test]
    fn it_is_never_more_than_the_price(
        subtotal in 0..=Amount::MAX.minor(),
        value in 1..=Amount::MAX.minor(),
        part in 1..=100_u8,
        most in prop::option::of(0..1_000_000_u64),
    ) {
        for discount in [amount(value, None), percent(part, most, None)] {
            let off = claim(discount, &[]).discount_on(won(subtotal), Currency::KRW, (&ShowId::new(SHOW), &seller()), Timestamp(0));
            let off = off.expect("nothing is in its way");
            prop_assert!(won(subtotal).checked_sub(off).is_some());
        }
    }
}

#[test]
fn nobody_gives_away_what_somebody_else_sells() {
    let other = AccountId::new("other");
    let table = [
        ("every show, one's own", claim(percent(100, None, None), &[]), seller(), Ok(won(50))),
        (
            "every show, another's",
            claim(percent(100, None, None), &[]),
            other.clone(),
            Err(Refusal::CouponNotUsable { reason: "show" }),
        ),
        ("a named show, one's own", claim(percent(100, None, None), &[SHOW]), seller(), Ok(won(50))),
        ("another's, which an admin named", claim(percent(100, None, None), &[SHOW]), other, Ok(won(50))),
    ];
    for (name, claim, of, expected) in table {
        assert_eq!(claim.discount_on(won(50), usd(), (&ShowId::new(SHOW), &of), Timestamp(0)), expected, "{name}");
    }
}
