//! Durable: what a commit has made sure of.
//!
//! Three messages say that something is on this node's disk, and others count on it: GENERATE_DRAFT,
//! SEGMENT_DURABLE, ORDER_APPLIED. They are made of a [`Durable`] and of nothing else, and that only a
//! report of the store makes, or what it had when it was opened. So whatever is among the effects may
//! leave at once.

use vixen_core::id::{SegmentId, Stamp};
use vixen_core::segment::SegmentMeta;
use vixen_core::wire::{DraftMessage, Message, PublishMessage};

/// See the module doc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Durable<T>(T);

impl<T> Durable<T> {
    /// The store has said that it is on disk.
    pub(crate) const fn committed(value: T) -> Self {
        Self(value)
    }
}

impl<T: Copy> Durable<T> {
    /// What is on disk.
    #[must_use]
    pub const fn get(&self) -> T {
        self.0
    }
}

impl Durable<SegmentMeta> {
    /// The segment's id.
    #[must_use]
    pub const fn id(&self) -> Durable<SegmentId> {
        Durable(self.0.id)
    }

    /// To sync nodes: one more node of the group has it.
    #[must_use]
    pub const fn generate_draft(self) -> Message {
        Message::Draft(DraftMessage::GenerateDraft { meta: self.0 })
    }
}

impl Durable<SegmentId> {
    /// To its entry, which waits to hear of it.
    #[must_use]
    pub const fn segment_durable(self) -> Message {
        Message::Publish(PublishMessage::SegmentDurable { segment: self.0 })
    }
}

impl Durable<Stamp> {
    /// To sync nodes: they may forget the order up to here.
    #[must_use]
    pub const fn order_applied(self) -> Message {
        Message::Draft(DraftMessage::OrderApplied { stamp: self.0 })
    }
}
