//! How many connections has one address open? A bound on each, since a node's connections are for everybody.
//!
//! Counted where connections are taken, not where requests are served: a request costs nothing here.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::addresses::{Networks, neighbourhood};
use crate::telemetry;

/// All open connections, by address. Cheap to clone. The default counts nobody.
#[derive(Clone, Default)]
pub struct Crowd(Option<Arc<Counted>>);

struct Counted {
    most: usize,
    uncounted: Vec<Networks>,
    open: Mutex<HashMap<u128, usize>>,
}

impl Crowd {
    /// `most` from one address; 0: any number.
    #[must_use]
    pub fn new(most: usize, uncounted: Vec<Networks>) -> Self {
        Self((most > 0).then(|| Arc::new(Counted { most, uncounted, open: Mutex::default() })))
    }

    /// `None`: that address has as many as it may.
    pub fn enter(&self, from: IpAddr) -> Option<Entry> {
        let Some(counted) = self.0.as_ref().filter(|one| !one.uncounted.iter().any(|all| all.contains(from))) else {
            return Some(Entry(None));
        };
        let who = neighbourhood(from);
        let mut open = counted.open.lock();
        let number = open.entry(who).or_default();
        if *number >= counted.most {
            metrics::counter!(telemetry::HTTP_CROWDED).increment(1);
            tracing::debug!(%from, "has as many connections as it may");
            return None;
        }
        *number += 1;
        Some(Entry(Some((counted.clone(), who))))
    }
}

/// One of them; dropped when it is closed.
pub struct Entry(Option<(Arc<Counted>, u128)>);

impl Drop for Entry {
    fn drop(&mut self) {
        let Some((counted, who)) = self.0.take() else { return };
        // Nobody's count stays behind: a node meets millions of addresses.
        if let Slot::Occupied(mut number) = counted.open.lock().entry(who) {
            *number.get_mut() -= 1;
            if *number.get() == 0 {
                number.remove();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_its_number_and_others_theirs() {
        let networks = Networks::parse("127.0.0.0/8").expect("networks");
        let crowd = Crowd::new(2, vec![networks, Networks::parse("10.0.0.1").expect("networks")]);
        let enter = |from: &str| crowd.enter(from.parse().expect("an address"));
        let mut inside = vec![enter("198.51.100.1"), enter("::ffff:198.51.100.1")];
        assert!(inside.iter().all(Option::is_some) && enter("198.51.100.1").is_none());
        inside.extend((0..9).map(|_| enter("127.0.0.1")));
        inside.extend((0..9).map(|_| enter("10.0.0.1")));
        inside.extend([enter("2001:db8::1"), enter("2001:db8::2")]);
        assert!(inside.iter().all(Option::is_some), "who is not counted has any number");
        assert!(enter("2001:db8::3").is_none() && enter("2001:db8:0:1::1").is_some());
        inside.remove(0);
        assert!(enter("198.51.100.1").is_some(), "one was closed");
        drop(inside);
        assert!(crowd.0.as_ref().is_some_and(|counted| counted.open.lock().is_empty()), "nothing is remembered");
        let any = Crowd::new(0, Vec::new());
        assert!((0..9).map(|_| any.enter(IpAddr::from([198, 51, 100, 1]))).all(|entry| entry.is_some()));
    }
}
