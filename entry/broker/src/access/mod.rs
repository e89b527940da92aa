//! Access: what somebody may do here who was let in, and how much of it, in words of no protocol.
//!
//! ```text
//! Permissions ──┐
//! message ──> Ingress ──> Publish ──> Meters (quotas) ──> broker
//! topic   ──> Ingress ──> TopicPattern, Subscribe
//!               └──> Refusal, which each gate says in its own words
//! ```
//! Who somebody is, a gate finds out before (`entry/src/auth`); how a gate says options, topics and
//! refusals is its own.

mod asked;
mod ingress;
mod options;
mod pattern;
mod permission;
mod quota;
mod refusal;
#[cfg(test)]
mod tests;
mod topics;
mod uri;

pub use ingress::{CallMessage, Ingress, IngressLimits, Message};
pub use options::{CallOptions, Lists, PublishOptions, RegisterOptions, SubscribeOptions};
pub use permission::{CalleeDisclosure, Permission, Permissions};
pub use quota::{Cost, Exceeded, Kind, Meters, Publisher, Quotas, Scope};
pub use refusal::{Act, Refusal};
pub use topics::TopicText;
pub(crate) use uri::{is_dotted, is_reserved};
pub use uri::{is_loose_uri, is_realm};
