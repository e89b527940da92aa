//! `vixen-ndb dump`.

use std::io::{self, BufWriter, Write};

use anyhow::Context;
use bytes::BytesMut;

use vixen_core::id::{GroupId, PermanentId, Position};
use vixen_core::payload;
use vixen_core::segment::{Blob, Match, Record, Records, Topic, TopicPattern};
use vixen_runtime::telemetry::remark;

use super::Outcome;
use super::place::Target;
use super::text::rfc3339;
use crate::store::inspect::{Inspector, Read, Segment, Surveyed, base_of, end_of};

const BUFFER_BYTES: usize = 256 << 10;

/// Print messages, or the order index, as lines of JSON.
///
/// One object a line, in the order of positions, from a node that may run meanwhile: what it
/// writes after the start is not printed. A node has the messages of its own group; its order
/// index has the segments of all groups. Nothing in a line is of one node: the same range of two
/// nodes of a group is the same, byte for byte.
///
/// A message:
/// {"position","id","time","realm","topic","session","args","kwargs"}
///
/// Payloads of MessagePack and CBOR are printed as JSON. One of which no JSON can be made has
/// {"malformed":true,"encoding","base64"} instead of "args" and "kwargs".
///
/// A row of the order index (--rows):
/// {"position","stamp","segment","group","shard","map","count","bytes","digest","chain"}
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Example:
  vixen-ndb dump --config vixen.toml --node D1 --from 1000 --to 2000
  vixen-ndb dump --config vixen.toml --node D1 --realm realm1 --topic com.shop. --match prefix
  vixen-ndb dump --dir /backup/D1-2026-11-21 --rows | sha256sum

Exit codes:
  0  everything asked for was printed (also when the reader of a pipe has had enough)
  1  stopped at a segment that is missing or damaged; with --skip-missing: some were left out
  2  the store could not be read, or the arguments are wrong"
)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// The first position [default: the oldest there is].
    #[arg(long, value_name = "POSITION")]
    from: Option<u64>,
    /// The position after the last [default: to the end].
    #[arg(long, value_name = "POSITION")]
    to: Option<u64>,
    /// Only messages of this realm.
    #[arg(long)]
    realm: Option<String>,
    /// Only messages of this topic, as --match compares it.
    #[arg(long)]
    topic: Option<String>,
    /// How --topic is compared: the topic itself, its beginning, or component by component where
    /// empty ones stand for any (com..changed).
    #[arg(long = "match", value_enum, default_value = "exact", requires = "topic")]
    matching: Matching,
    /// Print rows of the order index instead of messages.
    #[arg(long, conflicts_with_all = ["realm", "topic"])]
    rows: bool,
    /// Leave out what is missing or damaged, with a line on stderr for each segment.
    #[arg(long)]
    skip_missing: bool,
}

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Matching {
    Exact,
    Prefix,
    Wildcard,
}

impl From<Matching> for Match {
    fn from(matching: Matching) -> Self {
        match matching {
            Matching::Exact => Self::Exact,
            Matching::Prefix => Self::Prefix,
            Matching::Wildcard => Self::Wildcard,
        }
    }
}

