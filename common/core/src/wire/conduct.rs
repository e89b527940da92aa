//! What a linked peer may say: its tier's messages, about its own segments.
//!
//! HELLO has proved which tier the peer is of, and, with names in certificates, which node. Here it is
//! held to that: an entry neither votes nor elects nor answers reads, and opens no segments of other
//! entries. A message that is not the peer's to say ends the link, with the reason in its last word,
//! [`LinkRefused`](super::NodeMessage::LinkRefused).

use serde::{Deserialize, Serialize};

use crate::segment::SegmentMeta;
use crate::tier::Tier;
use crate::wire::{Message, PeerId, PublishMessage, ReplicaMessage};

/// What a peer has said that was not its to say. Why its link ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Misconduct {
    /// A message of other tiers.
    #[error("{message} is nothing that {} says to {}", .from.one(), .to.one())]
    OtherTier {
        /// Which.
        message: String,
        /// Of the one who said it.
        from: Tier,
        /// Of the one who got it.
        to: Tier,
    },
    /// A segment of another entry than the one that was proved.
    #[error("{message} is about a segment of another entry")]
    OtherOwner {
        /// Which.
        message: String,
    },
    /// What ndb nodes of one group say to each other, from another group.
    #[error("{message} is for the ndb nodes of one group")]
    OtherGroup {
        /// Which.
        message: String,
    },
}

impl Misconduct {
    /// Label of metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::OtherTier { .. } => "tier",
            Self::OtherOwner { .. } => "owner",
            Self::OtherGroup { .. } => "group",
        }
    }
}

/// Whether `message` is for `peer` to say to `own`.
///
/// # Errors
/// Why not.
pub fn judge(own: &PeerId, peer: &PeerId, message: &Message) -> Result<(), Misconduct> {
    let (from, to) = (peer.tier(), own.tier());
    let name = || message.name().to_owned();
    if !message.is_said(from, to) {
        return Err(Misconduct::OtherTier { message: name(), from, to });
    }
    match (peer, message) {
        (
            PeerId::Entry { owner },
            Message::Publish(
                PublishMessage::BeginAdvanceSegment { segment, .. }
                | PublishMessage::KeepAdvanceHistory { segment, .. }
                | PublishMessage::AwaitDurable { segment }
                | PublishMessage::AdvanceSegmentOver { meta: SegmentMeta { id: segment, .. } },
            ),
        ) if !segment.owner.is_of_entry(*owner) => Err(Misconduct::OtherOwner { message: name() }),
        (
            PeerId::Ndb { id, .. },
            Message::Replica(
                ReplicaMessage::OfferSegments { .. } | ReplicaMessage::Retaining { .. },
            ),
        ) if !is_of_group(own, id.group) => Err(Misconduct::OtherGroup { message: name() }),
        _ => Ok(()),
    }
}

fn is_of_group(own: &PeerId, group: crate::id::GroupId) -> bool {
    matches!(own, PeerId::Ndb { id, .. } if id.group == group)
}
