//! `vixen-ndb verify`.

use std::fmt::Write as _;

use vixen_core::id::{Digest, GroupId, Position, SegmentId, Stamp};
use vixen_core::segment::Blob;
use vixen_core::time::UtcDay;
use vixen_runtime::telemetry::print;

use super::Outcome;
use super::place::Target;
use super::progress::Progress;
use super::text::{count, size};
use crate::store::StoreError;
use crate::store::inspect::{
    Day, InJournal, Inspector, JournalState, Read, Segment, Surveyed, base_of, end_of,
    kept_by_group,
};
use vixen_replica::OrderRow;

/// Problems and missing segments that are listed one by one.
const LISTED_MAX: usize = 20;

/// Read everything in a store, and tell what is not as it was written.
///
/// Checks every row's checksum, that the order has no gap and its chain is whole, every message
/// against its segment's digest, the topic index, the segments that wait for their place, and the
/// journal with those that have arrived.
/// Nothing is changed, and the node may run meanwhile: what it writes after the start is not
/// looked at, and a day that retention drops is left out.
///
/// Segments that the node knows to be missing are reported, and so is a past that it dropped while
/// its group keeps it: it fetches them from its peers by itself. They are a problem only with
/// --complete.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Example:
  vixen-ndb verify --config vixen.toml --node D1
  vixen-ndb verify --dir /backup/D1-2026-11-21 --complete

What to do about problems: a running node finds and mends them by itself, from its peers, within
`storage.scrub-period`. A store that cannot be opened: see `vixen-ndb rebuild --help`.

Exit codes:
  0  what is here is as it was written; the last line says when segments are missing
  1  there are problems; the first 20 are listed
  2  something could not be read at all, or the arguments are wrong"
)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// What is missing and still to be fetched is a problem too.
    #[arg(long)]
    complete: bool,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        let place = self.target.find()?;
        let (store, days) = place.survey()?;
        let group = place.group(&store, &days)?;
        let report = Report::of(&store, &days, group, self.complete);
        print(&report.text(&place.name, &store, group))?;
        Ok(report.outcome())
    }
}

/// What a look at everything has told.
#[derive(Debug, Default)]
pub(super) struct Report {
    is_complete_wanted: bool,
    base: Position,
    end: Position,
    days: u64,
    dropped: u64,
    rows: u64,
    messages: u64,
    segments: u64,
    segment_messages: u64,
    bytes: u64,
    temporary: u64,
    in_journal: InJournal,
    missing: u64,
    missing_messages: u64,
    missing_listed: Vec<String>,
    problems: u64,
    listed: Vec<String>,
    /// What could not be read at all.
    unreadable: Vec<String>,
    /// What is odd, and allowed.
    notes: Vec<String>,
}

/// Where the order should go on.
#[derive(Clone, Copy, Debug, Default)]
struct Expected {
    /// Position of the next row, where it is known.
    next: Option<Position>,
    /// What it is chained to, where that is known.
    chain: Option<Digest>,
    /// Stamp of the row before.
    stamp: Stamp,
}

impl Report {
    /// Reads everything. Blocking.
    pub(super) fn of(
        store: &Inspector,
        days: &[Surveyed],
        group: Option<GroupId>,
        is_complete_wanted: bool,
    ) -> Self {
        let (base, end) = (base_of(days), end_of(days));
        let mut report = Self { is_complete_wanted, end, base: base.next, ..Self::default() };
        let mut progress = Progress::begin("verify", end.0.saturating_sub(base.next.0));
        let mut expected =
            Expected { next: Some(base.next), chain: Some(base.chain), stamp: base.stamp };
        report.note_beginning(days, &mut expected);
        report.note_kept_by_group(days);
        for (name, bounds) in days {
            let opened = match bounds {
                Ok(_) => store.open(*name),
                Err(error) => {
                    report.unreadable(*name, error);
                    expected = Expected::default();
                    continue;
                }
            };
            match opened {
                Ok(Some(day)) => {
                    report.days += 1;
                    if let Err(error) = report.look_at(&day, group, &mut expected, &mut progress) {
                        report.unreadable(*name, &error);
                        expected = Expected::default();
                    }
                }
                Ok(None) => {
                    report.dropped += 1;
                    expected = Expected::default();
                }
                Err(error) => {
                    report.unreadable(*name, &error);
                    expected = Expected::default();
                }
            }
        }
        // A node that was away for too long begins its order anew, and drops what it had.
        let is_rebased = || store.survey().is_ok_and(|days| base_of(&days).next > base.next);
        if let Some(next) = expected.next
            && next < end
            && !is_rebased()
        {
            report.problem(None, Some(next), None, "the order ends here, and should go on");
        }
        report.journal(store);
        report
    }

