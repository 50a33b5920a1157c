//! Tests of the whole edge.
