//! What works, and is hardly meant so.

use super::{Config, ConfigError, EntryMember};

impl Config {
    /// Entries that have no link to each other, as others dial none of them: what an operator should know, with file,
    /// key and fix. `own` is the entry that looks, as it runs.
    #[must_use]
    pub fn link_concern(&self, own: &EntryMember) -> Option<ConfigError> {
        let others = self.entries.iter().filter(|entry| entry.id != own.id);
        let all = std::iter::once(own).chain(others);
        let mut apart: Vec<_> = all.filter(|entry| entry.link.is_none()).collect();
        // The only one dials the others.
        if apart.len() < 2 {
            return None;
        }
        apart.sort_by(|a, b| a.id.cmp(&b.id));
        let names: Vec<_> = apart.iter().map(|entry| entry.id.to_string()).collect();
        let problem = format!(
            "is missing for {}: entries without it are not linked with each other, and calls do not go from one to \
             the other (wamp.error.no_available_callee)",
            names.join(", ")
        );
        let fix = "set it for all of them, or all but one, to the host and port that other entries dial, such as \
                   \"e1.example:9061\", here or by --link-address";
        let file = self.file.clone().unwrap_or_default();
        Some(ConfigError::key(&file, "entry.link-address", problem, fix))
    }

    /// Says it in the log.
    pub fn tell_link_concern(&self, own: &EntryMember) {
        if let Some(concern) = self.link_concern(own) {
            tracing::warn!(reason = %concern, "entries are not linked");
        }
    }
}
