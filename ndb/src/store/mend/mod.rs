//! Mending: what is not as it was written is found, and put right where no peer is needed, or with what
//! peers gave.

mod repair;
mod scrub;
mod tree;

pub(crate) use scrub::ScrubStep;
