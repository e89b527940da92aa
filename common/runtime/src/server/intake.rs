//! Intake: what has come of requests, frames and messages that are not whole yet, of one port.
//!
//! HTTP and WebSocket keep what has come until the rest has. Each has a bound of its own, which as
//! many clients may reach at once as there are; so all of it together is bounded here, before anybody
//! is known. Each connection has a [`Meter`], which counts what is read of it since it was last
//! [`settled`](Meter::settle). Beyond the bound somebody's unfinished input ends: of the address
//! that has most of it, the largest. A site of many addresses has as much as an eighth of all of
//! theirs, if that is more: none of them need be large.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use metrics::{counter, describe_counter};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::address::{AddressBlock, WideBlock};

const UNFINISHED_ENDED: &str = "vixen_common_unfinished_inputs_ended_total";

/// Beyond the bound an eighth of it is made free, so that not every byte that comes looks for who
/// is to go.
const ROOM_SHARE: usize = 8;

/// Why nothing more is read of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over {
    /// More came, and is not whole, than this connection may have unfinished.
    TooLarge,
    /// All connections together had too much unfinished, and this one most.
    Crowded,
    /// What has begun to come did not become whole in time.
    Late,
}

impl Over {
    const fn label(self) -> &'static str {
        match self {
            Self::TooLarge => "too_large",
            Self::Crowded => "crowded",
            Self::Late => "late",
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::TooLarge => 1,
            Self::Crowded => 2,
            Self::Late => 3,
        }
    }

    const fn of_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::TooLarge),
            2 => Some(Self::Crowded),
            3 => Some(Self::Late),
            _ => None,
        }
    }
}

/// Gives the metric its help text.
pub(super) fn describe() {
    describe_counter!(
        UNFINISHED_ENDED,
        "Requests, frames and messages of clients that were ended before they were whole"
    );
}

/// See the module.
#[derive(Debug)]
pub(super) struct Intake {
    bytes_max: usize,
    /// Of all connections that are not over.
    unfinished: AtomicUsize,
    meters: Mutex<BTreeMap<u64, Arc<Counted>>>,
    next: AtomicU64,
    began: Instant,
}

#[derive(Debug)]
struct Counted {
    block: Mutex<AddressBlock>,
    bytes: AtomicUsize,
    bytes_max: AtomicUsize,
    /// When the first of the bytes came: milliseconds since `Intake::began`.
    since_ms: AtomicU64,
    /// A code of [`Over`], or 0.
    over: AtomicU8,
    is_trusted: AtomicBool,
    told: Notify,
}

/// What is unfinished of one connection. Handlers find it in the extensions of a request.
#[derive(Clone, Debug)]
pub struct Meter(Arc<Metered>);

#[derive(Debug)]
struct Metered {
    intake: Arc<Intake>,
    id: u64,
    counted: Arc<Counted>,
}

impl Intake {
    pub(super) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes_max,
            unfinished: AtomicUsize::new(0),
            meters: Mutex::default(),
            next: AtomicU64::new(0),
            began: Instant::now(),
        })
    }

    /// The meter of a new connection.
    pub(super) fn meter(self: &Arc<Self>, block: AddressBlock) -> Meter {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let counted = Arc::new(Counted {
            block: Mutex::new(block),
            bytes: AtomicUsize::new(0),
            bytes_max: AtomicUsize::new(usize::MAX),
            since_ms: AtomicU64::new(0),
            over: AtomicU8::new(0),
            is_trusted: AtomicBool::new(false),
            told: Notify::new(),
        });
        lock(&self.meters).insert(id, Arc::clone(&counted));
        Meter(Arc::new(Metered { intake: Arc::clone(self), id, counted }))
    }

    /// Ends as many as it takes, where there is too much.
    fn make_room(&self) {
        let meters = lock(&self.meters);
        // Somebody else may have made room meanwhile.
        let unfinished = self.unfinished.load(Ordering::Relaxed);
        if unfinished <= self.bytes_max {
            return;
        }
        let mut of = Unfinished::new();
        for (id, counted) in meters.iter() {
            let bytes = counted.bytes.load(Ordering::Relaxed);
            if bytes > 0 && counted.over().is_none() {
                of.entry(*lock(&counted.block)).or_default().insert((bytes, *id));
            }
        }
        let excess = unfinished - (self.bytes_max - self.bytes_max / ROOM_SHARE);
        for id in largest(&mut of, excess) {
            if let Some(counted) = meters.get(&id) {
                self.end(counted, Over::Crowded);
            }
        }
    }

    fn end(&self, counted: &Counted, over: Over) {
        let ended =
            counted.over.compare_exchange(0, over.code(), Ordering::AcqRel, Ordering::Acquire);
        if ended.is_ok() {
            // What it has is as good as gone.
            self.unfinished.fetch_sub(counted.bytes.swap(0, Ordering::Relaxed), Ordering::Relaxed);
            counter!(UNFINISHED_ENDED, "reason" => over.label()).increment(1);
            counted.told.notify_waiters();
        }
    }
}

