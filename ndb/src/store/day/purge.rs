//! Removing rows whose keys are damaged.
//!
//! Such a row stands where no search finds it, and leads searches for its neighbours astray: what is
//! written beside it may stand in the tree twice from then on. So rows are taken as they stand, one
//! after another, from well before the damage to well behind it.

use std::ops::Bound::{self, Included, Unbounded};

use heed::types::Bytes as Raw;
use heed::{Database, RwTxn};

use crate::store::StoreError;

/// Whole rows looked at before and behind: more than a page of a tree holds, so that a search that
/// leads there does not come by the damage.
const AROUND: usize = 512;

/// Deletes all rows from `low` to `high` (inclusive), and around, that are not to be kept or stand
/// there twice. Returns how many.
pub(in crate::store) fn purge(
    txn: &mut RwTxn<'_>,
    table: Database<Raw, Raw>,
    (low, high): (&[u8], &[u8]),
    is_kept: &dyn Fn(&[u8], &[u8]) -> bool,
) -> Result<usize, StoreError> {
    let begin = begin_before(txn, table, low, is_kept)?;
    let range = (begin.as_deref().map_or(Unbounded, Included), Unbounded::<&[u8]>);
    let mut rows = table.range_mut(txn, &range)?;
    let (mut last, mut behind, mut purged) = (None::<Vec<u8>>, 0, 0);
    while behind < AROUND {
        let Some((key, value)) = rows.next().transpose()? else { break };
        if is_kept(key, value) && last.as_deref() != Some(key) {
            behind += usize::from(key > high);
            last = Some(key.to_vec());
            continue;
        }
        #[expect(unsafe_code, reason = "no search finds the row")]
        // SAFETY: nothing that was read from the table is used after this: `last` is a copy.
        unsafe {
            rows.del_current()?;
        }
        purged += 1;
    }
    Ok(purged)
}

/// The key of a row to be kept that stands well before `low`; `None`: there are not so many.
fn begin_before(
    txn: &RwTxn<'_>,
    table: Database<Raw, Raw>,
    low: &[u8],
    is_kept: &dyn Fn(&[u8], &[u8]) -> bool,
) -> Result<Option<Vec<u8>>, StoreError> {
    let upto: (Bound<&[u8]>, Bound<&[u8]>) = (Unbounded, Included(low));
    let mut kept = 0;
    for row in table.rev_range(txn, &upto)? {
        let (key, value) = row?;
        kept += usize::from(is_kept(key, value));
        if kept > AROUND {
            return Ok(Some(key.to_vec()));
        }
    }
    Ok(None)
}
