//! Which instances are checked when.

use crate::instance::{Instance, ParseInstanceError};

/// Exhaustive in about a minute together, for every change.
const SMALL: [&str; 20] = [
    "one-b1-c1-o1",
    "one-b1-c1-o1-cut02",
    "one-b2-c0-o3",
    "one-b0-c2-o0",
    "chain-b0-c1-o0",
    "chain-b1-c0-o2",
    "chain-b1-c0-o1-ahead2",
    "apart-b1-c0-o1",
    "apart-b1-c0-o1-cut02",
    "apart-b0-c0-o1-ahead1",
    "together-b1-c0-o1",
    "together-b0-c0-o1-ahead1",
    "mixed-b0-c0-o1",
    "mixed-b0-c0-o0-ahead1",
    "one-b1-c0-o1-wild1",
    "one-b1-c0-o1-j2",
    "one-b1-c0-o1-order-wild1",
    "one-b1-c0-o2-late01",
    "chain-b0-c0-o1-late012",
    "chain-b0-c0-o0-order-j1",
];

/// Exhaustive in about six minutes together, for a change of the protocol. What goes beyond, like
/// `one-b1-c2-o0` or `mixed-b1-c0-o1`, nobody has waited for: ask for it by name.
const LARGE: [&str; 7] = [
    "one-b2-c1-o1",
    "chain-b1-c1-o0",
    "chain-b0-c1-o1",
    "apart-b0-c1-o0",
    "apart-b0-c1-o0-cut02",
    "together-b0-c1-o0",
    "chain-b0-c0-o1-order-j1",
];

/// The instances of a set, or the one of that name.
pub(crate) fn named(name: &str) -> Result<Vec<Instance>, ParseInstanceError> {
    match name {
        "small" => SMALL.iter().map(|name| name.parse()).collect(),
        "large" => LARGE.iter().map(|name| name.parse()).collect(),
        _ => Ok(vec![name.parse()?]),
    }
}