    /// What has arrived, and is in no day yet.
    fn journal(&mut self, store: &Inspector) {
        let problem = match store.journal() {
            Ok(JournalState::None) => return,
            Ok(JournalState::Missing) => {
                self.notes.push(
                    "the journal is not here, nor is it in a backup of a running node; a node without it has lost \
                     what was durable there alone, and gets from its peers, if it has any, what they have of it"
                        .to_owned(),
                );
                return;
            }
            Ok(JournalState::Whole(found)) => {
                self.in_journal = found;
                if found.is_torn {
                    self.notes.push(
                        "the journal's last record was not written whole: nobody was answered for it"
                            .to_owned(),
                    );
                }
                if found.damaged == 0 {
                    return;
                }
                format!("{} of the journal not as it was sent", count(found.damaged, "segment"))
            }
            Ok(JournalState::Damaged(record)) => {
                format!("the journal is damaged: record {} is not whole", record.0)
            }
            Ok(JournalState::Unusable(error)) => error.to_string(),
            Err(error) => {
                self.unreadable.push(told("the journal", &error));
                return;
            }
        };
        self.problem(None, None, None, &problem);
    }

    /// A backup does not know what its first row follows when days were dropped as it was made.
    fn note_beginning(&mut self, days: &[Surveyed], expected: &mut Expected) {
        let first = days.iter().find_map(|(_, bounds)| bounds.as_ref().ok()?.rows);
        let has_base =
            days.iter().any(|(_, bounds)| bounds.as_ref().is_ok_and(|b| b.base.is_some()));
        let Some((first, _)) = first else { return };
        if !has_base && first > Position::FIRST {
            self.base = first;
            *expected = Expected { next: Some(first), ..Expected::default() };
            self.notes.push(format!(
                "the order begins at position {first}, and nothing tells why: in a backup, days \
                 before were dropped by retention as it was made"
            ));
        }
    }

    /// A node learns from its peers that it has dropped what the group keeps.
    fn note_kept_by_group(&mut self, days: &[Surveyed]) {
        let Some(first) = kept_by_group(days) else { return };
        let what = format!(
            "the order begins here, and at peers of the group at position {first}: what is between \
             is still to be fetched"
        );
        if self.is_complete_wanted {
            self.problem(None, Some(self.base), None, &what);
        } else {
            self.notes.push(format!("position {}: {what}", self.base));
        }
    }

