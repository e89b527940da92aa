//! The arguments with which a node records.

use std::path::PathBuf;

use vixen_core::name::NodeName;
use vixen_core::tier::Tier;

use super::file::{self, RecordError};
use super::recorder::Recorder;
use crate::config::parse_bytes;

/// Bytes of a recording, when nobody says.
const RECORD_BYTES_MAX: u64 = 1 << 30;

/// Whether a node records, and what.
#[derive(Clone, Debug, clap::Args)]
pub struct RecordArgs {
    /// Write what this node's state machines are given to a new file, for `replay FILE`: PATH itself, or a file
    /// in it when it is a directory. It holds messages with their payloads, topics and names of their publishers,
    /// and no secrets of the configuration; only its owner may read it. See "Record and replay" in
    /// docs/operations.md.
    #[arg(long, env = "VIXEN_RECORD", value_name = "PATH")]
    pub record: Option<PathBuf>,
    /// A recording ends at so many bytes; the node goes on.
    #[arg(
        long,
        env = "VIXEN_RECORD_BYTES_MAX",
        value_name = "SIZE",
        default_value = "1GiB",
        value_parser = parse_bytes
    )]
    pub record_bytes_max: u64,
}

impl Default for RecordArgs {
    fn default() -> Self {
        Self { record: None, record_bytes_max: RECORD_BYTES_MAX }
    }
}

impl RecordArgs {
    /// Begins the recording of a node, if there is to be one. Blocking.
    ///
    /// # Errors
    /// When the file is there already, or cannot be created, other than in a directory.
    pub fn recorder(&self, tier: Tier, node: &NodeName) -> Result<Recorder, RecordError> {
        let Some(path) = &self.record else { return Ok(Recorder::off()) };
        let is_in_directory = path.is_dir();
        let begun = file::create(path, node).and_then(|(file, path)| {
            Recorder::begin_in(file, &path, tier, node, self.record_bytes_max)
        });
        match begun {
            // Each start makes a file there, whoever starts the node: it is not to stay down for that.
            Err(error) if is_in_directory => {
                tracing::warn!(%error, "nothing is recorded; the node goes on");
                Ok(Recorder::off())
            }
            begun => begun,
        }
    }

    /// The same for one of several nodes of a process.
    ///
    /// # Errors
    /// As [`recorder`](Self::recorder), and when the path is no directory.
    pub fn recorder_of_several(
        &self,
        tier: Tier,
        node: &NodeName,
    ) -> Result<Recorder, RecordError> {
        if let Some(path) = self.record.as_ref().filter(|path| !path.is_dir()) {
            return Err(RecordError::NoDirectory { path: path.clone() });
        }
        self.recorder(tier, node)
    }
}
