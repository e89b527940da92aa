//! Patterns of one realm that are compared component by component.
//!
//! ```text
//!   a.*.c          path a, any, c                                  `dotted` (or `wildcard`) there
//!   a.#            path a; after `#` nothing                       `last` at the root of its `rest`
//!   a.#.c.*        path a; after `#`, backward: any, c             `last` there
//!   a.#.b.#.c      path a; after the last `#`, backward: c         in `loose` there, with its middle
//! ```

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::Steps;
use super::trie::{Part, Trie, Vacant};
use crate::segment::{Match, TopicPattern};

const ANY: &str = "*";
const MANY: &str = "#";

/// What the middle of a pattern with several `#` costs for each component, about: it is looked for
/// from every component of a topic on.
const LOOSE_FACTOR: usize = 16;

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Components<V> {
    tree: Trie<Ends<V>>,
    /// Number of patterns of each shape, and what the shape costs.
    shapes: BTreeMap<Box<str>, (usize, usize)>,
    cost: usize,
}

/// Patterns that end at a node, or go on with `#`.
#[derive(Clone, Debug)]
struct Ends<V> {
    wildcard: Option<V>,
    dotted: Option<V>,
    rest: Option<Box<Trie<Rests<V>>>>,
}

/// Patterns whose part after the last `#`, read backward, ends at a node.
#[derive(Clone, Debug)]
struct Rests<V> {
    last: Option<V>,
    /// By what stands between the first and the last `#`.
    loose: BTreeMap<Box<[Box<str>]>, V>,
}

/// A pattern, taken apart.
struct Parsed<'a> {
    matching: Match,
    before: Vec<Part<'a>>,
    /// From the first `#` on.
    rest: Option<Rest<'a>>,
}

struct Rest<'a> {
    /// Between the first and the last `#`; `None` where they are one.
    middle: Option<Box<[Box<str>]>>,
    /// Backward.
    after: Vec<Part<'a>>,
}

impl<'a> Parsed<'a> {
    fn new(pattern: &'a TopicPattern) -> Self {
        let matching = pattern.matching;
        let parts: Vec<&str> = pattern.uri.split('.').collect();
        let any = if matching == Match::Dotted { ANY } else { "" };
        let part = |text: &&'a str| if *text == any { Part::Any } else { Part::Is(text) };
        let is_many = |text: &&str| matching == Match::Dotted && *text == MANY;
        let Some(first) = parts.iter().position(is_many) else {
            return Self { matching, before: parts.iter().map(part).collect(), rest: None };
        };
        let last = parts.iter().rposition(is_many).unwrap_or(first);
        let middle = (first < last)
            .then(|| parts[first + 1..last].iter().map(|text| Box::from(*text)).collect());
        let after = parts[last + 1..].iter().rev().map(part).collect();
        let before = parts[..first].iter().map(part).collect();
        Self { matching, before, rest: Some(Rest { middle, after }) }
    }

    fn before(&self) -> impl Iterator<Item = Part<'a>> {
        self.before.iter().copied()
    }
}

impl<V> Default for Ends<V> {
    fn default() -> Self {
        Self { wildcard: None, dotted: None, rest: None }
    }
}

impl<V> Default for Rests<V> {
    fn default() -> Self {
        Self { last: None, loose: BTreeMap::new() }
    }
}

impl<V> Vacant for Ends<V> {
    fn is_vacant(&self) -> bool {
        self.wildcard.is_none() && self.dotted.is_none() && self.rest.is_none()
    }
}

impl<V> Vacant for Rests<V> {
    fn is_vacant(&self) -> bool {
        self.last.is_none() && self.loose.is_empty()
    }
}

impl<V> Ends<V> {
    fn end(&mut self, matching: Match) -> &mut Option<V> {
        if matching == Match::Wildcard { &mut self.wildcard } else { &mut self.dotted }
    }
}

impl<V> Default for Components<V> {
    fn default() -> Self {
        Self { tree: Trie::default(), shapes: BTreeMap::new(), cost: 0 }
    }
}

impl<V> Components<V> {
    pub(super) fn is_empty(&self) -> bool {
        self.tree.is_empty()
    }

    pub(super) const fn cost(&self) -> usize {
        self.cost
    }

    pub(super) fn cost_with(&self, pattern: &TopicPattern) -> usize {
        let (shape, cost) = shape_of(pattern);
        if self.shapes.contains_key(&shape) { self.cost } else { self.cost + cost }
    }

    pub(super) fn get(&self, pattern: &TopicPattern) -> Option<&V> {
        let parsed = Parsed::new(pattern);
        let ends = self.tree.at(parsed.before())?;
        let Some(Rest { middle, after }) = &parsed.rest else {
            let is_wildcard = parsed.matching == Match::Wildcard;
            return if is_wildcard { &ends.wildcard } else { &ends.dotted }.as_ref();
        };
        let rests = ends.rest.as_ref()?.at(after.iter().copied())?;
        match middle {
            None => rests.last.as_ref(),
            Some(middle) => rests.loose.get(middle),
        }
    }

