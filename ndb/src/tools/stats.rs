//! `vixen-ndb stats`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use serde_json::json;

use vixen_core::id::{GroupId, Position, Stamp};
use vixen_core::time::UtcDay;
use vixen_runtime::telemetry::print;

use super::Outcome;
use super::place::Target;
use super::text::{count, rfc3339, size};
use crate::store::inspect::{
    Cursor, Day, DayNumbers, InJournal, JournalState, Read, base_of, end_of,
};

const TOPICS_LISTED: usize = 20;

/// Print what a store holds, day by day.
///
/// Rows, messages, bytes, missing segments, topics and file sizes of each day, and the 20 topics
/// that occur in most segments. Checksums of messages are not looked at: see verify. The node may
/// run meanwhile.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Example:
  vixen-ndb stats --config vixen.toml --node D1
  vixen-ndb stats --dir /backup/D1-2026-11-21 --json

Columns: rows and messages are of all groups; own, bytes, missing and temporary are of the node's
own group; free is what the file has and does not use now. What has arrived, and is in no day
yet, is in the journal and counted apart; what is on its way from there may be counted twice.

Exit codes:
  0  printed
  1  some rows are damaged and not counted: run verify
  2  the store could not be read, or the arguments are wrong"
)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counted {
    rows: u64,
    messages: u64,
    own: u64,
    own_messages: u64,
    bytes: u64,
    damaged: u64,
    first: Option<(Position, Stamp)>,
    last: Option<(Position, Stamp)>,
    numbers: DayNumbers,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        let place = self.target.find()?;
        let (store, surveyed) = place.survey()?;
        let group = place.group(&store, &surveyed)?;
        let (base, end) = (base_of(&surveyed).next, end_of(&surveyed));
        let (mut days, mut topics) = (Vec::new(), BTreeMap::new());
        for (name, bounds) in surveyed {
            bounds?;
            let Some(day) = store.open(name)? else { continue };
            days.push((name, Counted::of(&day, group, end)?));
            day.count_topics(&mut topics)?;
        }
        let mut topics: Vec<_> = topics.into_iter().collect();
        topics.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        topics.truncate(TOPICS_LISTED);
        let journal = match store.journal()? {
            JournalState::Whole(found) => found,
            JournalState::None
            | JournalState::Missing
            | JournalState::Unusable(_)
            | JournalState::Damaged(_) => InJournal::default(),
        };
        let damaged: u64 = days.iter().map(|(_, day)| day.damaged).sum();
        let head = json!({
            "name": place.name,
            "dir": store.dir().display().to_string(),
            "group": group.map(|group| group.0),
            "first_position": base.0,
            "next_position": end.0,
            "damaged_rows": damaged,
            "journal_segments": journal.segments,
            "journal_bytes": journal.bytes,
        });
        print(&if self.json {
            as_json(head, &days, &topics)
        } else {
            as_text(&head, &days, &topics)
        })?;
        Ok(if damaged == 0 { Outcome::Good } else { Outcome::Problems })
    }
}

impl Counted {
    fn of(day: &Day, group: Option<GroupId>, end: Position) -> Result<Self, crate::StoreError> {
        let mut counted = Self { numbers: day.numbers()?, ..Self::default() };
        let mut next = Some(Cursor::default());
        while let Some(cursor) = next {
            let batch = day.rows(&cursor, end, None)?;
            for read in batch.rows {
                let Read::Row(segment) = read else {
                    counted.damaged += 1;
                    continue;
                };
                let (elected, first) = (segment.row.elected, segment.first);
                let meta = elected.meta;
                counted.rows += 1;
                counted.messages += u64::from(meta.count);
                if Some(elected.challenger.group) == group {
                    counted.own += 1;
                    counted.own_messages += u64::from(meta.count);
                    counted.bytes += u64::from(meta.bytes);
                }
                counted.first.get_or_insert((first, elected.stamp()));
                let last = Position(first.plus(meta.count).0.saturating_sub(1));
                counted.last = Some((last, elected.stamp()));
            }
            next = batch.next;
        }
        Ok(counted)
    }

    const fn free_bytes(&self) -> u64 {
        self.numbers.pages_free * self.numbers.page_bytes
    }
}

