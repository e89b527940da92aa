//! What the reader of the order notes, in the log.

use vixen_core::name::NodeName;
use vixen_core::order::{Note, Teller};
use vixen_core::roster::Roster;

/// Writes a note to the log, nodes by the names that `roster` has for them.
pub fn log_note(note: &Note, roster: &Roster) {
    match note {
        Note::FeedTrimmed { feed, to, delivered } => {
            let peer = roster.sync(*feed);
            tracing::info!(%peer, stamp = %to, %delivered, "feed has forgotten what comes next");
        }
        Note::FeedResumed { feed, after } => {
            let peer = roster.sync(*feed);
            tracing::info!(%peer, stamp = %after, "feed is followed again");
        }
        Note::RowsTaken { from, segments } => {
            let peer = roster.ndb(*from);
            tracing::debug!(%peer, segments, "segments have their places by the order of an ndb node");
        }
        Note::Contradicts { from, elected } => {
            tracing::error!(
                peer = %name_of(*from, roster), segment = %elected.meta.id, stamp = %elected.stamp(),
                "a feed, or the order of an ndb node, contradicts the order here"
            );
        }
        Note::BaseContradicts { from, base } => {
            tracing::error!(
                peer = %roster.ndb(*from), position = %base.next, stamp = %base.stamp,
                "where the order of an ndb node begins contradicts the order here"
            );
        }
    }
}

fn name_of(teller: Teller, roster: &Roster) -> NodeName {
    match teller {
        Teller::Feed(id) => roster.sync(id),
        Teller::Order(id) => roster.ndb(id),
    }
}
