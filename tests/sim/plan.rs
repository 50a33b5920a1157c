//! What shall happen in a run? Drawn from the seed; each part can be set by hand, and be taken away to find the cause.
//!
//! `ONSALE_SIM_PLAN="buyers=3,crash=off"` overrides. Two runs of one seed and plan are the same run.

use std::fmt;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub seed: u64,
    /// Members who want seats and coupons.
    pub buyers: u64,
    /// How often each of them wants something, at most.
    pub wishes: u64,
    pub watchers: u64,
    /// Appends, loads and heartbeats fail, are slow, or end in doubt.
    pub log: bool,
    /// Rules panic.
    pub panics: bool,
    /// Nodes are killed, frozen, cut off and replaced.
    pub crash: bool,
    /// The payment provider is late, silent, wrong or refuses.
    pub psp: bool,
    /// Requests and hints come twice, late, forged or never.
    pub network: bool,
    /// Buyers use coupons in orders.
    pub coupons: bool,
    /// The seller calls the performance off.
    pub call_off: bool,
    /// Snapshots and segments are lost, late or cut short.
    pub damage: bool,
    /// Actors are asked to leave.
    pub eviction: bool,
    /// A counter records payments.
    pub counter: bool,
    /// People rule on what is under review.
    pub operator: bool,
}

impl Plan {
    /// Every fourth run has a log without trouble, every sixth a node that is never lost.
    pub fn of(seed: u64) -> Self {
        Self {
            seed,
            buyers: 12 + 4 * (seed % 7),
            wishes: 5,
            watchers: 1 + seed % 3,
            log: !seed.is_multiple_of(4),
            panics: !seed.is_multiple_of(4),
            crash: !seed.is_multiple_of(6),
            psp: !seed.is_multiple_of(5),
            network: seed % 7 < 4,
            coupons: true,
            call_off: seed % 9 == 4,
            damage: seed % 3 != 1,
            eviction: true,
            counter: true,
            operator: seed % 8 != 7,
        }
    }

    /// Nothing but the clients themselves: then there is no excuse for lateness.
    pub fn is_quiet(&self) -> bool {
        !self.log && !self.panics && !self.crash
    }

    /// Takes over what a text like `buyers=3,crash=off` says.
    pub fn with(mut self, text: &str) -> Result<Self, String> {
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("{part}: is not name=value"))?;
            if let Some((_, number)) = self.numbers().into_iter().find(|(known, _)| *known == name) {
                *number = value.parse().map_err(|_| format!("{part}: is not a number"))?;
            } else if let Some((_, switch)) = self.switches().into_iter().find(|(known, _)| *known == name) {
                *switch = match value {
                    "on" => true,
                    "off" => false,
                    _ => return Err(format!("{part}: must be on or off")),
                };
            } else {
                return Err(format!("{part}: there is no such part of a plan"));
            }
        }
        Ok(self)
    }

    fn numbers(&mut self) -> [(&'static str, &mut u64); 3] {
        [("buyers", &mut self.buyers), ("wishes", &mut self.wishes), ("watchers", &mut self.watchers)]
    }

    fn switches(&mut self) -> [(&'static str, &mut bool); 11] {
        [
            ("log", &mut self.log),
            ("panics", &mut self.panics),
            ("crash", &mut self.crash),
            ("psp", &mut self.psp),
            ("network", &mut self.network),
            ("coupons", &mut self.coupons),
            ("call_off", &mut self.call_off),
            ("damage", &mut self.damage),
            ("eviction", &mut self.eviction),
            ("counter", &mut self.counter),
            ("operator", &mut self.operator),
        ]
    }

    /// Plans with a little less in them, the boldest first.
    fn smaller(&self) -> Vec<Self> {
        let mut plans = Vec::new();
        let switches = self.clone().switches().len();
        for place in 0..switches {
            let mut plan = self.clone();
            let (_, switch) = &mut plan.switches()[place];
            if **switch {
                **switch = false;
                plans.push(plan);
            }
        }
        let numbers = self.clone().numbers().len();
        for place in 0..numbers {
            for less in [0, 50, 75, 99] {
                let mut plan = self.clone();
                let (_, number) = &mut plan.numbers()[place];
                let smaller = (**number * less / 100).min(number.saturating_sub(1));
                if smaller < **number {
                    **number = smaller;
                    plans.push(plan);
                }
            }
        }
        plans
    }

    /// The smallest plan found that still fails, with at most so many tries.
    pub fn shrunk(&self, mut tries: u32, fails: impl Fn(&Self) -> bool) -> Self {
        let mut plan = self.clone();
        'again: loop {
            for smaller in plan.smaller() {
                if tries == 0 {
                    return plan;
                }
                tries -= 1;
                if fails(&smaller) {
                    plan = smaller;
                    continue 'again;
                }
            }
            return plan;
        }
    }

    /// What repeats this run.
    pub fn command(&self) -> String {
        format!(
            "ONSALE_SIM_SEED={} ONSALE_SIM_PLAN=\"{self}\" cargo test --test sim one_seed -- --nocapture",
            self.seed
        )
    }
}

/// In what it differs from the plan of its seed, in the form that [`Plan::with`] reads.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut own, mut drawn) = (self.clone(), Self::of(self.seed));
        let mut differences = Vec::new();
        for ((name, own), (_, drawn)) in own.numbers().iter().zip(drawn.numbers()) {
            if **own != *drawn {
                differences.push(format!("{name}={own}"));
            }
        }
        for ((name, own), (_, drawn)) in own.switches().iter().zip(drawn.switches()) {
            if **own != *drawn {
                differences.push(format!("{name}={}", if **own { "on" } else { "off" }));
            }
        }
        f.write_str(&differences.join(","))
    }
}

#[test]
fn a_plan_is_read_as_it_is_written() {
    let plan = Plan::of(7).with("buyers=3, crash=off,panics=off").unwrap();
    assert_eq!((plan.buyers, plan.crash, plan.panics, plan.log), (3, false, false, true));
    assert_eq!(Plan::of(7).with(&plan.to_string()).unwrap(), plan);
    assert_eq!(Plan::of(7).to_string(), "");
    for (wrong, message) in [("nonsense=1", "no such"), ("buyers=x", "number"), ("crash=1", "on or off"), ("x", "name")]
    {
        assert!(Plan::of(7).with(wrong).unwrap_err().contains(message), "{wrong}");
    }
}

#[test]
fn a_failure_is_shrunk_to_what_it_needs() {
    let plan = Plan::of(7);
    let needed = |plan: &Plan| plan.buyers >= 5 && plan.crash && plan.wishes >= 2;
    assert!(needed(&plan));
    let shrunk = plan.shrunk(1_000, needed);
    assert_eq!((shrunk.buyers, shrunk.wishes, shrunk.crash, shrunk.watchers), (5, 2, true, 0));
    assert!(!shrunk.log && !shrunk.panics && !shrunk.psp && !shrunk.network && !shrunk.damage && !shrunk.counter);
    assert_eq!(plan.shrunk(0, needed), plan, "no tries, no change");
}
