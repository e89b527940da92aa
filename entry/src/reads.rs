//! One read of what is stored: a batch, held until whoever wants it has taken it.
//!
//! A read ends by itself, however slow the client is that it is for: so all have their turn. Clients
//! that catch up with what comes live have turns of their own, which no answer of `/history` takes. A
//! client address, or a site of IPv6, has a part of the turns: it waits for its own before it stands in line with
//! others, so that nobody waits for hundreds of its reads.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::sync::Semaphore;

use vixen_broker::history::{HistoryError, HistoryRequest, Page, end_of, messages_of};
use vixen_broker::replay::{ReadPart, overlaps_of};
use vixen_core::id::Position;
use vixen_core::wire::TailSegment;
use vixen_runtime::address::{AddressBlock, WideBlock};

use crate::node::{EntryHandle, HistoryStream};

/// Bytes of messages after which a read of a replay stops.
const REPLAY_BYTES: usize = 1 << 20;
/// Reads of replays at a time. With those of answers they are fewer than an entry makes.
const REPLAY_READS_MAX: usize = 32;
/// Of these, for one client address.
const REPLAY_READS_PER_ADDRESS_MAX: usize = 8;
/// Bytes of messages after which a page stops.
const PAGE_BYTES: usize = 128 << 10;
/// Reads of pages at a time.
const PAGE_READS_MAX: usize = 4;
/// Of these, for one client address.
const PAGE_READS_PER_ADDRESS_MAX: usize = 1;
/// What a segment takes beside its records.
const SEGMENT_BYTES: usize = 128;

/// What all that reads shares.
#[derive(Clone, Debug)]
pub(crate) struct ReadContext {
    core: EntryHandle,
    turns: Arc<Turns>,
    addresses: Arc<Addresses>,
}

/// What one client reads with.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    core: EntryHandle,
    turns: Arc<Turns>,
    /// Of its address.
    own: Arc<OwnTurns>,
}

/// Reads at a time.
#[derive(Debug)]
struct Turns {
    replays: Semaphore,
    pages: Semaphore,
}

/// Addresses, or sites, with clients that may read.
#[derive(Debug, Default)]
struct Addresses(Mutex<BTreeMap<WideBlock, Weak<OwnTurns>>>);

#[derive(Debug)]
struct OwnTurns {
    block: WideBlock,
    turns: Turns,
    addresses: Arc<Addresses>,
}

impl Turns {
    const fn new(replays: usize, pages: usize) -> Self {
        Self { replays: Semaphore::const_new(replays), pages: Semaphore::const_new(pages) }
    }
}

impl Addresses {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<WideBlock, Weak<OwnTurns>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OwnTurns {
    fn drop(&mut self) {
        let mut all = self.addresses.lock();
        // Somebody may have come since whose turns these are not.
        if all.get(&self.block).is_some_and(|own| own.strong_count() == 0) {
            all.remove(&self.block);
        }
    }
}

impl ReadContext {
    pub(crate) fn new(core: EntryHandle) -> Self {
        let turns = Arc::new(Turns::new(REPLAY_READS_MAX, PAGE_READS_MAX));
        Self { core, turns, addresses: Arc::default() }
    }

    /// For a client at this address.
    pub(crate) fn of(&self, address: IpAddr) -> Reader {
        let block = AddressBlock::of(address).wide();
        let mut all = self.addresses.lock();
        let own = all.get(&block).and_then(Weak::upgrade).unwrap_or_else(|| {
            let turns = Turns::new(REPLAY_READS_PER_ADDRESS_MAX, PAGE_READS_PER_ADDRESS_MAX);
            let own = Arc::new(OwnTurns { block, turns, addresses: Arc::clone(&self.addresses) });
            all.insert(block, Arc::downgrade(&own));
            own
        });
        drop(all);
        Reader { core: self.core.clone(), turns: Arc::clone(&self.turns), own }
    }

