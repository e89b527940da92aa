//! Slows down those who guess: counts failed logins by where they come from and whom they are for.
//!
//! `docs/design/016-failed-logins.md` tells why it is so, and what else was weighed.
//!
//! Each failure counts for an address, for its site, for the account, and for the pair of address and
//! account. Whoever has too many waits: a second, then twice as long with each further failure, up to
//! the window. Failures are forgiven one by one, one a window. A pair that has logged in before is
//! judged by its own failures alone, so that neither a guesser at the same address nor one of the
//! same account shuts it out.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};

use vixen_runtime::address::{AddressBlock, WideBlock};

/// When logins are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FailureLimits {
    /// With as many failures one waits, at least 1.
    pub failures_max: u32,
    /// In this time one failure is forgiven, and nobody waits longer.
    pub window: Duration,
    /// Of whom failures are remembered, and as many pairs that have logged in, at least 4.
    pub remembered_max: usize,
}

impl FailureLimits {
    /// A good `remembered_max`: some megabytes.
    pub const REMEMBERED_MAX: usize = 1 << 16;
}

/// The first wait; each further failure doubles it.
const FIRST_WAIT: Duration = Duration::from_secs(1);

/// Whom a login is for: a realm and a name in it, known or not. A hash, for names are long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Account([u8; 16]);

impl Account {
    /// The account of a name.
    #[must_use]
    pub fn of(realm: &str, authid: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update((realm.len() as u64).to_be_bytes());
        hash.update(realm);
        hash.update(authid);
        let mut account = [0; 16];
        account.copy_from_slice(&hash.finalize()[..16]);
        Self(account)
    }
}

/// Who has to wait from a failure on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NowWaits {
    /// Everybody at its address who has not logged in before.
    pub address: bool,
    /// Its account, from addresses where it has not logged in before.
    pub account: bool,
}

/// Whether a login may be tried whose outcome comes later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It is under way, until [`LoginThrottle::end_try`].
    Begun,
    /// As many are under way as may yet fail: it may be tried when one of them has ended.
    Crowded,
    /// Too many have failed.
    Closed,
}

/// What failures are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    Address(AddressBlock),
    Site(WideBlock),
    Account(Account),
    Pair(AddressBlock, Account),
}

#[derive(Clone, Copy, Debug)]
struct Tally {
    failures: u32,
    last: Instant,
    open_at: Instant,
}

/// The failed logins. Time is given, and never goes back.
///
/// Asked before a CHALLENGE is sent, and again before its answer is checked: else many connections
/// that were opened at once would have a guess each. A login that succeeds forgives no failure, for a
/// guesser may have an account as well. Whoever is refused for the wait is not counted again.
///
/// Where the answer to a login comes later, as of a procedure, it counts as a failure until it is there: as many are
/// tried at the same time as may yet fail, but one in any case, and the others wait.
#[derive(Debug)]
pub struct LoginThrottle {
    limits: FailureLimits,
    tallies: BTreeMap<Counted, Tally>,
    /// Logins that are tried and not decided. They are bounded by who tries.
    undecided: BTreeMap<Counted, u32>,
    /// The same, by when they are forgotten.
    by_end: BTreeSet<(Instant, Counted)>,
    /// Pairs that have logged in, by when they did last.
    known: BTreeMap<(AddressBlock, Account), Instant>,
    by_login: BTreeSet<(Instant, AddressBlock, Account)>,
}

impl LoginThrottle {
    /// One that is open for everyone.
    #[must_use]
    pub const fn new(limits: FailureLimits) -> Self {
        Self {
            limits,
            tallies: BTreeMap::new(),
            undecided: BTreeMap::new(),
            by_end: BTreeSet::new(),
            known: BTreeMap::new(),
            by_login: BTreeSet::new(),
        }
    }

    /// How long this login is still refused; `None` when it is not.
    #[must_use]
    pub fn closed_for(&self, address: IpAddr, account: Account, now: Instant) -> Option<Duration> {
        let judged = self.judged(AddressBlock::of(address), account);
        let open_at = judged.filter_map(|(counted, _)| {
            let tally = self.tallies.get(&counted)?;
            Some(tally.open_at)
        });
        open_at.max().filter(|open_at| *open_at > now).map(|open_at| open_at.duration_since(now))
    }

    /// Begins a login that is decided later, if it may be tried now.
    pub fn begin_try(&mut self, address: IpAddr, account: Account, now: Instant) -> Tried {
        if self.closed_for(address, account, now).is_some() {
            return Tried::Closed;
        }
        let block = AddressBlock::of(address);
        let is_crowded = self.judged(block, account).any(|(counted, max)| {
            let undecided = self.undecided.get(&counted).copied().unwrap_or_default();
            let failures =
                self.tallies.get(&counted).map_or(0, |tally| self.unforgiven(tally, now));
            undecided > 0 && failures.saturating_add(undecided) >= max
        });
        if is_crowded {
            return Tried::Crowded;
        }
        for (counted, _) in self.all_of(block, account) {
            *self.undecided.entry(counted).or_default() += 1;
        }
        Tried::Begun
    }

