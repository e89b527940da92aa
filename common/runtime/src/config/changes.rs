//! Which keys of a configuration that was read again a running node does not take.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use vixen_core::tier::Tier;

use super::Config;

impl Config {
    /// The keys that `new` has otherwise and a node of `tier`, which runs with `self`, takes with its
    /// next start. Certificates and realms are taken at once, and are not among them; nor is what is
    /// for other tiers alone.
    #[must_use]
    pub fn waits_for_restart(&self, new: &Self, tier: Tier) -> BTreeSet<String> {
        let mut keys = BTreeSet::new();
        let mut look = |has_changed: bool, key: &str| {
            if has_changed {
                keys.insert(key.to_owned());
            }
        };
        let (old, now) = (&self.cluster, &new.cluster);
        look(old.name != now.name, "cluster.name");
        look(old.durability != now.durability, "cluster.durability");
        look(old.data_dir != now.data_dir && tier != Tier::Entry, "cluster.data-dir");
        look(old.write_quorum != now.write_quorum, "cluster.write-quorum");
        look(
            old.max_clock_ahead != now.max_clock_ahead && tier == Tier::Sync,
            "cluster.max-clock-ahead",
        );
        look(
            old.publish_timeout != now.publish_timeout && tier == Tier::Entry,
            "cluster.publish-timeout",
        );
        for key in old.secrets.differing(&now.secrets) {
            look(true, &format!("cluster.{key}"));
        }
        look(self.sync != new.sync, "sync");
        look(self.ndb_groups != new.ndb_groups, "ndb-group");
        if tier == Tier::Entry {
            look(self.entries != new.entries, "entry");
            let (old, now) = (&self.web, &new.web);
            look(old.allowed_origins != now.allowed_origins, "web.allowed-origins");
            look(old.allowed_hosts != now.allowed_hosts, "web.allowed-hosts");
            look(old.trusted_proxies != now.trusted_proxies, "web.trusted-proxies");
            look(
                old.client_address_header != now.client_address_header,
                "web.client-address-header",
            );
            keys.extend(differing("wamp", &self.wamp, &new.wamp));
        } else {
            keys.extend(differing("storage", &self.storage, &new.storage));
        }
        // What follows from other keys waits with these, and has none that somebody could look for.
        let is_unset =
            |key: &str| self.unset_limits.contains(key) && new.unset_limits.contains(key);
        let limits = differing("limits", &self.limits, &new.limits);
        keys.extend(
            limits.into_iter().filter(|key| !key.strip_prefix("limits.").is_some_and(is_unset)),
        );
        keys.extend(differing("log", &self.log, &new.log));
        keys
    }
}

/// The keys of a table that two have otherwise.
fn differing<T: Serialize>(name: &str, old: &T, new: &T) -> Vec<String> {
    // Numbers and texts have no failing form.
    let keys = |table: &T| match serde_json::to_value(table) {
        Ok(Value::Object(keys)) => keys,
        Ok(_) | Err(_) => serde_json::Map::new(),
    };
    let new = keys(new);
    let changed = keys(old).into_iter().filter(|(key, value)| new.get(key) != Some(value));
    changed.map(|(key, _)| format!("{name}.{key}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::config::load::LOG_KEYS;
    use crate::config::{Durability, Limits, LogConfig, Storage, UriCheck, Wamp};

    fn config() -> Config {
        Config::nearcast("vixen-data".into(), ([127, 0, 0, 1], 9031).into())
    }

    fn changed(new: &Config, tier: Tier) -> Vec<String> {
        config().waits_for_restart(new, tier).into_iter().collect()
    }

    #[test]
    fn what_a_running_node_does_not_take_is_named_by_its_keys() {
        let mut new = config();
        assert_eq!(changed(&new, Tier::Sync), Vec::<String>::new());
        new.cluster.write_quorum = 2;
        new.cluster.publish_timeout = Duration::from_secs(3);
        new.limits.sessions_max = 7;
        new.limits.feed_retention = Duration::from_secs(7);
        new.storage.retention_age = Some(Duration::from_secs(86_400));
        new.wamp.uri_check = UriCheck::Strict;
        new.log.filter = "debug".to_owned();
        new.sync[0].address = "elsewhere:1".to_owned();
        let of_all =
            ["cluster.write-quorum", "limits.feed-retention", "limits.sessions-max", "log.filter"];
        let ndb = [&of_all[..], &["storage.retention-age", "sync"]].concat();
        assert_eq!(changed(&new, Tier::Ndb), ndb);
        let mut entry =
            [&of_all[..], &["cluster.publish-timeout", "sync", "wamp.uri-check"]].concat();
        entry.sort_unstable();
        assert_eq!(changed(&new, Tier::Entry), entry);
    }

    #[test]
    fn what_is_taken_at_once_waits_for_nothing() {
        let mut new = config();
        new.access.open = false;
        new.realms.clear();
        assert_eq!(changed(&new, Tier::Entry), Vec::<String>::new());
        new.cluster.durability = Durability::Memory;
        assert_eq!(changed(&new, Tier::Entry), ["cluster.durability"]);
    }

    /// One realm more, which is taken at once, was told as a limit that waits for a restart, and which nobody had set.
    #[test]
    fn no_key_is_named_that_follows_from_others() {
        const GOOD: &str = r#"
            cluster = { name = "t", secret = "a-long-secret", data-dir = "d", write-quorum = 1 }
            sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
            ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
            [[realm]]
            name = "r"
            anonymous.role = "user"
            [[realm.role]]
            name = "user"
        "#;
        let parse = |text: &str| {
            let config = Config::parse(text, Path::new("vixen.toml"), &BTreeMap::new());
            config.unwrap_or_else(|error| panic!("{error}"))
        };
        let named = |old: &str, new: &str| {
            let waiting = parse(old).waits_for_restart(&parse(new), Tier::Entry);
            waiting.into_iter().collect::<Vec<_>>()
        };
        let second =
            "[[realm]]\nname = \"q\"\nanonymous.role = \"user\"\n[[realm.role]]\nname = \"user\"\n";
        let two = format!("{GOOD}\n{second}");
        assert_ne!(parse(GOOD).limits, parse(&two).limits);
        assert_eq!(named(GOOD, &two), Vec::<String>::new());
        let fewer = format!("{GOOD}\n[limits]\nsessions-max = 70\nsessions-per-address-max = 7\n");
        assert_eq!(named(GOOD, &fewer), ["limits.sessions-max", "limits.sessions-per-address-max"]);
        let said = format!("{fewer}connections-max = 5000\n");
        assert_eq!(named(&fewer, &said), ["limits.connections-max"]);
        assert_eq!(named(&said, &fewer), ["limits.connections-max"], "it is taken out");
    }

    #[test]
    fn every_key_of_the_tables_is_looked_at() {
        assert_eq!(keys_of(&Limits::default()), sorted(Limits::KEYS));
        assert_eq!(keys_of(&Storage::default()), sorted(Storage::KEYS));
        assert_eq!(keys_of(&Wamp::default()), sorted(Wamp::KEYS));
        assert_eq!(keys_of(&LogConfig::default()), sorted(LOG_KEYS));
    }

    fn keys_of<T: Serialize>(table: &T) -> Vec<String> {
        let Ok(Value::Object(keys)) = serde_json::to_value(table) else { panic!("no table") };
        keys.into_iter().map(|(key, _)| key).collect()
    }

    fn sorted(keys: &[&str]) -> Vec<String> {
        let mut keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        keys.sort_unstable();
        keys
    }
}
