//! Delivery as a machine that can be recorded.

use std::fmt::Debug;
use std::sync::Arc;

use vixen_core::recording::{self, Machine, Now, Tell, tell_all};

use super::{Delivery, DeliveryOptions, Effects, Input};
use crate::api::Outgoing;
use crate::event::EventBatch;

impl Tell for Effects {
    fn tell(&self, told: &mut dyn FnMut(&'static str, &dyn Debug)) {
        let Self { anew, sends, outgoing, notes, steps } = self;
        tell_all("anew", anew, told);
        tell_all("send", sends, told);
        // A batch goes to many sessions: it is told of once.
        let mut last: Option<&Arc<EventBatch>> = None;
        for (session, outgoing) in outgoing {
            match outgoing {
                Outgoing::Events(batch) => {
                    if !last.is_some_and(|last| Arc::ptr_eq(last, batch)) {
                        told("events", batch);
                        last = Some(batch);
                    }
                    told("tell these events", session);
                }
                Outgoing::Resolved { .. }
                | Outgoing::Subscribed { .. }
                | Outgoing::Joined { .. }
                | Outgoing::Lagging { .. }
                | Outgoing::Unsubscribed { .. }
                | Outgoing::Refused { .. } => told("tell", &(session, outgoing)),
            }
        }
        tell_all("note", notes, told);
        if *steps > 0 {
            told("steps", steps);
        }
    }
}

impl recording::Effects for Effects {
    fn append(&mut self, later: Self) {
        let Self { anew, sends, outgoing, notes, steps } = later;
        self.sends.retain(|(to, _)| !anew.contains(to));
        self.anew.extend(anew);
        self.sends.extend(sends);
        self.outgoing.extend(outgoing);
        self.notes.extend(notes);
        self.steps += steps;
    }
}

impl Machine for Delivery {
    const NAME: &'static str = "delivery";
    type Start = DeliveryOptions;
    type Input = Input;
    type Effects = Effects;

    fn begin(options: DeliveryOptions, _now: Now) -> Self {
        Self::new(&options)
    }

    fn advance(&mut self, input: Input, now: Now, fx: &mut Effects) {
        self.step(now.wall, input, fx);
    }
}
