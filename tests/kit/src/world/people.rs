//! Clients: those who publish, and those who subscribe and come again where they were cut off.

use std::collections::BTreeMap;

use rand::RngExt;

use vixen_broker::api::{AckLevel, After, Publish, RequestId, SessionId, Subscribe};
use vixen_broker::history::RefPoint;
use vixen_core::id::Position;
use vixen_core::segment::{Encoding, Match, RecordFlags, Topic, TopicPattern};

use super::client::Client;
use super::hosts::{Host, Machine};
use super::io::{Ask, Mark, Name};
use super::{Event, World};

const TOPICS: [&str; 4] = ["a", "a.b", "b", "b.c"];
const PATTERNS: [(&str, Match); 6] = [
    ("a", Match::Exact),
    ("b", Match::Exact),
    ("a", Match::Prefix),
    ("", Match::Prefix),
    (".c", Match::Wildcard),
    ("b.c", Match::Exact),
];
/// Messages of one publisher without an answer, at most.
const WAITING_MAX: usize = 40;

/// What a client is.
#[derive(Debug)]
pub(super) enum Kind {
    Publisher {
        last: u32,
        is_flat_out: bool,
    },
    /// The subscriptions that it has at a time, by number at the judge.
    Subscriber {
        plants: Vec<usize>,
        queue_bytes_max: usize,
        read_max: usize,
        is_slow: bool,
    },
}

/// A client, and its session while it has one.
#[derive(Debug)]
pub(super) struct Person {
    pub(super) kind: Kind,
    pub(super) session: Option<SessionId>,
    waiting: usize,
}

/// A session, as its client and the road to it know it.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) person: usize,
    pub(super) entry: Name,
    /// When the last word of the client arrives that is on its way.
    arrives_us: u64,
    pub(super) is_pumped: bool,
    /// Its connection is gone for the client.
    pub(super) is_cut: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct People {
    pub(super) persons: Vec<Person>,
    pub(super) sessions: BTreeMap<SessionId, Session>,
    last_session: u64,
}

impl World {
    pub(super) fn add_people(&mut self) {
        for _ in 0..self.rng.random_range(2..5) {
            let is_flat_out = self.rng.random_range(0..4) == 0;
            self.add_person(Kind::Publisher { last: 0, is_flat_out });
        }
        for _ in 0..self.rng.random_range(2..4) {
            // One session has one subscription of a pattern.
            let first = self.rng.random_range(0..PATTERNS.len());
            let plants = (0..self.rng.random_range(1..3)).map(|more| {
                let (uri, matching) = PATTERNS[(first + more) % PATTERNS.len()];
                let begins_anywhere = self.rng.random_bool(0.4);
                self.judge.add_plant(pattern(uri, matching), begins_anywhere);
                self.judge.plants.len() - 1
            });
            let plants = plants.collect();
            self.add_subscriber(plants);
        }
    }

    /// One more subscriber, of everything from the first message on.
    pub(super) fn add_auditor(&mut self) {
        self.judge.add_plant(pattern("", Match::Prefix), true);
        self.add_subscriber(vec![self.judge.plants.len() - 1]);
    }

    fn add_subscriber(&mut self, plants: Vec<usize>) {
        let queue_bytes_max = [300, 2_000, 1 << 20][self.rng.random_range(0..3)];
        let read_max = [1, 4, 1_000][self.rng.random_range(0..3)];
        let is_slow = self.rng.random_bool(0.4);
        self.add_person(Kind::Subscriber { plants, queue_bytes_max, read_max, is_slow });
    }

    fn add_person(&mut self, kind: Kind) {
        self.people.persons.push(Person { kind, session: None, waiting: 0 });
        let person = self.people.persons.len() - 1;
        let after_us = self.rng.random_range(0..100_000);
        self.at(after_us, Event::Act { person });
    }

    /// A client does something: comes, or publishes.
    pub(super) fn act(&mut self, person: usize) {
        if self.people.persons[person].session.is_none() {
            self.come(person);
        } else if self.publishes {
            self.publish(person);
        }
        let pause_us = match (&self.people.persons[person].kind, self.is_faulty) {
            (Kind::Publisher { is_flat_out: true, .. }, true) => 10_000,
            (Kind::Publisher { .. }, true) => 60_000,
            (Kind::Publisher { .. }, false) | (Kind::Subscriber { .. }, _) => 50_000,
        };
        let pause_us = self.rng.random_range(1..2 * pause_us);
        self.at(pause_us, Event::Act { person });
    }

