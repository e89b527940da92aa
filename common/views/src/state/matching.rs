//! Matching: whether a condition is a part of a value, whatever the two are encoded in.
//!
//! | condition | is a part of |
//! |---|---|
//! | null, truth value, string, bytes | the same; never of another type |
//! | number | the same number: 1 is 1.0, NaN is nothing |
//! | list | a list of the same length, item by item *by part* |
//! | dictionary | one that has all its keys, each *by part* |
//!
//! Of double keys the last one counts, on both sides. A key that is NaN, a list or a dictionary equals nothing. What
//! is compared is a payload's one argument, if it has no other and no keyword arguments; else
//! `{"args": […], "kwargs": {…}}`. Both are compared as the values that they would be in MessagePack. What cannot be
//! read, or is beyond a bound, matches nothing.
//!
//! One pass over the value, beside the condition as a tree; nothing calls itself.
//!
//! Source: `docs/design/028-state.md`, *Matching*. This is version 1: another rule is another version of the attribute.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

use vixen_core::payload::PayloadError;
use vixen_core::payload::values::{Part, Scalar, Value, Values};
use vixen_core::payload::{sole_value, split};
use vixen_core::segment::{Content, Encoding, Judged};

/// Payloads above are looked into by no condition, in bytes.
pub const VALUE_BYTES_MAX: usize = 16 << 10;

/// Most values of a condition, lists and dictionaries included, keys not.
const CONDITION_VALUES_MAX: usize = 256;

/// Most lists and dictionaries of a condition around a value.
const CONDITION_DEPTH_MAX: usize = 32;

/// See the module. Of both sides: what the bytes are, and they.
pub(super) fn is_part_of(condition: (Content, &[u8]), payload: (Content, &[u8])) -> bool {
    let ((wanted, condition), (content, payload)) = (condition, payload);
    if payload.len() > VALUE_BYTES_MAX || condition.len() > Judged::CONDITION_BYTES_MAX {
        return false;
    }
    let tree = match wanted {
        Content::Raw => Some(Tree::of_bytes(condition)),
        Content::Arguments(encoding) => Tree::read(condition, encoding).ok().flatten(),
        Content::Later(_) => None,
    };
    let Some(tree) = tree else { return false };
    let mut walk = Walk::new(&tree);
    let is_read = match content {
        Content::Raw => {
            walk.take(scalar(Scalar::Bytes(Cow::Borrowed(payload))));
            Ok(())
        }
        Content::Arguments(encoding) => walk.take_payload(payload, encoding),
        Content::Later(_) => return false,
    };
    is_read.is_ok() && walk.result == Some(true)
}

const fn scalar(scalar: Scalar<'_>) -> Value<'_> {
    Value { part: Part::Scalar(scalar), is_key: false }
}

/// A scalar that is looked up by. Never NaN.
#[derive(Clone, Debug)]
struct Name<'a>(Scalar<'a>);

impl<'a> Name<'a> {
    fn of(scalar: Scalar<'a>) -> Option<Self> {
        let is_nan = matches!(scalar, Scalar::Float(number) if number.is_nan());
        (!is_nan).then_some(Self(scalar))
    }

    const fn rank(&self) -> u8 {
        match self.0 {
            Scalar::Null => 0,
            Scalar::Bool(_) => 1,
            Scalar::Int(_) => 2,
            Scalar::Float(_) => 3,
            Scalar::Str(_) => 4,
            Scalar::Bytes(_) => 5,
        }
    }
}

impl Ord for Name<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Scalar::Bool(one), Scalar::Bool(other)) => one.cmp(other),
            (Scalar::Int(one), Scalar::Int(other)) => one.cmp(other),
            // Whole ones are integers, so no two floats that are equal differ in their bits.
            (Scalar::Float(one), Scalar::Float(other)) => one.total_cmp(other),
            (Scalar::Str(one), Scalar::Str(other)) => one.cmp(other),
            (Scalar::Bytes(one), Scalar::Bytes(other)) => one.cmp(other),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Name<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Name<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Name<'_> {}

/// A condition; the first node is its root.
struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

