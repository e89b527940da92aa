//! Who may do what: logins, roles and permissions of the realms.
//!
//! Source: WAMP specification, Advanced Profile, *Authentication* and *Authorization*; Crossbar's
//! static authentication and authorization.
//!
//! ```text
//! HELLO --Realms::hello--> Welcome(Identity)
//!                     \--> Challenge(Pending) --Realms::authenticate--> Identity
//!                      \-> Refused                                 \--> Refusal
//! Identity --Realms::permissions--> Permissions: publish(topic), subscribe(pattern)
//! ```
//! All of it is pure: the driver brings session ids, random bytes and the time. [`FailureGate`]
//! slows down those who guess.
//!
//! Invariants:
//! - A1: an [`Identity`] comes from a realm without users, or from a login that was proven against
//!   the configuration that holds when it is made.
//! - A2: an authid that no user has is answered like one with another secret: same method, same
//!   fields, same work. What cannot be known is made from the authid and a key that only the
//!   cluster has, so that it is the same each time and at every entry.
//! - A3: no secret is in a `Debug`, an error or a [`Refusal`].

mod cra;
pub mod credential;
mod cryptosign;
mod gate;
mod hello;
mod identity;
mod login;
mod pattern;
mod pending;
mod permission;
mod realm;
mod realms;
mod refusal;
mod scram;
mod stand_in;
#[cfg(test)]
mod tests;
mod ticket;

pub use gate::{Account, FailureGate, FailureLimits};
pub use hello::Hello;
pub use identity::{Identity, Method};
pub use pending::Pending;
pub use permission::Permissions;
pub use realms::{Nonce, Realms, Step};
pub use refusal::Refusal;
