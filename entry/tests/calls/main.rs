//! Calls as raw WAMP against a real entry: one test for each row of the table in `docs/design/027-calls.md`
//! (*What each measured behaviour becomes*), by its words.

mod authority;
mod callees;
mod cancelling;
mod http;
mod meta;
mod passthru;
mod peer;
mod registrations;
mod reloads;
mod repeated;
mod results;
mod serializers;
mod stopping;

use peer::{Entry, Peer};
