//! What the reader of the order notes, in the log and the metrics.

use metrics::Counter;

use vixen_core::name::NodeName;
use vixen_core::order::{Note, Teller};
use vixen_core::roster::Roster;

/// What a node counts of its reading. Names and help are the tier's.
#[derive(Clone)]
pub struct ReaderCounters {
    /// Times a feed had forgotten what comes next.
    pub feeds_trimmed: Counter,
    /// Segments placed by rows of an ndb node.
    pub rows_fetched: Counter,
    /// What contradicts the order.
    pub violations: Counter,
}

impl ReaderCounters {
    /// Counts a note and writes it to the log, nodes by the names that `roster` has for them.
    pub fn note(&self, note: &Note, roster: &Roster) {
        match note {
            Note::FeedTrimmed { feed, to, delivered } => {
                self.feeds_trimmed.increment(1);
                let peer = roster.sync(*feed);
                tracing::info!(%peer, stamp = %to, %delivered, "feed has forgotten what comes next");
            }
            Note::FeedResumed { feed, after } => {
                let peer = roster.sync(*feed);
                tracing::info!(%peer, stamp = %after, "feed is followed again");
            }
            Note::RowsTaken { from, segments } => {
                self.rows_fetched.increment(*segments as u64);
                let peer = roster.ndb(*from);
                tracing::debug!(%peer, segments, "placed by the order of an ndb node");
            }
            Note::Contradicts { from, elected } => {
                self.violations.increment(1);
                tracing::error!(
                    peer = %name_of(*from, roster),
                    segment = %elected.meta.id,
                    stamp = %elected.stamp(),
                    "a feed, or the order of an ndb node, contradicts the order here"
                );
            }
            Note::BaseContradicts { from, base } => {
                self.violations.increment(1);
                tracing::error!(
                    peer = %roster.ndb(*from),
                    position = %base.next,
                    stamp = %base.stamp,
                    "where the order of an ndb node begins contradicts the order here"
                );
            }
        }
    }
}

fn name_of(teller: Teller, roster: &Roster) -> NodeName {
    match teller {
        Teller::Feed(id) => roster.sync(id),
        Teller::Order(id) => roster.ndb(id),
    }
}
