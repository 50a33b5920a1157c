//! Who sits where? Places for streams, bounded per node, per account and per address.
//!
//! A place is taken before anything is read for its visitor, and is given back by being dropped. Which topic is watched
//! from it, this file does not know.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::addresses::{Networks, neighbourhood};
use crate::ids::AccountId;
use crate::limits;
use crate::telemetry;

/// Who wants a place.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// `None`: a public stream, which asks for no name.
    pub account: Option<AccountId>,
    /// Where the visitor is, behind our own proxies.
    pub address: Option<IpAddr>,
}

/// How many places there are. 0 per account or address: any number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    pub per_node: usize,
    pub per_account: usize,
    pub per_address: usize,
    /// Whose addresses are not counted: our own proxies stand for many people.
    pub uncounted: Networks,
}

impl Default for Places {
    fn default() -> Self {
        Self { per_node: limits::WATCHERS, per_account: 0, per_address: 0, uncounted: Networks::default() }
    }
}

/// Which bound a visitor met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    Node,
    Account,
    Address,
}

impl Bound {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Account => "account",
            Self::Address => "address",
        }
    }
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_account: HashMap<AccountId, usize>,
    by_address: HashMap<u128, usize>,
}

struct Room {
    places: Places,
    taken: Mutex<Taken>,
}

/// All places of a node. Cheap to clone.
#[derive(Clone)]
pub(super) struct Seating(Arc<Room>);

impl Seating {
    pub fn new(places: Places) -> Self {
        Self(Arc::new(Room { places, taken: Mutex::default() }))
    }

    pub fn taken(&self) -> usize {
        self.0.taken.lock().all
    }

    /// A place, unless too many are taken already. A visitor's own bounds come first: they are what the visitor can change.
    pub fn take(&self, who: &Visitor) -> Result<Place, Bound> {
        let taken = self.try_take(who);
        if let Err(bound) = &taken {
            metrics::counter!(telemetry::WATCHERS_REFUSED, "why" => bound.as_str()).increment(1);
        }
        taken
    }

    fn try_take(&self, who: &Visitor) -> Result<Place, Bound> {
        let places = &self.0.places;
        let address = who.address.filter(|address| !places.uncounted.contains(*address)).map(neighbourhood);
        let mut taken = self.0.taken.lock();
        let full = |taken: usize, most: usize| most > 0 && taken >= most;
        if who.account.as_ref().is_some_and(|who| full(number(&taken.by_account, who), places.per_account)) {
            return Err(Bound::Account);
        }
        if address.is_some_and(|from| full(number(&taken.by_address, &from), places.per_address)) {
            return Err(Bound::Address);
        }
        if taken.all >= places.per_node {
            return Err(Bound::Node);
        }
        taken.all += 1;
        if let Some(account) = &who.account {
            *taken.by_account.entry(account.clone()).or_default() += 1;
        }
        if let Some(address) = address {
            *taken.by_address.entry(address).or_default() += 1;
        }
        Ok(Place { seating: self.clone(), account: who.account.clone(), address })
    }
}

/// A place that is taken.
pub(super) struct Place {
    seating: Seating,
    account: Option<AccountId>,
    address: Option<u128>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.seating.0.taken.lock();
        taken.all -= 1;
        if let Some(account) = self.account.take() {
            give_back(&mut taken.by_account, account);
        }
        if let Some(address) = self.address {
            give_back(&mut taken.by_address, address);
        }
    }
}

fn number<K: Eq + Hash>(counts: &HashMap<K, usize>, key: &K) -> usize {
    counts.get(key).copied().unwrap_or(0)
}

/// Nobody's count stays behind: a node meets millions of addresses.
fn give_back<K: Eq + Hash>(counts: &mut HashMap<K, usize>, key: K) {
    if let Entry::Occupied(mut count) = counts.entry(key) {
        *count.get_mut() -= 1;
        if *count.get() == 0 {
            count.remove();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visitor(account: &str, address: &str) -> Visitor {
        let account = (!account.is_empty()).then(|| AccountId::new(account));
        let address = (!address.is_empty()).then(|| address.parse().expect("an address"));
        Visitor { account, address }
    }

    fn seating(per_node: usize, per_account: usize, per_address: usize, uncounted: &str) -> Seating {
        let uncounted = Networks::parse(uncounted).expect("networks");
        Seating::new(Places { per_node, per_account, per_address, uncounted })
    }

    #[test]
    fn each_bound_holds_and_a_place_given_back_is_free() {
        let seating = seating(5, 2, 3, "");
        let table = [
            ("kim", "198.51.100.1", None),
            ("kim", "198.51.100.2", None),
            // The account's own bound comes first, whatever the address has left.
            ("kim", "198.51.100.3", Some(Bound::Account)),
            ("lee", "198.51.100.1", None),
            ("", "198.51.100.1", None),
            ("", "198.51.100.1", Some(Bound::Address)),
            // The same address written as IPv6.
            ("park", "::ffff:198.51.100.1", Some(Bound::Address)),
            ("lee", "", None),
            ("", "198.51.100.9", Some(Bound::Node)),
        ];
        let mut held = Vec::new();
        for (account, address, expected) in table {
            match seating.take(&visitor(account, address)) {
                Ok(place) => {
                    assert_eq!(expected, None, "{account} {address}");
                    held.push(place);
                }
                Err(bound) => assert_eq!(Some(bound), expected, "{account} {address}"),
            }
        }
        assert_eq!(seating.taken(), 5);
        held.remove(0);
        assert!(seating.take(&visitor("kim", "198.51.100.1")).is_ok());
        held.clear();
        let left = seating.0.taken.lock();
        assert_eq!((left.all, left.by_account.len(), left.by_address.len()), (0, 0, 0), "nothing is remembered");
    }

    #[test]
    fn an_ipv6_customer_is_one_address_and_proxies_are_none() {
        let uncounted = "127.0.0.0/8, ::1, 10.1.0.0/16, 0.0.0.0";
        let table = [
            ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", false),
            ("2001:db8:1:2::1", "2001:db8:1:3::1", true),
            ("198.51.100.1", "198.51.100.2", true),
            ("127.0.0.1", "127.0.0.1", true),
            ("127.9.9.9", "127.9.9.9", true),
            ("::ffff:127.0.0.1", "127.0.0.1", true),
            ("::1", "::1", true),
            ("::2", "::2", false),
            ("10.1.255.255", "10.1.255.255", true),
            ("10.2.0.1", "10.2.0.1", false),
        ];
        for (first, second, both) in table {
            let seating = seating(9, 0, 1, uncounted);
            let _first = seating.take(&visitor("a", first)).expect("the first one sits");
            assert_eq!(seating.take(&visitor("a", second)).is_ok(), both, "{first} {second}");
        }
        let everybody = seating(9, 0, 1, "0.0.0.0/0");
        let _first = everybody.take(&visitor("", "198.51.100.1")).expect("a place");
        assert!(everybody.take(&visitor("", "198.51.100.1")).is_ok());
    }
}
