//! The chain: a hash over all verdicts. Views with the same chain have judged the same, alike.

use serde::Serialize;

use vixen_core::id::{Digest, Digester, Position};

use super::outcome::Verdict;

/// What is hashed of a message. Variants are only ever added, at the end, and with a new version.
#[derive(Serialize)]
pub(super) enum Link {
    /// The head of a write.
    Head(Verdict),
    /// Another part of one: whether it is made.
    Member(bool),
}

/// The chain after the message at `position`.
pub(super) fn after(before: Digest, position: Position, link: &Link) -> Digest {
    let mut digester = Digester::default();
    digester.update(&before.0);
    digester.update(&position.0.to_le_bytes());
    // A digester takes everything: this has no way to fail.
    let _infallible = postcard::to_io(link, &mut digester);
    digester.finish()
}
