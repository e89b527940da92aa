//! Whole clusters as processes: started on free ports in a folder of their own, stopped, killed
//! and paused one by one, and gone when the [`Cluster`] is dropped.
//!
//! Nothing here sleeps for luck: a start waits for every `/readyz`, a stop for the exit.

mod binaries;
mod cluster;
mod http;
mod options;
mod ports;
mod process;
mod sockets;
mod tool;
mod usage;
mod view;

pub use binaries::{Binaries, Tier};
pub use cluster::Cluster;
pub use http::{HttpAnswer, get, get_within};
pub use options::{ClusterOptions, Durability};
pub use ports::{Ports, free_ports};
pub(crate) use process::is_root;
pub use process::{Disk, NodeSetup};
pub use sockets::Sockets;
pub use tool::ToolOutput;
pub use usage::{Usage, anonymous_mib};
pub use view::wait_until;
