//! What the registrar does about entries that may be gone (`gone`): it watches the lives of its view, asks sync nodes, and
//! says so. Nothing of it while the view is not ready.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;

use vixen_core::id::{OwnerId, SyncId};
use vixen_views::record::{self, Record, Said};
use vixen_views::registrations::{Applied, Change};

use super::{Effects, EntryLink, HeardOf, Note, Owed, Registrar, Trust};

impl Registrar {
    /// What is thought of an entry whose life the view has.
    #[must_use]
    pub fn trust_of(&self, owner: OwnerId) -> Trust {
        self.suspects.trust_of(owner)
    }

    pub(super) fn on_entry(&mut self, now: Instant, owner: OwnerId, link: EntryLink) {
        match link {
            EntryLink::Up => self.suspects.up(owner),
            EntryLink::Down => {
                self.tenures.unlinked(owner);
                self.suspects.down(now, owner);
            }
            EntryLink::Silent => self.suspects.silent(owner, true),
            EntryLink::HeardAgain => self.suspects.silent(owner, false),
        }
        self.held.look_again();
    }

    pub(super) fn on_heard(&mut self, now: Instant, from: SyncId, request: u64, said: HeardOf) {
        self.suspects.answered(now, from, request, said);
        self.held.look_again();
    }

    /// The view is ready, and may be another than before.
    pub(super) fn watch_anew(&mut self, now: Instant) {
        let lives = self.follower.view().lives();
        let lives = lives.map(|living| (living.life, living.facts.name.clone()));
        self.suspects.all_living(now, lives);
        self.held.look_again();
    }

    /// A record was applied: `message`, if the view was ready before.
    pub(super) fn watch(
        &mut self,
        now: Instant,
        applied: &Applied,
        message: Option<&(Arc<str>, Bytes)>,
        fx: &mut Effects,
    ) {
        for change in &applied.changes {
            match change {
                Change::Alive(life) => {
                    if let Some(living) = self.follower.view().living(life.owner) {
                        self.suspects.living(now, living.life, living.facts.name.clone());
                    }
                }
                Change::Over(life) => {
                    self.suspects.over(life.owner);
                    self.asked.over(*life);
                    let gone = message.and_then(|(topic, payload)| read_gone(topic, payload));
                    if let Some((by, why)) = gone {
                        fx.notes.push(Note::Gone { life: *life, why, by });
                    }
                }
                Change::Deleted { registration, .. } => self.held.ended(*registration),
                Change::Created { .. } | Change::Joined { .. } | Change::Left { .. } => {}
            }
        }
    }

    /// Asks and says what is due.
    pub(super) fn poll_suspects(&mut self, now: Instant, fx: &mut Effects) {
        if self.is_stopping || !self.is_ready() {
            return;
        }
        let Owed { asks, gone } = self.suspects.poll(now);
        fx.asks.extend(asks);
        for (life, why) in gone {
            self.write_gone(life, why, fx);
        }
    }
}

/// Who says that a life is over, and why, if a record says that and no new life has begun.
fn read_gone(topic: &str, payload: &[u8]) -> Option<(record::Life, record::GoneWhy)> {
    let record = Record::read(topic, payload).ok()?;
    match record.said {
        Said::Gone(gone) => Some((record.writer, gone.why)),
        Said::Life(_)
        | Said::Register(_)
        | Said::Unregister(_)
        | Said::SessionOver(_)
        | Said::Checkpoint(_) => None,
    }
}
