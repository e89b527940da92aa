//! What each message does.

use std::sync::Arc;

use vixen_core::id::Position;
use vixen_core::segment::{Attributes, Head, Judged, Member, Once, Put, Record, StateTopic, Topic};
use vixen_core::time::WallTime;

use super::chain::{Link, after};
use super::keys::{Given, Value};
use super::outcome::{Found, Outcome, Refusal, Unread, Verdict};
use super::{OpenWrite, State};

/// What a message says.
struct Said<'a> {
    /// Of heads of exactly-once messages the realm alone; its topic is empty.
    key: Topic,
    judged: Judged,
    record: &'a Record<'a>,
    /// Without what is judged.
    attributes: Vec<u8>,
}

impl State {
    /// Takes the message at `position` of realm `#state` into account; `at` is the time of its stamp, `topic` its
    /// topic, whatever the index in `record` says. Positions rise; those between, of other realms, are nothing to the
    /// view.
    pub fn apply(
        &mut self,
        position: Position,
        at: WallTime,
        topic: &str,
        record: &Record<'_>,
    ) -> Outcome {
        if let Some(why) = self.stopped {
            return Outcome::Stopped(why);
        }
        if position <= self.position {
            return Outcome::Repeated;
        }
        let said = read(topic, record);
        if let Err(why) = said
            && why.stops()
        {
            self.stopped = Some(why);
            return Outcome::Stopped(why);
        }
        self.position = position;
        // Whatever stands here: where it is not the next part, the rest of that write is ignored.
        let open = self.open.take().filter(|open| open.next == position);
        if let Err(Unread::Nowhere) = said {
            return Outcome::PassedOver(Unread::Nowhere);
        }
        self.time = self.time.max(at);
        self.marks.pass(self.time);
        let Said { key, judged, record, attributes } = match said {
            Ok(said) => said,
            // Leaves the chain as it is: a later version may know what this one does not.
            Err(why) => return Outcome::PassedOver(why),
        };
        let value = |put: &Put, time| {
            Value::from(Given {
                version: position,
                time,
                session: record.session,
                content: record.content,
                flags: record.flags,
                ttl_ms: put.ttl_ms,
                attributes: &attributes,
                payload: record.payload,
            })
        };
        match judged {
            Judged::Put(put, head) => {
                let value = value(&put, self.time);
                self.on_head(&key, &head, Some(value))
            }
            Judged::Delete(head) => self.on_head(&key, &head, None),
            Judged::Expire { of, life: _ } => self.on_expire(&key, of),
            Judged::Once { parts: _, once } => self.on_once(&key.realm, &once),
            Judged::MemberPut(put, member) => {
                let value = value(&put, self.time);
                let open = open.filter(|_| put.will.is_none());
                self.on_member(open, &key, member, Some(value))
            }
            Judged::MemberDelete(member) => self.on_member(open, &key, member, None),
            // Looked at in `read`.
            Judged::Win { .. } | Judged::Will { .. } | Judged::Body { .. } => {
                Outcome::PassedOver(Unread::Misplaced)
            }
        }
    }

    /// Everything below `next` is applied, since no message was between: `next` itself is not.
    pub fn pass_below(&mut self, next: Position) {
        if self.stopped.is_none() {
            self.position = self.position.max(Position(next.0.saturating_sub(1)));
            if self.open.as_ref().is_some_and(|open| open.next <= self.position) {
                self.open = None;
            }
        }
    }

    fn on_head(&mut self, key: &Topic, head: &Head, value: Option<Value>) -> Outcome {
        let verdict = self.marked(&key.realm, head.once.as_ref()).unwrap_or_else(|| {
            self.failing(key, &head.when).map_or(Verdict::Accepted, Verdict::Refused)
        });
        let is_accepted = verdict == Verdict::Accepted;
        if is_accepted {
            self.change(key, value);
        }
        let left = head.parts.saturating_sub(1);
        self.open = (left > 0).then(|| OpenWrite {
            head: self.position,
            realm: Arc::clone(&key.realm),
            is_accepted,
            is_free: head.is_free(),
            next: self.applied_below(),
            left,
        });
        if let Some(once) = &head.once {
            self.keep_mark(&key.realm, once, self.position, verdict);
        }
        self.judge(verdict)
    }

