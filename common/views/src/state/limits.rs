//! Limits: how much state may take, for whoever writes it.
//!
//! The view itself has none of them: they are settings, and views are to be equal where settings differ. Entries
//! together may pass a bound by what each has under way.

use vixen_core::segment::Once;
use vixen_core::time::WallTime;

use super::State;

/// What a key counts beside its own bytes and those of its value and attributes.
pub const KEY_BYTES: usize = 200;

/// How much something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Keys that have a value.
    pub keys: usize,
    /// Their names, payloads and attributes, and [`KEY_BYTES`] each; names of once-marks, and
    /// [`MARK_BYTES`](super::MARK_BYTES) each.
    pub bytes: usize,
}

impl Size {
    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        let Self { keys, bytes } = other;
        Self { keys: self.keys.saturating_add(keys), bytes: self.bytes.saturating_add(bytes) }
    }

    /// Without the other; nothing where that is more.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        let Self { keys, bytes } = other;
        Self { keys: self.keys.saturating_sub(keys), bytes: self.bytes.saturating_sub(bytes) }
    }
}

/// Bounds; see `[limits]` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateLimits {
    /// Most of all realms.
    pub all: Size,
    /// Most of one realm.
    pub realm: Size,
    /// Largest payload of a value, with its attributes, in bytes.
    pub value_bytes_max: usize,
    /// Most keys of a write.
    pub keys_per_write_max: usize,
    /// Most once-marks of a realm.
    pub once_per_realm_max: usize,
}

/// A key of a write that is to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked<'a> {
    /// The key.
    pub key: &'a str,
    /// Bytes of payload and attributes; `None`: it is to have no value.
    pub put: Option<usize>,
}

/// The once-mark of a write that is to be written.
#[derive(Clone, Copy, Debug)]
pub struct AskedOnce<'a> {
    /// It.
    pub once: &'a Once,
    /// The time by now: what has left its window by then makes room.
    pub at: WallTime,
}

/// What an entry has written by which state may grow, and the view has not applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnderWay {
    /// Of all realms.
    pub all: Size,
    /// Of the realm.
    pub realm: Size,
    /// Once-marks of the realm.
    pub marks: usize,
}

/// By how much a write makes a realm larger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Growth {
    /// Keys, and bytes of all.
    pub size: Size,
    /// Once-marks.
    pub marks: usize,
}

/// Why a write has no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// All realms have as many keys as they may.
    #[error("there are {max} keys, as many as there may be")]
    Keys {
        /// So many.
        max: usize,
    },
    /// All realms have as many bytes.
    #[error("keys and values take {max} bytes, as many as they may")]
    Bytes {
        /// So many.
        max: usize,
    },
    /// The realm has as many keys as it may.
    #[error("the realm has {max} keys, as many as it may have")]
    RealmKeys {
        /// So many.
        max: usize,
    },
    /// The realm has as many bytes.
    #[error("keys and values of the realm take {max} bytes, as many as they may")]
    RealmBytes {
        /// So many.
        max: usize,
    },
    /// The realm has as many once-marks as it may have.
    #[error("the realm has {max} once-marks, as many as it may have")]
    Marks {
        /// So many.
        max: usize,
    },
    /// A value alone is too large.
    #[error("a value of {bytes} bytes is larger than {max}")]
    Value {
        /// It.
        bytes: usize,
        /// What it may have.
        max: usize,
    },
    /// The write has too many keys.
    #[error("a write of {keys} keys has more than {max}")]
    Write {
        /// So many.
        keys: usize,
        /// What it may have.
        max: usize,
    },
}

impl State {
    /// By how much a write would make a realm larger, if it is accepted: what it adds to what is under way.
    #[must_use]
    pub fn growth(&self, realm: &str, write: &[Asked<'_>], once: Option<&Once>) -> Growth {
        let (more, less) = self.come_and_gone(realm, write);
        let (marks, of_marks) =
            once.map_or_else(Default::default, |once| self.marks.growth(realm, once));
        Growth { size: more.plus(of_marks).minus(less), marks }
    }

    /// Whether there is room for a write. To be asked before it is written: what is written is applied. One that
    /// makes state no larger is always good.
    ///
    /// # Errors
    /// Which bound it is over.
    pub fn admit(
        &self,
        realm: &str,
        write: &[Asked<'_>],
        once: Option<&AskedOnce<'_>>,
        under_way: &UnderWay,
        limits: &StateLimits,
    ) -> Result<(), Full> {
        let (keys, max) = (write.len(), limits.keys_per_write_max);
        if keys > max {
            return Err(Full::Write { keys, max });
        }
        let max = limits.value_bytes_max;
        if let Some(bytes) = write.iter().filter_map(|asked| asked.put).find(|put| *put > max) {
            return Err(Full::Value { bytes, max });
        }
        let Growth { size: growth, marks } = self.growth(realm, write, once.map(|once| once.once));
        let all = self.size().plus(under_way.all).plus(growth);
        let own = self.size_of(realm).plus(under_way.realm).plus(growth);
        let StateLimits { all: all_max, realm: realm_max, .. } = limits;
        if growth.keys > 0 && all.keys > all_max.keys {
            return Err(Full::Keys { max: all_max.keys });
        }
        if growth.bytes > 0 && all.bytes > all_max.bytes {
            return Err(Full::Bytes { max: all_max.bytes });
        }
        if growth.keys > 0 && own.keys > realm_max.keys {
            return Err(Full::RealmKeys { max: realm_max.keys });
        }
        if growth.bytes > 0 && own.bytes > realm_max.bytes {
            return Err(Full::RealmBytes { max: realm_max.bytes });
        }
        let Some(AskedOnce { once: _, at }) = once else { return Ok(()) };
        let max = limits.once_per_realm_max;
        let there = self.marks_of(realm).saturating_add(under_way.marks).saturating_add(marks);
        let over = there.saturating_sub(max);
        // What has left its window goes with the messages that come.
        if marks > 0 && over > 0 && self.marks.leaving(realm, *at, over) < over {
            return Err(Full::Marks { max });
        }
        Ok(())
    }

    /// What comes and what goes by a write.
    fn come_and_gone(&self, realm: &str, write: &[Asked<'_>]) -> (Size, Size) {
        let (mut more, mut less) = (Size::default(), Size::default());
        for Asked { key, put } in write {
            if let Some(bytes) = put {
                more = more.plus(Size { keys: 1, bytes: KEY_BYTES + key.len() + bytes });
            }
            if let Some(value) = self.get(realm, key) {
                less = less.plus(value.size(key));
            }
        }
        (more, less)
    }
}