enum Node<'a> {
    Scalar(Scalar<'a>),
    List(Vec<usize>),
    Map(BTreeMap<Name<'a>, Entry>),
}

/// A key of a dictionary.
#[derive(Clone, Copy)]
struct Entry {
    /// Its number among the keys of the dictionary, below [`CONDITION_VALUES_MAX`].
    slot: usize,
    node: usize,
}

impl<'a> Tree<'a> {
    fn of_bytes(bytes: &'a [u8]) -> Self {
        Self { nodes: vec![Node::Scalar(Scalar::Bytes(Cow::Borrowed(bytes)))] }
    }

    /// `None`: it is beyond a bound, or has a key that equals nothing.
    fn read(bytes: &'a [u8], encoding: Encoding) -> Result<Option<Self>, PayloadError> {
        let mut values = Values::new(bytes, encoding)?;
        let mut nodes: Vec<Node<'a>> = Vec::new();
        // Lists and dictionaries around, and the key that waits for its value.
        let mut around: Vec<(usize, Option<Name<'a>>)> = Vec::new();
        while let Some(Value { part, is_key }) = values.next_part()? {
            let node = match part {
                Part::End => {
                    around.pop();
                    continue;
                }
                Part::Scalar(scalar) if is_key => {
                    let (Some(name), Some((_, key))) = (Name::of(scalar), around.last_mut()) else {
                        return Ok(None);
                    };
                    *key = Some(name);
                    continue;
                }
                Part::List | Part::Map if is_key => return Ok(None),
                Part::Scalar(scalar) => Node::Scalar(scalar),
                Part::List => Node::List(Vec::new()),
                Part::Map => Node::Map(BTreeMap::new()),
            };
            let at = nodes.len();
            if at == CONDITION_VALUES_MAX {
                return Ok(None);
            }
            if let Some((parent, key)) = around.last_mut() {
                match (nodes.get_mut(*parent), key.take()) {
                    (Some(Node::List(items)), _) => items.push(at),
                    (Some(Node::Map(keys)), Some(name)) => {
                        let slot = keys.len();
                        let entry = keys.entry(name).or_insert(Entry { slot, node: at });
                        entry.node = at;
                    }
                    _ => return Ok(None),
                }
            }
            if !matches!(node, Node::Scalar(_)) {
                if around.len() == CONDITION_DEPTH_MAX {
                    return Ok(None);
                }
                around.push((at, None));
            }
            nodes.push(node);
        }
        Ok(Some(Self { nodes }))
    }
}

/// The way through a value, beside the condition.
struct Walk<'t> {
    tree: &'t Tree<'t>,
    /// Lists and dictionaries around that the condition has as well.
    frames: Vec<Frame<'t>>,
    /// How many are around that it has not; nothing in them is compared.
    skipped: usize,
    /// Whether the value that was read to its end has the condition as a part.
    result: Option<bool>,
}

enum Frame<'t> {
    List {
        items: &'t [usize],
        /// How many were read.
        read: usize,
        is_good: bool,
    },
    Map {
        keys: &'t BTreeMap<Name<'t>, Entry>,
        /// Which keys have what they are to have: a bit a slot.
        found: [u64; CONDITION_VALUES_MAX / 64],
        /// What the value to come is compared with.
        entry: Option<Entry>,
    },
}

impl<'t> Walk<'t> {
    const fn new(tree: &'t Tree<'t>) -> Self {
        Self { tree, frames: Vec::new(), skipped: 0, result: None }
    }

