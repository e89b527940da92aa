//! Marks as items in their order, and marks again from these: so they are in checkpoints, and so they are checked.
//!
//! Whom there is comes first, then the marks of all. Windows, what rests, what waits and what is due follow from
//! these.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use super::item::{Book, MarkItem, NameRef, WhoItem};
use super::marks::{Marks, Waiting};
use super::who::{Mark, Name, Producer, Who};

impl Marks {
    /// Of whom there are marks, beyond one or all, in the order of realms and names.
    pub(in crate::state) fn whos_after<'a>(
        &'a self,
        place: Option<(&str, &str)>,
    ) -> impl Iterator<Item = WhoItem<'a>> + use<'a> {
        self.each_after(place).map(|(realm, who, there)| WhoItem { realm, who, keep: there.keep })
    }

    /// Marks beyond one or all, in the order of realms, whos, ids, producers and numbers.
    pub(in crate::state) fn marks_after<'a>(
        &'a self,
        place: Option<(&'a str, &'a str, NameRef<'a>)>,
    ) -> impl Iterator<Item = MarkItem<'a>> + use<'a> {
        let of = |(realm, who, there): (&'a Arc<str>, &'a Arc<str>, &'a Who), name| {
            let marks = there.marks_after(name);
            marks.map(move |(name, is_resting, mark)| MarkItem {
                realm,
                who,
                name,
                is_resting,
                mark: *mark,
            })
        };
        let own = place.and_then(|(realm, who, name)| {
            let (realm, there) = self.realms.get_key_value(realm)?;
            let (who, there) = there.whos.get_key_value(who)?;
            Some(of((realm, who, there), Some(name)))
        });
        let others = self.each_after(place.map(|(realm, who, _)| (realm, who)));
        own.into_iter().flatten().chain(others.flat_map(move |one| of(one, None)))
    }

    fn each_after<'a>(
        &'a self,
        place: Option<(&str, &str)>,
    ) -> impl Iterator<Item = (&'a Arc<str>, &'a Arc<str>, &'a Who)> + use<'a> {
        let own = place.and_then(|(realm, who)| {
            let (realm, there) = self.realms.get_key_value(realm)?;
            Some((realm, there.whos.range::<str, _>((Bound::Excluded(who), Bound::Unbounded))))
        });
        let from = place.map_or(Bound::Unbounded, |(realm, _)| Bound::Excluded(realm));
        let others = self.realms.range::<str, _>((from, Bound::Unbounded)).map(|(realm, there)| {
            (realm, there.whos.range::<str, _>((Bound::Unbounded, Bound::Unbounded)))
        });
        let realms = own.into_iter().chain(others);
        realms.flat_map(|(realm, whos)| whos.map(move |(who, there)| (realm, who, there)))
    }

    /// With a who that was written, of whom marks are to come.
    ///
    /// # Errors
    /// What cannot be of a view.
    pub(in crate::state) fn with_who(&mut self, item: &WhoItem<'_>) -> Result<(), &'static str> {
        if self.who(item.realm, item.who).is_some() {
            return Err("a who that stands twice");
        }
        self.name(item.realm, item.who, item.keep);
        Ok(())
    }

    /// With a mark that was written, behind those before it.
    ///
    /// # Errors
    /// What cannot be of a view.
    pub(in crate::state) fn with_mark(&mut self, item: &MarkItem<'_>) -> Result<(), &'static str> {
        let MarkItem { realm, who, name, is_resting, mark } = *item;
        let added = self.change(realm, who, |who, book| who.add(name, is_resting, mark, book));
        added.unwrap_or(Err("a once-mark of nobody"))?;
        if let NameRef::Id(id) = name
            && !mark.was.is_decided()
        {
            let waiting = Waiting { realm: realm.into(), who: who.into(), id: id.into() };
            if self.waiting.insert(mark.of, waiting).is_some() {
                return Err("two once-marks of what waits");
            }
        }
        Ok(())
    }
}

impl Who {
    fn marks_after<'a>(
        &'a self,
        name: Option<NameRef<'a>>,
    ) -> impl Iterator<Item = (NameRef<'a>, bool, &'a Mark)> + use<'a> {
        let (ids, producer) = match name {
            None => (Some(Bound::Unbounded), None),
            Some(NameRef::Id(id)) => (Some(Bound::Excluded(id)), None),
            Some(NameRef::Number(producer, number)) => (None, Some((producer, number))),
        };
        let ids = ids.map(|from| self.ids.range::<str, _>((from, Bound::Unbounded)));
        let ids = ids.into_iter().flatten();
        let ids = ids.map(|(id, mark)| (NameRef::Id(id), false, mark));
        let from = producer.map_or(Bound::Unbounded, |(producer, _)| Bound::Included(producer));
        let producers = self.producers.range::<str, _>((from, Bound::Unbounded));
        let numbers = producers.flat_map(move |(name, there)| {
            let numbered = there
                .numbered()
                .map(move |(number, mark)| (NameRef::Number(name, number), there.is_resting, mark));
            let is_own = producer.filter(|(producer, _)| **producer == **name);
            let last = is_own.map(|(_, last)| last);
            numbered.filter(move |(name, ..)| match name {
                NameRef::Number(_, number) => last.is_none_or(|last| *number > last),
                NameRef::Id(_) => true,
            })
        });
        ids.chain(numbers)
    }

    fn add(
        &mut self,
        name: NameRef<'_>,
        is_resting: bool,
        mark: Mark,
        book: &mut Book<'_>,
    ) -> Result<(), &'static str> {
        book.mark_comes(name, is_resting, &mark);
        let stands = match name {
            NameRef::Id(id) => {
                let id: Arc<str> = id.into();
                if is_resting || self.ids.insert(Arc::clone(&id), mark).is_some() {
                    return Err("an id that rests, or stands twice");
                }
                Name::Id(id)
            }
            NameRef::Number(name, number) => {
                if !self.producers.contains_key(name) {
                    book.producer_comes(name);
                    let marks = VecDeque::new();
                    let producer = Producer { from: number, marks, is_resting };
                    self.producers.insert(name.into(), producer);
                }
                let Some((name, _)) = self.producers.get_key_value(name) else { return Ok(()) };
                let name = Arc::clone(name);
                let Some(producer) = self.producers.get_mut(&name) else { return Ok(()) };
                let is_alone = producer.marks.is_empty() || !(producer.is_resting || is_resting);
                if number == 0 || number != producer.next() || !is_alone {
                    return Err("numbers of a producer");
                }
                producer.marks.push_back(mark);
                Name::Number(name, number)
            }
        };
        let is_new = match stands {
            Name::Number(name, _) if is_resting => {
                self.resting.insert(mark.place(), name).is_none()
            }
            Name::Id(_) if !mark.was.is_decided() => true,
            name @ (Name::Id(_) | Name::Number(..)) => {
                self.window.insert(mark.place(), name).is_none()
            }
        };
        if is_new { Ok(()) } else { Err("two once-marks in one place") }
    }
}

