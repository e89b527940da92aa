//! Liveness: which peers are silent, by what is heard on their links.
//!
//! ```text
//!  heard        heard                              heard
//! ---|------------|------------------|---------------|------------> time
//!    <-BEAT_EVERY->    SILENT_AFTER   silent          back
//! ```
//! Every node says something on each link at least once in [`BEAT_EVERY`], from its main loop: so a
//! peer whose process is stopped, whose loop hangs or whose machine is gone is silent, though its
//! system still answers for it. Whoever has said something else needs no beat. A silent peer keeps its
//! link, for it may only be slow; what has been silent for [`CLOSE_AFTER`] is dialled anew, which is
//! faster than TCP after a cut.
//!
//! A node that did not listen itself cannot call others silent: it [forgives](Liveness::forgive).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::LinkId;

/// How often a node says something on each link. A little more than a second: what sync nodes say every
/// second is their beat.
pub const BEAT_EVERY: Duration = Duration::from_millis(1_050);
/// Who says nothing for so long is silent: a beat that is not much late, and below the two seconds
/// within which everybody is to know.
pub const SILENT_AFTER: Duration = Duration::from_millis(1_800);
/// How often a node's loop looks whether it stood still.
const LOOK_EVERY: Duration = Duration::from_millis(400);
/// A link on which nothing has come for so long is closed.
pub const CLOSE_AFTER: Duration = Duration::from_secs(10);

/// What [`Liveness::take_due`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Say something on this link: nothing has been said for so long.
    Beat {
        /// The link.
        link: LinkId,
    },
    /// Nothing has come on this link since then.
    Silent {
        /// The link.
        link: LinkId,
        /// When something came last.
        since: Instant,
    },
    /// Nothing has come for so long that the link is to be closed.
    Close {
        /// The link.
        link: LinkId,
        /// When something came last.
        since: Instant,
    },
}

#[derive(Clone, Copy, Debug)]
struct Link {
    heard: Instant,
    /// When this node said something last that Liveness knows of.
    said: Instant,
    is_silent: bool,
    is_closing: bool,
}

/// The links of a node. See the module doc.
#[derive(Clone, Debug)]
pub struct Liveness {
    links: BTreeMap<LinkId, Link>,
    look_at: Instant,
    /// Nothing is due before: at most [`look_at`](Self::look_at), and what is heard or said since only puts off.
    due_at: Instant,
}

impl Liveness {
    /// No links yet.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { links: BTreeMap::new(), look_at: now, due_at: now }
    }

    /// A link came up: its peer has just spoken.
    pub fn up(&mut self, link: LinkId, now: Instant) {
        self.links
            .insert(link, Link { heard: now, said: now, is_silent: false, is_closing: false });
    }

    /// A link is gone.
    pub fn down(&mut self, link: LinkId) {
        self.links.remove(&link);
    }

    /// Something came on a link. `Some` when its peer was silent until now: since when.
    pub fn heard(&mut self, link: LinkId, now: Instant) -> Option<Instant> {
        let link = self.links.get_mut(&link)?;
        let since = std::mem::replace(&mut link.heard, now);
        std::mem::take(&mut link.is_silent).then_some(since)
    }

    /// This node did not listen until now: nobody's silence counts before. Who is silent stays so
    /// until something comes.
    pub fn forgive(&mut self, now: Instant) {
        for link in self.links.values_mut().filter(|link| !link.is_silent) {
            link.heard = now;
        }
    }

    /// How late the look is: so long the node's loop has stood still.
    #[must_use]
    pub fn late(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.look_at)
    }

    /// When to call [`take_due`](Self::take_due): nothing is due before.
    #[must_use]
    pub const fn due_at(&self) -> Instant {
        self.due_at
    }

    /// What is to be done now; `sent` tells when something left on a link last. Cheap enough for every turn of a loop:
    /// no link is looked at before something can be due.
    pub fn take_due(&mut self, now: Instant, sent: impl Fn(LinkId) -> Option<Instant>) -> Vec<Due> {
        let mut due = Vec::new();
        if now < self.due_at {
            return due;
        }
        if self.look_at <= now {
            self.look_at = now + LOOK_EVERY;
        }
        for (id, link) in &mut self.links {
            let (id, since) = (*id, link.heard);
            if link.beat_at(sent(id)) <= now {
                link.said = now;
                due.push(Due::Beat { link: id });
            }
            if !link.is_silent && since + SILENT_AFTER <= now {
                link.is_silent = true;
                due.push(Due::Silent { link: id, since });
            }
            if !link.is_closing && since + CLOSE_AFTER <= now {
                link.is_closing = true;
                due.push(Due::Close { link: id, since });
            }
        }
        let silences = self.links.values().filter_map(Link::due_at);
        let beats = self.links.iter().map(|(id, link)| link.beat_at(sent(*id)));
        self.due_at = silences.chain(beats).fold(self.look_at, Instant::min);
        due
    }

    /// Whether a link is to be closed for its silence.
    #[must_use]
    pub fn is_closing(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.is_closing)
    }

    /// Whether the peer at the other end of a link is silent.
    #[must_use]
    pub fn is_silent(&self, link: LinkId) -> bool {
        self.links.get(&link).is_some_and(|link| link.is_silent)
    }
}

impl Link {
    /// A link on which something has left needs no beat, and one that takes nothing gets no second one before its
    /// time.
    fn beat_at(&self, sent: Option<Instant>) -> Instant {
        self.said.max(sent.unwrap_or(self.said)) + BEAT_EVERY
    }