    /// A login that was [`Begun`](Tried::Begun) is decided, and counted if it has failed; or nobody waits for it any
    /// more.
    pub fn end_try(&mut self, address: IpAddr, account: Account) {
        for (counted, _) in self.all_of(AddressBlock::of(address), account) {
            let left = self.undecided.get(&counted).copied().unwrap_or_default().saturating_sub(1);
            if left == 0 {
                self.undecided.remove(&counted);
            } else {
                self.undecided.insert(counted, left);
            }
        }
    }

    /// All that a login counts for, and with how many failures each waits.
    fn all_of(&self, block: AddressBlock, account: Account) -> [(Counted, u32); 4] {
        let max = self.limits.failures_max;
        let of_site = max.saturating_mul(u32::try_from(WideBlock::SHARES).unwrap_or(u32::MAX));
        [
            (Counted::Pair(block, account), max),
            (Counted::Address(block), max),
            (Counted::Site(block.wide()), of_site),
            (Counted::Account(account), max),
        ]
    }

    /// Of these, those that it is judged by: who has logged in before, by its own alone.
    fn judged(
        &self,
        block: AddressBlock,
        account: Account,
    ) -> impl Iterator<Item = (Counted, u32)> + use<> {
        let is_known = self.known.contains_key(&(block, account));
        self.all_of(block, account).into_iter().take(if is_known { 1 } else { usize::MAX })
    }

    /// Counts a failed login; who has to wait from this one on.
    pub fn on_failure(&mut self, address: IpAddr, account: Account, now: Instant) -> NowWaits {
        self.forget_until(now);
        let max = self.limits.failures_max;
        let all = self.all_of(AddressBlock::of(address), account);
        let [_pair, address, _site, account] =
            all.map(|(counted, max)| self.count(counted, max, now));
        self.check();
        NowWaits { address: address == max, account: account == max }
    }

    /// Remembers who has logged in from where.
    pub fn on_success(&mut self, address: IpAddr, account: Account, now: Instant) {
        let block = AddressBlock::of(address);
        if let Some(before) = self.known.insert((block, account), now) {
            self.by_login.remove(&(before, block, account));
        }
        self.by_login.insert((now, block, account));
        if self.known.len() > self.limits.remembered_max
            && let Some((_, block, account)) = self.by_login.pop_first()
        {
            self.known.remove(&(block, account));
        }
        self.check();
    }

    /// For how many failures are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tallies.len()
    }

    /// Whether no failure is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tallies.is_empty()
    }

    /// Counts one for `counted`, which waits from `max` on; how many there are.
    fn count(&mut self, counted: Counted, max: u32, now: Instant) -> u32 {
        let before = self.tallies.get(&counted).map_or(0, |tally| self.unforgiven(tally, now));
        let failures = before.saturating_add(1);
        let open_at = if failures < max { now } else { now + self.wait(failures - max) };
        self.remove(counted);
        if self.tallies.len() >= self.limits.remembered_max
            && let Some(&(_, first)) = self.by_end.first()
        {
            self.remove(first);
        }
        let tally = Tally { failures, last: now, open_at };
        self.by_end.insert((self.end_of(&tally), counted));
        self.tallies.insert(counted, tally);
        failures
    }

    /// After so many failures beyond those that are free.
    fn wait(&self, more: u32) -> Duration {
        FIRST_WAIT
            .saturating_mul(1_u32.checked_shl(more).unwrap_or(u32::MAX))
            .min(self.limits.window)
    }

    /// Of the failures, those that are not forgiven by now.
    fn unforgiven(&self, tally: &Tally, now: Instant) -> u32 {
        let windows = now.saturating_duration_since(tally.last).as_nanos()
            / self.limits.window.as_nanos().max(1);
        tally.failures.saturating_sub(u32::try_from(windows).unwrap_or(u32::MAX))
    }

    fn end_of(&self, tally: &Tally) -> Instant {
        tally.last + self.limits.window.saturating_mul(tally.failures)
    }

    fn forget_until(&mut self, now: Instant) {
        while let Some(&(_, counted)) = self.by_end.first().filter(|(end, _)| *end <= now) {
            self.remove(counted);
        }
    }

    fn remove(&mut self, counted: Counted) {
        if let Some(tally) = self.tallies.remove(&counted) {
            self.by_end.remove(&(self.end_of(&tally), counted));
        }
    }

    fn check(&self) {
        debug_assert_eq!(self.tallies.len(), self.by_end.len());
        debug_assert_eq!(self.known.len(), self.by_login.len());
        debug_assert!(self.tallies.len() <= self.limits.remembered_max.max(1));
        debug_assert!(self.known.len() <= self.limits.remembered_max);
    }
}

#[cfg(test)]
mod tests;
