//! The segmenter as a machine that can be recorded.

use std::fmt::Debug;

use vixen_core::recording::{self, Machine, Now, Tell, tell_all};

use super::{Effects, Input, Segmenter, SegmenterOptions};

/// Number of the segmenter in the recording of an entry.
pub const SEGMENTER: u8 = 1;

impl Tell for Effects {
    fn tell(&self, told: &mut dyn FnMut(&'static str, &dyn Debug)) {
        let Self { sends, outgoing, permits, notes } = self;
        tell_all("send", sends, told);
        tell_all("tell", outgoing, told);
        if *permits > 0 {
            told("permits", permits);
        }
        tell_all("note", notes, told);
    }
}

impl recording::Effects for Effects {
    fn append(&mut self, later: Self) {
        let Self { sends, outgoing, permits, notes } = later;
        self.sends.extend(sends);
        self.outgoing.extend(outgoing);
        self.permits += permits;
        self.notes.extend(notes);
    }
}

impl Machine for Segmenter {
    const NAME: &'static str = "segmenter";
    type Start = SegmenterOptions;
    type Input = Input;
    type Effects = Effects;

    fn begin(options: SegmenterOptions, _now: Now) -> Self {
        Self::new(options)
    }

    fn advance(&mut self, input: Input, now: Now, fx: &mut Effects) {
        self.step(now.wall, input, fx);
    }
}
