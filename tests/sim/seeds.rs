//! How are many seeds run? On all cores, with a word now and then; the first that fails is shrunk and told.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::plan::Plan;
use crate::run::run;

/// Seeds of a normal test run.
pub const SEEDS: u64 = 500;
/// Seeds between two words.
const WORD: u64 = 1_000;
/// Runs that are spent on making a failure small.
const SHRINKING: u32 = 200;

/// What so many seeds together must have reached for them to count.
const INTERESTING: &[&str] = &[
    "append rejected",
    "unknown: was written",
    "unknown: was not written",
    "unknown: would be written later",
    "settling failed at first",
    "slow load",
    "panic while deciding",
    "panic while evolving",
    "everybody asked to leave",
    "order placed",
    "order placed with a coupon",
    "order cancelled",
    "order expired",
    "order completed",
    "order failed",
    "order refunded",
    "too late to cancel",
    "too late to pay",
    "seats refused",
    "twins answered alike",
    "answer repeated after a fault",
    "request repeated by the network",
    "late request carried out",
    "two orders of one member at once",
    "member at the limit",
    "limit moved",
    "too many live orders",
    "too many unpaid holds",
    "coupon issued",
    "coupon sold out",
    "coupon used",
    "coupon returned",
    "payment cancelled in part",
    "paid",
    "payment declined",
    "charge unknown",
    "unknown charge found by looking",
    "money came too late",
    "refund done",
    "refund unknown",
    "refund of a called-off performance",
    "tickets given back",
    "checked in",
    "used tickets are not given back",
    "cancelled while money is under way",
    "review of a payment opened",
    "review of a refund opened",
    "review ruled on",
    "news of a payment",
    "request to the provider late",
    "node killed",
    "node frozen",
    "node cut off",
    "node handed over",
    "takeover",
    "woken node stepped down",
    "append fenced",
    "frozen in an append",
    "killed before it heard of its append",
    "orphaned append landed",
    "orphaned append fenced",
    "node died under a request",
    "fault: unknown outcome",
    "fault: not the owner",
    "snapshot saved",
    "snapshot used",
    "snapshot cut short",
    "snapshot lost",
    "snapshot late",
    "segment saved",
    "segment used",
    "watcher resumed",
    "stream cut by a crash",
    "frame seen",
    "read",
    "read at the follower",
    "hint lost",
    "hint was no news",
];

/// What all runs came to.
#[derive(Default)]
struct Sum {
    reached: BTreeMap<&'static str, u64>,
    hashes: BTreeSet<String>,
    records: u64,
    failed: Option<(Plan, Vec<String>)>,
}

/// Runs all seeds. Panics with the smallest plan that fails as the first one did, or if they were not interesting.
pub fn all(seeds: Range<u64>, plan: impl Fn(u64) -> Plan + Sync) {
    let many = seeds.end - seeds.start;
    let (next, stop, sum) = (AtomicU64::new(seeds.start), AtomicBool::new(false), Mutex::new(Sum::default()));
    let work = || {
        while !stop.load(Ordering::SeqCst) {
            let seed = next.fetch_add(1, Ordering::SeqCst);
            if seed >= seeds.end {
                return;
            }
            let plan = plan(seed);
            let report = run(&plan);
            let sum = &mut *sum.lock();
            sum.hashes.insert(report.log_hash);
            sum.records += report.records as u64;
            for (state, count) in report.reached {
                *sum.reached.entry(state).or_default() += count;
            }
            if !report.violations.is_empty() && sum.failed.is_none() {
                sum.failed = Some((plan, report.violations));
                stop.store(true, Ordering::SeqCst);
            }
            let done = sum.hashes.len() as u64;
            if done.is_multiple_of(WORD) {
                println!("{done} of {many} seeds, {} records", sum.records);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    let sum = sum.into_inner();
    if let Some((plan, violations)) = sum.failed {
        fail(&plan, &violations);
    }
    println!("{many} seeds, {} records, reached {:#?}", sum.records, sum.reached);
    if many >= SEEDS {
        let missed: Vec<&str> = INTERESTING.iter().copied().filter(|state| !sum.reached.contains_key(state)).collect();
        assert!(missed.is_empty(), "no seed reached: {missed:?}");
    }
    assert_eq!(sum.hashes.len() as u64, many, "different seeds must give different runs");
}

fn fail(plan: &Plan, violations: &[String]) -> ! {
    let kinds = |violations: &[String]| -> BTreeSet<String> {
        violations.iter().filter_map(|text| text.split([' ', ':']).next().map(str::to_owned)).collect()
    };
    let wanted = kinds(violations);
    println!("seed {} broke the promise, and is being shrunk: {violations:#?}", plan.seed);
    // Another kind of failure would be another story.
    let shrunk = plan.shrunk(SHRINKING, |plan| !kinds(&run(plan).violations).is_disjoint(&wanted));
    let left = run(&shrunk).violations;
    panic!(
        "seed {} broke the promise:\n{violations:#?}\nthe smallest such run: {left:#?}\nrepeat it: {}",
        plan.seed,
        shrunk.command()
    );
}