type TopicCount = ((Arc<str>, Arc<str>), u64);

fn as_json(
    mut head: serde_json::Value,
    days: &[(UtcDay, Counted)],
    topics: &[TopicCount],
) -> String {
    let days = days.iter().map(|(name, day)| {
        let time = |end: Option<(Position, Stamp)>| end.map(|(_, s)| rfc3339(s.wall_time()));
        json!({
            "day": name.to_string(),
            "rows": day.rows,
            "messages": day.messages,
            "own_segments": day.own,
            "own_messages": day.own_messages,
            "own_bytes": day.bytes,
            "missing": day.numbers.missing,
            "temporary": day.numbers.temporary,
            "topics": day.numbers.topics,
            "file_bytes": day.numbers.file_bytes,
            "free_pages": day.numbers.pages_free,
            "page_bytes": day.numbers.page_bytes,
            "damaged_rows": day.damaged,
            "first_position": day.first.map(|(position, _)| position.0),
            "last_position": day.last.map(|(position, _)| position.0),
            "first_time": time(day.first),
            "last_time": time(day.last),
        })
    });
    head["days"] = days.collect();
    let topics = topics
        .iter()
        .map(|((realm, uri), n)| json!({"realm": **realm, "topic": **uri, "segments": n}));
    head["topics"] = topics.collect();
    format!("{head}\n")
}

fn as_text(head: &serde_json::Value, days: &[(UtcDay, Counted)], topics: &[TopicCount]) -> String {
    let mut text = String::new();
    let mut line = |line: String| {
        let _to_memory = writeln!(text, "{}", line.trim_end());
    };
    let group = head["group"]
        .as_u64()
        .map_or("no messages of its own".to_owned(), |group| format!("group {group}"));
    line(format!(
        "{}: {}, {group}",
        head["name"].as_str().unwrap_or(""),
        head["dir"].as_str().unwrap_or("")
    ));
    let (first, next) = (&head["first_position"], &head["next_position"]);
    line(format!("first position {first}, next position {next}"));
    let (segments, bytes) = (head["journal_segments"].as_u64(), head["journal_bytes"].as_u64());
    let (segments, bytes) = (segments.unwrap_or_default(), bytes.unwrap_or_default());
    line(format!("in the journal {}, {}", count(segments, "segment"), size(bytes)));
    let columns = |cells: [&str; 12]| {
        let [day, rest @ ..] = cells;
        let rest = rest.iter().map(|cell| format!(" {cell:>11}"));
        format!("{day:10}{}", rest.collect::<String>())
    };
    line(columns([
        "day",
        "rows",
        "messages",
        "own",
        "bytes",
        "missing",
        "temporary",
        "topics",
        "file",
        "free",
        "first",
        "last",
    ]));
    let row = |name: &str, day: &Counted| {
        let position =
            |end: Option<(Position, Stamp)>| end.map_or("-".to_owned(), |(p, _)| p.to_string());
        let n = &day.numbers;
        columns([
            name,
            &day.rows.to_string(),
            &day.messages.to_string(),
            &day.own.to_string(),
            &size(day.bytes),
            &n.missing.to_string(),
            &n.temporary.to_string(),
            &n.topics.to_string(),
            &size(n.file_bytes),
            &size(day.free_bytes()),
            &position(day.first),
            &position(day.last),
        ])
    };
    for (name, day) in days {
        line(row(&name.to_string(), day));
    }
    let ends: Vec<_> = days.iter().flat_map(|(_, day)| [day.first, day.last]).flatten().collect();
    if let (Some((_, first)), Some((_, last))) = (ends.first(), ends.last()) {
        let (first, last) = (rfc3339(first.wall_time()), rfc3339(last.wall_time()));
        line(format!("time {first} to {last}"));
    }
    if !topics.is_empty() {
        line(String::new());
        line(format!("{:>11}  topic (of a realm), by segments that have it", "segments"));
    }
    for ((realm, uri), n) in topics {
        line(format!("{n:>11}  {uri} ({realm})"));
    }
    let damaged = &head["damaged_rows"];
    if damaged != 0 {
        line(format!("DAMAGED: {damaged} rows were not counted; run verify"));
    }
    text
}