    fn come(&mut self, person: usize) {
        // A driver lets clients in from the first readiness on.
        let lets_in =
            |host: &Host| matches!(&host.machine, Machine::Entry(node) if node.has_base());
        let up = self.hosts.iter().filter(|(_, host)| host.is_up && lets_in(host));
        let entries: Vec<Name> = up.map(|(name, _)| *name).collect();
        if entries.is_empty() {
            return;
        }
        let entry = entries[self.rng.random_range(0..entries.len())];
        self.people.last_session += 1;
        let session = SessionId(self.people.last_session);
        let publisher = u32::try_from(person).expect("few");
        let (plants, queue_bytes_max, read_max) = match &self.people.persons[person].kind {
            Kind::Publisher { .. } => (Vec::new(), 1 << 20, 1),
            Kind::Subscriber { plants, queue_bytes_max, read_max, .. } => {
                (plants.clone(), *queue_bytes_max, *read_max)
            }
        };
        let mut client = Client::new(session, publisher, queue_bytes_max, read_max, self.mutant);
        for plant in plants {
            client.subscribe(plant, self.wanted_of(plant));
        }
        self.note(|| format!("{session:?} of client {person} at {entry:?}"));
        self.people.persons[person].session = Some(session);
        self.people.persons[person].waiting = 0;
        let arrives_us = self.now_us;
        let one = Session { person, entry, arrives_us, is_pumped: false, is_cut: false };
        self.people.sessions.insert(session, one);
        self.open_session(entry, session, client);
        self.ask(session, Ask::Turn);
    }

    /// It goes on where it has come to.
    fn wanted_of(&mut self, plant: usize) -> Subscribe {
        let plant = &mut self.judge.plants[plant];
        let after = match plant.next {
            None => None,
            Some(Position::FIRST) if plant.begins_anywhere => Some(After::Beginning),
            Some(next) => {
                plant.begins_anywhere = false;
                Some(After::Point(RefPoint::Position(Position(next.0 - 1))))
            }
        };
        let pattern: TopicPattern = plant.pattern.clone();
        Subscribe { pattern, after, limit: None, is_snapshot: false }
    }

    fn publish(&mut self, person: usize) {
        let Person { kind: Kind::Publisher { last, .. }, session: Some(session), waiting } =
            &mut self.people.persons[person]
        else {
            return;
        };
        let session = *session;
        if *waiting >= WAITING_MAX {
            return;
        }
        let level = match self.rng.random_range(0..5) {
            0 => AckLevel::Durable,
            _ => AckLevel::Canonical,
        };
        let count = self.rng.random_range(1..4);
        let publisher = u32::try_from(person).expect("few");
        let mut messages = Vec::new();
        for _ in 0..count {
            *last += 1;
            *waiting += 1;
            let mark = Mark { publisher, number: *last };
            messages.push(Publish {
                topic: Topic::new("r", TOPICS[self.rng.random_range(0..TOPICS.len())]),
                content: Encoding::Json.into(),
                payload: mark.payload(),
                attributes: bytes::Bytes::new(),
                flags: RecordFlags::default(),
                acknowledge: Some(RequestId(mark.number.into())),
                level,
                wait: self.rng.random_bool(0.5),
            });
            self.judge.published(session, mark, level);
        }
        self.ask(session, Ask::Publish(messages));
    }

    /// An answer has come, of whatever kind.
    pub(super) fn answered(&mut self, mark: Mark) {
        let person = usize::try_from(mark.publisher).expect("few");
        let person = &mut self.people.persons[person];
        person.waiting = person.waiting.saturating_sub(1);
    }

    /// A word of a client is on its way to its entry.
    pub(super) fn ask(&mut self, session: SessionId, ask: Ask) {
        let delay_us = self.rng.random_range(10..2_000);
        let Some(one) = self.people.sessions.get_mut(&session) else { return };
        let at_us = (one.arrives_us + 1).max(self.now_us + delay_us);
        one.arrives_us = at_us;
        let entry = one.entry;
        let life = self.life_of(entry);
        self.at_us(at_us, Event::Asked { entry, life, session, ask });
    }

    /// The connection of a client is gone; its entry hears of it in time.
    pub(super) fn cut_session(&mut self, session: SessionId) {
        let Some(one) = self.people.sessions.get_mut(&session) else { return };
        if one.is_cut {
            return;
        }
        one.is_cut = true;
        let person = one.person;
        self.people.persons[person].session = None;
        self.ask(session, Ask::Close);
    }

    /// The entry is gone, and with it all sessions.
    pub(super) fn entry_gone(&mut self, entry: Name) {
        let gone = self.people.sessions.extract_if(.., |_, one| one.entry == entry);
        for (session, one) in gone {
            let person = &mut self.people.persons[one.person];
            if person.session == Some(session) {
                person.session = None;
            }
        }
    }

    /// Whether the session lives, and its answers reach its client.
    pub(super) fn is_alive(&self, session: SessionId) -> bool {
        self.people.sessions.get(&session).is_some_and(|one| !one.is_cut)
    }
}

/// Of the one realm.
fn pattern(uri: &str, matching: Match) -> TopicPattern {
    TopicPattern::new("r", uri, matching)
}
