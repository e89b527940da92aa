//! The steps of the core's machines, which are recorded if somebody wants that.

use tokio::time::Instant;

use vixen_broker::delivery::{self, DeliveryOptions};
use vixen_broker::segmenter::{self, SEGMENTER, SegmenterOptions};
use vixen_core::id::{Position, Stamp};
use vixen_core::order::{self, Reader, ReaderStart};
use vixen_core::recording::{Cast, Now};
use vixen_core::time::WallTime;
use vixen_runtime::clock::wall_time;
use vixen_runtime::recording::Recorder;

use super::run::EntryNode;

/// Number of delivery.
const DELIVERY: u8 = 2;
/// Number of the reader of the order.
const READER: u8 = 3;

/// The machines of an entry, for a replay of what was recorded of them.
#[must_use]
pub fn recorded_machines() -> Cast {
    Cast::default()
        .with::<segmenter::Segmenter>(SEGMENTER)
        .with::<delivery::Delivery>(DELIVERY)
        .with::<Reader>(READER)
}

/// The machines of a new core begin with this.
pub(super) fn begin(
    recorder: &mut Recorder,
    segmenter: &SegmenterOptions,
    delivery: &DeliveryOptions,
) {
    let now = || now_at(wall_time());
    recorder.begin(SEGMENTER, now, || segmenter.clone());
    recorder.begin(DELIVERY, now, || delivery.clone());
}

fn now_at(wall: WallTime) -> Now {
    Now { wall, instant: Instant::now().into_std() }
}

impl EntryNode {
    /// A step of the segmenter.
    pub(super) fn step_segmenter(
        &mut self,
        now: WallTime,
        input: segmenter::Input,
        fx: &mut segmenter::Effects,
    ) {
        let Self { recorder, segmenter, .. } = self;
        let step = |input, fx: &mut segmenter::Effects| segmenter.step(now, input, fx);
        recorder.step(SEGMENTER, || now_at(now), input, fx, step);
    }

    /// A step of delivery.
    pub(super) fn step_delivery(
        &mut self,
        now: WallTime,
        input: delivery::Input,
        fx: &mut delivery::Effects,
    ) {
        let Self { recorder, delivery, .. } = self;
        let step = |input, fx: &mut delivery::Effects| delivery.step(now, input, fx);
        recorder.step(DELIVERY, || now_at(now), input, fx, step);
    }

    /// The order is read from here on.
    pub(super) fn begin_reader(&mut self, after: Stamp, next: Position) {
        let membership = &self.options.membership;
        let start = || ReaderStart { membership: membership.clone(), after, next };
        self.recorder.begin(READER, || now_at(wall_time()), start);
        self.reader = Some(Reader::new(membership, after, next));
    }

    /// A step of the reader. Before it is known where the order stands there is nothing to read.
    pub(super) fn step_reader(&mut self, input: order::Input, fx: &mut order::Effects) {
        let Self { recorder, reader, .. } = self;
        let Some(reader) = reader else { return };
        let now = now_at(wall_time());
        let step = |input, fx: &mut order::Effects| reader.step(input, now.instant, fx);
        recorder.step(READER, || now, input, fx, step);
    }
}
