//! The view once more, as plainly as it can be said: a list of keys, whole writes, and values as trees. It shares
//! no code with the view.

use vixen_core::payload::write::Binary;

use super::*;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Tree {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(String),
    Bytes(Vec<u8>),
    List(Vec<Self>),
    Map(Vec<(String, Self)>),
}

fn last<'a>(pairs: &'a [(String, Tree)], key: &str) -> Option<&'a Tree> {
    pairs.iter().rev().find(|(other, _)| other == key).map(|(_, value)| value)
}

impl Tree {
    #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "numbers are small or alike")]
    pub(super) fn is_part_of(&self, value: &Self) -> bool {
        match (self, value) {
            (Self::Int(one), Self::Float(other)) | (Self::Float(other), Self::Int(one)) => {
                *one as f64 == *other
            }
            (Self::List(one), Self::List(other)) => {
                one.len() == other.len()
                    && one.iter().zip(other).all(|(one, other)| one.is_part_of(other))
            }
            (Self::Map(one), Self::Map(other)) => one.iter().all(|(key, _)| {
                let there = last(one, key).zip(last(other, key));
                there.is_some_and(|(wanted, value)| wanted.is_part_of(value))
            }),
            _ => self == value,
        }
    }

    /// What is left when some pairs go, and double ones before the last.
    pub(super) fn left(&self, keep: &mut impl Iterator<Item = bool>) -> Self {
        match self {
            Self::List(items) => Self::List(items.iter().map(|item| item.left(keep)).collect()),
            Self::Map(pairs) => {
                let mut left = Vec::new();
                for (at, (key, value)) in pairs.iter().enumerate() {
                    let is_last = !pairs[at + 1..].iter().any(|(other, _)| other == key);
                    if is_last && keep.next() == Some(true) {
                        left.push((key.clone(), value.left(keep)));
                    }
                }
                Self::Map(left)
            }
            scalar => scalar.clone(),
        }
    }

    pub(super) fn to_bytes(&self, encoding: Encoding) -> Vec<u8> {
        let mut out = bytes::BytesMut::new();
        match Binary::of(encoding) {
            None => out.extend_from_slice(self.to_json().as_bytes()),
            Some(to) => self.write(to, &mut out),
        }
        out.to_vec()
    }

    pub(super) fn payload(args: &[Self], kwargs: &[(String, Self)], encoding: Encoding) -> Vec<u8> {
        let mut payload = Self::List(args.to_vec()).to_bytes(encoding);
        if !kwargs.is_empty() {
            let comma: &[u8] = if encoding == Encoding::Json { b"," } else { b"" };
            payload.extend_from_slice(comma);
            payload.extend(Self::Map(kwargs.to_vec()).to_bytes(encoding));
        }
        payload
    }

    fn write(&self, to: Binary, out: &mut bytes::BytesMut) {
        let count = |items: usize| u32::try_from(items).expect("few");
        match self {
            Self::Null => to.write_null(out),
            Self::Bool(is_true) => to.write_bool(out, *is_true),
            Self::Int(number) => match u64::try_from(*number) {
                Ok(number) => to.write_uint(out, number),
                Err(_) => to.write_negative(out, (-1 - number).cast_unsigned()),
            },
            Self::Float(number) => to.write_f64(out, *number),
            Self::Str(text) => to.write_str(out, text),
            Self::Bytes(bytes) => to.write_bytes(out, bytes),
            Self::List(items) => {
                to.write_array_header(out, count(items.len()));
                items.iter().for_each(|item| item.write(to, out));
            }
            Self::Map(pairs) => {
                to.write_map_header(out, count(pairs.len()));
                for (key, value) in pairs {
                    to.write_str(out, key);
                    value.write(to, out);
                }
            }
        }
    }

    /// Texts here need no escapes; bytes are `a` or `b`.
    fn to_json(&self) -> String {
        match self {
            Self::Null => "null".to_owned(),
            Self::Bool(is_true) => is_true.to_string(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => format!("{number:?}"),
            Self::Str(text) => format!("\"{text}\""),
            Self::Bytes(bytes) => {
                format!("\"\\u0000{}\"", if bytes == b"a" { "YQ==" } else { "Yg==" })
            }
            Self::List(items) => {
                format!("[{}]", items.iter().map(Self::to_json).collect::<Vec<_>>().join(","))
            }
            Self::Map(pairs) => {
                let pair = |(key, value): &(String, Self)| format!("\"{key}\":{}", value.to_json());
                format!("{{{}}}", pairs.iter().map(pair).collect::<Vec<_>>().join(","))
            }
        }
    }
}

/// What somebody wants to hold of a key; `None` for the head's own.
#[derive(Clone, Debug)]
pub(super) enum Wish {
    Absent,
    Present,
    /// The version that the key has by then, and some positions more.
    Version(u64),
    Value(Tree),
}

/// A value with its time to live.
pub(super) type Lasting = (Tree, Option<u64>);

/// A write, or the end of a value for its age.
#[derive(Clone, Debug)]
pub(super) enum Write {
    Parts {
        realm: &'static str,
        /// Keys with what they get, with a time to live; the first is the head's.
        parts: Vec<(&'static str, Option<Lasting>)>,
        when: Vec<(Option<&'static str>, Wish)>,
    },
    Expire {
        realm: &'static str,
        key: &'static str,
        /// Positions off the version that is there.
        off: u64,
    },
}

/// A key that has a value.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) realm: &'static str,
    pub(super) key: &'static str,
    pub(super) version: u64,
    pub(super) value: Tree,
    due: Option<u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Naive {
    pub(super) held: Vec<Held>,
    time: u64,
}

impl Naive {
    pub(super) fn find(&self, realm: &str, key: &str) -> Option<&Held> {
        self.held.iter().find(|held| held.realm == realm && held.key == key)
    }

    /// A whole write at once: whether it is accepted.
    pub(super) fn apply(&mut self, position: u64, at: u64, write: &Write) -> bool {
        self.time = self.time.max(at);
        let time = self.time;
        match write {
            Write::Parts { realm, parts, when } => {
                let own = parts[0].0;
                let holds = |(key, wish): &(Option<&str>, Wish)| {
                    let held = self.find(realm, key.unwrap_or(own));
                    match wish {
                        Wish::Absent => held.is_none(),
                        Wish::Present => held.is_some(),
                        Wish::Version(off) => *off == 0 && held.is_some(),
                        Wish::Value(tree) => held.is_some_and(|held| tree.is_part_of(&held.value)),
                    }
                };
                if !when.iter().all(holds) {
                    return false;
                }
                for (at, (key, put)) in (0..).zip(parts) {
                    self.held.retain(|held| held.realm != *realm || held.key != *key);
                    if let Some((value, ttl)) = put {
                        let due = ttl.map(|ttl| time + ttl);
                        let (version, value) = (position + at, value.clone());
                        self.held.push(Held { realm, key, version, value, due });
                    }
                }
                true
            }
            Write::Expire { realm, key, off } => {
                let held = self.find(realm, key).filter(|_| *off == 0);
                let is_due = held.and_then(|held| held.due).is_some_and(|due| due <= time);
                if is_due {
                    self.held.retain(|held| held.realm != *realm || held.key != *key);
                }
                is_due
            }
        }
    }
}
