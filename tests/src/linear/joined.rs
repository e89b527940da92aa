//! Which keys have to be judged together: those that some operation joins.

use std::collections::BTreeMap;

use super::history::{Key, Operation};

/// Operations of keys that nothing joins with others, by their places in the history.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    pub(super) keys: Vec<Key>,
    pub(super) operations: Vec<usize>,
}

/// All of them, by their lowest key.
pub(super) fn sets(history: &[Operation]) -> Vec<Set> {
    let mut parents = BTreeMap::new();
    for operation in history {
        let keys = operation.keys();
        for key in &keys {
            let (one, other) = (root(&mut parents, keys[0]), root(&mut parents, *key));
            parents.insert(one.max(other), one.min(other));
        }
    }
    let mut sets = BTreeMap::<Key, Set>::new();
    for key in parents.keys().copied().collect::<Vec<_>>() {
        sets.entry(root(&mut parents, key)).or_default().keys.push(key);
    }
    for (place, operation) in history.iter().enumerate() {
        if let Some(key) = operation.keys().first() {
            sets.entry(root(&mut parents, *key)).or_default().operations.push(place);
        }
    }
    sets.into_values().collect()
}

/// The lowest key of the set; all on the way there point to it afterwards.
fn root(parents: &mut BTreeMap<Key, Key>, key: Key) -> Key {
    let mut root = key;
    while let Some(parent) = parents.get(&root).filter(|parent| **parent != root) {
        root = *parent;
    }
    let mut next = key;
    while next != root {
        next = parents.insert(next, root).unwrap_or(root);
    }
    parents.entry(root).or_insert(root);
    root
}
