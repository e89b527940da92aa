//! What the end-to-end tests of vixen are made of, and the workload generator.
//!
//! - [`harness`] starts whole clusters as processes and stops, kills and pauses single ones.
//! - [`client`] is a lean WAMP client: the generator shares its processors with the cluster it
//!   measures, so its own cost must not show.
//! - [`linear`] judges whether what clients were told of keys can be explained at all.
//! - [`load`] publishes and subscribes, measures, and writes down what happened.
//! - [`check`] judges what happened against what vixen guarantees.
//! - [`subscribers`] makes subscribers come and go, stand still, and be very many, and judges what
//!   they got.
//! - [`power_cut`] takes from killed nodes what they had not made durable.
//! - [`storage`] makes the stores of ndb nodes suffer, and judges what they hold in the end.
//! - [`hostile`] lets a crowd of hostile clients loose on an entry, and judges how honest ones fare.
//! - `peers`, a feature, puts NATS and etcd under the generator's loads, for comparison.
//! - [`campaign`] does all that can be done to nodes, for minutes, and judges from outside.
//! - [`call_faults`] strikes nodes and callees one by one while callers call, and judges what they are told.
//! - [`trace`] reads what the nodes of a cluster have recorded, and says what slow messages waited for.
//!
//! None of these uses the code of the nodes, but for [`storage`], which reads tails over their own
//! link, [`call_faults`], which in the end reads records so, and [`trace`]: what a client sees is judged from outside.

pub mod call_faults;
pub mod campaign;
pub mod check;
pub mod client;
pub mod harness;
pub mod hostile;
pub mod linear;
pub mod load;
mod outcome;
#[cfg(feature = "peers")]
pub mod peers;
pub mod power_cut;
pub mod storage;
pub mod subscribers;
pub mod trace;
