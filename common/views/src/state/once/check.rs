//! The invariants of marks, looked at as a whole.

use vixen_core::id::Position;
use vixen_core::time::WallTime;

use super::marks::Marks;
use super::who::{Mark, Producer, Who};
use crate::state::check::Broken;

impl Marks {
    /// Whether all of it is as it has to be at a place of the order.
    pub(in crate::state) fn verify(
        &self,
        position: Position,
        time: WallTime,
    ) -> Result<(), Broken> {
        for who in self.realms.values().flat_map(|realm| realm.whos.values()) {
            who.verify(position, time)?;
        }
        let anew = self.anew().map_err(|_what| Broken::MarkAstray)?;
        let counted = |marks: &Self| {
            let realms = marks.realms.values().map(|realm| realm.tally);
            (marks.tally, realms.collect::<Vec<_>>())
        };
        if counted(&anew) != counted(self) {
            return Err(Broken::Miscounted);
        }
        if anew == *self { Ok(()) } else { Err(Broken::MarkAstray) }
    }

    /// What it would be, put together anew.
    fn anew(&self) -> Result<Self, &'static str> {
        let mut anew = Self::default();
        self.whos_after(None).try_for_each(|who| anew.with_who(&who))?;
        self.marks_after(None).try_for_each(|mark| anew.with_mark(&mark))?;
        Ok(anew)
    }
}

impl Producer {
    pub(super) fn numbered(&self) -> impl Iterator<Item = (u64, &Mark)> {
        (0..).zip(&self.marks).map(|(nth, mark)| (self.from.saturating_add(nth), mark))
    }
}

impl Who {
    fn verify(&self, position: Position, time: WallTime) -> Result<(), Broken> {
        let rows = self.producers.values().map(|producer| &producer.marks);
        for marks in rows.clone() {
            let mut pairs = marks.iter().zip(marks.iter().skip(1));
            let is_behind =
                |(one, next): &(&Mark, &Mark)| one.place() >= next.place() || one.at > next.at;
            if let Some((_, next)) = pairs.find(is_behind) {
                return Err(Broken::OutOfOrder(next.of));
            }
        }
        let is_to_come = |mark: &&Mark| mark.by > position || mark.at > time;
        if let Some(mark) = self.ids.values().chain(rows.flatten()).find(is_to_come) {
            return Err(Broken::ToCome(mark.by));
        }
        let is_more = usize::try_from(self.keep.count).is_ok_and(|most| self.window.len() > most);
        if is_more || self.is_empty() { Err(Broken::MarkAstray) } else { Ok(()) }
    }
}