    fn look_at(
        &mut self,
        day: &Day,
        group: Option<GroupId>,
        expected: &mut Expected,
        progress: &mut Progress,
    ) -> Result<(), StoreError> {
        let mut next = Some(day.cursor_at(self.base)?);
        while let Some(cursor) = next {
            let batch = day.rows(&cursor, self.end, group)?;
            for read in batch.rows {
                match read {
                    Read::Row(segment) if segment.first < self.base => {}
                    Read::Row(segment) => {
                        let bytes = segment.blob.as_ref().map_or(0, |blob| blob.len() as u64);
                        let done = segment.first.0 - self.base.0;
                        self.row(day.day(), segment.first, &segment.row, expected);
                        if !segment.is_found {
                            let text = "the row is there, and searches do not find it";
                            self.problem(Some(day.day()), Some(segment.first), None, text);
                        }
                        self.segment(day, group, segment)?;
                        progress.at(done, bytes);
                    }
                    Read::Damaged { at } => {
                        self.problem(Some(day.day()), at, None, "a row of the order is damaged");
                        *expected = Expected::default();
                    }
                }
            }
            next = batch.next;
        }
        day.temporaries(|temporary| match temporary {
            Some((meta, blob)) => {
                self.temporary += 1;
                let blob = blob.map(Blob::from_bytes);
                let trouble = match &blob {
                    None => Some("has no bytes".to_owned()),
                    Some(blob) => blob.verify(&meta).err().map(|error| error.to_string()),
                };
                if let Some(trouble) = trouble {
                    let what = format!("a segment that waits for its place: {trouble}");
                    self.problem(Some(day.day()), None, Some(meta.id), &what);
                }
                self.bytes += blob.map_or(0, |blob| blob.as_bytes().len() as u64);
            }
            None => {
                let what = "the row of a segment that waits for its place is damaged";
                self.problem(Some(day.day()), None, None, what);
            }
        })?;
        if !day.has_index()? {
            self.notes.push(format!(
                "day {}: the topic index is to be made anew, and reads by topic go by the order",
                day.day()
            ));
        }
        day.check_tables(|table, key| {
            let what = format!("a row of {table} is damaged (key {key:02x?})");
            self.problem(Some(day.day()), None, None, &what);
        })
    }

    fn row(&mut self, day: UtcDay, first: Position, row: &OrderRow, expected: &mut Expected) {
        let (elected, id) = (row.elected, Some(row.elected.meta.id));
        let mut problem = |what: &str| self.problem(Some(day), Some(first), id, what);
        if let Some(next) = expected.next
            && next != first
        {
            problem(&format!("the row before ends at position {next}"));
            expected.chain = None;
        }
        let chained = expected.chain.map(|chain| OrderRow::chained(chain, elected).chain);
        if chained.is_some_and(|chain| chain != row.chain) {
            problem("the row is not chained to the one before");
        }
        if elected.stamp() <= expected.stamp {
            problem("the stamp is not above that of the row before");
        }
        if UtcDay::of(elected.stamp().wall_time()) != day {
            problem("the row is of another day");
        }
        if elected.meta.count == 0 {
            problem("the row has no messages");
        }
        self.rows += 1;
        self.messages += u64::from(elected.meta.count);
        *expected = Expected {
            next: Some(first.plus(elected.meta.count)),
            chain: Some(row.chain),
            stamp: elected.stamp(),
        };
    }

    fn segment(
        &mut self,
        day: &Day,
        group: Option<GroupId>,
        segment: Segment,
    ) -> Result<(), StoreError> {
        let Segment { first, row, blob, is_missing, is_found: _ } = segment;
        let meta = row.elected.meta;
        if Some(row.elected.challenger.group) != group {
            return Ok(());
        }
        let place = (Some(day.day()), Some(first), Some(meta.id));
        self.segments += 1;
        self.segment_messages += u64::from(meta.count);
        let Some(bytes) = blob else {
            if is_missing {
                self.missing(day.day(), first, meta.id, meta.count);
            } else {
                self.problem(
                    place.0,
                    place.1,
                    place.2,
                    "the messages are not here, without a note",
                );
            }
            return Ok(());
        };
        self.bytes += bytes.len() as u64;
        if is_missing {
            self.problem(place.0, place.1, place.2, "noted as missing, and yet here");
        }
        let blob = Blob::from_bytes(bytes);
        if let Err(error) = blob.verify(&meta) {
            let what = format!("the messages are damaged: {error}");
            self.problem(place.0, place.1, place.2, &what);
            return Ok(());
        }
        if let Ok((topics, _records)) = blob.open()
            && !day.is_indexed(first, &topics)?
        {
            self.problem(place.0, place.1, place.2, "the topic index lacks topics of the segment");
        }
        Ok(())
    }

    fn missing(&mut self, day: UtcDay, first: Position, id: SegmentId, messages: u32) {
        self.missing += 1;
        self.missing_messages += u64::from(messages);
        let what = "missing, to be fetched from a peer";
        if self.is_complete_wanted {
            self.problem(Some(day), Some(first), Some(id), what);
        } else if self.missing_listed.len() < LISTED_MAX {
            self.missing_listed.push(located(Some(day), Some(first), Some(id), what));
        }
    }

