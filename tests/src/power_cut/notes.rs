//! What the library notes, as `tests/power/power_cut.c` writes it.

use std::collections::BTreeMap;

/// Bytes that a disk writes whole.
pub(super) const SECTOR_BYTES: usize = 512;
/// The same as places in a file count.
pub(super) const SECTOR: u64 = SECTOR_BYTES as u64;

const HEAD_BYTES: usize = 40;

const CHANGED: u32 = 1;
const SYNCED: u32 = 2;
const WRITTEN: u32 = 3;
const CREATED: u32 = 4;
const REMOVED: u32 = 5;
const RENAMED: u32 = 6;
const ESCAPED: u32 = 7;

/// What was not durable in the end, and how to undo it.
#[derive(Debug, Default)]
pub(super) struct Notes<'n> {
    /// By inode.
    pub(super) files: BTreeMap<u64, FileNotes<'n>>,
    /// In order.
    pub(super) names: Vec<NameNote>,
    pub(super) escapes: Vec<String>,
}

/// One file, with the numbers of the notes.
#[derive(Debug, Default)]
pub(super) struct FileNotes<'n> {
    /// By sector, what was in it before each change; shorter than a sector at the file's end.
    pub(super) sectors: BTreeMap<u64, Vec<(u64, &'n [u8])>>,
    /// The size before each change.
    pub(super) sizes: Vec<(u64, u64)>,
}

/// A change of names, in the directory with this inode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameNote {
    pub(super) number: u64,
    pub(super) directory: u64,
    pub(super) change: NameChange,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum NameChange {
    Created {
        name: String,
    },
    Removed {
        name: String,
    },
    /// From a name in another directory, or the same; something that was there may be kept.
    Renamed {
        from_directory: u64,
        from: String,
        to: String,
        replaced: bool,
    },
}

struct Head {
    kind: u32,
    bytes: usize,
    file: u64,
    at: u64,
    span: u64,
    size: u64,
}

impl Head {
    fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..HEAD_BYTES)?;
        let short = |at: usize| head[at..at + 4].try_into().map_or(0, u32::from_ne_bytes);
        let long = |at: usize| head[at..at + 8].try_into().map_or(0, u64::from_ne_bytes);
        let (kind, bytes) = (short(0), usize::try_from(short(4)).ok()?);
        Some(Self { kind, bytes, file: long(8), at: long(16), span: long(24), size: long(32) })
    }
}

impl<'n> Notes<'n> {
    /// Reads notes up to the last whole one: what a torn one is about never happened. With `all`
    /// nothing counts as durable.
    pub(super) fn read(bytes: &'n [u8], all: bool) -> Self {
        let mut notes = Self::default();
        let mut number = 0;
        while let Some(head) = bytes.get(number..).and_then(Head::read) {
            let begin = number + HEAD_BYTES;
            let Some(data) = bytes.get(begin..begin + head.bytes) else { break };
            match head.kind {
                SYNCED | WRITTEN if all => {}
                SYNCED => notes.synced(head.file, head.at),
                WRITTEN => notes.written(bytes, head.file, head.at),
                _change => notes.changed(number as u64, &head, data),
            }
            number = begin + head.bytes;
        }
        notes
    }

    fn changed(&mut self, number: u64, head: &Head, data: &'n [u8]) {
        let text = || String::from_utf8_lossy(data).into_owned();
        let directory = if head.kind == RENAMED { head.at } else { head.file };
        let change = match head.kind {
            CHANGED => return self.content(number, head, data),
            CREATED => NameChange::Created { name: text() },
            REMOVED => NameChange::Removed { name: text() },
            RENAMED => {
                let names = text();
                let (from, to) = names.split_once('\0').unwrap_or_default();
                NameChange::Renamed {
                    from_directory: head.file,
                    from: from.to_owned(),
                    to: to.to_owned(),
                    replaced: head.size == 1,
                }
            }
            ESCAPED => return self.escapes.push(text()),
            other => return self.escapes.push(format!("a note of kind {other}")),
        };
        self.names.push(NameNote { number, directory, change });
    }

    fn content(&mut self, number: u64, head: &Head, data: &'n [u8]) {
        let file = self.files.entry(head.file).or_default();
        file.sizes.push((number, head.size));
        let mut rest = data;
        for sector in sectors(head) {
            let (before, more) = rest.split_at(rest.len().min(SECTOR_BYTES));
            file.sectors.entry(sector).or_default().push((number, before));
            rest = more;
        }
    }

    /// All before note `until` is durable, of a file or a directory.
    fn synced(&mut self, inode: u64, until: u64) {
        if let Some(file) = self.files.get_mut(&inode) {
            file.sizes.retain(|(number, _size)| *number >= until);
            file.sectors.retain(|_sector, states| {
                states.retain(|(number, _before)| *number >= until);
                !states.is_empty()
            });
        }
        self.names.retain(|note| note.directory != inode || note.number >= until);
    }

    /// The sectors of note `number` are durable, and the size that it left.
    fn written(&mut self, bytes: &[u8], inode: u64, number: u64) {
        let head = usize::try_from(number).ok().and_then(|at| Head::read(bytes.get(at..)?));
        let (Some(head), Some(file)) = (head, self.files.get_mut(&inode)) else { return };
        file.sizes.retain(|(earlier, _size)| *earlier > number);
        for sector in sectors(&head) {
            if let Some(states) = file.sectors.get_mut(&sector) {
                states.retain(|(earlier, _before)| *earlier > number);
                if states.is_empty() {
                    file.sectors.remove(&sector);
                }
            }
        }
    }
}

fn sectors(head: &Head) -> std::ops::Range<u64> {
    head.at / SECTOR..(head.at + head.span) / SECTOR
}
