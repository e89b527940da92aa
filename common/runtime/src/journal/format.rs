//! The bytes of a journal, and what is found in them. Pure.
//!
//! ```text
//! file:   header block | block 1 | block 2 | … | block n − 1          of 4 KiB each; n in the header
//! header: "vixenjnl" | format u8 | 0 0 0 | blocks u32 | journal id 16 | store id 16 | check 16 | 0…
//! record: check of the head 8 | sequence u64 | length u32 | 0 u32 | check of the body 16 | body | 0…
//! ```
//! Numbers are big-endian. A record begins with a block and has it, and those that it needs after it, to itself: no write
//! touches a block that something durable is in. The checks of records are keyed by the header, so nothing that a body has
//! in it, and nothing of another journal, passes for a record; that of a head has its block in it, that of a body is in its head.
//!
//! A record is written when the one before it is durable, so at most one is not. Of those beyond `applied`:
//! - *all that follow each other* from `applied + 1` on are whole: that is what the journal has.
//! - *A torn tail* is the next one, and nothing is beyond: nobody was answered for it, and it is not taken.
//! - *Damage* is any that is not whole where the head of a later one but one is there: when that was written,
//!   all before were durable. So is a hole, where one is missing.
//! - *Records of an earlier lap* are at or below `applied`, and are not looked at.

use std::collections::BTreeMap;
use std::ops::Range;

use vixen_core::id::StoreId;

/// What a record begins with a multiple of, and what disks write of files.
pub const BLOCK_BYTES: usize = 4_096;
/// Of a record, before its body.
pub(super) const HEAD_BYTES: usize = 40;
/// The version of what this page says. Those of rows are in the bodies.
const FORMAT: u8 = 1;
const MAGIC: &[u8; 8] = b"vixenjnl";
/// Of the header, with its check.
const HEADER_BYTES: usize = 64;
const CHECK_BYTES: usize = 16;
const HEAD_CHECK_BYTES: usize = 8;
/// Says what the keys are for.
const KEY_CONTEXT: &str = "vixen 2026-11-30 journal records v1";

/// The number of a record: 1, 2, 3 … in a store; a number is not used again for what was answered for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(pub u64);

impl Sequence {
    /// The one after it.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A random number: which journal this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JournalId(pub [u8; 16]);

/// The first block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: JournalId,
    pub(super) store: StoreId,
    /// Of the file, the header's included.
    pub(super) blocks: u32,
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadHeader {
    /// It is no header, or a damaged one.
    Damaged,
    /// Of another version.
    Format(u8),
}

impl Header {
    pub(super) fn encode(&self) -> [u8; BLOCK_BYTES] {
        let mut block = [0; BLOCK_BYTES];
        block[..8].copy_from_slice(MAGIC);
        block[8] = FORMAT;
        block[12..16].copy_from_slice(&self.blocks.to_be_bytes());
        block[16..32].copy_from_slice(&self.id.0);
        block[32..48].copy_from_slice(self.store.0.as_bytes());
        let check = check_of_header(&block);
        block[48..HEADER_BYTES].copy_from_slice(&check);
        block
    }

    pub(super) fn decode(file: &[u8]) -> Result<Self, BadHeader> {
        let block = file.get(..HEADER_BYTES).ok_or(BadHeader::Damaged)?;
        if block[48..] != check_of_header(block) || block[..8] != *MAGIC {
            return Err(BadHeader::Damaged);
        }
        if block[8] != FORMAT {
            return Err(BadHeader::Format(block[8]));
        }
        Ok(Self {
            id: JournalId(array(&block[16..32])),
            store: StoreId(uuid::Uuid::from_bytes(array(&block[32..48]))),
            blocks: u32::from_be_bytes(array(&block[12..16])),
        })
    }

    pub(super) fn checks(&self) -> Checks {
        Checks { key: blake3::derive_key(KEY_CONTEXT, &self.encode()[..HEADER_BYTES]) }
    }
}

fn check_of_header(block: &[u8]) -> [u8; CHECK_BYTES] {
    array(&blake3::hash(&block[..48]).as_bytes()[..CHECK_BYTES])
}

/// Of a slice of just so many bytes.
fn array<const N: usize>(bytes: &[u8]) -> [u8; N] {
    let mut array = [0; N];
    array.copy_from_slice(bytes);
    array
}

/// The checks of the records of one journal.
#[derive(Clone, Debug)]
pub(super) struct Checks {
    key: [u8; 32],
}

impl Checks {
    fn of_head(&self, block: u32, head: &[u8]) -> [u8; HEAD_CHECK_BYTES] {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&block.to_be_bytes()).update(&head[HEAD_CHECK_BYTES..HEAD_BYTES]);
        array(&hasher.finalize().as_bytes()[..HEAD_CHECK_BYTES])
    }

