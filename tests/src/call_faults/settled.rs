//! Settled: all entries have the same registrations, each callee in them lives and knows it, and no call is pending.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use serde_json::{Value, json};

/// A callee by its own word.
#[derive(Clone, Debug)]
pub(super) struct Serving {
    pub(super) procedure: String,
    pub(super) session: u64,
    pub(super) entry: String,
    /// It was told REGISTERED, and nothing else since.
    pub(super) is_registered: bool,
}

/// Whether the entries, by their status pages, agree with each other and with what callees know.
///
/// # Errors
/// What is not so.
pub(super) fn check(
    statuses: &[(String, Value)],
    serving: &[Serving],
    singles: &[&str],
) -> anyhow::Result<()> {
    is_linked(statuses)?;
    let (first, status) = statuses.first().context("no entry")?;
    let listed = &listed_of(status);
    for (entry, status) in statuses {
        let view = &status["view"];
        ensure!(view["ready"] == true, "the view of {entry} is not ready: {}", view["waits_for"]);
        let lives = status["lives"].as_array().map_or(0, Vec::len);
        ensure!(
            lives == statuses.len(),
            "{entry} knows {lives} living lives: {}",
            json!(status["lives"])
        );
        ensure!(
            listed_of(status) == *listed,
            "{entry} and {first} have other registrations: {} and {listed}",
            listed_of(status)
        );
        let total = status["registrations"]["total"].as_u64();
        let here = listed.as_array().and_then(|listed| u64::try_from(listed.len()).ok());
        ensure!(total == here, "{entry} has {total:?} registrations, of which {here:?} are listed");
        let calls = &status["calls"];
        for side in ["origin", "serving"] {
            ensure!(calls[side] == 0, "calls are pending at {entry}: {calls}");
        }
    }
    let mut missed: BTreeMap<u64, &Serving> =
        serving.iter().filter(|one| one.is_registered).map(|one| (one.session, one)).collect();
    for registration in listed.as_array().into_iter().flatten() {
        let uri = registration["uri"].as_str().unwrap_or_default();
        let callees = registration["callees"].as_array().map_or(&[][..], Vec::as_slice);
        let is_whole = registration["callees_total"].as_u64() == u64::try_from(callees.len()).ok();
        ensure!(is_whole, "not all callees are listed: {registration}");
        let is_alone = !singles.contains(&uri) || callees.len() == 1;
        ensure!(is_alone, "{uri} has {} callees", callees.len());
        for callee in callees {
            let found = callee["session"].as_u64().and_then(|session| missed.remove(&session));
            let found = found.with_context(|| {
                format!("{callee} of {uri} is nobody who knows of it: {serving:?}")
            })?;
            let is_it = found.procedure == uri && callee["entry"] == found.entry.as_str();
            ensure!(is_it, "{callee} of {uri} is {found:?}");
        }
    }
    ensure!(missed.is_empty(), "these have no place: {missed:?}");
    Ok(())
}

/// The registrations, without what each entry counts for itself.
fn listed_of(status: &Value) -> Value {
    let mut listed = status["registrations"]["listed"].clone();
    for registration in listed.as_array_mut().into_iter().flatten() {
        if let Some(registration) = registration.as_object_mut() {
            registration.remove("calls");
            registration.remove("latency");
        }
    }
    listed
}

/// Each entry is linked with each other one, hears it, and knows that it takes calls.
fn is_linked(statuses: &[(String, Value)]) -> anyhow::Result<()> {
    for (entry, status) in statuses {
        for (other, _) in statuses.iter().filter(|(other, _)| other != entry) {
            let links = &status["entries"];
            let stands = |link: &&Value| {
                let is_heard = link["up"] == true && link["silent"] == false;
                is_heard && link["peer"] == other.as_str() && link["standing"]["ready"] == true
            };
            let found = links.as_array().into_iter().flatten().filter(stands).count();
            ensure!(found == 1, "{entry} has {found} good links to {other}: {links}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registration(uri: &str, callees: &[(&str, u64)]) -> Value {
        let callees: Vec<_> =
            callees.iter().map(|(e, s)| json!({ "entry": e, "session": s })).collect();
        json!({ "id": 5, "uri": uri, "callees": callees, "callees_total": callees.len() })
    }

    fn status(listed: &[Value]) -> Value {
        let link = |peer: &str| json!({ "peer": peer, "up": true, "silent": false, "standing": { "ready": true } });
        json!({
            "view": { "ready": true },
            "lives": [{}, {}],
            "entries": [link("E1"), link("E2")],
            "registrations": { "total": listed.len(), "listed": listed },
            "calls": { "origin": 0, "serving": 0 },
        })
    }

    fn serving() -> Vec<Serving> {
        let one = |procedure: &str, session, entry: &str, is_registered| Serving {
            procedure: procedure.to_owned(),
            session,
            entry: entry.to_owned(),
            is_registered,
        };
        vec![
            one("p.shared", 1, "E1", true),
            one("p.shared", 2, "E2", true),
            one("p.single", 3, "E2", true),
            one("p.single", 4, "E1", false),
        ]
    }

    fn said(statuses: [Value; 2]) -> String {
        let [one, two] = statuses;
        let statuses = [("E1".to_owned(), one), ("E2".to_owned(), two)];
        check(&statuses, &serving(), &["p.single"])
            .map_or_else(|e| e.to_string(), |()| String::new())
    }

    #[test]
    fn what_all_know_is_what_there_is() {
        let shared = registration("p.shared", &[("E1", 1), ("E2", 2)]);
        let good = status(&[shared.clone(), registration("p.single", &[("E2", 3)])]);
        assert_eq!(said([good.clone(), good.clone()]), "");
        let differs = |bad: Value, word: &str| {
            let said = said([bad.clone(), bad]);
            assert!(said.contains(word), "{said}");
        };
        assert!(
            said([good.clone(), status(std::slice::from_ref(&shared))])
                .contains("other registrations")
        );
        differs(status(std::slice::from_ref(&shared)), "have no place");
        let left = registration("p.single", &[("E1", 9)]);
        differs(status(&[shared.clone(), left]), "nobody who knows");
        let refused = registration("p.single", &[("E1", 4)]);
        differs(status(&[shared.clone(), refused]), "nobody who knows");
        let two = registration("p.single", &[("E2", 3), ("E1", 4)]);
        differs(status(&[shared.clone(), two]), "has 2 callees");
        let elsewhere = registration("p.single", &[("E1", 3)]);
        differs(status(&[shared, elsewhere]), "is Serving");
        let mut pending = good.clone();
        pending["calls"]["serving"] = json!(1);
        differs(pending, "pending");
        let mut silent = good.clone();
        silent["entries"][1]["silent"] = json!(true);
        differs(silent, "0 good links to E2");
        let mut lives = good.clone();
        lives["lives"] = json!([{}, {}, {}]);
        differs(lives, "3 living lives");
        let mut waits = good;
        waits["view"]["ready"] = json!(false);
        differs(waits, "not ready");
    }
}