    pub(super) fn get_mut(&mut self, pattern: &TopicPattern) -> Option<&mut V> {
        let parsed = Parsed::new(pattern);
        let ends = self.tree.at_mut(parsed.before())?;
        let Some(Rest { middle, after }) = &parsed.rest else {
            return ends.end(parsed.matching).as_mut();
        };
        let rests = ends.rest.as_mut()?.at_mut(after.iter().copied())?;
        match middle {
            None => rests.last.as_mut(),
            Some(middle) => rests.loose.get_mut(middle),
        }
    }

    pub(super) fn insert(&mut self, pattern: &TopicPattern, value: V) -> Option<V> {
        let parsed = Parsed::new(pattern);
        let ends = self.tree.make(parsed.before());
        let before = match parsed.rest {
            None => ends.end(parsed.matching).replace(value),
            Some(Rest { middle, after }) => {
                let rests = ends.rest.get_or_insert_default().make(after.into_iter());
                match middle {
                    None => rests.last.replace(value),
                    Some(middle) => rests.loose.insert(middle, value),
                }
            }
        };
        if before.is_none() {
            let (shape, cost) = shape_of(pattern);
            let (patterns, _) = self.shapes.entry(shape).or_insert_with(|| {
                self.cost += cost;
                (0, cost)
            });
            *patterns += 1;
        }
        before
    }

    pub(super) fn remove(&mut self, pattern: &TopicPattern) -> Option<V> {
        let parsed = Parsed::new(pattern);
        let ends = self.tree.at_mut(parsed.before())?;
        let before = match &parsed.rest {
            None => ends.end(parsed.matching).take(),
            Some(Rest { middle, after }) => {
                let rest = ends.rest.as_mut()?;
                let rests = rest.at_mut(after.iter().copied())?;
                let before = match middle {
                    None => rests.last.take(),
                    Some(middle) => rests.loose.remove(middle),
                };
                rest.prune(after.iter().copied());
                if rest.is_empty() {
                    ends.rest = None;
                }
                before
            }
        };
        self.tree.prune(parsed.before());
        if before.is_some()
            && let (shape, cost) = shape_of(pattern)
            && let Some((patterns, _)) = self.shapes.get_mut(&shape)
        {
            *patterns -= 1;
            if *patterns == 0 {
                self.shapes.remove(&shape);
                self.cost -= cost;
            }
        }
        before
    }

    pub(super) fn walk<'a>(
        &'a self,
        uri: &str,
        steps: &mut Steps,
        found: &mut impl FnMut(&'a V) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        if self.is_empty() {
            return ControlFlow::Continue(());
        }
        let parts: Vec<&str> = uri.split('.').collect();
        let mut on_node = |depth: usize, ends: &'a Ends<V>, steps: &mut Steps| {
            if depth == parts.len() {
                ends.wildcard.iter().chain(&ends.dotted).try_for_each(&mut *found)?;
            }
            match &ends.rest {
                Some(rest) => walk_rest(rest, &parts[depth..], steps, found),
                None => ControlFlow::Continue(()),
            }
        };
        self.tree.walk(parts.len(), |index| parts[index], steps, &mut on_node)
    }
}

/// What follows the first `#` of a pattern, against what is left of a topic.
fn walk_rest<'a, V>(
    rest: &'a Trie<Rests<V>>,
    parts: &[&str],
    steps: &mut Steps,
    found: &mut impl FnMut(&'a V) -> ControlFlow<()>,
) -> ControlFlow<()> {
    let mut on_node = |depth: usize, rests: &'a Rests<V>, steps: &mut Steps| {
        rests.last.iter().try_for_each(&mut *found)?;
        let between = &parts[..parts.len() - depth];
        for (middle, value) in &rests.loose {
            if has_blocks(between, middle, steps) {
                found(value)?;
            }
        }
        ControlFlow::Continue(())
    };
    rest.walk(parts.len(), |index| parts[parts.len() - 1 - index], steps, &mut on_node)
}

/// Whether `#.middle.#` matches: what stands between the `#` of the middle comes in its order.
fn has_blocks(parts: &[&str], middle: &[Box<str>], steps: &mut Steps) -> bool {
    let mut rest = parts;
    for block in middle.split(|part| **part == *MANY).filter(|block| !block.is_empty()) {
        let is_it = |window: &[&str]| {
            steps.0 += 1;
            block.iter().zip(window).all(|(wanted, part)| **wanted == *ANY || **wanted == **part)
        };
        let Some(at) = rest.windows(block.len()).position(is_it) else { return false };
        rest = &rest[at + block.len()..];
    }
    true
}

/// What decides which branches a topic takes for a pattern, and how many nodes these have at most.
fn shape_of(pattern: &TopicPattern) -> (Box<str>, usize) {
    let Parsed { before, rest, .. } = Parsed::new(pattern);
    let letter = |part: &Part<'_>| match part {
        Part::Is(_) => 'f',
        Part::Any => '*',
    };
    let mut shape: String = before.iter().map(letter).collect();
    let mut cost = before.len() + 1;
    if let Some(Rest { middle, after }) = rest {
        shape.push('#');
        cost += after.len() + 1;
        if let Some(middle) = middle {
            // Looked for one by one: no two share it.
            cost += (middle.len() + 1) * LOOSE_FACTOR;
            shape.push_str(&pattern.uri);
        }
        shape.extend(after.iter().map(letter));
    }
    (shape.into(), cost)
}