/// Why printing ended before its end.
enum Stop {
    /// Something is missing or damaged.
    Lacking,
    Failed(anyhow::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<crate::StoreError> for Stop {
    fn from(error: crate::StoreError) -> Self {
        Self::Failed(error.into())
    }
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        let place = self.target.find()?;
        let (store, days) = place.survey()?;
        let group = if self.rows { None } else { place.group(&store, &days)? };
        let out = BufWriter::with_capacity(BUFFER_BYTES, io::stdout().lock());
        let mut dump = Dump { args: self, group, out, scratch: BytesMut::new(), skipped: 0 };
        let printed = dump.print(&store, &days).and_then(|()| Ok(dump.out.flush()?));
        match printed {
            Ok(()) if dump.skipped == 0 => Ok(Outcome::Good),
            Ok(()) => {
                remark(&format!(
                    "vixen-ndb: left out what is missing or damaged in {} places",
                    dump.skipped
                ));
                Ok(Outcome::Problems)
            }
            Err(Stop::Lacking) => {
                // What came before it was asked for, and is whole.
                dump.out.flush().or_else(quiet)?;
                Ok(Outcome::Problems)
            }
            Err(Stop::Failed(error)) => {
                match error.downcast::<io::Error>() {
                    Ok(error) => quiet(error).context("cannot write")?,
                    Err(error) => return Err(error),
                }
                // What is buffered would fail again.
                let _ = dump.out.into_parts();
                Ok(Outcome::Good)
            }
        }
    }
}

/// A reader of the pipe that has had enough is no error.
fn quiet(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

struct Dump<'a, W: Write> {
    args: &'a Args,
    group: Option<GroupId>,
    out: BufWriter<W>,
    /// Payloads that are not JSON, as JSON.
    scratch: BytesMut,
    skipped: u64,
}

impl<W: Write> Dump<'_, W> {
    fn print(&mut self, store: &Inspector, days: &[Surveyed]) -> Result<(), Stop> {
        let (base, end) = (base_of(days).next, end_of(days));
        let oldest = days.iter().find_map(|(_, bounds)| bounds.as_ref().ok()?.rows);
        let base = oldest.map_or(base, |(first, _)| first.max(base));
        let from = Position(self.args.from.unwrap_or(base.0));
        let until = Position(self.args.to.unwrap_or(end.0)).min(end);
        if from < base && from < until {
            self.lacking(from, &format!("the order here begins at position {base}"))?;
        }
        let mut at = from.max(base);
        for (name, bounds) in days {
            match bounds {
                Ok(bounds) if bounds.rows.is_none_or(|(_, end)| end <= at) => continue,
                Ok(_) => {}
                Err(_) if at >= until => break,
                Err(error) => {
                    self.lacking(at, &format!("day {name} cannot be read: {error}"))?;
                    continue;
                }
            }
            if at >= until {
                break;
            }
            let Some(day) = store.open(*name)? else {
                self.lacking(at, &format!("day {name} was dropped by retention meanwhile"))?;
                continue;
            };
            let mut next = Some(day.cursor_at(at)?);
            while let Some(cursor) = next {
                // The transaction ends before anything is printed: a pipe may keep this waiting.
                let batch = day.rows(&cursor, until, self.group)?;
                for read in batch.rows {
                    at = self.row(read, at, until)?;
                }
                next = batch.next;
            }
        }
        if at < until {
            self.lacking(at, "no row of the order holds it")?;
        }
        Ok(())
    }

    /// Prints a row, and tells the position after it.
    fn row(&mut self, read: Read, at: Position, until: Position) -> Result<Position, Stop> {
        let segment = match read {
            Read::Row(segment) => segment,
            Read::Damaged { at: key } => {
                self.lacking(key.unwrap_or(at), "a row of the order is damaged")?;
                return Ok(at);
            }
        };
        let after = segment.first.plus(segment.row.elected.meta.count);
        if after <= at {
            return Ok(at);
        }
        if segment.first > at {
            self.lacking(at, "no row of the order holds it")?;
        }
        if self.args.rows {
            self.order_row(&segment)?;
        } else if Some(segment.row.elected.challenger.group) == self.group {
            self.messages(segment, at, until)?;
        }
        Ok(after)
    }

    fn order_row(&mut self, segment: &Segment) -> io::Result<()> {
        let (elected, chain) = (segment.row.elected, segment.row.chain);
        let meta = elected.meta;
        writeln!(
            self.out,
            "{{\"position\":{},\"stamp\":{},\"segment\":\"{}\",\"group\":{},\"shard\":{},\
             \"map\":{},\"count\":{},\"bytes\":{},\"digest\":\"{}\",\"chain\":\"{chain}\"}}",
            segment.first,
            elected.stamp(),
            meta.id,
            elected.challenger.group.0,
            meta.shard.0,
            meta.map.0,
            meta.count,
            meta.bytes,
            meta.digest,
        )
    }

    fn messages(&mut self, segment: Segment, from: Position, until: Position) -> Result<(), Stop> {
        let Segment { first, row, blob, .. } = segment;
        let (meta, stamp) = (row.elected.meta, row.elected.stamp());
        let Some(blob) = blob.map(Blob::from_bytes) else {
            return self.lacking(first, &format!("segment {} is missing", meta.id));
        };
        if let Err(error) = blob.verify(&meta) {
            return self.lacking(first, &format!("segment {} is damaged: {error}", meta.id));
        }
        let Ok((topics, records)) = blob.open() else { return Ok(()) };
        let topics: Vec<_> = topics.iter().map(|topic| self.named(topic)).collect();
        if topics.iter().all(Option::is_none) {
            return Ok(());
        }
        let time = rfc3339(stamp.wall_time());
        for (offset, record) in (0u32..).zip(Records::new(&records)) {
            let position = first.plus(offset);
            let topic = topics.get(usize::from(record.topic)).and_then(Option::as_ref);
            let Some(topic) = topic.filter(|_| position >= from && position < until) else {
                continue;
            };
            let id = PermanentId { stamp, offset };
            let out = &mut self.out;
            write!(
                out,
                "{{\"position\":{position},\"id\":\"{id}\",\"time\":\"{time}\",{topic},\
                 \"session\":{}",
                record.session
            )?;
            put_payload(out, &record, &mut self.scratch)?;
            out.write_all(b"}\n")?;
        }
        Ok(())
    }

