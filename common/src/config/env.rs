//! Overrides from the environment.

use std::collections::BTreeMap;

/// Tables whose keys can be overridden.
/// `CLUSTER` is also how those of `cluster-tls` start.
const TABLES: [&str; 7] = ["CLUSTER", "TLS", "LIMITS", "STORAGE", "WAMP", "WEB", "LOG"];

/// The variable that overrides `key` of `table`.
pub(super) fn variable(table: &str, key: &str) -> String {
    format!("VIXEN_{table}_{key}").to_uppercase().replace('-', "_")
}

/// Whether a variable claims to override one of the tables.
pub(super) fn is_override(variable: &str) -> bool {
    variable
        .strip_prefix("VIXEN_")
        .and_then(|rest| rest.split_once('_'))
        .is_some_and(|(table, _)| TABLES.contains(&table))
}

/// The process environment, as far as it is ours.
pub(super) fn of_process() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            // A value that is not UTF-8 is kept, mangled, so that it is refused and not ignored.
            is_override(&name).then(|| (name, value.to_string_lossy().into_owned()))
        })
        .collect()
}
