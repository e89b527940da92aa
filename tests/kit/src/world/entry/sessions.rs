//! What sessions of an entry of the World ask, and what they are told.

use std::collections::BTreeMap;

use vixen_broker::api::{Outgoing, Sent, SessionId};
use vixen_broker::client as books;
use vixen_broker::{delivery, history, segmenter};
use vixen_core::id::Position;

use super::{Effects, Turn};
use crate::world::client::Word;
use crate::world::io::Ask;
use crate::world::mutant::Mutant;

impl Turn<'_> {
    pub(super) fn on_asked(&mut self, session: SessionId, ask: Ask, fx: &mut Effects) {
        match ask {
            Ask::Publish(messages) => {
                if let Some(client) = self.process.clients.get_mut(&session) {
                    client.handed_over(&messages);
                }
                self.segmenter(segmenter::Input::Publish { session, messages }, fx);
            }
            Ask::Close => {
                self.process.clients.remove(&session);
                let of_session = self.process.readers.extract_if(.., |_, of| *of == session);
                for (read, _) in of_session.collect::<Vec<_>>() {
                    self.history(history::Input::Cancel { read }, fx);
                }
                self.delivery(delivery::Input::SessionClosed { session }, fx);
            }
            Ask::Turn => {
                let client = self.process.clients.get_mut(&session);
                let words = client.map(|client| std::mem::take(&mut client.to_core));
                for word in words.unwrap_or_default() {
                    self.on_word(session, word, fx);
                }
            }
        }
    }

    pub(super) fn on_word(&mut self, session: SessionId, word: Word, fx: &mut Effects) {
        let ask = match word {
            Word::Ask(ask) => ask,
            Word::Read(request) => return self.open_read(session, request, fx),
            Word::Took(read) => return self.history(history::Input::Took { read }, fx),
            Word::Cancel(read) => {
                self.process.readers.remove(&read);
                return self.history(history::Input::Cancel { read }, fx);
            }
        };
        let input = match ask {
            books::Ask::Subscribe { request, pattern, mode } => {
                let Some(client) = self.process.clients.get(&session) else { return };
                let origin = client.info().origin;
                delivery::Input::Subscribe { session, origin, request, pattern, mode }
            }
            books::Ask::Join { join, subscriptions } => {
                delivery::Input::Join { session, join, subscriptions }
            }
            books::Ask::Unsubscribe { request, subscription } => {
                delivery::Input::Unsubscribe { session, request, subscription }
            }
            // Nobody registers here.
            books::Ask::LeaveRegistration { .. } | books::Ask::HideRegistration { .. } => return,
        };
        self.delivery(input, fx);
    }

    /// Hands everything to its session, as the driver does.
    pub(super) fn tell_all(&mut self, outgoing: Vec<(SessionId, Outgoing)>) {
        let mut lagging: BTreeMap<SessionId, Position> = BTreeMap::new();
        for (session, outgoing) in outgoing {
            let Some(client) = self.process.clients.get_mut(&session) else { continue };
            match outgoing {
                Outgoing::Events(batch) => {
                    let first = batch.first_position();
                    let is_left_out = lagging.contains_key(&session);
                    if !is_left_out && client.send(Outgoing::Events(batch)) == Sent::Queued {
                        continue;
                    }
                    if let Some(first) = first {
                        lagging.entry(session).or_insert(first);
                    }
                }
                Outgoing::Lagging { from, subscriptions } => {
                    let from = lagging.get(&session).map_or(from, |missed| from.min(*missed));
                    client.send(Outgoing::Lagging { from, subscriptions });
                }
                other => {
                    client.send(other);
                }
            }
        }
        if self.mutant == Some(Mutant::LagUnsaid) {
            return;
        }
        for (session, from) in lagging {
            let mut fx = delivery::Effects::default();
            let input = delivery::Input::Lag { session, from };
            self.process.delivery.step(self.now.wall, input, &mut fx);
            for (_, outgoing) in fx.outgoing {
                if let Some(client) = self.process.clients.get_mut(&session) {
                    client.send(outgoing);
                }
            }
        }
    }
}
