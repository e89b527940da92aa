//! The broker: what an entry does between its clients and the storage and sync nodes, in words that belong
//! to no protocol.
//!
//! Pure: each machine takes inputs and a time, and returns effects. `segmenter` turns what sessions
//! publish into advance segments and acknowledges it; `delivery` turns the tails of the ndb nodes into
//! events; `replay` is what one subscriber gets, from the past and live; `history` reads what is stored;
//! `dealer` brings calls to callees and answers to callers, `registrar` knows who is callee of what, `meta` is what
//! the router itself answers; `authority` asks procedures whether sessions may do what they want to.
//! `api` is what gates and these machines say to each other. Sockets, frames, codes and URIs are the
//! gates' (`vixen-entry`), and so are the channels between them.

pub mod access;
pub mod api;
pub mod authority;
pub mod client;
pub mod dealer;
pub mod delivery;
pub mod event;
pub mod history;
pub mod meta;
pub mod registrar;
pub mod replay;
pub mod segmenter;
