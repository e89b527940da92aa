//! A second view, beside one that a checkpoint differs from: until it is known which of the two is right.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use vixen_core::id::{OwnerId, Position};
use vixen_core::time::WallTime;

use crate::record::{CheckpointPart, Life, Record};
use crate::registrations::{CheckpointError, Outcome, Registrations};

/// Messages that are kept, at most, and their bytes: more than come between a checkpoint's as-of and its place.
const RECENT_MAX: usize = 4_096;
const RECENT_BYTES_MAX: usize = 16 << 20;

/// A message of the realm of records, as the view took it.
#[derive(Clone, Debug)]
struct Message {
    position: Position,
    at: WallTime,
    topic: Arc<str>,
    /// Of checkpoints none: they tell a view nothing but the time.
    payload: Bytes,
}

/// The last messages that a view took.
#[derive(Clone, Debug, Default)]
pub(super) struct Recent {
    messages: VecDeque<Message>,
    bytes: usize,
    /// All after this place are there.
    after: Position,
}

impl Recent {
    /// None yet: the view has everything up to there.
    pub(super) fn after(after: Position) -> Self {
        Self { after, ..Self::default() }
    }

    pub(super) fn push(
        &mut self,
        position: Position,
        at: WallTime,
        topic: Arc<str>,
        payload: &[u8],
    ) {
        let is_checkpoint = topic == Record::checkpoints().uri;
        // Copied: it is a small part of what it was read with, which would stay as long.
        let payload = if is_checkpoint { Bytes::new() } else { Bytes::copy_from_slice(payload) };
        self.bytes += payload.len();
        self.messages.push_back(Message { position, at, topic, payload });
        while self.messages.len() > RECENT_MAX || self.bytes > RECENT_BYTES_MAX {
            let Some(oldest) = self.messages.pop_front() else { return };
            self.bytes -= oldest.payload.len();
            self.after = oldest.position;
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Rival {
    /// Who wrote the checkpoint that it is of.
    pub(super) begun_by: OwnerId,
    pub(super) view: Registrations,
}

impl Rival {
    /// Of a whole checkpoint, up to where the own view is; `None` if messages are missing between.
    pub(super) fn begin(
        writer: Life,
        parts: &[CheckpointPart],
        recent: &Recent,
    ) -> Result<Option<Self>, CheckpointError> {
        let view = Registrations::restore(parts)?;
        if view.position() < recent.after {
            return Ok(None);
        }
        let mut rival = Self { begun_by: writer.owner, view };
        for Message { position, at, topic, payload } in &recent.messages {
            rival.take(*position, *at, topic, payload);
        }
        Ok(Some(rival))
    }

    pub(super) fn take(
        &mut self,
        position: Position,
        at: WallTime,
        topic: &str,
        payload: &[u8],
    ) -> Outcome {
        self.view.apply_message(position, at, topic, payload)
    }
}