    /// The topic's part of a line; `None` when it is not asked for.
    fn named(&self, topic: &Topic) -> Option<String> {
        let Args { realm, topic: uri, matching, .. } = self.args;
        let realm = realm.as_deref().unwrap_or(&topic.realm);
        let pattern = match uri {
            Some(uri) => TopicPattern::new(realm, uri, (*matching).into()),
            None => TopicPattern::all(realm),
        };
        let json = |text: &str| serde_json::Value::from(text).to_string();
        let named = || format!("\"realm\":{},\"topic\":{}", json(&topic.realm), json(&topic.uri));
        pattern.matches(topic).then(named)
    }

    fn lacking(&mut self, at: Position, what: &str) -> Result<(), Stop> {
        self.skipped += 1;
        remark(&format!("vixen-ndb: position {at}: {what}"));
        if self.args.skip_missing { Ok(()) } else { Err(Stop::Lacking) }
    }
}

/// Prints the members of a payload.
fn put_payload(
    out: &mut impl Write,
    record: &Record<'_>,
    scratch: &mut BytesMut,
) -> io::Result<()> {
    let Ok((args, kwargs)) = payload::as_json(record.payload, record.content, scratch) else {
        let opaque = payload::opaque_members(record.payload, record.content);
        return write!(out, ",\"malformed\":true,{opaque}");
    };
    out.write_all(b",\"args\":")?;
    one_line(out, args.unwrap_or(b"[]"))?;
    out.write_all(b",\"kwargs\":")?;
    one_line(out, kwargs.unwrap_or(b"{}"))
}

/// JSON may have line ends between its tokens, and nowhere else: spaces mean the same.
fn one_line(out: &mut impl Write, json: &[u8]) -> io::Result<()> {
    let mut parts = json.split(|byte| matches!(byte, b'\n' | b'\r'));
    if let Some(part) = parts.next() {
        out.write_all(part)?;
    }
    parts.try_for_each(|part| {
        out.write_all(b" ")?;
        out.write_all(part)
    })
}

#[cfg(test)]
mod tests {
    use vixen_core::segment::{Encoding, RecordFlags};

    use super::*;

    fn members(encoding: Encoding, payload: &[u8]) -> String {
        let (topic, flags, session) = (0, RecordFlags::default(), 0);
        let mut out = Vec::new();
        let record =
            Record { topic, content: encoding.into(), flags, session, attributes: &[], payload };
        put_payload(&mut out, &record, &mut BytesMut::new()).expect("memory");
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn payloads_are_printed_as_json() {
        let cases: [(Encoding, &[u8], &str); 9] = [
            (Encoding::Json, b"", r#","args":[],"kwargs":{}"#),
            (Encoding::Json, b"[1,[2,{\"a\":3}]]", r#","args":[1,[2,{"a":3}]],"kwargs":{}"#),
            (
                Encoding::Json,
                b"[1, 2] ,\n{\"k\":\n[1e400]}",
                r#","args":[1, 2],"kwargs":{"k": [1e400]}"#,
            ),
            (
                Encoding::Json,
                b"[\"\xff\"]",
                r#","malformed":true,"encoding":"json","base64":"WyL/Il0=""#,
            ),
            (Encoding::MsgPack, b"", r#","args":[],"kwargs":{}"#),
            (Encoding::MsgPack, b"\x91\xa1\n", r#","args":["\n"],"kwargs":{}"#),
            (
                Encoding::MsgPack,
                b"\x91\xc1",
                r#","malformed":true,"encoding":"msgpack","base64":"kcE=""#,
            ),
            (Encoding::Cbor, b"\x80\xa1\x61k\x41\x01", r#","args":[],"kwargs":{"k":"\u0000AQ=="}"#),
            (Encoding::Cbor, b"\x80\x80", r#","malformed":true,"encoding":"cbor","base64":"gIA=""#),
        ];
        for (encoding, payload, wanted) in cases {
            assert_eq!(members(encoding, payload), wanted, "{payload:?}");
        }
    }

    #[test]
    fn line_ends_between_tokens_become_spaces() {
        let mut out = Vec::new();
        one_line(&mut out, b"[\r\n1,\n2]").expect("memory");
        assert_eq!(out, b"[  1, 2]");
    }
}
