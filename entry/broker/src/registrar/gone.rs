//! Suspicion: which lives of other entries are passed over, and which of them are gone, as a quorum of sync nodes has it.
//!
//! ```text
//!  link down 500 ms, or silent      a question to all sync nodes, again each second
//! -------|-------------------------------|------------------------------------> time
//!        suspected                       q say: not heard --> GONE, by the first in rendezvous order; by the k-th
//!                                                             200 ms × k later, unless it was read
//! ```
//! A cut between two entries alone ends nobody's registrations: all that can follow the order is heard by sync nodes.
//!
//! Source: `docs/design/027-calls.md` *Who is gone, and who says so*.
//!
//! Invariants:
//! - U2: GONE is written only after q answers that were asked after the suspicion began.
//! - U6: it is written of living lives alone, and never of the own one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use vixen_core::id::{Digest, OwnerId, SyncId};
use vixen_core::name::NodeName;
use vixen_core::wire::{GONE_SILENT_MS, GONE_UNLINKED_MS};
use vixen_views::record::{GoneWhy, Life};

/// Without a link for so long, an entry is suspected. One that is silent on its link is at once: links tell that late
/// enough.
const UNLINKED: Duration = Duration::from_millis(GONE_UNLINKED_MS);
/// How often sync nodes are asked while a suspicion lasts.
const ASK_AGAIN: Duration = Duration::from_secs(1);
/// How much later each in rendezvous order says so.
const STAGGER: Duration = Duration::from_millis(200);
/// A GONE that was written and not read is written again after this.
const WRITE_AGAIN: Duration = Duration::from_secs(5);
/// What a quorum has said counts for so long: this entry may have stood still since.
const STALE: Duration = Duration::from_secs(2);

/// What a sync node has said of an owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeardOf {
    /// It has a link to it.
    pub is_linked: bool,
    /// Nothing has come for so long, or there was no link.
    pub silent_ms: u64,
}

/// What is thought of another entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// It is heard here, or was just now; or it is none that lives.
    Heard,
    /// Not heard here; whether others hear it is not known yet.
    Suspected,
    /// Not heard here, and by as many sync nodes that it is not gone.
    HeardElsewhere,
}

impl Trust {
    /// In words.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Suspected => "suspected",
            Self::HeardElsewhere => "heard elsewhere",
        }
    }
}

/// What is owed after [`Suspects::poll`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owed {
    /// Questions for all sync nodes: a number, rising, and the owner.
    pub asks: Vec<(u64, OwnerId)>,
    /// Lives that are gone: to be written.
    pub gone: Vec<(Life, GoneWhy)>,
}

/// See the module.
#[derive(Debug)]
pub struct Suspects {
    own: OwnerId,
    name: NodeName,
    nodes: BTreeSet<SyncId>,
    quorum: usize,
    /// Number of the last question.
    asked: u64,
    /// Of others, those that live.
    lives: BTreeMap<OwnerId, Watched>,
    links: BTreeMap<OwnerId, Link>,
}

#[derive(Debug)]
struct Watched {
    life: Life,
    name: NodeName,
    /// Since when it may be linked: it has lived so long here, or its last link has ended.
    unlinked_since: Instant,
    doubt: Option<Doubt>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Heard,
    Silent,
}

/// A suspicion.
#[derive(Debug, Default)]
struct Doubt {
    /// The question that is open, and when it was asked.
    question: Option<(u64, Instant)>,
    answers: BTreeMap<SyncId, HeardOf>,
    /// A quorum has it that it is gone.
    gone: Option<Verdict>,
    /// A quorum has heard it lately.
    is_heard_elsewhere: bool,
    written: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Verdict {
    since: Instant,
    /// When it was said last.
    confirmed: Instant,
    why: GoneWhy,
}

impl Suspects {
    /// Of the entry `own`, which is called `name`, and asks these sync nodes, of which so many are a quorum.
    #[must_use]
    pub fn new(
        own: OwnerId,
        name: NodeName,
        nodes: impl IntoIterator<Item = SyncId>,
        quorum: usize,
    ) -> Self {
        let (lives, links) = (BTreeMap::new(), BTreeMap::new());
        Self { own, name, nodes: nodes.into_iter().collect(), quorum, asked: 0, lives, links }
    }

    /// A life is alive, by the view. Whatever was thought of an earlier one of its owner is over.
    pub fn living(&mut self, now: Instant, life: Life, name: NodeName) {
        if life.owner != self.own {
            let watched = Watched { life, name, unlinked_since: now, doubt: None };
            self.lives.insert(life.owner, watched);
        }
    }

