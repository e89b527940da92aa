//! What clients asked and were told. All times are ns of one clock, of who observes.

use std::fmt;

/// Stands for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u32);

/// Stands for a value. No two puts of a history have the same, wills included: so what is read tells who put it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Value(pub u64);

/// What a key was found to have: a value and its position, or nothing.
pub type Found = Option<(Value, u64)>;

/// One operation of a client. What certainly did nothing (refused before it was written: a limit, a
/// permission) is no part of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Of one key, or of several at one moment.
    Read(Read),
    /// Of one key or several, all or nothing.
    Write(Write),
    /// Waits until a key is free, and takes it.
    Lock(Lock),
}

/// A read that was answered; others tell nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read {
    /// Not after it was sent.
    pub called: u64,
    /// Not before its answer came.
    pub returned: u64,
    /// What it found, at least one key.
    pub found: Vec<(Key, Found)>,
}

/// A write. Without conditions it is never refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Not after it was sent.
    pub called: u64,
    /// All of them hold, or it changes nothing.
    pub conditions: Vec<(Key, Condition)>,
    /// At least one, no key twice. The first has the position of the write, each further one the next.
    pub changes: Vec<Change>,
    /// What its client was told.
    pub outcome: WriteOutcome,
}

/// What has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// No value, and nobody waits for the key.
    Absent,
    /// A value.
    Present,
    /// The value of this position.
    At(u64),
    /// This value.
    Is(Value),
}

/// What a write makes of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Key,
    /// Its value; `None` deletes.
    pub put: Option<Value>,
    /// What may become of that value without anybody's operation.
    pub endings: Vec<Ending>,
}

/// From a time on a value may be replaced, once, while it is the key's: a will from when the session was cut or said
/// goodbye, a time to live from when it may have passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ending {
    /// Not after the cause.
    pub from: u64,
    /// What takes its place; nothing: it is deleted.
    pub then: Option<Value>,
}

/// What the client of a write was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It was made.
    Accepted {
        /// Not before the answer came.
        returned: u64,
        /// Of its first change.
        position: u64,
    },
    /// A condition did not hold.
    Refused {
        /// Not before the answer came.
        returned: u64,
        /// Of that condition.
        key: Key,
        /// What was found.
        found: Refusal,
    },
    /// No answer, or one that says no more: it takes place once, at any time from the call on, or never.
    Unknown,
}

/// What stood against a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No value.
    Absent,
    /// A value, of this position.
    Version(u64),
    /// No value, but somebody waits for the key.
    Reserved,
}

/// Takes a key when it is absent, and waits for that: first come, first served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lock {
    /// Not after it was sent.
    pub called: u64,
    /// The key.
    pub key: Key,
    /// What it has then.
    pub value: Value,
    /// What may become of that, as of what a [`Change`] puts.
    pub endings: Vec<Ending>,
    /// What its client was told.
    pub outcome: LockOutcome,
}

/// What the client of a lock was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockOutcome {
    /// It has the key.
    Won {
        /// Not before the answer came.
        returned: u64,
        /// Its token.
        position: u64,
    },
    /// It waits no more, and did not win.
    Left {
        /// Not before the answer came.
        returned: u64,
    },
    /// No answer: it may win at any time.
    Unknown {
        /// From when on it may have left, as its session had ended; `None`: it waits on.
        leaves: Option<u64>,
    },
}

impl Operation {
    /// Not after it was sent.
    #[must_use]
    pub const fn called(&self) -> u64 {
        match self {
            Self::Read(Read { called, .. })
            | Self::Write(Write { called, .. })
            | Self::Lock(Lock { called, .. }) => *called,
        }
    }

    /// Not before its answer came; `None`: there was none.
    #[must_use]
    pub const fn returned(&self) -> Option<u64> {
        match self {
            Self::Read(Read { returned, .. })
            | Self::Write(Write {
                outcome:
                    WriteOutcome::Accepted { returned, .. } | WriteOutcome::Refused { returned, .. },
                ..
            })
            | Self::Lock(Lock {
                outcome: LockOutcome::Won { returned, .. } | LockOutcome::Left { returned },
                ..
            }) => Some(*returned),
            Self::Write(Write { outcome: WriteOutcome::Unknown, .. })
            | Self::Lock(Lock { outcome: LockOutcome::Unknown { .. }, .. }) => None,
        }
    }

    /// The position its client was told, of a change that it made.
    pub(super) const fn position(&self) -> Option<u64> {
        match self {
            Self::Write(Write { outcome: WriteOutcome::Accepted { position, .. }, .. })
            | Self::Lock(Lock { outcome: LockOutcome::Won { position, .. }, .. }) => {
                Some(*position)
            }
            Self::Read(_) | Self::Write(_) | Self::Lock(_) => None,
        }
    }

    /// Whether its client knows that it changed nothing.
    pub(super) const fn changes_nothing(&self) -> bool {
        match self {
            Self::Read(_)
            | Self::Write(Write { outcome: WriteOutcome::Refused { .. }, .. })
            | Self::Lock(Lock { outcome: LockOutcome::Left { .. }, .. }) => true,
            Self::Write(_) | Self::Lock(_) => false,
        }
    }

    /// All keys that it has to do with.
    pub(super) fn keys(&self) -> Vec<Key> {
        match self {
            Self::Read(read) => read.found.iter().map(|(key, _)| *key).collect(),
            Self::Write(Write { conditions, changes, .. }) => {
                let of_conditions = conditions.iter().map(|(key, _)| *key);
                of_conditions.chain(changes.iter().map(|change| change.key)).collect()
            }
            Self::Lock(lock) => vec![lock.key],
        }
    }

    /// What it puts: part, value, endings.
    pub(super) fn puts(&self) -> Vec<(usize, Value, &[Ending])> {
        match self {
            Self::Read(_) => Vec::new(),
            Self::Write(Write { changes, .. }) => {
                let put = |(part, change): (usize, &'_ Change)| Some((part, change.put?));
                let puts = changes.iter().enumerate().filter_map(put);
                puts.map(|(part, value)| (part, value, &changes[part].endings[..])).collect()
            }
            Self::Lock(lock) => vec![(0, lock.value, &lock.endings)],
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let called = self.called();
        match self.returned() {
            Some(returned) => write!(f, "[{called}, {returned}] ")?,
            None => write!(f, "[{called}, no answer] ")?,
        }
        match self {
            Self::Read(read) => {
                for (key, found) in &read.found {
                    match found {
                        Some((value, position)) => {
                            write!(f, "k{} is v{} @{position} ", key.0, value.0)?;
                        }
                        None => write!(f, "k{} is absent ", key.0)?,
                    }
                }
                Ok(())
            }
            Self::Write(write) => {
                for change in &write.changes {
                    match change.put {
                        Some(value) => write!(f, "k{} = v{} ", change.key.0, value.0)?,
                        None => write!(f, "delete k{} ", change.key.0)?,
                    }
                }
                for (key, condition) in &write.conditions {
                    write!(f, "when k{} {condition:?} ", key.0)?;
                }
                write!(f, "{:?}", write.outcome)
            }
            Self::Lock(lock) => {
                write!(f, "lock k{} = v{} {:?}", lock.key.0, lock.value.0, lock.outcome)
            }
        }
    }
}