    /// The head of messages of a realm: they follow it, and change nothing here.
    fn on_once(&mut self, realm: &str, once: &Once) -> Outcome {
        let verdict = self.marked(realm, Some(once)).unwrap_or(Verdict::Accepted);
        self.keep_mark(realm, once, self.applied_below(), verdict);
        self.judge(verdict)
    }

    fn on_expire(&mut self, key: &Topic, of: Position) -> Outcome {
        let value = self.get(&key.realm, &key.uri);
        let refusal = match value {
            Some(value) if value.version == of => match value.due() {
                Some(due) if due <= self.time => None,
                due => Some(Refusal::NotDue(due)),
            },
            Some(_) | None => Some(Refusal::OtherVersion(Found::of(value))),
        };
        if refusal.is_none() {
            self.change(key, None);
        }
        self.judge(refusal.map_or(Verdict::Accepted, Verdict::Refused))
    }

    fn judge(&mut self, verdict: Verdict) -> Outcome {
        self.link(&Link::Head(verdict));
        Outcome::Head(verdict)
    }

    /// `open`: a write of which this may be the next part.
    fn on_member(
        &mut self,
        open: Option<OpenWrite>,
        key: &Topic,
        member: Member,
        value: Option<Value>,
    ) -> Outcome {
        let behind = |open: &OpenWrite| self.position.0 - open.head.0;
        let is_next = |open: &OpenWrite| {
            open.realm == key.realm
                && open.is_free == member.is_free
                && behind(open) == u64::from(member.behind)
        };
        let Some(mut open) = open.filter(is_next) else {
            return Outcome::PassedOver(Unread::Stray);
        };
        let (head, is_made) = (open.head, open.is_accepted);
        open.left -= 1;
        open.next = self.applied_below();
        self.open = Some(open).filter(|open| open.left > 0);
        if is_made {
            self.change(key, value);
        }
        self.link(&Link::Member(is_made));
        Outcome::Member { head, is_made }
    }

    fn change(&mut self, key: &Topic, value: Option<Value>) {
        match value {
            Some(value) => self.keys.put(key, value),
            None => self.keys.remove(key),
        }
    }

    fn link(&mut self, link: &Link) {
        self.records += 1;
        self.chain = after(self.chain, self.position, link);
    }
}

/// What is not kept here yet, as it is told.
mod not_kept {
    pub(super) const RECORDS: &str = "records of entries";
    pub(super) const HOLDERS: &str = "holders";
    pub(super) const WAITERS: &str = "waiters";
}

fn read<'a>(topic: &str, record: &'a Record<'a>) -> Result<Said<'a>, Unread> {
    let key = match StateTopic::of(topic) {
        Some(StateTopic::Key(key)) => key,
        Some(StateTopic::Once { realm }) => Topic::new(&realm, ""),
        Some(StateTopic::Lives | StateTopic::Holders | StateTopic::Cuts | StateTopic::Verdicts) => {
            return Err(Unread::NotKept(not_kept::RECORDS));
        }
        None => return Err(Unread::Nowhere),
    };
    let (judged, attributes) =
        Attributes::take_judged(record.attributes).map_err(Unread::Attributes)?;
    let judged = Judged::from_bytes(judged.ok_or(Unread::Unmarked)?)?;
    if matches!(judged, Judged::Once { .. }) != key.uri.is_empty() {
        return Err(Unread::Misplaced);
    }
    match &judged {
        Judged::Put(_, head) | Judged::Delete(head) => {
            if head.is_watch {
                return Err(Unread::NotKept(not_kept::WAITERS));
            }
            if head.life.is_some() {
                return Err(Unread::NotKept(not_kept::HOLDERS));
            }
        }
        Judged::Win { .. } => return Err(Unread::NotKept(not_kept::WAITERS)),
        Judged::Will { .. } => return Err(Unread::NotKept(not_kept::HOLDERS)),
        Judged::Body { .. } => return Err(Unread::Misplaced),
        Judged::Expire { .. }
        | Judged::Once { .. }
        | Judged::MemberPut(..)
        | Judged::MemberDelete(_) => {}
    }
    Ok(Said { key, judged, record, attributes })
}
