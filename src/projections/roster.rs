//! Which read models are there? The list from which everything that concerns all of them is made.

use super::{
    Projection, coupon_issues, coupons, notifications, orders, performances, rankings, sales, shows, store_payments,
    stores, venues,
};

/// Every read model. A new one is its file, its two migrations, and a line here.
pub static ROSTER: &[&dyn Projection] = &[
    &stores::Stores,
    &orders::Orders,
    &coupons::Coupons,
    &coupon_issues::CouponIssues,
    &store_payments::StorePayments,
    &venues::Venues,
    &shows::Shows,
    &performances::Performances,
    &sales::Sales,
    &rankings::Rankings,
    &notifications::Notifications,
];

/// The read model of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static dyn Projection> {
    ROSTER.iter().copied().find(|projection| projection.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roster_is_consistent() {
        for (number, projection) in ROSTER.iter().enumerate() {
            let name = projection.name();
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && name.len() <= 30, "{name}");
            assert!(ROSTER[..number].iter().all(|earlier| earlier.name() != name), "{name} is there twice");
            assert!(projection.version() > 0 && !projection.tables().is_empty(), "{name}");
            for table in projection.tables() {
                let bare = table.columns[..table.key].iter().all(|column| !column.nullable);
                assert!(table.key > 0 && bare, "{name}.{}: a key is never empty", table.name);
                for (schema, place) in [(projection.schema().postgres, "@."), (projection.schema().sqlite, "")] {
                    assert!(schema.contains(&format!("CREATE TABLE {place}{} (", table.name)), "{}", table.name);
                }
            }
        }
    }
}
