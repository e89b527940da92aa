//! Sessions of the World take what has come for them, some of them slowly.

use rand::RngExt;

use vixen_broker::api::SessionId;

use super::client::Client;
use super::hosts::{Host, Machine};
use super::io::{Arrived, Ask, Name, Out};
use super::people::Kind;
use super::{Event, World};

impl World {
    pub(super) fn open_session(&mut self, entry: Name, session: SessionId, client: Client) {
        if let Some(Host { machine: Machine::Entry(node), .. }) = self.hosts.get_mut(&entry) {
            node.open(session, client);
        }
    }

    /// Arranges that sessions take what has come for them.
    pub(super) fn arrange_pumps(&mut self, entry: Name) {
        let Some(Host { machine: Machine::Entry(node), life, .. }) = self.hosts.get(&entry) else {
            return;
        };
        let life = *life;
        let due = node
            .sessions()
            .filter_map(|(session, client)| Some((*session, client.due_us(self.now_us)?)));
        for (session, due_us) in due.collect::<Vec<_>>() {
            let Some(one) = self.people.sessions.get_mut(&session) else { continue };
            if std::mem::replace(&mut one.is_pumped, true) {
                continue;
            }
            let is_slow = matches!(
                self.people.persons[one.person].kind,
                Kind::Subscriber { is_slow: true, .. }
            );
            let delay_us = if is_slow { 60_000 } else { 1_000 };
            let at_us = due_us.max(self.now_us) + self.rng.random_range(10..delay_us);
            self.at_us(at_us, Event::Pump { entry, life, session });
        }
    }

    pub(super) fn pump(&mut self, entry: Name, life: u64, session: SessionId) {
        if self.life_of(entry) != life {
            return;
        }
        let Some(one) = self.people.sessions.get_mut(&session) else { return };
        one.is_pumped = false;
        let is_cut = one.is_cut;
        let Some(Host { machine: Machine::Entry(node), .. }) = self.hosts.get_mut(&entry) else {
            return;
        };
        let Some(client) = node.client(session) else { return };
        let mut out = Out::default();
        client.pump(self.now_us, &mut out);
        let (asks, is_over) = (!client.to_core.is_empty(), client.is_over);
        // Who is cut off hears nothing of it.
        if !is_cut {
            self.take_facts(entry, out.facts);
        }
        if asks {
            self.arrive(entry, Arrived::Asked { session, ask: Ask::Turn });
        }
        if is_over {
            self.cut_session(session);
        }
        self.arrange_pumps(entry);
    }
}
