//! How is a parked key named to the outside? By its projection and the place of its first event, in one short text.

use std::fmt;

use super::{Projection, named};
use crate::ids::{LogPosition, Partition, Position};

/// The name of a parked key: `<projection>.<partition>.<position>`.
#[derive(Clone, Copy)]
pub struct ParkedId {
    pub projection: &'static dyn Projection,
    pub place: LogPosition,
}

impl ParkedId {
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (name, partition, position) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
        let place = LogPosition { partition: Partition(partition), position: Position(position) };
        let id = Self { projection: named(name)?, place };
        // One spelling only.
        (parts.next().is_none() && id.to_string() == text).then_some(id)
    }
}

impl fmt::Display for ParkedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.projection.name(), self.place.partition, self.place.position)
    }
}

impl fmt::Debug for ParkedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        assert_eq!(ParkedId::parse("stores.3.17").map(|id| id.to_string()).as_deref(), Some("stores.3.17"));
        for junk in
            ["", "stores", "stores.3", "stores.3.017", "stores.3.17.1", "nothing.3.17", "stores.x.17", "stores.-3.1"]
        {
            assert!(ParkedId::parse(junk).is_none(), "{junk}");
        }
    }
}
