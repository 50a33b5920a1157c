//! Which roles can be named on the command line? Those that a verb knows; others are wrong usage.

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::auth::Role;

pub fn roles(known: impl IntoIterator<Item = Role>) -> impl TypedValueParser<Value = Role> {
    let names = PossibleValuesParser::new(known.into_iter().map(Role::as_str));
    names.try_map(|name| Role::parse(&name).ok_or("not a role"))
}
