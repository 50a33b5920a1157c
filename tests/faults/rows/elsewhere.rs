//! Rows of the table that cannot be tried on processes from outside, and where they are tried instead. They are listed, so
//! that nobody takes their absence for a pass.

use super::{Row, USUAL};

const fn row(name: &'static str, promise: &'static str, elsewhere: &'static str) -> Row {
    Row { name, promise, elsewhere, ..USUAL }
}

pub fn rows() -> Vec<Row> {
    vec![
        row(
            "old-and-new",
            "old and new binary together: unknown event versions are refused with the position",
            "there is one binary in a build; the tests of the journal and of the codec write kinds and versions from the future",
        ),
        row(
            "poison",
            "an actor panics on a poison command: it fails once, the actor is reloaded, others go on",
            "nobody knows a command that makes a rule panic; the simulator makes rules panic at random",
        ),
        row(
            "handover",
            "a partition moves to another node under load, one after the other",
            "nodes do not share partitions yet: `stop-owner`, `term` and `same-name` move all of them at once",
        ),
    ]
}