/// What is unfinished of each address, by connection.
type Unfinished = BTreeMap<AddressBlock, BTreeSet<(usize, u64)>>;

/// What is unfinished of a site.
#[derive(Debug, Default)]
struct OfSite {
    /// Its addresses, by how much they have.
    blocks: BTreeSet<(usize, AddressBlock)>,
    bytes: usize,
}

impl OfSite {
    /// As how much it counts beside addresses of other sites.
    fn share(&self) -> usize {
        let most = self.blocks.last().map_or(0, |(bytes, _)| *bytes);
        most.max(self.bytes / WideBlock::SHARES)
    }

    /// Takes the largest one of its address that has most.
    fn take(&mut self, of: &mut Unfinished) -> Option<(usize, u64)> {
        let (sum, block) = self.blocks.pop_last()?;
        let (bytes, id) = of.get_mut(&block)?.pop_last()?;
        self.blocks.insert((sum - bytes, block));
        self.bytes -= bytes;
        Some((bytes, id))
    }
}

/// Which of them make up for `excess`: again and again the largest one of the address that has most.
fn largest(of: &mut Unfinished, mut excess: usize) -> Vec<u64> {
    let mut sites: BTreeMap<WideBlock, OfSite> = BTreeMap::new();
    for (block, all) in &*of {
        let bytes = all.iter().map(|(bytes, _)| bytes).sum();
        let site = sites.entry(block.wide()).or_default();
        site.blocks.insert((bytes, *block));
        site.bytes += bytes;
    }
    let mut shares: BTreeSet<_> = sites.iter().map(|(wide, site)| (site.share(), *wide)).collect();
    let mut ended = Vec::new();
    while excess > 0
        && let Some((_, wide)) = shares.pop_last()
        && let Some(site) = sites.get_mut(&wide)
        && let Some((bytes, id)) = site.take(of)
    {
        ended.push(id);
        excess = excess.saturating_sub(bytes);
        shares.insert((site.share(), wide));
    }
    ended
}

impl Counted {
    fn over(&self) -> Option<Over> {
        Over::of_code(self.over.load(Ordering::Acquire))
    }
}

impl Meter {
    /// So much was read.
    pub(super) fn took(&self, bytes: usize) {
        let Metered { intake, counted, .. } = &*self.0;
        let is_trusted = counted.is_trusted.load(Ordering::Relaxed);
        if bytes == 0 || is_trusted || counted.over().is_some() {
            return;
        }
        // The sum first: whoever ends this one takes its bytes out of it.
        let all = intake.unfinished.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let before = counted.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before == 0 {
            counted.since_ms.store(millis(intake.began.elapsed()), Ordering::Relaxed);
        }
        if before + bytes > counted.bytes_max.load(Ordering::Relaxed) {
            intake.end(counted, Over::TooLarge);
        } else if all > intake.bytes_max {
            intake.make_room();
        }
    }

