//! Rows and their checksums: what is read is what was written, or an error.
//!
//! ```text
//! +------------------+----------------------------------------------+
//! | value (postcard) | first 8 bytes of the hash of key and value   |
//! +------------------+----------------------------------------------+
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;

use vixen_core::id::Digest;

use super::StoreError;

const CHECK_BYTES: usize = 8;

pub(super) fn encode<T: Serialize>(key: &[u8], value: &T) -> Result<Vec<u8>, StoreError> {
    let mut row = postcard::to_stdvec(value).map_err(StoreError::Encode)?;
    let check = Digest::of(&[key, &row]).0;
    row.extend_from_slice(&check[..CHECK_BYTES]);
    Ok(row)
}

pub(super) fn decode<T: DeserializeOwned>(
    database: &'static str,
    key: &[u8],
    row: &[u8],
) -> Result<T, StoreError> {
    // Copies: the pages that LMDB lends may change between two looks, and what is verified is what is
    // used.
    let (key, row) = (key.to_vec(), row.to_vec());
    let damaged = || StoreError::Row { database, key: key.clone() };
    let (value, check) = row.split_last_chunk::<CHECK_BYTES>().ok_or_else(damaged)?;
    if Digest::of(&[&key, value]).0[..CHECK_BYTES] != check[..] {
        return Err(damaged());
    }
    postcard::from_bytes(value).map_err(|_malformed| damaged())
}
