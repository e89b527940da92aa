//! Turns: whose question a procedure is asked next, where not all of them can be at once.
//!
//! Sites take turns, in each site its addresses, of each address its sessions; what one session asks keeps its order.
//! So whoever asks much waits for itself. What waits is bounded in bytes: where that is reached, those go on who have
//! less than their share, which is the bound over the number of sites that have something; all of them together have
//! twice the bound at most.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use crate::api::{Origin, SessionId};

/// What waits for one procedure.
const BYTES_MAX: usize = 16 << 20;
/// What each counts beside what it says.
const OVERHEAD_BYTES: usize = 512;

/// Whose question it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    /// Where its client is.
    pub origin: Origin,
    /// Its session; one that is not open yet has an id as well.
    pub session: SessionId,
}

impl Whose {
    fn site(&self) -> IpAddr {
        self.origin.site.unwrap_or(self.origin.client)
    }
}

/// A question that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Whose it is.
    pub whose: Whose,
    /// What it says.
    pub bytes: usize,
    /// It waits so long, and no longer.
    pub by: Instant,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Turns {
    lines: Rotation<IpAddr, Rotation<IpAddr, Rotation<SessionId, BTreeSet<u64>>>>,
    entries: BTreeMap<u64, Entry>,
    by_end: BTreeSet<(Instant, u64)>,
    /// Bytes of each site.
    held: BTreeMap<IpAddr, usize>,
    bytes: usize,
    last: u64,
}

impl Turns {
    /// Questions that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// When the first of them has waited for long enough.
    #[must_use]
    pub fn due_at(&self) -> Option<Instant> {
        self.by_end.first().map(|(by, _)| *by)
    }

    /// One more waits; its number, or `None` where there is no room for it.
    pub fn push(&mut self, entry: Entry) -> Option<u64> {
        let site = entry.whose.site();
        let bytes = entry.bytes.saturating_add(OVERHEAD_BYTES);
        let held = self.held.get(&site).copied().unwrap_or_default();
        let sites = self.held.len() + usize::from(held == 0);
        let all = self.bytes.saturating_add(bytes);
        let has_share = held.saturating_add(bytes) <= BYTES_MAX / sites;
        if all > BYTES_MAX && !(has_share && all <= 2 * BYTES_MAX) {
            return None;
        }
        self.last += 1;
        self.insert(self.last, entry);
        Some(self.last)
    }

    /// One that was taken waits again, before those of its session that have come after it.
    pub fn put_back(&mut self, number: u64, entry: Entry) {
        self.insert(number, entry);
    }

    /// The next one: whoever is asked now.
    pub fn take(&mut self) -> Option<(u64, Entry)> {
        let number = self.lines.first()?;
        Some((number, self.remove(number)?))
    }

    /// One that has waited for too long.
    pub fn take_overdue(&mut self, now: Instant) -> Option<u64> {
        let (_, number) = *self.by_end.first().filter(|(by, _)| *by <= now)?;
        self.remove(number).map(|_| number)
    }

    fn insert(&mut self, number: u64, entry: Entry) {
        let Whose { origin, session } = entry.whose;
        let site = entry.whose.site();
        let of_site = self.lines.line(site);
        of_site.line(origin.client).line(session).insert(number);
        let bytes = entry.bytes.saturating_add(OVERHEAD_BYTES);
        *self.held.entry(site).or_default() += bytes;
        self.bytes += bytes;
        self.by_end.insert((entry.by, number));
        self.entries.insert(number, entry);
        self.check();
    }

    fn remove(&mut self, number: u64) -> Option<Entry> {
        let entry = self.entries.remove(&number)?;
        let Whose { origin, session } = entry.whose;
        let site = entry.whose.site();
        self.lines.remove(&site, |of_site| {
            of_site.remove(&origin.client, |of_client| {
                of_client.remove(&session, |of_session| {
                    of_session.remove(&number);
                });
            });
        });
        let bytes = entry.bytes.saturating_add(OVERHEAD_BYTES);
        self.bytes = self.bytes.saturating_sub(bytes);
        if let Some(held) = self.held.get_mut(&site) {
            *held = held.saturating_sub(bytes);
            if *held == 0 {
                self.held.remove(&site);
            }
        }
        self.by_end.remove(&(entry.by, number));
        self.check();
        Some(entry)
    }

    fn check(&self) {
        debug_assert_eq!(self.entries.len(), self.by_end.len(), "each has an end");
        debug_assert_eq!(self.bytes, self.held.values().sum::<usize>(), "bytes are of sites");
        debug_assert_eq!(self.lines.is_empty(), self.entries.is_empty(), "each is in a line");
    }
}

/// Lines that take turns.
#[derive(Debug)]
struct Rotation<K, L> {
    lines: BTreeMap<K, L>,
    /// Who was first the last time.
    last: Option<K>,
}

