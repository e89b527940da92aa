//! Tables `quota` of a realm and of a role: how much may be published.

use vixen_core::access::Quota;

use super::super::error::ConfigError;
use super::super::read::{Source, TableReader};
use super::super::value::{Count, Size};

pub(in super::super) const QUOTA_KEYS: &[&str] =
    &["messages-per-second", "bytes-per-second", "topics-per-second", "topics-max"];

/// More topics than these are not told apart: each takes some bytes of the entry's memory.
const TOPICS_MAX: u64 = 1_000_000;

/// Reads a table `realm.quota`, for all that is published in a realm through one entry, or
/// `realm.role.quota`, for what each user of the role publishes there.
pub(super) fn quota(source: Source<'_>, mut table: TableReader<'_>) -> Result<Quota, ConfigError> {
    let messages_per_second = positive(source, &mut table, "messages-per-second")?;
    let bytes_per_second = match table.optional::<Size>("bytes-per-second")? {
        Some(Size(0)) => return Err(nothing(source, &table, "bytes-per-second")),
        bytes => bytes.map(|Size(bytes)| bytes),
    };
    let topics_per_second = positive(source, &mut table, "topics-per-second")?;
    let topics_max = positive(source, &mut table, "topics-max")?;
    if topics_max.is_some_and(|max| max > TOPICS_MAX) {
        let problem = format!("no more than {TOPICS_MAX} topics are told apart");
        let fix = "set a smaller number, or leave it out";
        return Err(source.refuse(table.place("topics-max"), problem, fix));
    }
    Ok(Quota { messages_per_second, bytes_per_second, topics_per_second, topics_max })
}

fn positive(
    source: Source<'_>,
    table: &mut TableReader<'_>,
    key: &str,
) -> Result<Option<u64>, ConfigError> {
    match table.optional::<Count>(key)? {
        Some(Count(0)) => Err(nothing(source, table, key)),
        count => Ok(count.map(|Count(count)| count)),
    }
}

fn nothing(source: Source<'_>, table: &TableReader<'_>, key: &str) -> ConfigError {
    let fix = "set it to at least 1, or leave it out; what may not be published at all is for \
               permissions to say";
    source.refuse(table.place(key), "0 would let nothing through", fix)
}
