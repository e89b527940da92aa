//! Parts of checkpoints as they are read, until one is whole.
//!
//! An entry writes the parts of a checkpoint one after the other, and one checkpoint after the other. So of an
//! entry at most one is open, and the next part of it is the one after the last that came, where parts are read
//! forward, or the one before, where backward: any other shows that the open one is never whole.

use std::collections::{BTreeMap, VecDeque};

use vixen_core::id::{OwnerId, Position};
use vixen_core::time::WallTime;

use crate::record::{CheckpointPart, Life, STATE_BYTES_MAX};

/// What parts of unfinished checkpoints may have in memory, all together, in bytes.
const BYTES_MAX: usize = 1 << 30;

/// What a part costs beside its state.
const PART_BYTES: usize = 256;

/// A checkpoint of which not all parts have come.
#[derive(Clone, Debug)]
pub(super) struct Open {
    writer: Life,
    /// Where the part stood that came last.
    last: Position,
    /// Without a gap, in their order; never none.
    parts: VecDeque<CheckpointPart>,
    bytes: usize,
}

/// See the module. Read backward, the first that is whole is that whose first part stands last: others that
/// are whole may be of a later place.
#[derive(Clone, Debug)]
pub struct Gathered {
    pub(super) open: BTreeMap<OwnerId, Open>,
    pub(super) bytes: usize,
    bytes_max: usize,
}

impl Default for Gathered {
    fn default() -> Self {
        Self::with_bytes_max(BYTES_MAX)
    }
}

fn bytes_of(part: &CheckpointPart) -> usize {
    PART_BYTES + part.state.len()
}

impl Open {
    fn new(position: Position, writer: Life, part: CheckpointPart) -> Self {
        let bytes = bytes_of(&part);
        Self { writer, last: position, parts: VecDeque::from([part]), bytes }
    }

    fn is_whole(&self) -> bool {
        let first = self.parts.front();
        first.is_some_and(|first| u32::try_from(self.parts.len()) == Ok(first.parts))
    }

    /// Takes the part after or before all that are there; gives another back.
    fn take(&mut self, position: Position, part: CheckpointPart) -> Result<(), CheckpointPart> {
        let (Some(first), Some(last)) = (self.parts.front(), self.parts.back()) else {
            return Err(part);
        };
        if !part.is_of_one_with(first) {
            return Err(part);
        }
        let bytes = bytes_of(&part);
        if position < self.last && part.part.checked_add(1) == Some(first.part) {
            self.parts.push_front(part);
        } else if position > self.last && last.part.checked_add(1) == Some(part.part) {
            self.parts.push_back(part);
        } else {
            return Err(part);
        }
        self.last = position;
        self.bytes += bytes;
        Ok(())
    }
}

impl CheckpointPart {
    /// Whether both say the same of the checkpoint that they are of.
    pub(super) fn is_of_one_with(&self, other: &Self) -> bool {
        let facts = |of: &Self| (of.version, of.as_of, of.time, of.records, of.chain, of.parts);
        facts(self) == facts(other)
    }

    /// Whether it may stand at a position, in a message with such a stamp.
    pub(super) fn may_stand(&self, position: Position, at: WallTime) -> bool {
        self.as_of < position && self.time <= at
    }
}

impl Gathered {
    /// With a bound of its own for what is unfinished.
    #[must_use]
    pub const fn with_bytes_max(bytes_max: usize) -> Self {
        Self { open: BTreeMap::new(), bytes: 0, bytes_max }
    }

    /// Takes a part of a checkpoint into account that stood at `position`, in a message with a stamp of that
    /// time: all parts, in their order, if it is whole now. One that cannot be true is passed over.
    pub fn add(
        &mut self,
        position: Position,
        at: WallTime,
        writer: Life,
        part: CheckpointPart,
    ) -> Option<Vec<CheckpointPart>> {
        if !part.may_stand(position, at) || part.state.len() > STATE_BYTES_MAX {
            return None;
        }
        let open = self.remove(writer.owner).filter(|open| open.writer == writer);
        let open = match open {
            Some(mut open) => match open.take(position, part) {
                Ok(()) => open,
                Err(part) => Self::first(position, writer, part)?,
            },
            None => Self::first(position, writer, part)?,
        };
        if open.is_whole() {
            return Some(open.parts.into());
        }
        self.bytes += open.bytes;
        self.open.insert(writer.owner, open);
        while self.bytes > self.bytes_max {
            let largest = self.open.iter().max_by_key(|(_, open)| open.bytes);
            let owner = *largest?.0;
            self.remove(owner);
        }
        None
    }

    /// A part that others may follow.
    fn first(position: Position, writer: Life, part: CheckpointPart) -> Option<Open> {
        let is_first = part.part == 0 || part.part.checked_add(1) == Some(part.parts);
        is_first.then(|| Open::new(position, writer, part))
    }

    fn remove(&mut self, owner: OwnerId) -> Option<Open> {
        let open = self.open.remove(&owner)?;
        self.bytes -= open.bytes;
        Some(open)
    }
}
