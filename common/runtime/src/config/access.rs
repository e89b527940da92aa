//! Table `[access]`: whether an entry is for everybody.

use std::path::Path;

use super::error::ConfigError;
use super::read::{Source, TableReader};
use super::value::Flag;
use super::{Config, RealmConfig};

const OPEN: &str = "access.open";

/// Table `[access]`, for entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `open`: whoever can connect may do everything in every realm. Said here, so that it is never
    /// what is left when the rest of the file is missing. Default `false`; it cannot stand beside
    /// `[[realm]]`.
    pub open: bool,
}

impl Access {
    pub(super) const KEYS: &'static [&'static str] = &["open"];

    /// Takes what the table sets and leaves the rest at its default.
    pub(super) fn read(mut table: TableReader<'_>) -> Result<Self, ConfigError> {
        let open = table.optional("open")?.is_some_and(|Flag(open)| open);
        Ok(Self { open })
    }

    pub(super) fn check(
        self,
        realms: &[RealmConfig],
        source: Source<'_>,
    ) -> Result<(), ConfigError> {
        if self.open && !realms.is_empty() {
            return Err(source.refuse(
                OPEN,
                "lets everybody do everything, and [[realm]] says who may do what",
                "remove one of the two",
            ));
        }
        Ok(())
    }

    /// Whether a file says who may use an entry.
    pub(super) fn check_said(
        self,
        realms: &[RealmConfig],
        source: Source<'_>,
    ) -> Result<(), ConfigError> {
        if self.open || !realms.is_empty() { Ok(()) } else { Err(for_nobody(source.file)) }
    }
}

/// Nothing says who may use an entry.
fn for_nobody(file: &Path) -> ConfigError {
    ConfigError::key(
        file,
        OPEN,
        "nobody may use the entry: there is no [[realm]] that says who",
        "add [[realm]] tables, or set it to true for an entry where whoever can connect may do \
         everything",
    )
}

impl Config {
    /// Whether anybody may use an entry of this configuration.
    ///
    /// # Errors
    /// Nothing says who: there is no `[[realm]]`, and `access.open` is not set.
    pub fn check_access(&self) -> Result<(), ConfigError> {
        if !self.realms.is_empty() || self.access.open {
            return Ok(());
        }
        Err(for_nobody(self.file.as_deref().unwrap_or_else(|| Path::new("vixen.toml"))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const CLUSTER: &str = r#"
cluster = { name = "test", secret = "a-long-secret", data-dir = "data", write-quorum = 1 }
sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
"#;
    const REALM: &str = "[[realm]]\nname = \"r1\"\nanonymous.role = \"guest\"\n\
                         [[realm.role]]\nname = \"guest\"\n";
    const SAID: &str = "[access]\nopen = true\n";

    fn config(text: &str, env: &[(&str, &str)]) -> Result<Config, String> {
        let env: BTreeMap<_, _> =
            env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let config = Config::parse(&format!("{CLUSTER}{text}"), Path::new("vixen.toml"), &env);
        config.and_then(|config| config.check_access().map(|()| config)).map_err(|e| e.to_string())
    }

    #[test]
    fn an_entry_is_open_where_that_is_said_and_nowhere_else() {
        assert!(config(SAID, &[]).is_ok_and(|config| config.access.open));
        assert!(config(REALM, &[]).is_ok_and(|config| !config.access.open));
        assert!(config("", &[("VIXEN_ACCESS_OPEN", "true")]).is_ok());
        for text in ["", "[access]\n", "[access]\nopen = false\n"] {
            let error = config(text, &[]).expect_err(text);
            let problem =
                "vixen.toml: access.open: nobody may use the entry: there is no [[realm]]";
            assert!(error.starts_with(problem), "{error}");
            assert!(error.contains("; add [[realm]] tables, or set it to true"), "{error}");
        }
    }

    #[test]
    fn open_realms_are_a_contradiction_also_where_the_file_is_cut_off() {
        // What is left of a file that is cut off never says `open` when the whole did not.
        let env = [("VIXEN_ACCESS_OPEN", "true")];
        for (text, env) in [(format!("{SAID}{REALM}"), &[][..]), (REALM.to_owned(), &env)] {
            let error = config(&text, env).expect_err("both");
            assert!(error.contains("access.open: lets everybody do everything"), "{error}");
            assert!(error.ends_with("remove one of the two"), "{error}");
        }
        for bad in ["open = 1", "open = \"true\""] {
            let error = config(&format!("[access]\n{bad}\n"), &[]).expect_err(bad);
            assert!(error.contains("access.open: cannot use"), "{error}");
        }
    }
}
