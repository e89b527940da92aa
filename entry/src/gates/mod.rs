//! Gates: each speaks one protocol with its clients, and the words of `vixen_broker::api` with the rest of
//! the entry. No gate knows another one.

pub mod http;
pub mod wamp;
