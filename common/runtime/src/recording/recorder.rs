//! What records the steps of a node.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use serde::Serialize;

use vixen_core::name::NodeName;
use vixen_core::recording::{Effects, EndReason, EntryEncoder, Head, Header, Now, Summer, Tell};
use vixen_core::tier::Tier;

use super::file::RecordError;
use super::sink::{Refused, Sink};
use crate::clock::wall_time;

/// Recordings that are being written.
const RECORDINGS: &str = "vixen_common_recordings";
/// Their bytes.
pub(super) const RECORDED_BYTES: &str = "vixen_common_recorded_bytes_total";
/// Recordings that ended.
const RECORDINGS_ENDED: &str = "vixen_common_recordings_ended_total";

/// Bytes that the last entry has at most.
const END_BYTES: u64 = 32;
/// So long a node that stops waits for the rest of its recording to be written.
const FINISH_TIME: Duration = Duration::from_secs(5);

/// A recording has ended.
pub(super) fn count_end(reason: &'static str) {
    gauge!(RECORDINGS).decrement(1.0);
    counter!(RECORDINGS_ENDED, "reason" => reason).increment(1);
}

/// Records the steps of one node, or nothing.
#[derive(Debug, Default)]
pub struct Recorder(Option<Box<Live>>);

#[derive(Debug)]
struct Live {
    path: PathBuf,
    sink: Arc<Sink>,
    encoder: EntryEncoder,
    summer: Summer,
    base: Instant,
    bytes: u64,
    bytes_max: u64,
    /// Nothing but the header is in it: no machine has begun, and it has not ended.
    is_bare: bool,
}

impl Recorder {
    /// Records nothing.
    #[must_use]
    pub const fn off() -> Self {
        Self(None)
    }

    /// Begins a recording in an empty file.
    pub(super) fn begin_in(
        file: File,
        path: &Path,
        tier: Tier,
        node: &NodeName,
        bytes_max: u64,
    ) -> Result<Self, RecordError> {
        describe_gauge!(RECORDINGS, "Recordings of the node that are being written");
        describe_counter!(RECORDED_BYTES, Unit::Bytes, "Bytes of recordings that were written");
        describe_counter!(RECORDINGS_ENDED, "Recordings that ended, by reason");
        let header = Header {
            tier,
            product: env!("CARGO_PKG_VERSION").to_owned(),
            node: node.to_string(),
            begun: wall_time(),
        };
        let (encoder, first) = EntryEncoder::begin(&header)?;
        let sink = Sink::start(file, path).map_err(RecordError::Thread)?;
        gauge!(RECORDINGS).increment(1.0);
        tracing::warn!(
            path = %path.display(), bytes_max,
            "everything that this node is given is recorded, messages with their payloads included"
        );
        // An empty queue takes it, and if it cannot be written, the writer says so.
        let _failed_already = sink.push(&first);
        Ok(Self(Some(Box::new(Live {
            path: path.to_owned(),
            sink,
            encoder,
            summer: Summer::default(),
            base: Instant::now(),
            bytes: first.len() as u64,
            bytes_max,
            is_bare: true,
        }))))
    }

    /// Whether anything is recorded.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Records that a machine begins, with what it is given for that.
    pub fn begin<S: Serialize>(
        &mut self,
        machine: u8,
        now: impl FnOnce() -> Now,
        start: impl FnOnce() -> S,
    ) {
        let Some(live) = &mut self.0 else { return };
        let head = Head::Start { machine, at: now().since(live.base) };
        let put = live.put(&head, &start());
        self.end_if(put);
    }

    /// Does a step of a machine, and records it. The input is on its way to the file before the step.
    pub fn step<I: Serialize, F: Effects>(
        &mut self,
        machine: u8,
        now: impl FnOnce() -> Now,
        input: I,
        fx: &mut F,
        step: impl FnOnce(I, &mut F),
    ) {
        let Some(live) = &mut self.0 else { return step(input, fx) };
        let head = Head::Input { machine, at: now().since(live.base) };
        let put = live.put(&head, &input);
        self.end_if(put);
        // Of this step alone, to be summed up.
        let mut own = F::default();
        step(input, &mut own);
        if let Some(live) = &mut self.0 {
            let head = Head::Effects(live.summer.of(&own));
            let put = live.put(&head, &());
            self.end_if(put);
        }
        fx.append(own);
    }

    /// Records a step that is done, where what it was given is known only then.
    pub fn stepped(
        &mut self,
        machine: u8,
        now: impl FnOnce() -> Now,
        input: &impl Serialize,
        effects: &impl Tell,
    ) {
        let Some(live) = &mut self.0 else { return };
        let head = Head::Input { machine, at: now().since(live.base) };
        let put = live.put(&head, input).and_then(|()| {
            let head = Head::Effects(live.summer.of(effects));
            live.put(&head, &())
        });
        self.end_if(put);
    }

    /// The node has stopped: the recording says so, and is written. Blocks for a while at most.
    pub fn finish(&mut self) {
        self.end(EndReason::Stopped);
    }

    fn end_if(&mut self, put: Result<(), Unrecorded>) {
        match put {
            Ok(()) => {}
            Err(Unrecorded::End(reason)) => self.end(reason),
            // The writer has said so.
            Err(Unrecorded::Failed) => self.0 = None,
        }
    }

    fn end(&mut self, reason: EndReason) {
        let Some(mut live) = self.0.take() else { return };
        live.is_bare = false;
        let (path, bytes) = (live.path.display().to_string(), live.bytes);
        match reason {
            EndReason::Stopped | EndReason::Full => {
                tracing::info!(path, bytes, "recording ended: {}", reason.told());
            }
            EndReason::Slow | EndReason::Unencodable => {
                tracing::warn!(path, bytes, "recording ended: {}", reason.told());
            }
        }
        let last = match live.encoder.entry(&Head::End(reason), &()) {
            Ok(last) => last.to_vec(),
            Err(_unencodable) => Vec::new(),
        };
        if live.sink.close(&last) {
            count_end(reason.as_str());
        }
        if reason == EndReason::Stopped && !live.sink.wait_empty(FINISH_TIME) {
            tracing::warn!(path, "the end of the recording is not written");
        }
    }
}

/// Why something is not recorded.
enum Unrecorded {
    /// The recording ends.
    End(EndReason),
    /// It cannot be written.
    Failed,
}

impl Live {
    fn put(&mut self, head: &Head, body: &impl Serialize) -> Result<(), Unrecorded> {
        let Ok(entry) = self.encoder.entry(head, body) else {
            return Err(Unrecorded::End(EndReason::Unencodable));
        };
        let bytes = self.bytes + entry.len() as u64;
        let pushed = if bytes + END_BYTES > self.bytes_max {
            Err(Unrecorded::End(EndReason::Full))
        } else {
            self.sink.push(entry).map_err(|refused| match refused {
                Refused::Full => Unrecorded::End(EndReason::Slow),
                Refused::Failed => Unrecorded::Failed,
            })
        };
        match pushed {
            Ok(()) => (self.bytes, self.is_bare) = (bytes, false),
            Err(_) => self.encoder.take_back(),
        }
        pushed
    }
}

/// A node that ends without a word leaves a recording without one; what there is is written. One that did not
/// come to begin leaves none: the next start finds no file that is there already.
impl Drop for Live {
    fn drop(&mut self) {
        self.sink.close(&[]);
        if self.is_bare {
            let _gone_already = std::fs::remove_file(&self.path);
        }
    }
}
