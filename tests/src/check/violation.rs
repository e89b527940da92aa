//! What can be wrong with a run.

use std::fmt;

use super::IdKey;

/// A message by its payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageName {
    /// Who sent it.
    pub publisher: u32,
    /// Which of theirs it is, from 1.
    pub seq: u32,
}

impl fmt::Display for MessageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "message {} of publisher {}", self.seq, self.publisher)
    }
}

/// One broken guarantee.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// R1.
    #[error("{message} was acknowledged at position {position} and no subscriber received it")]
    Lost {
        /// The message.
        message: MessageName,
        /// Where it should be.
        position: u64,
    },
    /// R2.
    #[error("{message} stands at position {first} and again at {second}")]
    Repeated {
        /// The message.
        message: MessageName,
        /// Where it was first.
        first: u64,
        /// Where it was again.
        second: u64,
    },
    /// R2.
    #[error("position {position} was given to {first} and to {second}")]
    PositionTwice {
        /// The position.
        position: u64,
        /// One acknowledged message.
        first: MessageName,
        /// Another.
        second: MessageName,
    },
    /// R3.
    #[error("{subscriber}: event {index} has position {position}, after position {before}")]
    NotRising {
        /// Who received it.
        subscriber: String,
        /// Its place among the events, from 0.
        index: usize,
        /// The highest position so far.
        before: u64,
        /// Its position.
        position: u64,
    },
    /// R3.
    #[error(
        "position {position} is {first} ({first_id}) at {first_subscriber}, but {second} \
         ({second_id}) at {second_subscriber}"
    )]
    Different {
        /// The position.
        position: u64,
        /// One subscriber.
        first_subscriber: String,
        /// What it got.
        first: MessageName,
        /// With this permanent id.
        first_id: IdKey,
        /// Another subscriber.
        second_subscriber: String,
        /// What that got.
        second: MessageName,
        /// With this permanent id.
        second_id: IdKey,
    },
    /// R3, or R1 when it was acknowledged.
    #[error("{subscriber} misses position {position}, {message}, which another subscriber has")]
    Gap {
        /// Who misses it.
        subscriber: String,
        /// The position.
        position: u64,
        /// What stands there.
        message: MessageName,
    },
    /// R4.
    #[error("{message} was acknowledged at position {acknowledged} and received at {received}")]
    Elsewhere {
        /// The message.
        message: MessageName,
        /// Position of PUBLISHED.
        acknowledged: u64,
        /// Position of EVENT.
        received: u64,
    },
    /// R5.
    #[error("{subscriber}: id {id} at position {position} is not above {before}, the one before")]
    IdNotRising {
        /// Who received it.
        subscriber: String,
        /// The position.
        position: u64,
        /// The id before it.
        before: IdKey,
        /// The id there.
        id: IdKey,
    },
    /// R6.
    #[error("{earlier} has position {position}, above that of {later}, which was sent after it")]
    OwnOrder {
        /// Sent first.
        earlier: MessageName,
        /// Sent after it.
        later: MessageName,
        /// Position of the one that was sent first, which is too high.
        position: u64,
    },
    /// R7.
    #[error(
        "{first} (position {first_position}) was acknowledged at {acknowledged_ns} ns, {second} \
         was sent at {sent_ns} ns and yet has position {second_position}"
    )]
    RealTime {
        /// Acknowledged before the other was sent.
        first: MessageName,
        /// Its position.
        first_position: u64,
        /// When its publisher had the answer.
        acknowledged_ns: u64,
        /// Sent after that.
        second: MessageName,
        /// Its position, which is lower.
        second_position: u64,
        /// When it was sent.
        sent_ns: u64,
    },
    /// R8.
    #[error("position {position} is {message}, which {why}")]
    Unexplained {
        /// The position.
        position: u64,
        /// What the payload says.
        message: MessageName,
        /// `was never sent` or `was refused`.
        why: &'static str,
    },
    /// R8.
    #[error("{subscriber} received {count} events that nobody sent so, the first: {first}")]
    Damaged {
        /// Who received them.
        subscriber: String,
        /// How many.
        count: u64,
        /// The first.
        first: String,
    },
}
