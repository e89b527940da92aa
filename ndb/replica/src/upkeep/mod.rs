//! Upkeep: what a node does beside taking segments and placing them. One machine a concern.
//!
//! | machine | question |
//! |---|---|
//! | `fetch` | which peer is asked for which missing bytes, and when |
//! | `retention` | which days go, and what is taken back that the group keeps |
//! | `offers` | which segments stay without a place, and are offered to the group |
//! | `audit` | whether the order here is that of the others |
//! | `repairs` | which damaged rows of the order are asked of which peer |
//! | `expiry` | which held segments will never be elected |
//! | `catch_up` | how far, how fast, how long |

mod audit;
mod catch_up;
mod expiry;
mod fetch;
mod offers;
mod repairs;
mod retention;

pub(crate) use audit::Audit;
pub use audit::Compared;
pub(crate) use catch_up::CatchUpRate;
pub use catch_up::CatchUpReport;
pub(crate) use expiry::Expiry;
pub(crate) use fetch::Fetch;
pub(crate) use offers::Offers;
pub(crate) use repairs::Repairs;
pub use retention::RetentionPolicy;
pub(crate) use retention::{Days, Retention};
