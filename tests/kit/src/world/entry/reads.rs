//! Reads of history at an entry of the World.

use vixen_broker::api::SessionId;
use vixen_broker::history::{
    self, HistoryError, HistoryItem, HistoryRequest, Known, ReadId, Verdict,
};
use vixen_core::wire::{FeedMessage, Message};

use super::{Effects, Turn};
use crate::world::io::Name;

impl Turn<'_> {
    pub(super) fn known(&self) -> Option<Known> {
        let reader = self.process.reader.as_ref()?;
        let frontier = reader.frontier();
        let next = Some(reader.next_position()).max(self.process.delivery.passed());
        Some(Known {
            next: next.unwrap_or_default(),
            delivered: frontier.delivered(),
            sigma: frontier.sigma(),
        })
    }

    pub(super) fn open_read(
        &mut self,
        session: SessionId,
        request: HistoryRequest,
        fx: &mut Effects,
    ) {
        let Some(known) = self.known() else {
            return self.refuse(session, HistoryError::NotReady);
        };
        match request.named.filter(|named| !known.holds(*named)) {
            None => self.begin_read(session, request, &known, fx),
            Some(named) => {
                let waits = self.process.ahead.wait(self.now.wall, named, (session, request));
                assert!(waits.is_ok(), "few reads wait");
            }
        }
    }

    pub(super) fn begin_read(
        &mut self,
        session: SessionId,
        request: HistoryRequest,
        known: &Known,
        fx: &mut Effects,
    ) {
        let read = self.next_read(session);
        self.history(history::Input::Open { read, request, next: known.next }, fx);
    }

    pub(super) fn refuse(&mut self, session: SessionId, error: HistoryError) {
        let read = self.next_read(session);
        self.hand(read, HistoryItem::Failed(error));
    }

    pub(super) fn next_read(&mut self, session: SessionId) -> ReadId {
        self.process.last_read = ReadId(self.process.last_read.0 + 1);
        let read = self.process.last_read;
        if let Some(client) = self.process.clients.get_mut(&session) {
            client.opened(read);
            self.process.readers.insert(read, session);
        }
        read
    }

    pub(super) fn hand(&mut self, read: ReadId, item: HistoryItem) {
        let Some(session) = self.process.readers.get(&read).copied() else { return };
        if !matches!(item, HistoryItem::Segments(_)) {
            self.process.readers.remove(&read);
        }
        if let Some(client) = self.process.clients.get_mut(&session) {
            client.hand(read, item);
        }
    }

    pub(super) fn settle_history(&mut self, fx: &mut Effects) {
        if let Some(known) = self.known() {
            let (told, question) = self.process.ahead.poll(self.now.wall, &known);
            for ((session, request), verdict) in told {
                match verdict {
                    Verdict::Within | Verdict::Reached | Verdict::Overdue => {
                        self.begin_read(session, request, &known, fx);
                    }
                    Verdict::Beyond => {
                        self.refuse(session, HistoryError::Beyond { end: known.end() });
                    }
                    Verdict::Unknown { waited_ms } => {
                        self.refuse(session, HistoryError::EndUnknown { waited_ms });
                    }
                }
            }
            self.ask_reached(question);
        }
        self.history(history::Input::Flush, fx);
        let history::Effects { sends, items, .. } = std::mem::take(&mut fx.history);
        self.out.sends.extend(sends.into_iter().map(|(to, message)| (Name::Ndb(to), message)));
        for (read, item) in items {
            self.hand(read, item);
        }
    }

    pub(super) fn ask_reached(&mut self, question: Option<u64>) {
        let Some(request) = question else { return };
        for id in &self.process.sync {
            self.out
                .sends
                .push((Name::Sync(*id), Message::Feed(FeedMessage::AskReached { request })));
        }
    }
}