#[cfg(test)]
mod tests {
    use vixen_core::id::Position;
    use vixen_core::time::WallTime;

    use super::super::Was;
    use super::super::who::Keep;
    use super::*;
    use crate::state::Broken;

    fn mark(by: u64, was: Was) -> Mark {
        let (of, by) = (Position(by + 1), Position(by));
        Mark { of, by, at: WallTime(by.0), digest: [0; 8], was }
    }

    fn item<'a>(name: NameRef<'a>, is_resting: bool, mark: Mark) -> MarkItem<'a> {
        MarkItem { realm: "r", who: "joe", name, is_resting, mark }
    }

    fn who() -> Marks {
        let mut marks = Marks::default();
        let keep = Keep { ms: 1, count: 10, producer_ms: 1 };
        let who = WhoItem { realm: "r", who: "joe", keep };
        assert_eq!(marks.with_who(&who), Ok(()));
        assert!(marks.with_who(&who).is_err(), "it stands twice");
        marks
    }

    #[test]
    fn what_cannot_be_of_a_view_is_not_made_one() {
        let (id, number) = (NameRef::Id("i"), |nth| NameRef::Number("p", nth));
        let (made, waits) = (|by| mark(by, Was::Accepted), mark(20, Was::Waits));
        let table = [
            (vec![item(id, false, made(10)), item(number(1), false, made(20))], true),
            (vec![item(id, false, waits), item(number(3), true, made(10))], true),
            (vec![item(number(3), false, made(10)), item(number(4), false, made(20))], true),
            (vec![item(id, true, made(10))], false),
            (vec![item(id, false, made(10)), item(id, false, made(20))], false),
            (vec![item(id, false, waits), item(NameRef::Id("j"), false, waits)], false),
            (vec![item(id, false, made(10)), item(number(1), false, made(10))], false),
            (vec![item(number(0), false, made(10))], false),
            (vec![item(number(1), false, made(10)), item(number(3), false, made(20))], false),
            (vec![item(number(1), true, made(10)), item(number(2), false, made(20))], false),
            (vec![item(number(1), false, made(10)), item(number(2), true, made(20))], false),
            (vec![MarkItem { who: "ann", ..item(id, false, made(10)) }], false),
            (vec![MarkItem { realm: "s", ..item(id, false, made(10)) }], false),
        ];
        for (items, is_good) in table {
            let mut marks = who();
            let made = items.iter().try_for_each(|item| marks.with_mark(item));
            assert_eq!(made.is_ok(), is_good, "{items:?}: {made:?}");
            if is_good {
                assert_eq!(marks.verify(Position(20), WallTime(20)), Ok(()));
                assert_eq!(marks.marks_after(None).collect::<Vec<_>>(), items);
            }
        }
    }

    #[test]
    fn marks_that_are_not_as_they_should_be_are_found() {
        let verify = |marks: &Marks| marks.verify(Position(20), WallTime(20));
        assert_eq!(verify(&who()), Err(Broken::MarkAstray), "nobody has no marks");
        let number = |nth, by| item(NameRef::Number("p", nth), false, mark(by, Was::Accepted));
        let with = |items: &[MarkItem<'_>]| {
            let mut marks = who();
            assert_eq!(items.iter().try_for_each(|item| marks.with_mark(item)), Ok(()));
            marks
        };
        let late = with(&[number(1, 10), number(2, 21)]);
        assert_eq!(verify(&late), Err(Broken::ToCome(Position(21))));
        let other = with(&[number(1, 20), number(2, 10)]);
        assert_eq!(verify(&other), Err(Broken::OutOfOrder(Position(11))));
        let good = with(&[number(1, 10), number(2, 20)]);
        assert_eq!(verify(&good), Ok(()));
        let mut bent = good.clone();
        bent.due.clear();
        assert_eq!(verify(&bent), Err(Broken::MarkAstray));
        let mut bent = good.clone();
        bent.change("r", "joe", |who, _| who.window.pop_first());
        assert_eq!(verify(&bent), Err(Broken::MarkAstray));
        let mut bent = good.clone();
        bent.change("r", "joe", |who, _| who.keep.count = 1);
        assert_eq!(verify(&bent), Err(Broken::MarkAstray), "more than the window has");
        let mut bent = good;
        bent.tally.bytes += 1;
        assert_eq!(verify(&bent), Err(Broken::Miscounted));
    }
}
