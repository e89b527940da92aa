//! What one ndb node does, without its disk and its links.
//!
//! ```text
//!  links: what peers say ----> +-- node ----------------------------------------+ ----> sends
//!  the store: commits, reads ->|  Reader   the order, from feeds and from peers | ----> jobs for the writer
//!  time ---------------------->|  Replica  segments, from BEGIN to their place  | ----> looks at the disk
//!                              |  awaiting, write buffer, disk                  | ----> what tails see
//!                              |  upkeep   fetch, offers, retention, audit, ... |
//!                              +------------------------------------------------+
//!  tail: the stream to one entry, over the recent end of the order and the store
//! ```
//! [`NdbCore`] composes the machines; a driver, or a simulation, gives it inputs with a time and does
//! what the [`Effects`] say. [`tail::Tail`] is a machine of its own, one an entry. Nothing here
//! reaches a clock, a socket or a disk.

mod awaiting;
mod disk;
mod durable;
mod node;
pub mod replica;
mod rows;
mod storage;
pub mod tail;
mod upkeep;
mod write_buffer;

#[cfg(test)]
mod sample;

pub use disk::{DiskNews, DiskRoom};
pub use durable::Durable;
pub use node::{
    CORE, CoreOptions, CoreStart, Effects, Input, Look, NdbCore, Note, Read, RetentionState, To,
};
pub use replica::{Body, Place, Refused, Replica, ReplicaOptions, Store};
pub use rows::{BEGINNING, Lost, Mark, OrderRow, Recovered};
pub use storage::{Committed, Extended, Finding, Job};
pub use upkeep::{CatchUpReport, Compared, RetentionPolicy};
