//! Parts of checkpoints as they are read, until one is whole.

use std::collections::BTreeMap;

use vixen_core::id::{Digest, Position};

use crate::record::{CheckpointPart, Life};

/// Unfinished checkpoints that are kept: of entries that write at once, or died while they did.
const OPEN_MAX: usize = 8;

/// What parts of one checkpoint have alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Whole {
    writer: Life,
    as_of: Position,
    chain: Digest,
    parts: u32,
}

/// See the module. Read backward, the first that is whole is the newest.
#[derive(Clone, Debug, Default)]
pub struct Gathered {
    /// In the order of their last part that came.
    open: Vec<(Whole, BTreeMap<u32, CheckpointPart>)>,
}

impl Gathered {
    /// Takes a part of a checkpoint into account; all of its parts in their order, if it is whole now. What
    /// comes of it again later begins it anew.
    pub fn add(&mut self, writer: Life, part: CheckpointPart) -> Option<Vec<CheckpointPart>> {
        let (as_of, chain, parts) = (part.as_of, part.chain, part.parts);
        let whole = Whole { writer, as_of, chain, parts };
        let there = self.open.iter().position(|(open, _)| *open == whole);
        let mut there = match there {
            Some(at) => self.open.remove(at).1,
            None => BTreeMap::new(),
        };
        there.insert(part.part, part);
        if u32::try_from(there.len()) == Ok(parts) {
            return Some(there.into_values().collect());
        }
        if self.open.len() == OPEN_MAX {
            self.open.remove(0);
        }
        self.open.push((whole, there));
        None
    }
}
