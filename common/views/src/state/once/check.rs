//! The invariants of marks, looked at as a whole.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::id::Position;
use vixen_core::time::WallTime;

use super::Was;
use super::item::{Book, NameRef, Tally};
use super::marks::{Marks, Realm, Waiting};
use super::who::{Mark, Name, Place, Producer, Who};
use crate::state::check::Broken;

impl Marks {
    /// Whether all of it is as it has to be at a place of the order.
    pub(in crate::state) fn verify(
        &self,
        position: Position,
        time: WallTime,
    ) -> Result<(), Broken> {
        let (mut tally, mut due, mut waiting) = <(Tally, BTreeSet<_>, BTreeMap<_, _>)>::default();
        for (name, realm) in &self.realms {
            let counted = realm.counted_anew(name);
            if realm.whos.is_empty() || counted != realm.tally {
                return Err(Broken::Miscounted);
            }
            tally = tally.with_other(Tally::default(), counted);
            for (who_name, who) in &realm.whos {
                who.verify(position, time)?;
                let named = (Arc::clone(name), Arc::clone(who_name));
                due.extend(who.due().map(|due| (due, named.0.clone(), named.1.clone())));
                for (id, mark) in who.ids.iter().filter(|(_, mark)| mark.was == Was::Waits) {
                    let (realm, who) = named.clone();
                    waiting.insert(mark.of, Waiting { realm, who, id: Arc::clone(id) });
                }
            }
        }
        if tally != self.tally {
            return Err(Broken::Miscounted);
        }
        let is_found = due == self.due && waiting == self.waiting;
        if is_found { Ok(()) } else { Err(Broken::MarkAstray) }
    }
}

impl Realm {
    fn counted_anew(&self, realm: &str) -> Tally {
        let mut tally = Tally::default();
        for (name, who) in &self.whos {
            let mut book = Book { realm, who: name, tally: &mut tally };
            book.who_comes(who.keep);
            who.ids.iter().for_each(|(id, mark)| book.mark_comes(NameRef::Id(id), false, mark));
            for (name, producer) in &who.producers {
                book.producer_comes(name);
                for (number, mark) in producer.numbered() {
                    let number = NameRef::Number(name, number);
                    book.mark_comes(number, producer.is_resting, mark);
                }
            }
        }
        tally
    }
}

impl Producer {
    fn numbered(&self) -> impl Iterator<Item = (u64, &Mark)> {
        (self.from..).zip(&self.marks)
    }
}

impl Who {
    fn verify(&self, position: Position, time: WallTime) -> Result<(), Broken> {
        let (mut window, mut resting) = (BTreeMap::<Place, Name>::new(), BTreeMap::new());
        for (id, mark) in self.ids.iter().filter(|(_, mark)| mark.was.is_decided()) {
            window.insert(mark.place(), Name::Id(Arc::clone(id)));
        }
        for (name, producer) in &self.producers {
            let marks = &producer.marks;
            let (is_one, is_none) = (marks.len() == 1, marks.is_empty());
            if is_none || (producer.is_resting && !is_one) || producer.from == 0 {
                return Err(Broken::MarkAstray);
            }
            let pairs = marks.iter().zip(marks.iter().skip(1));
            for (one, next) in pairs {
                if one.place() >= next.place() || one.at > next.at {
                    return Err(Broken::OutOfOrder(next.of));
                }
            }
            for (number, mark) in producer.numbered() {
                if producer.is_resting {
                    resting.insert(mark.place(), Arc::clone(name));
                } else {
                    window.insert(mark.place(), Name::Number(Arc::clone(name), number));
                }
            }
        }
        let in_time = |mark: &&Mark| mark.by <= position && mark.at <= time;
        let marks = self.producers.values().flat_map(|producer| &producer.marks);
        if let Some(mark) = self.ids.values().chain(marks).find(|mark| !in_time(mark)) {
            return Err(Broken::ToCome(mark.by));
        }
        let is_more = usize::try_from(self.keep.count).is_ok_and(|most| window.len() > most);
        let is_found = window == self.window && resting == self.resting;
        if is_found && !is_more && !self.is_empty() { Ok(()) } else { Err(Broken::MarkAstray) }
    }
}