    fn of_body(&self, body: &[u8]) -> [u8; CHECK_BYTES] {
        array(&blake3::keyed_hash(&self.key, body).as_bytes()[..CHECK_BYTES])
    }

    /// Makes a record of `whole`, which has room for the head before its body, and fills up its last block.
    pub(super) fn seal(&self, block: u32, sequence: Sequence, whole: &mut Vec<u8>) {
        let body = whole.get(HEAD_BYTES..).unwrap_or_default();
        let (length, check) = (body.len() as u64, self.of_body(body));
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        whole.resize(whole.len().next_multiple_of(BLOCK_BYTES), 0);
        whole[8..16].copy_from_slice(&sequence.0.to_be_bytes());
        whole[16..20].copy_from_slice(&length.to_be_bytes());
        whole[20..24].fill(0);
        whole[24..HEAD_BYTES].copy_from_slice(&check);
        let check = self.of_head(block, whole);
        whole[..HEAD_CHECK_BYTES].copy_from_slice(&check);
    }

    /// The head of a record at `block`, if one is there.
    fn head_at(&self, file: &[u8], block: u32) -> Option<Head> {
        let at = block as usize * BLOCK_BYTES;
        let head = file.get(at..at + HEAD_BYTES)?;
        if head[..HEAD_CHECK_BYTES] != self.of_head(block, head) {
            return None;
        }
        let length = u32::from_be_bytes(array(&head[16..20])) as usize;
        let body = at + HEAD_BYTES..at + HEAD_BYTES + length;
        let is_whole = file.get(body.clone()).is_some_and(|body| self.of_body(body) == head[24..]);
        let sequence = Sequence(u64::from_be_bytes(array(&head[8..16])));
        Some(Head { sequence, found: Found { block, body }, is_whole })
    }
}

/// Blocks of a record with a body of so many bytes.
pub(super) fn blocks_of(body_bytes: usize) -> u32 {
    u32::try_from((HEAD_BYTES + body_bytes).div_ceil(BLOCK_BYTES)).unwrap_or(u32::MAX)
}

/// What a block that a record begins with says.
pub(super) struct Head {
    sequence: Sequence,
    pub(super) found: Found,
    pub(super) is_whole: bool,
}

/// Where a record is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) block: u32,
    /// In the file.
    pub(super) body: Range<usize>,
}

impl Found {
    pub(super) fn blocks(&self) -> u32 {
        blocks_of(self.body.len())
    }
}

/// What is durable and not whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    /// The first record that is missing or not whole.
    pub(super) missing: Sequence,
    /// One that was written after it.
    pub(super) later: Sequence,
}

/// The heads of records beyond `applied`, by their numbers.
pub(super) fn heads(file: &[u8], header: &Header, applied: Sequence) -> BTreeMap<Sequence, Head> {
    let checks = header.checks();
    let mut heads: BTreeMap<Sequence, Head> = BTreeMap::new();
    for head in (1..header.blocks).filter_map(|block| checks.head_at(file, block)) {
        let is_known = heads.get(&head.sequence).is_some_and(|known| known.is_whole);
        // One that was torn may be there still when its number is used again.
        if head.sequence > applied && !is_known {
            heads.insert(head.sequence, head);
        }
    }
    heads
}

/// The records beyond `applied`, in their order, each following the one before it.
pub(super) fn records(
    file: &[u8],
    header: &Header,
    applied: Sequence,
) -> Result<Vec<Found>, Damage> {
    let heads = heads(file, header, applied);
    let mut found = Vec::new();
    let mut next = applied.next();
    while let Some(head) = heads.get(&next).filter(|head| head.is_whole) {
        found.push(head.found.clone());
        next = next.next();
    }
    match heads.range(next.next()..).next() {
        Some((later, _)) => Err(Damage { missing: next, later: *later }),
        None => Ok(found),
    }
}
