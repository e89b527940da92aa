//! Followers of one log, which is cut at its beginning as retention does.

mod random;
mod steps;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::{Match, TopicPattern};
use vixen_core::time::WallTime;

use super::*;
use crate::record::{Gone, GoneWhy, Invoke, Reads, Register, SessionOver, VERSION};

fn life(owner: u128, number: u32) -> Life {
    Life { owner: OwnerId(uuid::Uuid::from_u128(owner)), number }
}

fn facts(owner: u128) -> Facts {
    let name = format!("E{owner}").parse().expect("a name");
    Facts { name, link_address: None, reads: Reads::HERE }
}

fn register(writer: Life, session: u64, uri: &str) -> Record {
    let pattern = TopicPattern::new("r", uri, Match::Exact);
    let (number, invoke, is_forced) = (1, Invoke::First, false);
    let said = Said::Register(Register {
        number,
        session,
        pattern,
        invoke,
        is_forced,
        keeps_timeouts: false,
    });
    Record { writer, said }
}

/// The order, as far as it is of the realm of records; a message each ten positions.
struct Log {
    messages: Vec<(Position, WallTime, Arc<str>, Bytes)>,
    end: Position,
    now: WallTime,
    /// What is before is dropped.
    first: Position,
}

impl Log {
    fn new() -> Self {
        let now = WallTime(10 * 24 * 3_600_000);
        Self { messages: Vec::new(), end: Position(0), now, first: Position(0) }
    }

    fn add(&mut self, topic: &str, payload: Vec<u8>) -> Position {
        self.end = self.end.plus(10);
        self.now = self.now.plus_millis(1);
        self.messages.push((self.end, self.now, topic.into(), payload.into()));
        self.end
    }

    fn write(&mut self, record: &Record) -> Position {
        self.add(&record.topic().uri, record.to_bytes())
    }

    /// Drops everything up to there.
    fn trim(&mut self, up_to: Position) {
        self.first = up_to.plus(1);
        self.messages.retain(|(position, ..)| *position > up_to);
    }

    fn checkpoints(&self) -> Vec<(Position, WallTime, Bytes)> {
        let of = |(position, at, topic, payload): &(Position, WallTime, Arc<str>, Bytes)| {
            (**topic == *"checkpoint").then(|| (*position, *at, payload.clone()))
        };
        self.messages.iter().filter_map(of).collect()
    }

    /// What a view is that has read all of it from the first record on.
    fn read_whole(&self) -> Registrations {
        let mut view = Registrations::new();
        for (position, at, topic, payload) in &self.messages {
            view.apply_message(*position, *at, topic, payload);
        }
        view.pass_below(self.end.plus(1));
        view
    }
}

/// A follower with its driver.
struct Entry {
    follower: Follower,
    now: Instant,
    /// Before which checkpoints are read next.
    earlier: Position,
    /// What is given next, if it follows.
    next: Option<Position>,
    /// What the driver need not do, in order.
    heard: Vec<Effect>,
}

impl Entry {
    fn new(owner: u128) -> Self {
        let follower = Follower::new(life(owner, 1), facts(owner));
        let heard = Vec::new();
        Self { follower, now: Instant::now(), earlier: Position(0), next: None, heard }
    }

    /// One that has begun, and done what it could.
    fn begun(owner: u128, log: &mut Log) -> Self {
        let mut entry = Self::new(owner);
        entry.step(Input::Begin, log);
        entry.run(log);
        entry
    }

    fn step(&mut self, input: Input, log: &mut Log) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let mut effects = Vec::new();
            self.follower.step(self.now, input, &mut effects);
            if self.follower.view().callees() < 100 {
                self.follower.view().check();
            }
            for effect in effects {
                match &effect {
                    Effect::ReadEarlier { from_end } => {
                        if *from_end {
                            self.earlier = log.end.plus(1);
                        }
                        inputs = self.earlier(log);
                    }
                    Effect::Follow(from) => self.follow(*from, log, &mut inputs),
                    Effect::Write(record) => {
                        assert_eq!(record.verify(), Ok(()));
                        log.write(record);
                    }
                    Effect::Told { .. }
                    | Effect::Ready(_)
                    | Effect::Unusable(_)
                    | Effect::Differs(_)
                    | Effect::Cut => {}
                }
                self.heard.push(effect);
            }
        }
    }

    /// Two checkpoints backward, in the order of a stack.
    fn earlier(&mut self, log: &Log) -> Vec<Input> {
        let before = self.earlier;
        let all = log.checkpoints().into_iter().rev().filter(|(at, ..)| *at < before);
        let page: Vec<_> = all.take(2).collect();
        let is_all = page.len() < 2;
        self.earlier = page.last().map_or(Position(0), |(at, ..)| *at);
        let given = page.into_iter().map(|(position, at, payload)| Input::Earlier {
            position,
            at,
            payload,
        });
        let mut inputs: Vec<_> = given.chain([Input::EarlierRead { is_all }]).collect();
        inputs.reverse();
        inputs
    }

    fn follow(&mut self, from: From, log: &Log, inputs: &mut Vec<Input>) {
        let next = match from {
            From::After(place) => place.plus(1),
            From::First => log.first,
            From::Now => log.end.plus(1),
        };
        self.next = Some(next);
        if next < log.first {
            inputs.push(Input::Dropped);
        }
    }

    /// Gives it what there is, and what comes of that.
    fn run(&mut self, log: &mut Log) {
        let is_behind = |entry: &Self, log: &Log| entry.next.is_some_and(|next| next <= log.end);
        while self.next.is_some() {
            while let Some(next) = self.next {
                let there = log.messages.iter().find(|(position, ..)| *position >= next).cloned();
                let Some((position, at, topic, payload)) = there else { break };
                self.next = Some(position.plus(1));
                self.step(Input::Message { position, at, topic, payload }, log);
            }
            self.next = self.next.max(Some(log.end.plus(1)));
            self.step(Input::Joined, log);
            if !is_behind(self, log) {
                self.step(Input::Passed { below: log.end.plus(1), at: log.now }, log);
            }
            if !is_behind(self, log) {
                break;
            }
        }
    }

    fn wait(&mut self, for_ms: u64, log: &mut Log) {
        self.now += Duration::from_millis(for_ms);
        self.step(Input::Tick, log);
        self.run(log);
    }

    fn is_ready(&self) -> bool {
        self.follower.stage() == Stage::Ready
    }

    fn has_heard(&self, wanted: &Effect) -> bool {
        self.heard.contains(wanted)
    }
}
