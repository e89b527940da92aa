//! Which of the other entries may be gone: links and sync nodes tell the registrar, which asks sync nodes, and has it
//! written in the order (`docs/design/027-calls.md`, *Who is gone, and who says so*).

use vixen_broker::registrar::{EntryLink, HeardOf, Input};
use vixen_core::id::{OwnerId, SyncId};
use vixen_core::wire::{Dialect, FeedMessage, Message};

use super::super::run::EntryNode;
use super::{CallEffects, Calls};

impl Calls {
    /// The link to another entry has changed.
    pub(super) fn entry_link(&mut self, owner: OwnerId, link: EntryLink, fx: &mut CallEffects) {
        self.step_registrar(Input::Entry { owner, link }, fx);
    }

    /// A sync node says what it has heard of an entry.
    pub(in crate::node) fn heard_of(
        &mut self,
        from: SyncId,
        request: u64,
        said: HeardOf,
        fx: &mut CallEffects,
    ) {
        self.step_registrar(Input::Heard { from, request, said }, fx);
    }
}

impl EntryNode {
    /// Asks all sync nodes that understand it since when they have heard nothing of these entries.
    pub(super) fn ask_heard(&self, asks: Vec<(u64, OwnerId)>) {
        if asks.is_empty() {
            return;
        }
        let asks = asks.into_iter();
        let asks = asks.map(|(request, owner)| FeedMessage::AskHeard { request, owner });
        let version = (Dialect::Feed, FeedMessage::HEARD_SINCE);
        self.sync.send_to_all(version, &asks.map(Message::from).collect::<Vec<_>>());
    }
}
