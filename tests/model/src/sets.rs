//! Which instances are checked when.

use crate::instance::{Instance, ParseInstanceError};

/// Exhaustive in about a minute together, for every change.
const SMALL: [&str; 14] = [
    "one-b0-c0-o1-lag",
    "one-b1-c0-o1-lag",
    "one-b1-c0-o1-cut01-lag",
    "one-b1-c0-o1-cut02-lag",
    "one-b1-c0-o1-cut12-lag",
    "one-b0-c1-o0-lag",
    "one-b1-c1-o0-cut12",
    "chain-b0-c0-o0-lag",
    "chain-b0-c0-o0-late012",
    "chain-b0-c0-o0-order",
    "apart-b0-c0-o0",
    "together-b0-c0-o0",
    "one-b1-c0-o1-wild1",
    "one-b1-c0-o1-order-wild1",
];

/// Larger ones, for a change of the protocol: some are not done in an hour, so give a time.
const LARGE: [&str; 19] = [
    "apart-b0-c0-o0-lag",
    "together-b0-c0-o0-lag",
    "one-b1-c0-o2",
    "one-b1-c0-o2-late01",
    "one-b1-c0-o1-j1",
    "one-b0-c1-o0-ahead1",
    "one-b1-c1-o0",
    "one-b1-c1-o0-ahead2",
    "one-b0-c1-o1",
    "one-b1-c1-o1",
    "one-b1-c1-o1-cut12",
    "chain-b0-c0-o0-cut12-ahead0",
    "chain-b0-c0-o1",
    "chain-b0-c1-o0",
    "chain-b2-c1-o0-cut12",
    "apart-b0-c0-o0-cut12-ahead0",
    "apart-b0-c0-o1-ahead1",
    "together-b0-c0-o1-ahead1",
    "mixed-b0-c0-o0",
];

/// The instances of a set, or the one of that name.
pub(crate) fn named(name: &str) -> Result<Vec<Instance>, ParseInstanceError> {
    match name {
        "small" => SMALL.iter().map(|name| name.parse()).collect(),
        "large" => LARGE.iter().map(|name| name.parse()).collect(),
        _ => Ok(vec![name.parse()?]),
    }
}
