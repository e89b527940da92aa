//! The marks of all realms.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::id::Position;
use vixen_core::segment::{Once, OnceName};
use vixen_core::time::WallTime;

use super::item::{Book, NameRef, Tally};
use super::who::{Keep, Who};
use super::{MARK_BYTES, Marked, SWEPT_BY_MESSAGE, Was};
use crate::state::Size;
use crate::state::sum::Sum;

pub(in crate::state) use super::who::Entered;

/// So many of whom are looked at for marks that are to leave.
const LOOKED_AT_MAX: usize = 1_024;

/// See the module.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::state) struct Marks {
    /// None is empty.
    pub(super) realms: BTreeMap<Arc<str>, Realm>,
    /// Behind which time the next mark of whom is to leave.
    pub(super) due: BTreeSet<Due>,
    /// Ids of what waits, by its place.
    pub(super) waiting: BTreeMap<Position, Waiting>,
    pub(super) tally: Tally,
}

/// Time, realm, who.
pub(super) type Due = (WallTime, Arc<str>, Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) realm: Arc<str>,
    pub(super) who: Arc<str>,
    pub(super) id: Arc<str>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Realm {
    /// None is empty.
    pub(super) whos: BTreeMap<Arc<str>, Who>,
    pub(super) tally: Tally,
}

impl Marks {
    pub(in crate::state) const fn count(&self) -> usize {
        self.tally.marks
    }

    pub(in crate::state) fn count_of(&self, realm: &str) -> usize {
        self.realms.get(realm).map_or(0, |realm| realm.tally.marks)
    }

    pub(in crate::state) const fn size(&self) -> Size {
        Size::of_marks(self.tally.bytes)
    }

    pub(in crate::state) fn size_of(&self, realm: &str) -> Size {
        let bytes = self.realms.get(realm).map_or(0, |realm| realm.tally.bytes);
        Size::of_marks(bytes)
    }

    pub(in crate::state) const fn sum(&self) -> Sum {
        self.tally.sum
    }

    /// What is to be said of a head by its mark alone; `None`: it is the next, or new. To be asked of each head that
    /// has one, once.
    pub(in crate::state) fn look(
        &mut self,
        realm: &str,
        once: &Once,
        now: WallTime,
    ) -> Option<Marked> {
        let keep = Keep::of(once);
        self.change(realm, &once.who, |who, book| {
            who.prune(now, usize::MAX, book);
            who.keep(keep, book);
            who.prune(now, usize::MAX, book);
        });
        let who = self.who(realm, &once.who);
        who.map_or_else(|| Who::new(keep).seen(once), |who| who.seen(once))
    }

    /// Keeps what became of a head of which nothing was said by its mark.
    pub(in crate::state) fn keep(&mut self, realm: &str, once: &Once, entered: Entered, was: Was) {
        let keep = Keep::of(once);
        let there = self.name(realm, &once.who, keep);
        let waits = match &once.name {
            OnceName::Id(id) if !was.is_decided() => Some(id),
            OnceName::Id(_) | OnceName::Numbers { .. } => None,
        };
        if let Some(id) = waits {
            let (realm, who) = there;
            let waiting = Waiting { realm, who, id: Arc::from(id.as_str()) };
            self.waiting.insert(entered.of, waiting);
        }
        self.change(realm, &once.who, |who, book| {
            who.enter(once, entered, was, book);
            who.prune(entered.at, usize::MAX, book);
        });
        self.sweep(entered.at, 2 * once.digests.len());
    }

    /// What waits is decided.
    pub(in crate::state) fn settle(&mut self, entered: Entered, was: Was) {
        let Some(Waiting { realm, who, id }) = self.waiting.remove(&entered.of) else { return };
        self.change(&realm, &who, |who, book| {
            who.settle(&id, entered, was, book);
            who.prune(entered.at, usize::MAX, book);
        });
    }

    /// Takes out what has left by now, of whomever: what any message does.
    pub(in crate::state) fn pass(&mut self, now: WallTime) {
        self.sweep(now, SWEPT_BY_MESSAGE);
    }

    fn sweep(&mut self, now: WallTime, mut most: usize) {
        while most > 0
            && let Some((due, realm, who)) = self.due.first()
            && *due < now
        {
            let (realm, who) = (Arc::clone(realm), Arc::clone(who));
            let gone = self.change(&realm, &who, |who, book| who.prune(now, most, book));
            most = most.saturating_sub(gone.unwrap_or_default().max(1));
        }
    }

