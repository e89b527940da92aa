//! What a sync node keeps beside the vote: of its peers, of readers, of ndb nodes, and of itself.
//!
//! | what | module |
//! |---|---|
//! | how far each peer's store is, and whether that is believed | `standing` |
//! | links to peers, whose messages count, and what each was told | `links` |
//! | what peers and ndb nodes missed, from the store | `catch_up` |
//! | what readers are told: elections, and the watermark after them | `feeds` |
//! | which elections may be forgotten | `retention` |
//! | whether this node can do its part | `health` |
//! | since when nothing came from an entry | `hearing` |
//! | since when segments are pending, and when that is said again | `retries` |
//!
//! All of it is pure, as the vote is. `L` is what a driver knows a link by.

mod catch_up;
mod feeds;
mod health;
mod hearing;
mod links;
mod retention;
mod retries;
mod standing;

use std::time::Duration;

use vixen_core::id::{OwnerId, Seq, Stamp};
use vixen_core::segment::Elected;
use vixen_core::wire::Message;

pub use catch_up::{CaughtUp, answer, caught_up};
pub use feeds::{FeedReport, Feeds};
pub use health::Health;
pub use hearing::Hearing;
pub use links::{Heard, Known, Peers};
pub use retention::Retention;
pub use retries::{Look, Retries};
pub use standing::{Standing, Standings};

/// What leaves by links, in this order.
pub type Outbox<L> = Vec<(L, Message)>;

/// The elections of a store.
pub trait Elections {
    /// Why it cannot be read.
    type Error;

    /// Those above `after`, by stamp, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn elected_after(&self, after: Stamp, limit: usize) -> Result<Vec<Elected>, Self::Error>;

    /// Those of `owner` above `after`, by seq, at most `limit`.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn elected_of(
        &self,
        owner: OwnerId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Elected>, Self::Error>;
}

/// Rows of the store read for one node in one go.
const BATCH: usize = 4_096;

/// Pause between reads of the store for readers whose links were full.
pub const READ_ON: Duration = Duration::from_millis(2);
