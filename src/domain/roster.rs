//! Which nouns are there? The list for whoever has to do something for each of them.

use super::{Aggregate, coupon, member, order, performance, seat, show, store, venue};

/// Something to do for every noun, without naming them: deadlines, registries, checks.
pub trait EachAggregate {
    fn visit<A: Aggregate>(&mut self);
}

/// The roster: one line per noun.
pub fn each_aggregate(visitor: &mut impl EachAggregate) {
    visitor.visit::<seat::Seat>();
    visitor.visit::<order::Order>();
    visitor.visit::<member::Member>();
    visitor.visit::<coupon::Coupon>();
    visitor.visit::<store::Store>();
    visitor.visit::<performance::Performance>();
    visitor.visit::<show::Show>();
    visitor.visit::<venue::Venue>();
}
