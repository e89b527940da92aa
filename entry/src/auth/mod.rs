//! Who may do what: logins, roles and permissions of the realms.
//!
//! Source: WAMP specification, Advanced Profile, *Authentication* and *Authorization*; Crossbar's
//! static authentication and authorization.
//!
//! ```text
//! LoginRequest --Realms::log_in--> Welcome(Identity)
//!                             \--> Challenge(Pending) --Realms::authenticate--> Identity
//!                              \-> Refused            \--Realms::decide-------> Identity
//!                                                                           \--> Refusal
//! Identity --Realms::permissions--> Permissions of `vixen_broker::access`
//! ```
//! All of it is pure: the driver brings session ids, random bytes and the time. [`LoginThrottle`] slows
//! down those who guess. Gates read requests and answers of their protocols, and say refusals in it.
//!
//! Invariants:
//! - A1: an [`Identity`] comes from a realm without users, or from a login that was proven against
//!   the configuration that holds when it is made, or decided by the procedure that it names, with a role of it.
//! - A2: an authid that no user has is answered like one with another secret: same method, same
//!   fields, same work. What cannot be known is made from the authid and a key that only the
//!   cluster has, so that it is the same each time and at every entry.
//! - A3: no secret is in a `Debug`, an error or a [`Refusal`].

mod challenge;
mod cra;
pub mod credential;
mod cryptosign;
mod decision;
mod identity;
mod login;
mod pending;
mod realm;
mod realms;
mod refusal;
mod request;
mod scram;
mod stand_in;
#[cfg(test)]
mod tests;
mod throttle;
mod ticket;

pub use challenge::Challenge;
pub use decision::{Decision, Principal, Unfit};
pub use identity::{Identity, Method};
pub use login::{Nonce, Step};
pub use pending::Pending;
pub use realm::Authenticator;
pub use realms::Realms;
pub use refusal::{Needed, Refusal};
pub use request::{Answer, LoginRequest, Offer, checked_nonce, public_key_of};
pub(crate) use stand_in::number_key;
pub use throttle::{Account, FailureLimits, LoginThrottle, NowWaits, Tried};
