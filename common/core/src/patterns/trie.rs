//! A tree whose edges are components of topics, each of them one text or any.
//!
//! Nodes stand in one list and name each other by place: a pattern of very many components makes a
//! long path, and nothing here recurses along it.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::Steps;

/// One component of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// This text.
    Is(&'a str),
    /// Any one component.
    Any,
}

/// What may stand at a node.
pub(super) trait Vacant: Default {
    /// Nothing does.
    fn is_vacant(&self) -> bool;
}

/// Place of the root.
const ROOT: usize = 0;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Trie<X> {
    nodes: Vec<Node<X>>,
    /// Places that can be used again.
    free: Vec<usize>,
}

#[derive(Clone, Debug, Default)]
struct Node<X> {
    filled: BTreeMap<Box<str>, usize>,
    any: Option<usize>,
    at: X,
}

impl<X> Node<X> {
    fn next(&self, part: Part<'_>) -> Option<usize> {
        match part {
            Part::Is(text) => self.filled.get(text).copied(),
            Part::Any => self.any,
        }
    }
}

impl<X: Vacant> Default for Trie<X> {
    fn default() -> Self {
        Self { nodes: vec![Node::default()], free: Vec::new() }
    }
}

impl<X: Vacant> Trie<X> {
    pub(super) fn is_empty(&self) -> bool {
        self.nodes.len() == self.free.len() + 1 && self.nodes[ROOT].at.is_vacant()
    }

    /// What stands at the end of a path.
    pub(super) fn at<'a>(&self, mut path: impl Iterator<Item = Part<'a>>) -> Option<&X> {
        let end = path.try_fold(ROOT, |place, part| self.nodes[place].next(part))?;
        Some(&self.nodes[end].at)
    }

    /// What stands at the end of a path.
    pub(super) fn at_mut<'a>(
        &mut self,
        mut path: impl Iterator<Item = Part<'a>>,
    ) -> Option<&mut X> {
        let end = path.try_fold(ROOT, |place, part| self.nodes[place].next(part))?;
        Some(&mut self.nodes[end].at)
    }

    /// As [`at_mut`](Self::at_mut), with a path made where there is none.
    pub(super) fn make<'a>(&mut self, path: impl Iterator<Item = Part<'a>>) -> &mut X {
        let mut place = ROOT;
        for part in path {
            place = match self.nodes[place].next(part) {
                Some(next) => next,
                None => self.grow(place, part),
            };
        }
        &mut self.nodes[place].at
    }

    fn grow(&mut self, from: usize, part: Part<'_>) -> usize {
        let to = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.nodes.len() - 1
        });
        match part {
            Part::Is(text) => {
                self.nodes[from].filled.insert(text.into(), to);
            }
            Part::Any => self.nodes[from].any = Some(to),
        }
        to
    }

    /// Takes away the end of a path that leads to nothing any more.
    pub(super) fn prune<'a>(&mut self, path: impl Iterator<Item = Part<'a>>) {
        let mut place = ROOT;
        let mut edges = Vec::new();
        for part in path {
            let Some(next) = self.nodes[place].next(part) else { return };
            edges.push((place, part, next));
            place = next;
        }
        while let Some((from, part, to)) = edges.pop() {
            let node = &self.nodes[to];
            if !node.at.is_vacant() || !node.filled.is_empty() || node.any.is_some() {
                break;
            }
            match part {
                Part::Is(text) => {
                    self.nodes[from].filled.remove(text);
                }
                Part::Any => self.nodes[from].any = None,
            }
            self.free.push(to);
        }
        // A move of what is left costs no more than what has gone since the last one.
        if self.free.len() > self.nodes.len() / 2 {
            self.compact();
        }
    }

    /// Gives back the room of free places.
    fn compact(&mut self) {
        let mut places = vec![ROOT];
        let mut nodes = Vec::with_capacity(self.nodes.len() - self.free.len());
        let mut at = 0;
        while let Some(place) = places.get(at) {
            let mut node = std::mem::take(&mut self.nodes[*place]);
            for next in node.filled.values_mut().chain(&mut node.any) {
                places.push(*next);
                *next = places.len() - 1;
            }
            nodes.push(node);
            at += 1;
        }
        (self.nodes, self.free) = (nodes, Vec::new());
    }

    /// Number of nodes that there is room for.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.nodes.capacity() + self.free.capacity()
    }

    /// Calls `on_node` with every node that the first components of a topic lead to, and with how
    /// many these are: filled components before any, so that of nodes of one depth those come first
    /// that are filled where they part. `part` tells the component at an index below `count`.
    pub(super) fn walk<'a, 't>(
        &'a self,
        count: usize,
        part: impl Fn(usize) -> &'t str,
        steps: &mut Steps,
        on_node: &mut impl FnMut(usize, &'a X, &mut Steps) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        let mut open = vec![(ROOT, 0)];
        while let Some((place, depth)) = open.pop() {
            steps.0 += 1;
            let node = &self.nodes[place];
            on_node(depth, &node.at, steps)?;
            if depth < count {
                let filled =
                    if node.filled.is_empty() { None } else { node.filled.get(part(depth)) };
                open.extend(node.any.into_iter().chain(filled.copied()).map(|to| (to, depth + 1)));
            }
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Debug, Default)]
    struct There(bool);

    impl Vacant for There {
        fn is_vacant(&self) -> bool {
            !self.0
        }
    }

    fn path(uri: &str) -> impl Iterator<Item = Part<'_>> {
        uri.split('.').map(|part| if part.is_empty() { Part::Any } else { Part::Is(part) })
    }

    /// One small pattern was enough to keep the room of a very large one for good.
    #[test]
    fn what_a_large_pattern_took_is_given_back_while_others_stay() {
        let mut tree = Trie::<There>::default();
        let uris: Vec<_> = (0..50).map(|n| format!("a.{n}..b{}", ["", ".c"][n % 2])).collect();
        for uri in &uris {
            *tree.make(path(uri)) = There(true);
        }
        let before = tree.room();
        let large = ["a"; 100_000].join(".");
        *tree.make(path(&large)) = There(true);
        assert!(tree.room() > 100_000);
        *tree.at_mut(path(&large)).expect("is there") = There(false);
        tree.prune(path(&large));
        assert!(tree.room() <= 2 * before, "{} after {before}", tree.room());
        for uri in &uris {
            assert!(tree.at(path(uri)).is_some_and(|there| there.0), "{uri}");
            *tree.at_mut(path(uri)).expect("is there") = There(false);
            tree.prune(path(uri));
            assert!(tree.at(path(uri)).is_none(), "{uri}");
        }
        assert!(tree.is_empty() && tree.room() <= 2, "{}", tree.room());
    }
}
