//! The URIs of realms and permissions.

use vixen_core::segment::Match;

/// Whether `uri` is one by the loose rule (WAMP spec §2.1.1): components between dots, none empty,
/// without whitespace and '#'.
pub(super) fn is_uri(uri: &str) -> bool {
    uri.split('.').all(|component| !component.is_empty() && is_component(component))
}

fn is_component(component: &str) -> bool {
    !component.chars().any(|c| c == '#' || c.is_whitespace() || c.is_control())
}

/// The pattern that `uri` and `match` mean, or what is wrong and the fix.
pub(super) fn pattern(
    uri: &str,
    matching: Option<Match>,
) -> Result<(String, Match), (String, &'static str)> {
    let Some(matching) = matching else {
        return starred(uri);
    };
    if uri.contains('*') {
        let problem = format!("`{uri}` has a star beside match, where stars mean nothing");
        return Err((problem, "leave match out, or write the pattern without stars"));
    }
    let is_good = match matching {
        Match::Exact => is_uri(uri),
        Match::Prefix => {
            // The last component may be cut anywhere, its start included.
            let (before, last) = uri.rsplit_once('.').map_or((None, uri), |(b, l)| (Some(b), l));
            before.is_none_or(is_uri) && is_component(last)
        }
        Match::Wildcard => {
            let mut parts = uri.split('.');
            parts.clone().any(str::is_empty) && parts.all(is_component)
        }
        // Of subscriptions only: `match` has no name for it.
        Match::Dotted => false,
    };
    if is_good {
        return Ok((uri.to_owned(), matching));
    }
    let fix = match matching {
        Match::Exact => "write a topic such as \"com.example.news\", or set match",
        Match::Prefix => "write the start of a topic, such as \"com.example.\", or \"\" for all",
        Match::Wildcard | Match::Dotted => {
            "write a topic with components left empty, such as \"com..news\""
        }
    };
    Err((format!("`{uri}` matches no topic that way"), fix))
}

/// `a.b` is exact, `a.*` the prefix `a.`, `a.*.c` the wildcard `a..c`.
fn starred(uri: &str) -> Result<(String, Match), (String, &'static str)> {
    let Some(before) = uri.strip_suffix('*').filter(|before| !before.contains('*')) else {
        if !uri.contains('*') {
            return pattern(uri, Some(Match::Exact));
        }
        if uri.split('.').any(|part| part.contains('*') && part != "*") {
            let problem = format!("`{uri}` has a star beside other characters of a component");
            return Err((problem, "let a star be a whole component, or the end of the uri"));
        }
        if uri.split('.').any(str::is_empty) {
            let problem = format!("`{uri}` has stars and empty components");
            return Err((problem, "write a star for each component that may be anything"));
        }
        return pattern(&uri.replace('*', ""), Some(Match::Wildcard));
    };
    pattern(before, Some(Match::Prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_and_match_say_the_same_patterns() {
        let table = [
            ("a.b", None, Ok(("a.b", Match::Exact))),
            ("a.*", None, Ok(("a.", Match::Prefix))),
            ("a.b*", None, Ok(("a.b", Match::Prefix))),
            ("*", None, Ok(("", Match::Prefix))),
            ("a.*.c", None, Ok(("a..c", Match::Wildcard))),
            ("*.c", None, Ok((".c", Match::Wildcard))),
            ("a.*.*", None, Ok(("a..", Match::Wildcard))),
            ("a.b", Some(Match::Exact), Ok(("a.b", Match::Exact))),
            ("a.", Some(Match::Prefix), Ok(("a.", Match::Prefix))),
            ("", Some(Match::Prefix), Ok(("", Match::Prefix))),
            ("a..c", Some(Match::Wildcard), Ok(("a..c", Match::Wildcard))),
            ("", Some(Match::Wildcard), Ok(("", Match::Wildcard))),
            ("", None, Err("or set match")),
            ("a.", None, Err("or set match")),
            ("a..c", None, Err("or set match")),
            ("a b", None, Err("or set match")),
            ("a#", Some(Match::Prefix), Err("the start of a topic")),
            ("a..b", Some(Match::Prefix), Err("the start of a topic")),
            (".", Some(Match::Prefix), Err("the start of a topic")),
            (".a", Some(Match::Prefix), Err("the start of a topic")),
            ("a.b", Some(Match::Wildcard), Err("left empty")),
            ("a. .c.", Some(Match::Wildcard), Err("left empty")),
            ("a.*", Some(Match::Prefix), Err("leave match out")),
            ("a*b.*", None, Err("a whole component")),
            ("a.*b", None, Err("a whole component")),
            ("*..c", None, Err("a star for each")),
            ("..*", None, Err("the start of a topic")),
        ];
        for (uri, matching, wanted) in table {
            let got = pattern(uri, matching);
            match wanted {
                Ok((pattern, matching)) => {
                    assert_eq!(got, Ok((pattern.to_owned(), matching)), "{uri}");
                }
                Err(part) => {
                    let (problem, fix) = got.expect_err(uri);
                    let shown = uri.trim_end_matches('*');
                    assert!(problem.contains(shown), "{uri}: {problem}");
                    assert!(fix.contains(part), "{uri}: {fix}");
                }
            }
        }
    }
}
