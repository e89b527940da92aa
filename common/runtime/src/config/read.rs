//! Reads tables key by key, so that each error can name its key and its fix.
//!
//! A derived deserializer would stop at a message and a place in the text; here the reader also
//! knows the override from the environment and what else could have been written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use super::env;
use super::error::ConfigError;
use super::suggest;
use super::value::{Count, Size, Value};

/// Where values come from.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) file: &'a Path,
    pub(super) env: &'a BTreeMap<String, String>,
}

impl Source<'_> {
    pub(super) fn refuse(
        &self,
        key: impl Into<String>,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> ConfigError {
        ConfigError::key(self.file, key, problem, fix)
    }
}

/// One table: its place in the file, and what is in it.
pub(super) struct TableReader<'a> {
    source: Source<'a>,
    /// With its parents: `ndb-group[0].member[1]`; empty for the root.
    path: String,
    keys: &'static [&'static str],
    table: toml::Table,
}

impl<'a> TableReader<'a> {
    /// Opens a table that may have exactly these keys.
    pub(super) fn open(
        source: Source<'a>,
        path: String,
        keys: &'static [&'static str],
        table: toml::Table,
    ) -> Result<Self, ConfigError> {
        let reader = Self { source, path, keys, table };
        if let Some(unknown) = reader.table.keys().find(|key| !keys.contains(&key.as_str())) {
            let meant = suggest::did_you_mean(unknown, keys.iter().copied());
            let fix = format!("{meant}remove it, or use one of: {}", keys.join(", "));
            return Err(source.refuse(reader.place(unknown), "is not a key of this table", fix));
        }
        Ok(reader)
    }

    /// The full name of a key here.
    pub(super) fn place(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Whether the file has `key`.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Opens the sub-table `key`; one that is absent is empty.
    pub(super) fn table(
        &mut self,
        key: &str,
        keys: &'static [&'static str],
    ) -> Result<Self, ConfigError> {
        let place = self.place(key);
        match self.table.remove(key) {
            None => Self::open(self.source, place, keys, toml::Table::new()),
            Some(toml::Value::Table(table)) => Self::open(self.source, place, keys, table),
            Some(_) => Err(self.source.refuse(
                place,
                "is not a table",
                format!("write [{key}] on a line of its own, and its keys below"),
            )),
        }
    }

    /// Opens the list of tables `key`; one that is absent is empty. `header` is how an element
    /// starts, such as `[[sync]]`.
    pub(super) fn tables(
        &mut self,
        key: &str,
        header: &str,
        keys: &'static [&'static str],
    ) -> Result<Vec<Self>, ConfigError> {
        let place = self.place(key);
        let refuse = || {
            let fix = format!("write {header} on a line of its own, and its keys below");
            self.source.refuse(place.clone(), "is not a list of tables", fix)
        };
        let elements = match self.table.remove(key) {
            None => return Ok(Vec::new()),
            Some(toml::Value::Array(elements)) => elements,
            Some(_) => return Err(refuse()),
        };
        elements
            .into_iter()
            .enumerate()
            .map(|(i, element)| match element {
                toml::Value::Table(table) => {
                    Self::open(self.source, format!("{place}[{i}]"), keys, table)
                }
                _ => Err(refuse()),
            })
            .collect()
    }

    /// Whether the environment overrides `key`.
    pub(super) fn is_overridden(&self, key: &str) -> bool {
        self.override_of(key).is_some()
    }

    /// Keys that neither the file nor the environment sets.
    pub(super) fn unset(&self) -> BTreeSet<&'static str> {
        let keys = self.keys.iter().copied();
        keys.filter(|key| !self.has(key) && !self.is_overridden(key)).collect()
    }

    /// Forgets what the file says for `key`.
    pub(super) fn forget(&mut self, key: &str) {
        self.table.remove(key);
    }

    /// The value of `key`: the environment's, else the file's.
    pub(super) fn optional<T: Value>(&mut self, key: &str) -> Result<Option<T>, ConfigError> {
        debug_assert!(self.keys.contains(&key), "a key that open() would refuse: {key}");
        let from_file = self.table.remove(key);
        if let Some((variable, text)) = self.override_of(key) {
            return T::from_text(text).map(Some).ok_or_else(|| {
                let key = format!("{} (from {variable})", self.place(key));
                self.source.refuse(key, unusable::<T>(text), format!("set it to {}", T::FORM))
            });
        }
        let Some(value) = from_file else { return Ok(None) };
        T::from_file(&value).map(Some).ok_or_else(|| {
            let problem = unusable::<T>(&shown(&value));
            self.source.refuse(self.place(key), problem, format!("set it to {}", T::FORM))
        })
    }

    /// The value of `key`, which must be there.
    pub(super) fn required<T: Value>(&mut self, key: &str) -> Result<T, ConfigError> {
        self.optional(key)?.ok_or_else(|| {
            self.source.refuse(self.place(key), "is missing", format!("set it to {}", T::FORM))
        })
    }

    /// Sets `slot` to the count at `key`, if there is one.
    pub(super) fn count<T: TryFrom<u64>>(
        &mut self,
        key: &str,
        slot: &mut T,
    ) -> Result<(), ConfigError> {
        match self.optional::<Count>(key)? {
            Some(Count(n)) => self.set(key, n, slot),
            None => Ok(()),
        }
    }

    /// Sets `slot` to the size at `key`, if there is one.
    pub(super) fn size<T: TryFrom<u64>>(
        &mut self,
        key: &str,
        slot: &mut T,
    ) -> Result<(), ConfigError> {
        match self.optional::<Size>(key)? {
            Some(Size(n)) => self.set(key, n, slot),
            None => Ok(()),
        }
    }

    /// Sets `slot` to the duration at `key`, if there is one.
    pub(super) fn duration(&mut self, key: &str, slot: &mut Duration) -> Result<(), ConfigError> {
        if let Some(duration) = self.optional::<Duration>(key)? {
            if duration.is_zero() {
                let fix = "set it to at least \"1ms\"";
                return Err(self.source.refuse(self.place(key), "0 leaves no time", fix));
            }
            *slot = duration;
        }
        Ok(())
    }

    fn set<T: TryFrom<u64>>(&self, key: &str, n: u64, slot: &mut T) -> Result<(), ConfigError> {
        if n == 0 {
            let problem = "0 would let nothing through";
            return Err(self.source.refuse(self.place(key), problem, "set it to at least 1"));
        }
        *slot = T::try_from(n).map_err(|_| {
            let problem = format!("{n} is more than this machine can count");
            self.source.refuse(self.place(key), problem, "set a smaller number")
        })?;
        Ok(())
    }

    fn override_of(&self, key: &str) -> Option<(String, &'a str)> {
        let variable = env::variable(&self.path, key);
        // Members of lists have no override; their path has brackets, which no variable has.
        let text = self.source.env.get(&variable)?;
        Some((variable, text))
    }
}

fn unusable<T: Value>(shown: &str) -> String {
    match shown {
        "" => "is empty".to_owned(),
        _secret if T::IS_SECRET => "cannot be used".to_owned(),
        shown => match T::hint(shown) {
            Some(hint) => format!("cannot use `{shown}`: {hint}"),
            None => format!("cannot use `{shown}`"),
        },
    }
}

/// A value of the file as it was meant, without the quotes of a text.
fn shown(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        toml::Value::Table(_) => "a table".to_owned(),
        toml::Value::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    }
}
