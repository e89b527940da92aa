//! The numbers of events that do not come as messages, so that taking an action needs no search.

use vixen_core::id::{GroupId, NdbId, SyncId};
use vixen_vote::Input;

use crate::event::Event;
use crate::instance::{MEMBERS, NODES};
use crate::node::nothing_from;
use crate::table::{Number, Tables};

/// By node, then by segment or peer.
#[derive(Debug)]
pub(crate) struct Parcels {
    pub(crate) store: [Vec<Number>; NODES],
    pub(crate) overdue: [Vec<Number>; NODES],
    pub(crate) hear: [Vec<Number>; NODES],
    pub(crate) link_up: [Vec<Number>; NODES],
    pub(crate) link_down: [Vec<Number>; NODES],
    /// By the elections that are written, then by whether votes are.
    pub(crate) crash: [Vec<[Number; 2]>; NODES],
    pub(crate) restart: [Number; NODES],
    pub(crate) jump: [Number; NODES],
    pub(crate) settle: [Number; NODES],
}

impl Parcels {
    pub(crate) fn new(tables: &Tables) -> Self {
        let from = NdbId { group: GroupId(0), member: 0 };
        let metas = tables.segments();
        let nodes = || std::array::from_fn::<usize, NODES, _>(|node| node);
        let of_segment = |input: &dyn Fn(usize) -> Input| {
            nodes().map(|to| {
                let inputs = (0..metas.len()).map(|at| Event::Input(input(at)));
                inputs.map(|event| tables.keep_parcel(to, event)).collect()
            })
        };
        let of_peer = |event: &dyn Fn(SyncId) -> Event| {
            nodes().map(|to| MEMBERS.map(|peer| tables.keep_parcel(to, event(peer))).to_vec())
        };
        let crash = |to: usize, elections: usize| {
            let elections = u8::try_from(elections).expect("few segments");
            [false, true].map(|votes| tables.keep_parcel(to, Event::Crash { elections, votes }))
        };
        Self {
            store: of_segment(&|at| Input::GenerateDraft { from, meta: metas[at] }),
            overdue: of_segment(&|at| Input::Overdue { segment: metas[at].id }),
            hear: of_peer(&|peer| Event::Input(nothing_from(peer))),
            link_up: of_peer(&Event::LinkUp),
            link_down: of_peer(&Event::LinkDown),
            crash: nodes().map(|to| (0..=metas.len()).map(|kept| crash(to, kept)).collect()),
            restart: nodes().map(|to| tables.keep_parcel(to, Event::Restart)),
            jump: nodes().map(|to| tables.keep_parcel(to, Event::Jump)),
            settle: nodes().map(|to| tables.keep_parcel(to, Event::Settle)),
        }
    }
}