    /// See `State::known`.
    pub(in crate::state) fn known(
        &self,
        realm: &str,
        once: &Once,
        nth: usize,
        at: WallTime,
    ) -> Option<Marked> {
        let (who, digest) = (self.who(realm, &once.who)?, once.digests.get(nth)?);
        let keeps = [who.keep, Keep::of(once)];
        let (mark, is_last, is_resting) = match &once.name {
            OnceName::Id(id) => (who.ids.get(id.as_str())?, false, false),
            OnceName::Numbers { producer, first } => {
                let number = first.checked_add(u64::try_from(nth).ok()?)?;
                let producer = who.producers.get(producer.as_str())?;
                let is_last = number.checked_add(1) == Some(producer.next());
                (producer.get(number)?, is_last, producer.is_resting)
            }
        };
        let has_left = is_resting || keeps.iter().any(|keep| keep.has_left(mark.at, at));
        let has_rested = keeps.iter().any(|keep| keep.has_rested(mark.at, at));
        let is_over = mark.was.is_decided() && has_left && (!is_last || has_rested);
        (!is_over).then(|| mark.again(digest))
    }

    /// How many marks of a realm come by a head, of so many, and what they take; those that it drives out of a full
    /// window are taken off.
    pub(in crate::state) fn growth(&self, realm: &str, once: &Once) -> (usize, Size) {
        let who = self.who(realm, &once.who);
        let there = who.map_or(0, |who| who.window.len());
        let most = usize::try_from(once.keep_count).unwrap_or(usize::MAX);
        let marks = (there.saturating_add(once.digests.len())).min(most).saturating_sub(there);
        let (name_bytes, producer) = match &once.name {
            OnceName::Id(id) => (NameRef::Id(id).bytes(), None),
            OnceName::Numbers { producer, .. } => (0, Some(producer)),
        };
        let is_known = |name: &String| who.is_some_and(|who| who.producers.contains_key(&**name));
        let producer = producer.filter(|name| !is_known(name));
        let whose = who.is_none().then_some(&once.who);
        let names = producer.into_iter().chain(whose).map(|name| MARK_BYTES + name.len());
        let bytes = marks.saturating_mul(MARK_BYTES + name_bytes) + names.sum::<usize>();
        (marks, Size::of_marks(bytes))
    }

    /// How many marks of a realm have left by a time, or rested, and are still there: some, if there are so many. The
    /// messages that come take them out.
    pub(in crate::state) fn leaving(&self, realm: &str, at: WallTime, some: usize) -> usize {
        let due = self.due.iter().take_while(|(due, ..)| *due < at).take(LOOKED_AT_MAX);
        let due = due.filter(|(_, of, _)| realm == &**of);
        let whos = due.filter_map(|(_, realm, who)| self.who(realm, who));
        whos.flat_map(|who| who.leaving(at)).take(some).count()
    }

    pub(super) fn who(&self, realm: &str, who: &str) -> Option<&Who> {
        self.realms.get(realm)?.whos.get(who)
    }

    /// Makes a who of whom nothing is known; their names as they are kept.
    pub(super) fn name(&mut self, realm: &str, who: &str, keep: Keep) -> (Arc<str>, Arc<str>) {
        let there = self.realms.get_key_value(realm).map(|(realm, _)| realm);
        let realm = there.map_or_else(|| Arc::from(realm), Arc::clone);
        let there = self.realms.entry(Arc::clone(&realm)).or_default();
        if let Some((who, _)) = there.whos.get_key_value(who) {
            return (realm, Arc::clone(who));
        }
        let who: Arc<str> = Arc::from(who);
        let before = there.tally;
        Book { realm: &realm, who: &who, tally: &mut there.tally }.who_comes(keep);
        self.tally = self.tally.with_other(before, there.tally);
        there.whos.insert(Arc::clone(&who), Who::new(keep));
        (realm, who)
    }

    /// Does something to the marks of a who, if there are any; `None`: there are not.
    pub(super) fn change<T>(
        &mut self,
        realm: &str,
        who: &str,
        does: impl FnOnce(&mut Who, &mut Book<'_>) -> T,
    ) -> Option<T> {
        let realm = Arc::clone(self.realms.get_key_value(realm)?.0);
        let there = self.realms.get_mut(&realm)?;
        let name = Arc::clone(there.whos.get_key_value(who)?.0);
        let who = there.whos.get_mut(&name)?;
        let (before, due_before) = (there.tally, who.due());
        let mut book = Book { realm: &realm, who: &name, tally: &mut there.tally };
        let done = does(who, &mut book);
        let due = who.due();
        if who.is_empty() {
            book.who_goes(who.keep);
            there.whos.remove(&name);
        }
        self.tally = self.tally.with_other(before, there.tally);
        if there.whos.is_empty() {
            self.realms.remove(&realm);
        }
        if due != due_before {
            let key = |due| (due, Arc::clone(&realm), Arc::clone(&name));
            due_before.map(|due| self.due.remove(&key(due)));
            due.map(|due| self.due.insert(key(due)));
        }
        Some(done)
    }
}
