//! How is a request judged by the limits of its class? In this node's memory, and for some classes by all nodes together.

use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::Arc;
use std::time::Duration;

use metrics::Counter;

use super::table::Table;
use super::{Class, Judged, Quota, Shared, Standing, TooSoon};
use crate::ids::Hash16;
use crate::{limits, telemetry};

/// All limits of a node.
pub struct Throttle {
    quotas: [Option<Quota>; Class::ALL.len()],
    table: Table,
    names: RandomState,
    shared: Option<Arc<dyn Shared>>,
    refused: [Counter; Class::ALL.len()],
}

impl Throttle {
    /// `None`: that class has no limit.
    pub fn new(quota: impl Fn(Class) -> Option<Quota>, shared: Option<Arc<dyn Shared>>) -> Self {
        let refused = |class: Class| {
            let (name, per) = (class.name(), class.per().as_str());
            metrics::counter!(telemetry::HTTP_LIMITED, "class" => name, "per" => per)
        };
        Self {
            quotas: Class::ALL.map(quota),
            table: Table::new(limits::THROTTLE_SETS),
            names: RandomState::new(),
            shared,
            refused: Class::ALL.map(refused),
        }
    }

    #[must_use]
    pub fn quota(&self, class: Class) -> Option<Quota> {
        self.quotas[class as usize]
    }

    /// Counts a request of `who` on this node. `now` is its clock's `elapsed`, which the caller has read already. `None`: there
    /// is no limit.
    pub fn charge(&self, class: Class, who: impl Hash, now: Duration) -> Option<Result<Standing, TooSoon>> {
        let quota = self.quota(class)?;
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let judged = self.table.judge(self.names.hash_one((class, who)), quota, now);
        Some(self.told(class, judged))
    }

    /// Counts it on all nodes together, too, where the class is counted so and somebody can be asked. What is refused here is
    /// refused at once.
    pub async fn charge_everywhere(&self, class: Class, who: u128, now: Duration) -> Option<Result<Standing, TooSoon>> {
        let here = self.charge(class, who, now)?;
        let (Some(shared), Some(quota), Ok(here)) =
            (self.shared.as_ref().filter(|_| class.shared()), self.quota(class), here)
        else {
            return Some(here);
        };
        let name = Hash16::of("throttle", &[class.name().as_bytes(), &who.to_be_bytes()]);
        let everywhere = shared.judge(name, quota).await;
        Some(everywhere.map_or(Ok(here), |judged| self.told(class, judged)))
    }

    fn told(&self, class: Class, judged: Judged) -> Result<Standing, TooSoon> {
        match judged {
            Judged::Passed(left) => Ok(Standing { class, left }),
            Judged::Refused(retry_after) => {
                self.refused[class as usize].increment(1);
                Err(TooSoon { class, retry_after })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Left, Per};
    use super::*;

    /// Says what it was told to, and how often it was asked.
    struct Other(Option<Judged>, std::sync::atomic::AtomicUsize);

    #[async_trait::async_trait]
    impl Shared for Other {
        async fn judge(&self, _who: Hash16, _quota: Quota) -> Option<Judged> {
            self.1.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            self.0
        }
    }

    fn throttle(shared: Option<Arc<dyn Shared>>) -> Throttle {
        let quota = |class| (class != Class::ReadPerAddress).then(|| Quota::new(2, 1, Duration::from_secs(10)));
        Throttle::new(|class| quota(class).flatten(), shared)
    }

    #[test]
    fn classes_and_clients_are_counted_apart() {
        let throttle = throttle(None);
        let passes =
            |class, who: &str, at| throttle.charge(class, who, Duration::from_secs(at)).map(|judged| judged.is_ok());
        let table = [
            (Class::PlacePerAccount, "kim", Some(true)),
            (Class::PlacePerAccount, "kim", Some(true)),
            (Class::PlacePerAccount, "kim", Some(false)),
            (Class::PlacePerAccount, "lee", Some(true)),
            (Class::CommandPerAccount, "kim", Some(true)),
            (Class::ReadPerAddress, "kim", None),
        ];
        for (class, who, expected) in table {
            assert_eq!(passes(class, who, 100), expected, "{class:?} {who}");
        }
        assert_eq!(passes(Class::PlacePerAccount, "kim", 110), Some(true));
        let too_soon = throttle.charge(Class::PlacePerAccount, "kim", Duration::from_secs(110)).expect("limited");
        let too_soon = too_soon.expect_err("one each 10 s");
        assert_eq!(too_soon.retry_after, Duration::from_secs(10));
    }

    #[tokio::test]
    async fn all_nodes_count_together_where_they_can() {
        let no = Judged::Refused(Duration::from_secs(7));
        let yes = Judged::Passed(Left { requests: 5, full_in: Duration::from_secs(1) });
        for (said, expected) in [(Some(no), false), (Some(yes), true), (None, true)] {
            let other = Arc::new(Other(said, Default::default()));
            let throttle = throttle(Some(other.clone()));
            let first = throttle.charge_everywhere(Class::AuthPerAddress, 1, Duration::ZERO).await.expect("limited");
            assert_eq!(first.is_ok(), expected, "{said:?}");
            for _ in 0..3 {
                throttle.charge_everywhere(Class::AuthPerAddress, 1, Duration::ZERO).await.expect("limited").ok();
                throttle.charge_everywhere(Class::CommandPerAddress, 1, Duration::ZERO).await.expect("limited").ok();
            }
            // Two pass here; the others are refused without a question, and so is the class that each node counts alone.
            assert_eq!(other.1.load(std::sync::atomic::Ordering::Relaxed), 2, "{said:?}");
        }
    }

    #[test]
    fn names_are_unique_and_say_whom_they_count() {
        let names: std::collections::BTreeSet<_> = Class::ALL.iter().map(|class| class.name()).collect();
        assert_eq!(names.len(), Class::ALL.len());
        for (index, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, index);
            assert!(class.name().ends_with(class.per().as_str()), "{class:?}");
            assert!(!class.shared() || class.per() == Per::Address, "accounts are counted where commands are taken");
        }
    }
}
