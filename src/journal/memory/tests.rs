//! Does the mischief do what it says? The contract itself is tested by `conformance.rs`.
