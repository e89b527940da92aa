//! Prefixes of one realm, sorted: those that a text begins with.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use super::Steps;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Prefixes<V> {
    sorted: BTreeMap<Arc<str>, V>,
}

impl<V> Default for Prefixes<V> {
    fn default() -> Self {
        Self { sorted: BTreeMap::new() }
    }
}

impl<V> Prefixes<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    pub(super) fn get(&self, prefix: &str) -> Option<&V> {
        self.sorted.get(prefix)
    }

    pub(super) fn get_mut(&mut self, prefix: &str) -> Option<&mut V> {
        self.sorted.get_mut(prefix)
    }

    pub(super) fn insert(&mut self, prefix: &Arc<str>, value: V) -> Option<V> {
        self.sorted.insert(Arc::clone(prefix), value)
    }

    pub(super) fn remove(&mut self, prefix: &str) -> Option<V> {
        self.sorted.remove(prefix)
    }

    /// Goes down from the last entry that is not above the text. Where an entry parts from the text
    /// after n bytes, no prefix of the text that is longer than n lies below it: the next look is
    /// for the first n bytes. So each look but the first shortens what is looked for.
    pub(super) fn walk<'a>(
        &'a self,
        text: &str,
        steps: &mut Steps,
        found: &mut impl FnMut(&'a V) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut bound = Bound::Included(text);
        loop {
            let below = self.sorted.range::<str, _>((Bound::Unbounded, bound)).next_back();
            let Some((prefix, value)) = below else { return ControlFlow::Continue(()) };
            steps.0 += 1;
            let common = common_bytes(prefix, text);
            if common == prefix.len() {
                found(value)?;
                bound = Bound::Excluded(&text[..common]);
            } else {
                bound = Bound::Included(&text[..text.floor_char_boundary(common)]);
            }
        }
    }
}

fn common_bytes(a: &str, b: &str) -> usize {
    a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count()
}