    fn due_at(&self) -> Option<Instant> {
        match (self.is_silent, self.is_closing) {
            (false, _) => Some(self.heard + SILENT_AFTER),
            (true, false) => Some(self.heard + CLOSE_AFTER),
            (true, true) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn one_link() -> (Liveness, LinkId, Instant) {
        let (now, link) = (Instant::now(), LinkId::fresh());
        let mut liveness = Liveness::new(now);
        liveness.up(link, now);
        (liveness, link, now)
    }

    /// What is due at `now`, but for beats.
    fn due(liveness: &mut Liveness, now: Instant) -> Vec<Due> {
        let mut due = liveness.take_due(now, |_| None);
        due.retain(|due| !matches!(due, Due::Beat { .. }));
        due
    }

    #[test]
    fn a_node_beats_again_and_again() {
        let (mut liveness, link, now) = one_link();
        assert!(liveness.take_due(now + BEAT_EVERY - MS, |_| None).is_empty());
        let beat = now + BEAT_EVERY;
        assert_eq!(liveness.take_due(beat, |_| None), [Due::Beat { link }]);
        assert!(
            liveness.take_due(beat + MS, |_| None).is_empty(),
            "nor while the link takes nothing"
        );
        assert_eq!(liveness.heard(link, beat), None);
        assert_eq!(liveness.take_due(beat + BEAT_EVERY, |_| None), [Due::Beat { link }]);
    }

    #[test]
    fn what_is_said_anyway_is_a_beat() {
        let (mut liveness, link, now) = one_link();
        let sent = now + 700 * MS;
        let due = |_: LinkId| Some(sent);
        assert!(liveness.take_due(now + BEAT_EVERY, due).is_empty());
        let heard = now + BEAT_EVERY;
        assert_eq!(liveness.heard(link, heard), None);
        assert!(liveness.due_at() < sent + BEAT_EVERY, "the loop looks at itself more often");
        assert_eq!(liveness.take_due(sent + BEAT_EVERY, due), [Due::Beat { link }]);
        assert!(SILENT_AFTER > BEAT_EVERY + BEAT_EVERY / 2, "a beat may be late");
    }

    #[test]
    fn a_loop_that_stands_still_is_noticed() {
        let (mut liveness, _, now) = one_link();
        assert!(liveness.take_due(now, |_| None).is_empty());
        assert_eq!(liveness.due_at(), now + LOOK_EVERY);
        assert_eq!(liveness.late(now + LOOK_EVERY + 7 * MS), 7 * MS);
    }

    #[test]
    fn who_says_nothing_is_silent_once_and_back_with_the_next_word() {
        let (mut liveness, link, now) = one_link();
        let last = now + 300 * MS;
        assert_eq!(liveness.heard(link, last), None, "it was not silent");
        assert!(due(&mut liveness, now + SILENT_AFTER).is_empty());
        let silent = Due::Silent { link, since: last };
        assert_eq!(due(&mut liveness, last + SILENT_AFTER), [silent]);
        assert!(liveness.is_silent(link));
        assert!(due(&mut liveness, last + SILENT_AFTER + MS).is_empty(), "told already");
        assert_eq!(liveness.heard(link, last + 3 * SILENT_AFTER), Some(last));
        assert!(!liveness.is_silent(link));
        let again = last + 4 * SILENT_AFTER;
        assert_eq!(due(&mut liveness, again).len(), 1, "and may fall silent again");
    }

    #[test]
    fn a_link_that_stays_silent_is_closed() {
        let (mut liveness, link, now) = one_link();
        assert_eq!(due(&mut liveness, now + SILENT_AFTER).len(), 1);
        assert!(liveness.due_at() <= now + CLOSE_AFTER, "it is looked at in time");
        assert_eq!(due(&mut liveness, now + CLOSE_AFTER), [Due::Close { link, since: now }]);
        assert!(due(&mut liveness, now + CLOSE_AFTER + MS).is_empty(), "once");
        liveness.down(link);
        assert!(due(&mut liveness, now + 3 * CLOSE_AFTER).is_empty());
    }

    /// What comes between two looks is never due before the second: nobody has to look earlier for it.
    #[test]
    fn what_comes_between_two_looks_is_not_due_before_the_next() {
        let (mut liveness, link, now) = one_link();
        assert!(liveness.take_due(now, |_| None).is_empty());
        let looked = liveness.due_at();
        assert!(looked <= now + LOOK_EVERY && LOOK_EVERY < BEAT_EVERY && LOOK_EVERY < SILENT_AFTER);
        // One that was silent is heard, another comes up: each may be due a beat or a silence later.
        assert_eq!(liveness.heard(link, now + MS), None);
        liveness.up(LinkId::fresh(), now + MS);
        assert!(liveness.take_due(looked - MS, |_| None).is_empty());
        assert_eq!(liveness.due_at(), looked);
        assert!(liveness.take_due(looked, |_| None).is_empty());
        assert_eq!(liveness.take_due(now + MS + BEAT_EVERY, |_| None).len(), 2, "both get a beat");
    }

    #[test]
    fn who_did_not_listen_calls_nobody_silent() {
        let (mut liveness, link, now) = one_link();
        let woken = now + 10 * CLOSE_AFTER;
        liveness.forgive(woken);
        assert!(due(&mut liveness, woken).is_empty());
        assert!(!liveness.is_silent(link));
        assert_eq!(due(&mut liveness, woken + SILENT_AFTER).len(), 1);
    }
}