    /// Reads a payload of arguments to its end.
    fn take_payload(&mut self, payload: &[u8], encoding: Encoding) -> Result<(), PayloadError> {
        let (args, kwargs) = split(payload, encoding)?;
        if sole_value(payload, encoding)?.is_some() {
            // The list around the one argument is none of it.
            let mut values = Values::new(args.unwrap_or_default(), encoding)?;
            values.next_part()?;
            while let Some(value) = values.next_part()? {
                if self.result.is_none() {
                    self.take(value);
                }
            }
            return Ok(());
        }
        self.take(Value { part: Part::Map, is_key: false });
        for (name, part, bytes) in [("args", Part::List, args), ("kwargs", Part::Map, kwargs)] {
            self.take(Value { part: Part::Scalar(Scalar::Str(name.into())), is_key: true });
            match bytes {
                Some(bytes) => {
                    let mut values = Values::new(bytes, encoding)?;
                    while let Some(value) = values.next_part()? {
                        self.take(value);
                    }
                }
                None => {
                    self.take(Value { part, is_key: false });
                    self.take(Value { part: Part::End, is_key: false });
                }
            }
        }
        self.take(Value { part: Part::End, is_key: false });
        Ok(())
    }

    fn take(&mut self, value: Value<'_>) {
        let Value { part, is_key } = value;
        if self.skipped > 0 {
            match part {
                Part::List | Part::Map => self.skipped += 1,
                Part::End => {
                    self.skipped -= 1;
                    // What ends as a key has a value to come, which is compared with nothing.
                    if self.skipped == 0 && !is_key {
                        self.end_value(false);
                    }
                }
                Part::Scalar(_) => {}
            }
            return;
        }
        if is_key {
            self.begin_entry(part);
            return;
        }
        match part {
            Part::End => {
                let is_part = self.frames.pop().is_some_and(|frame| frame.is_part());
                self.end_value(is_part);
            }
            Part::Scalar(scalar) => {
                let is_part = matches!(self.wanted(), Some(Node::Scalar(one)) if *one == scalar);
                self.end_value(is_part);
            }
            Part::List => match self.wanted() {
                Some(Node::List(items)) => {
                    self.frames.push(Frame::List { items, read: 0, is_good: true });
                }
                Some(Node::Scalar(_) | Node::Map(_)) | None => self.skipped = 1,
            },
            Part::Map => match self.wanted() {
                Some(Node::Map(keys)) => {
                    let found = [0; CONDITION_VALUES_MAX / 64];
                    self.frames.push(Frame::Map { keys, found, entry: None });
                }
                Some(Node::Scalar(_) | Node::List(_)) | None => self.skipped = 1,
            },
        }
    }

    /// A key, or the begin of one.
    fn begin_entry(&mut self, part: Part<'_>) {
        let Some(Frame::Map { keys, entry, .. }) = self.frames.last_mut() else { return };
        *entry = match part {
            Part::Scalar(scalar) => Name::of(scalar).and_then(|name| entry_of(keys, &name)),
            Part::List | Part::Map => {
                self.skipped = 1;
                None
            }
            Part::End => None,
        };
    }

    /// What the value that begins is compared with.
    fn wanted(&self) -> Option<&'t Node<'t>> {
        let node = match self.frames.last() {
            None => 0,
            Some(Frame::List { items, read, .. }) => *items.get(*read)?,
            Some(Frame::Map { entry, .. }) => entry.as_ref()?.node,
        };
        self.tree.nodes.get(node)
    }

    fn end_value(&mut self, is_part: bool) {
        match self.frames.last_mut() {
            None => self.result = Some(is_part),
            Some(Frame::List { read, is_good, .. }) => {
                *read += 1;
                *is_good &= is_part;
            }
            Some(Frame::Map { found, entry, .. }) => {
                if let Some(Entry { slot, .. }) = entry.take()
                    && let Some(found) = found.get_mut(slot / 64)
                {
                    let bit = 1 << (slot % 64);
                    *found = if is_part { *found | bit } else { *found & !bit };
                }
            }
        }
    }
}

impl Frame<'_> {
    /// Of what was read to its end.
    fn is_part(&self) -> bool {
        match self {
            Self::List { items, read, is_good } => *is_good && *read == items.len(),
            Self::Map { keys, found, .. } => {
                found.iter().map(|bits| bits.count_ones() as usize).sum::<usize>() == keys.len()
            }
        }
    }
}

/// The names of a value live shorter than those of the condition.
fn entry_of<'n>(keys: &BTreeMap<Name<'n>, Entry>, name: &Name<'n>) -> Option<Entry> {
    keys.get(name).copied()
}