    fn problem(
        &mut self,
        day: Option<UtcDay>,
        position: Option<Position>,
        segment: Option<SegmentId>,
        what: &str,
    ) {
        self.problems += 1;
        if self.listed.len() < LISTED_MAX {
            self.listed.push(located(day, position, segment, what));
        }
    }

    fn unreadable(&mut self, day: UtcDay, error: &StoreError) {
        self.unreadable.push(told(&format!("day {day}"), error));
    }

    /// How a tool that only verifies ends.
    pub(super) const fn outcome(&self) -> Outcome {
        if !self.unreadable.is_empty() {
            Outcome::Failed
        } else if self.problems > 0 {
            Outcome::Problems
        } else {
            Outcome::Good
        }
    }

    /// The report for people.
    pub(super) fn text(&self, name: &str, store: &Inspector, group: Option<GroupId>) -> String {
        let group =
            group.map_or("no messages of its own".to_owned(), |group| format!("group {group}"));
        let mut lines = vec![format!("{name}: {}, {group}", store.dir().display())];
        lines.push(format!(
            "order      {} of {} in {}, {}",
            count(self.rows, "row"),
            count(self.messages, "message"),
            count(self.days, "day"),
            if self.base < self.end {
                format!("positions {} to {}", self.base, self.end.0 - 1)
            } else {
                "empty".to_owned()
            }
        ));
        lines.push(format!(
            "own        {} of {}, {} read",
            count(self.segments, "segment"),
            count(self.segment_messages, "message"),
            size(self.bytes)
        ));
        lines.push(format!("temporary  {}", count(self.temporary, "segment")));
        let InJournal { segments, bytes, .. } = self.in_journal;
        lines.push(format!("journal    {}, {}", count(segments, "segment"), size(bytes)));
        lines.push(format!(
            "missing    {} of {}",
            count(self.missing, "segment"),
            count(self.missing_messages, "message")
        ));
        lines.extend(self.missing_listed.iter().map(|line| format!("  {line}")));
        let listed = self.missing_listed.len() as u64;
        if listed > 0 && self.missing > listed {
            lines.push(format!("  and {} more", self.missing - listed));
        }
        if self.dropped > 0 {
            lines.push(format!("{} dropped by retention meanwhile", count(self.dropped, "day")));
        }
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        lines.extend(self.unreadable.iter().map(|line| format!("UNREADABLE {line}")));
        lines.push(format!("problems   {}", self.problems));
        lines.extend(self.listed.iter().map(|line| format!("  {line}")));
        let listed = self.listed.len() as u64;
        if self.problems > listed {
            lines.push(format!("  and {} more", self.problems - listed));
        }
        lines.push(match self.outcome() {
            Outcome::Good if self.missing > 0 => format!(
                "NOT COMPLETE: what is here is as it was written, and {} missing",
                if self.missing == 1 {
                    "1 segment is".to_owned()
                } else {
                    format!("{} segments are", self.missing)
                }
            ),
            Outcome::Good => "good: everything is as it was written".to_owned(),
            Outcome::Problems => "NOT GOOD: see the problems above".to_owned(),
            Outcome::Failed => "NOT GOOD: part of the store cannot be read".to_owned(),
        });
        lines.join("\n") + "\n"
    }
}

/// That something cannot be read, and why.
fn told(what: &str, error: &StoreError) -> String {
    let mut text = format!("{what}: cannot be read: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        let _to_memory = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}

fn located(
    day: Option<UtcDay>,
    position: Option<Position>,
    segment: Option<SegmentId>,
    what: &str,
) -> String {
    let mut at = Vec::new();
    at.extend(day.map(|day| format!("day {day}")));
    at.extend(position.map(|position| format!("position {position}")));
    at.extend(segment.map(|segment| format!("segment {segment}")));
    if at.is_empty() { what.to_owned() } else { format!("{}: {what}", at.join(", ")) }
}
