//! Who is asking? Principals and the tokens that prove them.

pub mod principal;
