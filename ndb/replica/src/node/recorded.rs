//! The core of an ndb node as a machine that can be recorded.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use vixen_core::recording::{self, Machine, Now, Tell, tell_all};

use super::{CoreOptions, Effects, Input, NdbCore};
use crate::rows::Recovered;

/// Number of the core in a recording.
pub const CORE: u8 = 1;

/// What a core begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CoreStart {
    /// What the node is.
    pub options: CoreOptions,
    /// What the store gave back.
    pub recovered: Recovered,
}

impl Tell for Effects {
    fn tell(&self, told: &mut dyn FnMut(&'static str, &dyn Debug)) {
        let Self { jobs, changes, sends, reads, looks, notes } = self;
        tell_all("write", jobs, told);
        tell_all("change", changes, told);
        tell_all("send", sends, told);
        tell_all("read", reads, told);
        tell_all("look", looks, told);
        tell_all("note", notes, told);
    }
}

impl recording::Effects for Effects {
    fn append(&mut self, later: Self) {
        let Self { jobs, changes, sends, reads, looks, notes } = later;
        self.jobs.extend(jobs);
        self.changes.extend(changes);
        self.sends.extend(sends);
        self.reads.extend(reads);
        self.looks.extend(looks);
        self.notes.extend(notes);
    }
}

impl Machine for NdbCore {
    const NAME: &'static str = "core";
    type Start = CoreStart;
    type Input = Input;
    type Effects = Effects;

    fn begin(start: CoreStart, now: Now) -> Self {
        Self::new(start.options, start.recovered, now.instant)
    }

    fn advance(&mut self, input: Input, now: Now, fx: &mut Effects) {
        self.step(input, now.instant, fx);
    }
}