    /// These are all lives of a view that has begun anew. What is thought of those that it had before stays.
    pub fn all_living(&mut self, now: Instant, lives: impl IntoIterator<Item = (Life, NodeName)>) {
        let lives = lives.into_iter().map(|(life, name)| (life.owner, (life, name)));
        let lives: BTreeMap<_, _> = lives.collect();
        let is_same = |owner: &OwnerId, watched: &mut Watched| {
            lives.get(owner).is_some_and(|(life, _)| *life == watched.life)
        };
        self.lives.retain(is_same);
        for (owner, (life, name)) in lives {
            if !self.lives.contains_key(&owner) {
                self.living(now, life, name);
            }
        }
    }

    /// The life of an owner is over, by the view.
    pub fn over(&mut self, owner: OwnerId) {
        self.lives.remove(&owner);
    }

    /// There is a link to another entry.
    pub fn up(&mut self, owner: OwnerId) {
        self.links.insert(owner, Link::Heard);
        self.trust(owner);
    }

    /// There is none any more.
    pub fn down(&mut self, now: Instant, owner: OwnerId) {
        self.links.remove(&owner);
        if let Some(watched) = self.lives.get_mut(&owner) {
            watched.unlinked_since = now;
        }
    }

    /// Nothing comes on the link to another entry any more, or something comes again.
    pub fn silent(&mut self, owner: OwnerId, is_silent: bool) {
        let Some(link) = self.links.get_mut(&owner) else { return };
        *link = if is_silent { Link::Silent } else { Link::Heard };
        if !is_silent {
            self.trust(owner);
        }
    }

    fn trust(&mut self, owner: OwnerId) {
        if let Some(watched) = self.lives.get_mut(&owner) {
            watched.doubt = None;
        }
    }

    /// A sync node answers. One to another question than the last one of that owner is late.
    pub fn answered(&mut self, now: Instant, from: SyncId, request: u64, said: HeardOf) {
        if !self.nodes.contains(&from) {
            return;
        }
        let is_asked = |watched: &Watched| {
            watched
                .doubt
                .as_ref()
                .and_then(|doubt| doubt.question)
                .is_some_and(|(at, _)| at == request)
        };
        let asked = self.lives.iter().find(|(_, watched)| is_asked(watched));
        let Some(owner) = asked.map(|(owner, _)| *owner) else { return };
        let is_renamed = self.is_renamed(owner);
        let doubt = self.lives.get_mut(&owner).and_then(|watched| watched.doubt.as_mut());
        let Some(doubt) = doubt else { return };
        doubt.answers.insert(from, said);
        let is_gone = |said: &&HeardOf| {
            let bound_ms = if said.is_linked { GONE_SILENT_MS } else { GONE_UNLINKED_MS };
            said.silent_ms >= bound_ms || (is_renamed && !said.is_linked)
        };
        let gone = doubt.answers.values().filter(is_gone).count();
        let heard = doubt.answers.len() - gone;
        doubt.is_heard_elsewhere = heard >= self.quorum;
        if gone >= self.quorum {
            let why = if is_renamed { GoneWhy::Renamed } else { GoneWhy::NotHeard };
            doubt.gone.get_or_insert(Verdict { since: now, confirmed: now, why }).confirmed = now;
        } else if heard > self.nodes.len() - self.quorum {
            // There will be no quorum for it: it is heard again.
            doubt.gone = None;
        }
    }

    /// What is thought of an entry.
    #[must_use]
    pub fn trust_of(&self, owner: OwnerId) -> Trust {
        match self.lives.get(&owner).and_then(|watched| watched.doubt.as_ref()) {
            None => Trust::Heard,
            Some(doubt) if doubt.is_heard_elsewhere => Trust::HeardElsewhere,
            Some(_) => Trust::Suspected,
        }
    }

    /// Whether an entry may be gone already, as far as is known here: it lives, is not heard on a link now, and enough
    /// sync nodes have not said that they hear it. So from before it is suspected.
    #[must_use]
    pub fn may_be_gone(&self, owner: OwnerId) -> bool {
        let is_living = self.lives.contains_key(&owner);
        let is_linked = self.links.get(&owner) == Some(&Link::Heard);
        is_living && !is_linked && self.trust_of(owner) != Trust::HeardElsewhere
    }

