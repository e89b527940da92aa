//! Tails: the streams of canonical messages to entries. What one sends, and when, is
//! [`Tail`](vixen_replica::tail::Tail)'s; here are their tasks, one each.

mod log;
mod task;

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::mpsc;

use vixen_core::id::Position;
use vixen_core::segment::TopicPattern;
use vixen_replica::Finding;
use vixen_replica::tail::InterestChange;
use vixen_runtime::link::{LinkId, LinkSender};

use crate::metrics::TailMetrics;
use crate::store::{Store, StoreError};
pub(crate) use log::TailLog;
use task::TailHandle;

/// Where readers send the news that something stored is unreadable.
pub(crate) type TroubleReport = mpsc::UnboundedSender<Trouble>;

/// What a reader of the store came across.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Something is not as it was written; peers have it.
    Found(Finding),
    /// The store itself does not work.
    Failed(StoreError),
}

/// What tails share.
#[derive(Clone)]
pub(crate) struct TailContext {
    pub(crate) log: Arc<TailLog>,
    pub(crate) store: Arc<Store>,
    pub(crate) trouble: TroubleReport,
    pub(crate) metrics: TailMetrics,
}

impl TailContext {
    fn report(&self, trouble: Trouble) {
        let _node_has_ended = self.trouble.send(trouble);
    }
}

/// The tails of a node, at most one a link.
pub(crate) struct Tails {
    context: TailContext,
    tails: BTreeMap<LinkId, TailHandle>,
    /// How many patterns each of them carries that somebody waits for.
    carried: BTreeMap<LinkId, usize>,
    /// Parts of an interest whose end has not come.
    parts: BTreeMap<LinkId, InterestChange>,
}

impl Tails {
    /// None yet.
    pub(crate) const fn new(context: TailContext) -> Self {
        Self { context, tails: BTreeMap::new(), carried: BTreeMap::new(), parts: BTreeMap::new() }
    }

    /// What they read first.
    pub(crate) const fn log(&self) -> &Arc<TailLog> {
        &self.context.log
    }

    /// Where readers of the store report to.
    pub(crate) const fn trouble(&self) -> &TroubleReport {
        &self.context.trouble
    }

    /// A part of an interest, whose end is to come.
    pub(crate) fn part(&mut self, link: LinkId, add: Vec<TopicPattern>, remove: Vec<TopicPattern>) {
        self.parts.entry(link).or_default().extend(add, remove);
    }

    /// What a word about the interest says, with the parts that came before it.
    fn whole(
        &mut self,
        link: LinkId,
        add: Vec<TopicPattern>,
        remove: Vec<TopicPattern>,
    ) -> InterestChange {
        let mut change = self.parts.remove(&link).unwrap_or_default();
        change.extend(add, remove);
        change
    }

    /// The tail of a link begins, in place of one before.
    pub(crate) fn follow(
        &mut self,
        link: LinkId,
        sender: LinkSender,
        from: Option<Position>,
        topics: Vec<TopicPattern>,
    ) {
        let topics = self.whole(link, topics, Vec::new()).add;
        self.carried.insert(link, awaited(&topics));
        let before = self.tails.remove(&link);
        let tail = task::start(self.context.clone(), sender, from, topics, before);
        self.tails.insert(link, tail);
    }

    /// The interest of a link's tail changes.
    pub(crate) fn change(
        &mut self,
        link: LinkId,
        version: u64,
        add: Vec<TopicPattern>,
        remove: Vec<TopicPattern>,
    ) {
        let change = self.whole(link, add, remove);
        if let Some(carried) = self.carried.get_mut(&link) {
            *carried = (*carried + awaited(&change.add)).saturating_sub(awaited(&change.remove));
        }
        if let Some(tail) = self.tails.get(&link) {
            tail.change(version, change);
        }
    }

    /// The link is gone.
    pub(crate) fn end(&mut self, link: LinkId) {
        self.tails.remove(&link);
        self.carried.remove(&link);
        self.parts.remove(&link);
    }

    /// Whether any of them carries anything that somebody waits for: then somebody waits for the order.
    pub(crate) fn carry(&self) -> bool {
        self.carried.values().any(|patterns| *patterns > 0)
    }

    /// Where each of them is.
    pub(crate) fn cursors(&self) -> impl Iterator<Item = (LinkId, Position)> {
        self.tails.iter().map(|(link, tail)| (*link, tail.cursor()))
    }
}

/// How many of them somebody waits for.
fn awaited(patterns: &[TopicPattern]) -> usize {
    patterns.iter().filter(|pattern| pattern.is_awaited()).count()
}
