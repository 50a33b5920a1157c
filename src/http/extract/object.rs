//! Is this part of a body an object? The parser takes a list for one whose members are in order; members have names.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

/// An object inside of a body. That the whole of it is one, `Body` looks after.
#[derive(Clone, Debug)]
pub struct Object<T>(pub T);

struct Members<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(members)).map(Object)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use crate::http::coupons::NewCoupon;
    use crate::http::venues::NewVenue;

    #[test]
    fn members_have_names_at_any_depth() {
        let venue =
            |section: &str| serde_json::from_str::<NewVenue>(&format!(r#"{{"name":"a","sections":[{section}]}}"#));
        assert!(venue(r#"{"section":"A","grade":"R","rows":[{"row":"1","seats":2}]}"#).is_ok());
        assert!(venue(r#"["A","R",[{"row":"1","seats":2}]]"#).is_err());
        assert!(venue(r#"{"section":"A","grade":"R","rows":[["1",2]]}"#).is_err());
        assert!(venue(r#"{"section":"A","grade":"R","rows":[],"more":1}"#).is_err(), "and all of them are known");
        let coupon = |discount: &str| {
            let text = format!(
                r#"{{"name":"a","stock":1,"opens_at":"","closes_at":"","valid_until":"","discount":{discount}}}"#
            );
            serde_json::from_str::<NewCoupon>(&text)
        };
        assert!(coupon(r#"{"kind":"percent","value":10}"#).is_ok());
        assert!(coupon(r#"["percent",10,null,null,null]"#).is_err());
    }
}