    /// Begins suspicions whose time has come; what is to be asked and written.
    pub fn poll(&mut self, now: Instant) -> Owed {
        let begun: Vec<_> =
            self.lives.keys().copied().filter(|owner| self.is_lost(*owner, now)).collect();
        for owner in begun {
            if let Some(watched) = self.lives.get_mut(&owner) {
                watched.doubt.get_or_insert_default();
            }
        }
        let doubts = self.lives.values_mut().filter_map(|watched| watched.doubt.as_mut());
        for doubt in doubts {
            let is_stale = |gone: Verdict| now.saturating_duration_since(gone.confirmed) > STALE;
            doubt.gone = doubt.gone.filter(|gone| !is_stale(*gone));
        }
        let is_gone =
            |watched: &Watched| watched.doubt.as_ref().is_some_and(|doubt| doubt.gone.is_some());
        let gone = self.lives.iter().filter(|(_, watched)| is_gone(watched));
        let staggers: BTreeMap<_, _> =
            gone.map(|(owner, _)| (*owner, STAGGER * self.rank(*owner))).collect();
        // What is asked soon is asked with what is asked now: sync nodes are told all of it in one word.
        let is_due = |watched: &Watched| {
            watched.doubt.as_ref().is_some_and(|doubt| doubt.asks_at().is_none_or(|at| at <= now))
        };
        let soon = if self.lives.values().any(is_due) { now + ASK_AGAIN / 2 } else { now };
        let mut owed = Owed::default();
        for (owner, watched) in &mut self.lives {
            let Some(doubt) = watched.doubt.as_mut() else { continue };
            if doubt.asks_at().is_none_or(|at| at <= soon) {
                self.asked += 1;
                doubt.question = Some((self.asked, now));
                doubt.answers.clear();
                owed.asks.push((self.asked, *owner));
            }
            let (Some(Verdict { why, .. }), Some(stagger)) = (doubt.gone, staggers.get(owner))
            else {
                continue;
            };
            if doubt.writes_at(*stagger).is_some_and(|at| at <= now) {
                doubt.written = Some(now);
                owed.gone.push((watched.life, why));
            }
        }
        for (life, _) in &owed.gone {
            assert_ne!(life.owner, self.own, "U6: the own life");
        }
        owed
    }

    /// When [`poll`](Self::poll) has something to do without another input.
    #[must_use]
    pub fn timeout_at(&self) -> Option<Instant> {
        let of = |(owner, watched): (&OwnerId, &Watched)| match &watched.doubt {
            None => self.lost_at(*owner),
            Some(doubt) => {
                let gone = doubt.gone.as_ref();
                let writes_at = gone.and_then(|_| doubt.writes_at(STAGGER * self.rank(*owner)));
                // One that was not asked yet is asked at once.
                let asks_at = doubt.asks_at().or(Some(watched.unlinked_since));
                asks_at.into_iter().chain(writes_at).min()
            }
        };
        self.lives.iter().filter_map(of).min()
    }

    /// From when on an entry is suspected, if nothing comes.
    fn lost_at(&self, owner: OwnerId) -> Option<Instant> {
        let watched = self.lives.get(&owner)?;
        match self.links.get(&owner) {
            Some(Link::Heard) => None,
            Some(Link::Silent) => Some(watched.unlinked_since),
            // Its name is another's: nobody need wait to ask.
            None if self.is_renamed(owner) => Some(watched.unlinked_since),
            None => Some(watched.unlinked_since + UNLINKED),
        }
    }

    fn is_lost(&self, owner: OwnerId, now: Instant) -> bool {
        self.lost_at(owner).is_some_and(|at| at <= now)
    }

    /// Whether an entry without a link has the name of one that is heard: it has begun anew under another owner.
    fn is_renamed(&self, owner: OwnerId) -> bool {
        let Some(watched) = self.lives.get(&owner) else { return false };
        if self.links.contains_key(&owner) {
            return false;
        }
        let is_other = |(other, living): (&OwnerId, &Watched)| {
            *other != owner
                && living.name == watched.name
                && self.links.get(other) == Some(&Link::Heard)
        };
        watched.name == self.name || self.lives.iter().any(is_other)
    }

    /// How many living lives come before this entry in saying that one is gone: by rendezvous hash, another order for
    /// each.
    fn rank(&self, of: OwnerId) -> u32 {
        let weight = |owner: OwnerId| (Digest::of(&[of.0.as_bytes(), owner.0.as_bytes()]), owner);
        let others = self.lives.keys().copied().filter(|owner| *owner != of);
        let before = others.filter(|owner| weight(*owner) < weight(self.own));
        u32::try_from(before.count()).unwrap_or(u32::MAX)
    }
}

impl Doubt {
    /// `None`: it was not asked at all.
    fn asks_at(&self) -> Option<Instant> {
        self.question.map(|(_, asked)| asked + ASK_AGAIN)
    }

    /// A GONE is due once it is known for so long.
    fn writes_at(&self, stagger: Duration) -> Option<Instant> {
        let Verdict { since, .. } = self.gone?;
        Some((since + stagger).max(self.written.map_or(since, |at| at + WRITE_AGAIN)))
    }
}

#[cfg(test)]
mod tests;
