//! Marks once more, as plainly as they can be said: one list of all, gone through from its beginning.

use std::collections::BTreeMap;

use super::*;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Name {
    Id(String),
    Number(String, u64),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stands {
    Window,
    Resting,
    Waiting,
}

#[derive(Clone, Debug)]
struct Entry {
    whose: (String, String),
    name: Name,
    of: u64,
    at: u64,
    digest: [u8; 8],
    was: Was,
    stands: Stands,
}

/// `keep_ms`, `keep_count`, `producer_keep_ms`.
type Keep = (u64, usize, u64);

/// Entries are in the order in which they entered where they stand.
#[derive(Clone, Debug, Default)]
pub(super) struct Naive {
    entries: Vec<Entry>,
    told: BTreeMap<(String, String), Keep>,
}

fn keep_of(once: &Once) -> Keep {
    (once.keep_ms, usize::try_from(once.keep_count).expect("fits"), once.producer_keep_ms)
}

fn names(once: &Once) -> Vec<Name> {
    match &once.name {
        OnceName::Id(id) => vec![Name::Id(id.clone())],
        OnceName::Numbers { producer, first } => {
            let numbers = (*first..).take(once.digests.len());
            numbers.map(|number| Name::Number(producer.clone(), number)).collect()
        }
    }
}

impl Naive {
    /// The numbers of a producer that are known, lowest first.
    fn numbers(&self, whose: &(String, String), producer: &str) -> Vec<u64> {
        let own = self.entries.iter().filter(|entry| entry.whose == *whose);
        let number = |entry: &Entry| match &entry.name {
            Name::Number(of, number) if of == producer => Some(*number),
            Name::Number(..) | Name::Id(_) => None,
        };
        let mut numbers: Vec<_> = own.filter_map(number).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The next number of a producer; 1 if it is not known.
    pub(super) fn next(&self, realm: &str, who: &str, producer: &str) -> u64 {
        let whose = (realm.to_owned(), who.to_owned());
        self.numbers(&whose, producer).last().map_or(1, |last| last + 1)
    }

    /// Where the first of a who that stands so is, and how many do.
    fn first(&self, whose: &(String, String), stands: Stands) -> Option<(usize, usize)> {
        let is = |entry: &Entry| entry.whose == *whose && entry.stands == stands;
        let at = self.entries.iter().position(is)?;
        Some((at, self.entries.iter().filter(|entry| is(entry)).count()))
    }

    fn prune(&mut self, whose: &(String, String), now: u64, (ms, count, producer_ms): Keep) {
        while let Some((first, all)) = self.first(whose, Stands::Window) {
            let entry = &self.entries[first];
            if entry.at.saturating_add(ms) >= now && all <= count {
                break;
            }
            let mut entry = self.entries.remove(first);
            if let Name::Number(producer, number) = &entry.name
                && self.numbers(whose, producer).iter().all(|other| other < number)
            {
                entry.stands = Stands::Resting;
                self.entries.push(entry);
            }
        }
        while let Some((first, all)) = self.first(whose, Stands::Resting) {
            let entry = &self.entries[first];
            if entry.at.saturating_add(producer_ms) >= now && all <= count {
                break;
            }
            self.entries.remove(first);
        }
    }

    fn find(&self, whose: &(String, String), name: &Name) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.whose == *whose && entry.name == *name)
    }

    fn again(entry: &Entry, digest: &[u8; 8]) -> Marked {
        let of = Position(entry.of);
        if entry.digest == *digest {
            Marked::Duplicate { of, was: entry.was }
        } else {
            Marked::Reused { of }
        }
    }

    pub(super) fn look(&mut self, realm: &str, once: &Once, now: u64) -> Option<Marked> {
        let whose = (realm.to_owned(), once.who.clone());
        if let Some(told) = self.told.get(&whose).copied() {
            self.prune(&whose, now, told);
        }
        self.prune(&whose, now, keep_of(once));
        self.told.insert(whose.clone(), keep_of(once));
        let names = names(once);
        let known: Vec<_> = names.iter().map(|name| self.find(&whose, name)).collect();
        if known.iter().all(Option::is_some) {
            let known = known.into_iter().flatten().zip(&once.digests);
            let all: Vec<_> = known.map(|(entry, digest)| Self::again(entry, digest)).collect();
            let is_other = |marked: &&Marked| matches!(marked, Marked::Reused { .. });
            return Some(*all.iter().find(is_other).unwrap_or(&all[0]));
        }
        let OnceName::Numbers { producer, first } = &once.name else { return None };
        let kept = self.numbers(&whose, producer);
        match (kept.first(), kept.last()) {
            (Some(from), Some(last)) => {
                let behind = first + once.digests.len() as u64;
                if first == &(last + 1) {
                    None
                } else if *first > last + 1 {
                    Some(Marked::Gap { expected: last + 1 })
                } else if behind > last + 1 {
                    Some(Marked::Overlaps { next: last + 1 })
                } else {
                    Some(Marked::Forgotten { from: *from })
                }
            }
            _ => (*first != 1).then_some(Marked::UnknownProducer),
        }
    }

    /// What became of a head of which nothing was said.
    pub(super) fn keep(&mut self, realm: &str, once: &Once, of: u64, at: u64, was: Was) {
        let whose = (realm.to_owned(), once.who.clone());
        if let OnceName::Numbers { producer, .. } = &once.name {
            let is_own = |name: &Name| matches!(name, Name::Number(of, _) if of == producer);
            self.entries.retain(|entry| {
                entry.whose != whose || entry.stands != Stands::Resting || !is_own(&entry.name)
            });
        }
        let stands = if was == Was::Waits { Stands::Waiting } else { Stands::Window };
        for (of, (name, digest)) in (of..).zip(names(once).into_iter().zip(&once.digests)) {
            let (whose, digest) = (whose.clone(), *digest);
            self.entries.push(Entry { whose, name, of, at, digest, was, stands });
        }
        self.prune(&whose, at, keep_of(once));
    }

    /// The places of what waits.
    pub(super) fn waiting(&self) -> Vec<u64> {
        let waiting = self.entries.iter().filter(|entry| entry.stands == Stands::Waiting);
        waiting.map(|entry| entry.of).collect()
    }

    pub(super) fn settle(&mut self, of: u64, at: u64, was: Was) {
        let is = |entry: &Entry| entry.stands == Stands::Waiting && entry.of == of;
        let Some(there) = self.entries.iter().position(is) else { return };
        let entry = self.entries.remove(there);
        let whose = entry.whose.clone();
        self.entries.push(Entry { at, was, stands: Stands::Window, ..entry });
        let told = self.told.get(&whose).copied();
        self.prune(&whose, at, told.expect("a head of it said so"));
    }

    /// What a head with a message alone would be told, if that is known.
    pub(super) fn known(&self, realm: &str, once: &Once, now: u64) -> Option<Marked> {
        let marked = self.clone().look(realm, once, now)?;
        matches!(marked, Marked::Duplicate { .. } | Marked::Reused { .. }).then_some(marked)
    }

    /// Whether it names the last number of a producer.
    pub(super) fn is_last(&self, realm: &str, once: &Once) -> bool {
        match &once.name {
            OnceName::Id(_) => false,
            OnceName::Numbers { producer, first } => {
                first + 1 == self.next(realm, &once.who, producer)
            }
        }
    }

    /// How long marks of a who are kept, as was said last.
    pub(super) fn told(&self, realm: &str, who: &str) -> Option<Keep> {
        self.told.get(&(realm.to_owned(), who.to_owned())).copied()
    }
}
