//! Would anybody notice? Mistakes that one of us could make, planted into a build of tests, one at a time.
//!
//! A check is trusted once it has caught something. `scripts/planted` builds the tests with the feature `planted-bugs`, chooses
//! a mistake by its name (`ONSALE_PLANTED`), and runs the checks that `tests/planted.tsv` says must find it. Without the
//! feature [`planted`] is a constant `false`: the compiler drops every mistake, and no release contains the names.
//! Where a mistake is planted, the line before or after it is the right one.

#[cfg(all(feature = "planted-bugs", not(debug_assertions)))]
compile_error!("planted bugs are for the tests of a debug build, never for a release");

/// Each is a mistake in one place of the product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// The answer leaves when the unit is queued, not when it is durable.
    AckBeforeCommit,
    /// A reading shows what is decided and not durable yet.
    ReadBeforeCommit,
    /// An append looks at the head only, not at who owns the partition now.
    SkipTheFence,
    /// A doubt is settled by looking at the head, without fencing what is still under way.
    SettleBySelect,
    /// Units queued behind one in doubt stay in the queue, though their callers were told otherwise.
    KeepStateInDoubt,
    /// Which command did what is remembered by the actor and not read back from the log.
    DedupeInMemory,
    /// The log's time is what this machine's clock says.
    ExpireByNodeClock,
    /// A hold ends a second before its deadline.
    ExpireEarly,
    /// A node that takes over begins without the deadlines that stand in the log.
    ForgetDeadlines,
    /// The payment provider is asked for money before the log says so.
    PspBeforeLog,
    /// Each call for one payment or refund has an idempotency key of its own.
    NewKeyOnRetry,
    /// No answer from the payment provider is taken for a no.
    TimeoutIsRefusal,
    /// Money that came for something that is gone stays with us.
    LateMoneyKept,
    /// Tickets that were given back already are given back again.
    RefundTwice,
    /// A stream goes on after the frame behind the last one that was seen.
    ResumeOffByOne,
    /// What this build cannot read in the log is passed over.
    SkipUnknownEvent,
    /// The stock of a coupon is looked up where it is a few issues behind.
    StaleStock,
    /// The last seat of an order is not asked.
    PartialHold,
    /// A seat that somebody holds can be held by the next one.
    HoldWhatIsHeld,
    /// A snapshot lacks the last event that it claims to hold.
    ShortSnapshot,
    /// A refusal uses up a position.
    PositionHole,
    /// A node whose lease has run out goes on answering from memory.
    ZombieAnswers,
    /// A node that stands still keeps the log for as long as it does.
    SleeperKeepsTheLog,
    /// A lease is over as soon as the database's clock says so.
    LeaseByClock,
    /// What a stream shows leaves memory before the log has it.
    LeaveEarly,
    /// A read model that starts again applies its last event once more.
    ApplyTwice,
    /// What a member has is counted by each node since its start.
    MemberLimitInMemory,
    /// An order that expires keeps its coupon.
    CouponNotReturned,
    /// An outcome that nobody knows is answered as "nothing was written".
    UnknownAsRefused,
    /// The head that a hint names is believed without reading the log.
    HintBelieved,
}

#[cfg(any(feature = "planted-bugs", test))]
impl Bug {
    pub const ALL: &[(&str, Self)] = &[
        ("ack-before-commit", Self::AckBeforeCommit),
        ("read-before-commit", Self::ReadBeforeCommit),
        ("skip-the-fence", Self::SkipTheFence),
        ("settle-by-select", Self::SettleBySelect),
        ("keep-state-in-doubt", Self::KeepStateInDoubt),
        ("dedupe-in-memory", Self::DedupeInMemory),
        ("expire-by-node-clock", Self::ExpireByNodeClock),
        ("expire-early", Self::ExpireEarly),
        ("forget-deadlines", Self::ForgetDeadlines),
        ("psp-before-log", Self::PspBeforeLog),
        ("new-key-on-retry", Self::NewKeyOnRetry),
        ("timeout-is-refusal", Self::TimeoutIsRefusal),
        ("late-money-kept", Self::LateMoneyKept),
        ("refund-twice", Self::RefundTwice),
        ("resume-off-by-one", Self::ResumeOffByOne),
        ("skip-unknown-event", Self::SkipUnknownEvent),
        ("stale-stock", Self::StaleStock),
        ("partial-hold", Self::PartialHold),
        ("hold-what-is-held", Self::HoldWhatIsHeld),
        ("short-snapshot", Self::ShortSnapshot),
        ("position-hole", Self::PositionHole),
        ("zombie-answers", Self::ZombieAnswers),
        ("sleeper-keeps-the-log", Self::SleeperKeepsTheLog),
        ("lease-by-clock", Self::LeaseByClock),
        ("leave-early", Self::LeaveEarly),
        ("apply-twice", Self::ApplyTwice),
        ("member-limit-in-memory", Self::MemberLimitInMemory),
        ("coupon-not-returned", Self::CouponNotReturned),
        ("unknown-as-refused", Self::UnknownAsRefused),
        ("hint-believed", Self::HintBelieved),
    ];
}

/// Is this the mistake of this run?
#[cfg(not(feature = "planted-bugs"))]
#[must_use]
#[inline(always)]
#[allow(clippy::inline_always, reason = "so that nothing of any mistake is left where none can be planted")]
pub const fn planted(_: Bug) -> bool {
    false
}

/// Is this the mistake of this run?
#[cfg(feature = "planted-bugs")]
#[must_use]
pub fn planted(bug: Bug) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<Bug>> = std::sync::LazyLock::new(chosen);
    *CHOSEN == Some(bug)
}

#[cfg(feature = "planted-bugs")]
fn chosen() -> Option<Bug> {
    #[allow(clippy::disallowed_methods, reason = "chosen from outside all options, and only in a build for this")]
    let name = std::env::var("ONSALE_PLANTED").ok().filter(|name| !name.is_empty())?;
    let known = Bug::ALL.iter().find(|(known, _)| *known == name);
    // A misspelt name would plant nothing, and every check would seem to have missed it.
    Some(known.unwrap_or_else(|| panic!("ONSALE_PLANTED: there is no planted bug {name}")).1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A mistake that no check is held against proves nothing, and a line for one that is gone catches nothing.
    #[test]
    fn each_bug_has_its_checks() {
        let list =
            include_str!("../tests/planted.tsv").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let listed: BTreeSet<&str> = list.filter_map(|line| line.split('\t').next()).collect();
        let known: BTreeSet<&str> = Bug::ALL.iter().map(|(name, _)| *name).collect();
        assert_eq!(listed, known, "tests/planted.tsv and the bugs");
        assert_eq!(known.len(), Bug::ALL.len(), "a name stands for one bug");
    }

    #[cfg(not(feature = "planted-bugs"))]
    #[test]
    fn nothing_is_planted_in_an_ordinary_build() {
        const { assert!(!planted(Bug::AckBeforeCommit)) };
    }
}