impl<K, L> Default for Rotation<K, L> {
    fn default() -> Self {
        Self { lines: BTreeMap::new(), last: None }
    }
}

/// What has a first number, and a next one once that is taken.
trait Line: Default {
    /// Whose turn it is; the next time it is another's.
    fn first(&mut self) -> Option<u64>;
    fn is_empty(&self) -> bool;
}

impl Line for BTreeSet<u64> {
    fn first(&mut self) -> Option<u64> {
        Self::first(self).copied()
    }

    fn is_empty(&self) -> bool {
        Self::is_empty(self)
    }
}

impl<K: Ord + Copy, L: Line> Line for Rotation<K, L> {
    fn first(&mut self) -> Option<u64> {
        let after = |last: &K| (std::ops::Bound::Excluded(*last), std::ops::Bound::Unbounded);
        let next = self.last.as_ref().and_then(|last| self.lines.range(after(last)).next());
        let key = *next.or_else(|| self.lines.first_key_value())?.0;
        self.last = Some(key);
        self.lines.get_mut(&key)?.first()
    }

    fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

impl<K: Ord + Copy, L: Line> Rotation<K, L> {
    fn line(&mut self, key: K) -> &mut L {
        self.lines.entry(key).or_default()
    }

    /// Takes something out of a line, which is no more once it is empty.
    fn remove(&mut self, key: &K, take: impl FnOnce(&mut L)) {
        let Some(line) = self.lines.get_mut(key) else { return };
        take(line);
        if line.is_empty() {
            self.lines.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn whose(site: Option<u8>, client: u8, session: u64) -> Whose {
        let address = |last| IpAddr::from([10, 0, 0, last]);
        let origin = Origin { client: address(client), site: site.map(address) };
        Whose { origin, session: SessionId(session) }
    }

    fn entry(whose: Whose, by: Instant) -> Entry {
        Entry { whose, bytes: 100, by }
    }

    fn drained(turns: &mut Turns) -> Vec<u64> {
        std::iter::from_fn(|| turns.take().map(|(number, _)| number)).collect()
    }

    #[test]
    fn who_asks_much_waits_for_itself() {
        let (mut turns, by) = (Turns::default(), Instant::now());
        let mut push = |whose| turns.push(entry(whose, by)).expect("room");
        // Of one address, two sessions; of another, one; and a site of two addresses.
        let (a, b) = (whose(None, 1, 1), whose(None, 1, 2));
        let (c, d, e) = (whose(None, 2, 3), whose(Some(9), 3, 4), whose(Some(9), 4, 5));
        let all = [a, a, a, b, c, c, d, e].map(&mut push);
        assert_eq!(all, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(drained(&mut turns), [1, 5, 7, 4, 6, 8, 2, 3]);
        assert!(turns.is_empty() && turns.bytes == 0 && turns.held.is_empty());
    }

    #[test]
    fn what_is_put_back_comes_before_what_came_after_it() {
        let (mut turns, by) = (Turns::default(), Instant::now());
        for _ in 0..3 {
            turns.push(entry(whose(None, 1, 1), by));
        }
        let (number, first) = turns.take().expect("one waits");
        turns.put_back(number, first);
        assert_eq!(drained(&mut turns), [1, 2, 3]);
    }

    #[test]
    fn nobody_waits_longer_than_it_may() {
        let (mut turns, now) = (Turns::default(), Instant::now());
        let later = now + Duration::from_secs(1);
        turns.push(entry(whose(None, 1, 1), later));
        turns.push(entry(whose(None, 1, 1), now));
        assert_eq!(turns.due_at(), Some(now));
        assert_eq!((turns.take_overdue(now), turns.take_overdue(now)), (Some(2), None));
        assert_eq!((turns.due_at(), turns.take_overdue(later)), (Some(later), Some(1)));
        assert!(turns.is_empty() && turns.due_at().is_none());
    }

    #[test]
    fn one_site_does_not_take_the_room_of_others() {
        let (mut turns, by) = (Turns::default(), Instant::now());
        let large = |client| Entry {
            bytes: (1 << 20) - OVERHEAD_BYTES,
            ..entry(whose(None, client, 1), by)
        };
        let of_first = std::iter::repeat_with(|| turns.push(large(1))).take_while(Option::is_some);
        assert_eq!(of_first.count(), 16);
        // Another has half of it, a third one a third.
        let of_second = std::iter::repeat_with(|| turns.push(large(2))).take_while(Option::is_some);
        assert_eq!(of_second.count(), 8);
        let of_third = std::iter::repeat_with(|| turns.push(large(3))).take_while(Option::is_some);
        assert_eq!(of_third.count(), 5);
        assert!(turns.push(large(1)).is_none());
        // Whatever their number, all have twice the bound at most.
        for client in 4..=255 {
            while turns.push(large(client)).is_some() {}
        }
        assert!(turns.bytes <= 2 * BYTES_MAX, "{}", turns.bytes);
    }
}
