//! What somebody may have meant who wrote a name that nothing has.

/// How alike two names must be, from 0 to 1: as for arguments of the command line.
const LIKENESS_MIN: f64 = 0.8;

/// The name of `known` that is most like `unknown`, if one is like it at all.
pub(super) fn closest<'a>(
    unknown: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let plain = |name: &str| name.to_ascii_lowercase().replace('_', "-");
    let unknown = plain(unknown);
    let likeness = |name: &'a str| (strsim::jaro(&unknown, &plain(name)), name);
    let alike = known.into_iter().map(likeness).filter(|(likeness, _)| *likeness > LIKENESS_MIN);
    alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// `did you mean NAME? ` or nothing.
pub(super) fn did_you_mean<'a>(unknown: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    closest(unknown, known).map(|name| format!("did you mean `{name}`? ")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typos_are_recognised_and_strangers_are_not() {
        let known = ["name", "secret", "secret-file", "write-quorum", "publish-timeout"];
        for (unknown, meant) in [
            ("write_quorum", Some("write-quorum")),
            ("wirte-quorum", Some("write-quorum")),
            ("writequorum", Some("write-quorum")),
            ("Name", Some("name")),
            ("secretfile", Some("secret-file")),
            ("colour", None),
            ("x", None),
        ] {
            assert_eq!(closest(unknown, known), meant, "{unknown}");
        }
    }
}