    /// Whose store it is.
    pub(crate) const fn core(&self) -> &EntryHandle {
        &self.core
    }
}

/// Reads what a subscriber wants, or as much of it as a batch holds.
///
/// # Errors
/// As the read of history that it is.
pub(crate) async fn read(
    reader: Reader,
    request: HistoryRequest,
) -> Result<ReadPart, HistoryError> {
    let limit = request.limit;
    // Of one message there is an event for each.
    let bytes_max = REPLAY_BYTES / overlaps_of(&request.topics);
    let stopped = |_closed| HistoryError::Stopped;
    let _own_turn = reader.own.turns.replays.acquire().await.map_err(stopped)?;
    let _turn = reader.turns.replays.acquire().await.map_err(stopped)?;
    let mut stream = reader.core.history(request).await?;
    let mut segments = Vec::new();
    let end = take(&mut stream, bytes_max, &mut segments).await?;
    match (end, segments.last()) {
        (None, Some(last)) => {
            let next = end_of(last);
            Ok(ReadPart { segments, next, is_complete: false })
        }
        (None, None) => Err(HistoryError::Stopped),
        (Some(next), _) => {
            let messages = segments.iter().map(messages_of).sum::<u64>();
            let is_complete = limit.is_none_or(|limit| messages < limit);
            Ok(ReadPart { segments, next, is_complete })
        }
    }
}

/// Reads a page of a long answer, or as much of it as a batch holds. Where it fails, what came before
/// is a page: the next one fails.
///
/// # Errors
/// As the read of history that it is.
pub(crate) async fn read_page(
    reader: Reader,
    request: HistoryRequest,
) -> Result<Page, HistoryError> {
    let stopped = |_closed| HistoryError::Stopped;
    let _own_turn = reader.own.turns.pages.acquire().await.map_err(stopped)?;
    let _turn = reader.turns.pages.acquire().await.map_err(stopped)?;
    let mut stream = reader.core.history(request).await?;
    let order_end = stream.order_end();
    let mut segments = Vec::new();
    let has_ended = match take(&mut stream, PAGE_BYTES, &mut segments).await {
        Ok(end) => end.is_some(),
        Err(error) if segments.is_empty() => return Err(error),
        Err(_for_the_next) => false,
    };
    Ok(Page { segments, has_ended, order_end })
}

/// Takes what a read gives out, until it has ended or has brought so many bytes. Where it has ended,
/// or `None`.
async fn take(
    stream: &mut HistoryStream,
    bytes_max: usize,
    segments: &mut Vec<TailSegment>,
) -> Result<Option<Position>, HistoryError> {
    let mut bytes = 0;
    while let Some(more) = stream.next().await? {
        bytes += more.iter().map(|segment| SEGMENT_BYTES + segment.records.len()).sum::<usize>();
        segments.extend(more);
        if bytes >= bytes_max {
            return Ok(None);
        }
    }
    stream.end().map(Some).ok_or(HistoryError::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    /// 900 sessions of one address held up everybody's catching up: all stood in one line.
    #[tokio::test]
    async fn one_address_has_a_part_of_the_turns_and_gives_them_back() {
        let context = ReadContext::new(EntryHandle::new().0);
        let greedy = context.of(address("127.0.6.1"));
        let mut held = Vec::new();
        while let Ok(own) = greedy.own.turns.replays.try_acquire() {
            held.push((own, context.turns.replays.try_acquire().expect("of its part")));
        }
        assert_eq!(held.len(), REPLAY_READS_PER_ADDRESS_MAX);
        // Another session of it has no more, another address has.
        assert!(context.of(address("127.0.6.1")).own.turns.replays.try_acquire().is_err());
        let other = context.of(address("127.0.0.2"));
        assert!(other.own.turns.replays.try_acquire().is_ok());
        assert!(context.turns.replays.available_permits() > 0, "nor has it taken all");
        // A site of IPv6 is one.
        let [one, two] =
            ["2001:db8:7:1::1", "2001:db8:7:2::1"].map(|text| context.of(address(text)));
        assert!(Arc::ptr_eq(&one.own, &two.own));
        drop(held);
        drop((greedy, other, one, two));
        assert!(context.addresses.lock().is_empty(), "who is gone is forgotten");
    }
}
