//! The reads of stored messages that are under way, and who waits for them.

use std::collections::BTreeMap;

use tokio::sync::{mpsc, oneshot};

use vixen_broker::history::{
    Effects, End, History, HistoryError, HistoryItem, HistoryOptions, HistoryRequest, Input, Known,
    ReadId,
};
use vixen_core::id::{NdbId, Position, Stamp, SyncId};
use vixen_core::time::WallTime;

use super::history::HistoryStream;
use super::{EntryHandle, EntryOptions};

/// A read that waits, and where its consumer does.
pub(super) type Asked = (HistoryRequest, oneshot::Sender<HistoryStream>);

/// See the module.
pub(super) struct Reads {
    history: History,
    pub(super) consumers: BTreeMap<ReadId, mpsc::Sender<HistoryItem>>,
    last: ReadId,
    /// Reads whose place is not known here.
    pub(super) end: End<Asked>,
    /// What the steps of this turn owe.
    pub(super) fx: Effects,
}

impl Reads {
    pub(super) fn new(options: &EntryOptions) -> Self {
        let end = End::new(&options.membership);
        let options = HistoryOptions {
            owner: options.owner,
            membership: options.membership.clone(),
            roster: options.roster.clone(),
        };
        Self {
            history: History::new(options),
            consumers: BTreeMap::new(),
            last: ReadId(0),
            end,
            fx: Effects::default(),
        }
    }

    /// When `settle_history` has something to do without an event.
    pub(super) fn timeout_at(&self) -> Option<WallTime> {
        self.history.timeout_at().into_iter().chain(self.end.timeout_at()).min()
    }

    /// How far a sync node has come, as it was asked.
    pub(super) fn reached(&mut self, from: SyncId, request: u64, stamp: Stamp) {
        self.end.answered(from, request, stamp);
    }

    pub(super) fn ndb_up(&mut self, now: WallTime, ndb: NdbId) {
        self.history.step(now, Input::NdbUp { ndb }, &mut self.fx);
    }

    pub(super) fn ndb_down(&mut self, now: WallTime, ndb: NdbId) {
        self.history.step(now, Input::NdbDown { ndb }, &mut self.fx);
    }

    pub(super) fn step(&mut self, now: WallTime, input: Input) {
        self.history.step(now, input, &mut self.fx);
    }

    /// Opens a read up to the end of what is known.
    pub(super) fn open(
        &mut self,
        now: WallTime,
        handle: &EntryHandle,
        request: HistoryRequest,
        known: &Known,
    ) -> HistoryStream {
        let (read, stream) = self.add(handle, known.end());
        self.step(now, Input::Open { read, request, next: known.next });
        stream
    }

    /// A read that fails at once.
    pub(super) fn refuse(&mut self, handle: &EntryHandle, error: HistoryError) -> HistoryStream {
        let (read, stream) = self.add(handle, Position(0));
        self.fx.items.push((read, HistoryItem::Failed(error)));
        stream
    }

    fn add(&mut self, handle: &EntryHandle, order_end: Position) -> (ReadId, HistoryStream) {
        let read = ReadId(self.last.0.wrapping_add(1));
        self.last = read;
        let (consumer, stream) = handle.history_stream(read, order_end);
        self.consumers.insert(read, consumer);
        (read, stream)
    }

    /// Forgets the reads whose consumers are gone.
    pub(super) fn sweep(&mut self, now: WallTime) {
        let gone = self.consumers.extract_if(.., |_, consumer| consumer.is_closed());
        let gone: Vec<_> = gone.map(|(read, _)| read).collect();
        for read in gone {
            self.step(now, Input::Cancel { read });
        }
    }

    /// Hands an item to its consumer, who has room or is gone.
    pub(super) fn hand(&mut self, read: ReadId, item: HistoryItem) {
        let is_last = match &item {
            HistoryItem::Segments(_) => false,
            HistoryItem::End { .. } | HistoryItem::Failed(_) => true,
        };
        if let Some(consumer) = self.consumers.get(&read) {
            let _gone = consumer.try_send(item);
        }
        if is_last {
            self.consumers.remove(&read);
        }
    }
}
