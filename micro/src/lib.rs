//! The steps of a message, each alone and without a socket or a disk: its instructions are
//! counted under valgrind (`instructions`), and its allocations by the allocator, so that a regression shows on a noisy
//! machine.
//!
//! A case is made ready once, and done as often as wanted; it gives out how many messages, or segments, one doing is.

pub mod allocations;
mod events;
mod links;
mod segments;
mod vote;
mod wamp;

/// Something to be done again and again. What it gives back is not to be optimised away.
pub type Case = Box<dyn FnMut() -> usize>;

/// How a case is made ready.
pub type Make = fn() -> Case;

/// All cases: name, how many messages or segments one doing is, and how it is made ready.
pub const CASES: [(&str, usize, Make); 8] = [
    ("wamp-publish-json", wamp::MESSAGES, wamp::publish_json),
    ("wamp-events-json", events::MESSAGES, events::encode_json),
    ("wamp-events-msgpack", events::MESSAGES, events::encode_msgpack),
    ("link-frame-write", links::MESSAGES, links::write),
    ("link-frame-read", links::MESSAGES, links::read),
    ("segment-build", segments::MESSAGES, segments::build),
    ("segment-verify-and-open", segments::MESSAGES, segments::verify),
    ("vote-elect", vote::SEGMENTS, vote::elect),
];
