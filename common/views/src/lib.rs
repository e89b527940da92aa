//! Views of the order: what certain records in it make of each other. Each reader of the order computes them
//! by itself, and all that have read as far have the same.
//!
//! `record` is what is written, `registrations` the view of who is callee of which procedure, `follower` how
//! an entry comes to it (`docs/design/027-calls.md`). `state` is the view of which key has which value
//! (`docs/design/028-state.md`).
//!
//! Pure: records with their positions and times go in, outcomes come out. Nothing here reads a clock, a setting
//! or a random number, and all containers are ordered: equal records give equal views.

pub mod follower;
pub mod record;
pub mod registrations;
pub mod state;
