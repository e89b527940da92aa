//! Whole clusters of real processes, from the outside: loads go on while nodes are killed and
//! started, and the checker judges what clients saw and what the ndb nodes hold.
//!
//! Every wait has an end. Two clusters run at a time, or one that looks at times.

mod amnesia;
mod authority;
mod budget;
mod calls;
mod calls_across;
mod calls_faults;
mod clocks;
mod config;
mod door;
mod drain;
mod entries;
mod full;
mod gone;
mod groups;
mod heard;
mod interest;
mod kept;
mod kill;
mod liar;
mod link;
mod lives;
mod lost;
mod majority;
mod meta;
mod midnight;
mod order;
mod orphans;
mod output;
mod power;
mod power_cut;
mod recording;
mod refusals;
mod resume;
mod retention;
mod rights;
mod service;
mod silence;
mod slow;
mod storage;
mod support;
mod takeover;
mod tls;
mod trace;
