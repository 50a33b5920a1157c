//! Many buyers at once, at the last moment, and all of them given back: nobody pays without a seat, no seat goes unpaid.