    /// What has come is whole, and counted elsewhere if it is kept.
    pub fn settle(&self) {
        let Metered { intake, counted, .. } = &*self.0;
        let bytes = counted.bytes.swap(0, Ordering::Relaxed);
        intake.unfinished.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// So much of it was whole by itself, between the parts of something that is not: a ping or pong
    /// (RFC 6455 §5.4).
    pub fn settle_part(&self, bytes: usize) {
        let Metered { intake, counted, .. } = &*self.0;
        let less = |before: usize| Some(before.saturating_sub(bytes));
        let before = counted.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        let before = before.unwrap_or_else(|before| before);
        intake.unfinished.fetch_sub(before.min(bytes), Ordering::Relaxed);
    }

    /// How much it may have unfinished from now on; `usize::MAX`: as its protocol allows.
    pub fn allow(&self, bytes_max: usize) {
        self.0.counted.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// Whose it is, where a proxy says so.
    pub(super) fn assign(&self, block: AddressBlock) {
        *lock(&self.0.counted.block) = block;
    }

    /// Whose connection this is has been proven: from now on nothing of it counts.
    pub fn trust(&self) {
        self.0.counted.is_trusted.store(true, Ordering::Relaxed);
        self.allow(usize::MAX);
        self.settle();
    }

    /// Since when something is unfinished.
    #[must_use]
    pub fn unfinished_since(&self) -> Option<Instant> {
        let Metered { intake, counted, .. } = &*self.0;
        let since = Duration::from_millis(counted.since_ms.load(Ordering::Relaxed));
        (counted.bytes.load(Ordering::Relaxed) > 0).then(|| intake.began + since)
    }

    /// Nothing was read for so long: it is not the client's time.
    pub fn excuse(&self, deaf: Duration) {
        self.0.counted.since_ms.fetch_add(millis(deaf), Ordering::Relaxed);
    }

    /// Ends it: from now on what comes is dropped, and [`over`](Self::over) tells.
    pub fn end(&self, over: Over) {
        self.0.intake.end(&self.0.counted, over);
    }

    /// Whether, and why, it is over.
    #[must_use]
    pub fn is_over(&self) -> Option<Over> {
        self.0.counted.over()
    }

    /// Resolves once it is over. Cancel safe.
    pub async fn over(&self) -> Over {
        loop {
            let told = self.0.counted.told.notified();
            if let Some(over) = self.is_over() {
                return over;
            }
            told.await;
        }
    }
}

impl Drop for Metered {
    fn drop(&mut self) {
        lock(&self.intake.meters).remove(&self.id);
        let bytes = self.counted.bytes.swap(0, Ordering::Relaxed);
        self.intake.unfinished.fetch_sub(bytes, Ordering::Relaxed);
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Meter {
    /// One that bounds nothing.
    pub(crate) fn of_tests() -> Self {
        Intake::new(usize::MAX).meter(AddressBlock::of([127, 0, 0, 1].into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(last: u8) -> AddressBlock {
        AddressBlock::of([10, 0, 0, last].into())
    }

    #[test]
    fn beyond_the_bound_the_largest_of_the_address_that_has_most_ends() {
        let intake = Intake::new(1000);
        // One large input of an address, and many small ones of another.
        let large = intake.meter(block(1));
        large.took(400);
        let small: Vec<_> = (0..6).map(|_| intake.meter(block(2))).collect();
        small[3].took(150);
        small.iter().for_each(|meter| meter.took(70));
        assert!(
            small.iter().chain([&large]).all(|meter| meter.is_over().is_none()),
            "970 are there"
        );
        small[0].took(70);
        assert_eq!(small[3].is_over(), Some(Over::Crowded));
        assert_eq!(large.is_over(), None, "its address has less");
        assert_eq!(intake.unfinished.load(Ordering::Relaxed), 400 + 6 * 70);
    }

    #[test]
    fn a_site_of_many_addresses_does_not_end_the_input_of_others() {
        let intake = Intake::new(1000);
        let of_site =
            |n: u16| intake.meter(AddressBlock::of([0x2001, 0xdb8, 1, n, 0, 0, 0, 1].into()));
        let other = intake.meter(block(1));
        other.took(60);
        let site: Vec<_> = (0..40).map(of_site).collect();
        site.iter().for_each(|meter| meter.took(40));
        assert_eq!(other.is_over(), None, "the site has more than eight times as much");
        let ended = site.iter().filter(|meter| meter.is_over().is_some()).count();
        assert!((17..30).contains(&ended), "{ended}");
    }

    #[test]
    fn what_is_whole_or_gone_does_not_count() {
        let intake = Intake::new(100);
        let (meter, other) = (intake.meter(block(1)), intake.meter(block(2)));
        for _ in 0..10 {
            meter.took(90);
            meter.settle();
        }
        assert_eq!(meter.is_over(), None);
        other.took(90);
        drop(other);
        meter.took(100);
        assert_eq!(meter.is_over(), None);
        meter.settle_part(99);
        assert!(meter.unfinished_since().is_some());
        meter.settle_part(99);
        assert_eq!(meter.unfinished_since(), None);
        drop(meter);
        assert_eq!(intake.unfinished.load(Ordering::Relaxed), 0);
        assert!(lock(&intake.meters).is_empty());
    }

    #[tokio::test]
    async fn one_that_takes_more_than_it_may_is_over_and_the_time_is_from_the_first_byte() {
        let meter = Intake::new(1000).meter(block(1));
        meter.allow(16);
        assert_eq!(meter.unfinished_since(), None);
        meter.took(8);
        let since = meter.unfinished_since().expect("unfinished");
        assert!(since <= Instant::now());
        meter.took(8);
        assert_eq!(meter.unfinished_since(), Some(since));
        meter.excuse(Duration::from_millis(300));
        assert_eq!(meter.unfinished_since(), Some(since + Duration::from_millis(300)));
        let waiting = meter.over();
        assert_eq!(meter.is_over(), None);
        meter.took(1);
        assert_eq!(waiting.await, Over::TooLarge);
        assert_eq!(meter.over().await, Over::TooLarge, "told again");
    }
}
