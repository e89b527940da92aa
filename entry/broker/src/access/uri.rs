//! URI checks by the rules of the specification (WAMP spec §2.1.1): components separated by dots.
//! Loose: none of them empty, without whitespace and '#'. Strict: of small letters, digits and '_'.

use vixen_core::access::UriCheck;
use vixen_core::segment::Match;

use super::ingress::IngressLimits;

/// Whether a session may name this realm: a URI by the rule, and no longer than a topic.
#[must_use]
pub fn is_realm(uri: &str, limits: &IngressLimits) -> bool {
    uri.len() <= limits.topic_bytes_max && is_uri(uri, limits.uri_check)
}

/// Whether `uri` is one by the loose rule, as each strict one is.
#[must_use]
pub fn is_loose_uri(uri: &str) -> bool {
    is_uri(uri, UriCheck::Loose)
}

/// Whether `uri` is a realm or topic by the rule.
#[must_use]
pub(super) fn is_uri(uri: &str, rule: UriCheck) -> bool {
    match rule {
        UriCheck::Loose => is_loose(uri),
        UriCheck::Strict => uri.split('.').all(|part| !part.is_empty() && is_strict(part)),
    }
}

/// Whether `uri` is a pattern by the rule: the last component may be empty for a prefix, any for a
/// wildcard, and `*` and `#` stand for components of a dotted one.
#[must_use]
pub(super) fn is_pattern(uri: &str, matching: Match, rule: UriCheck) -> bool {
    let is_part = |part: &str| match rule {
        UriCheck::Loose => is_loose(part),
        UriCheck::Strict => is_strict(part),
    };
    match matching {
        Match::Exact => is_uri(uri, rule),
        Match::Prefix => {
            let whole = uri.strip_suffix('.').unwrap_or(uri);
            uri.is_empty() || is_uri(whole, rule)
        }
        Match::Wildcard => uri.split('.').all(|part| part.is_empty() || is_part(part)),
        Match::Dotted => uri
            .split('.')
            .all(|part| matches!(part, "*" | "#") || (!part.is_empty() && is_part(part))),
    }
}

/// Whether an exact topic is meant as a pattern: it has a component `*` or `#`.
#[must_use]
pub(crate) fn is_dotted(uri: &str) -> bool {
    uri.split('.').any(|part| matches!(part, "*" | "#"))
}

fn is_strict(part: &str) -> bool {
    part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'_'))
}

fn is_loose(uri: &str) -> bool {
    // ASCII first: a table walk without decoding, and nearly all URIs are ASCII.
    let mut component_empty = true;
    for byte in uri.bytes() {
        match byte {
            b'.' if component_empty => return false,
            b'.' => component_empty = true,
            b'#' | b' ' | b'\t'..=b'\r' | 0x1c..=0x1f => return false,
            0x80.. => return is_loose_unicode_uri(uri),
            _other => component_empty = false,
        }
    }
    !component_empty
}

fn is_loose_unicode_uri(uri: &str) -> bool {
    uri.split('.').all(|component| {
        !component.is_empty()
            && !component
                .chars()
                .any(|c| c == '#' || c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}'))
    })
}

/// Whether the first component is `wamp`: reserved for the protocol itself.
#[must_use]
pub(crate) fn is_reserved(uri: &str) -> bool {
    uri.strip_prefix("wamp").is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_loose_rule_is_the_one_of_the_specification() {
        for good in ["a", "com.myapp.topic1", "com.my-app.Ünï.x", "a_b.C", "1.2.3", "a\"b", "a/b"]
        {
            assert!(is_loose_uri(good), "{good}");
        }
        let bad = [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "a b",
            "a.\tb",
            "a#b",
            "#",
            "a\nb",
            "ä b",
            "ä..b",
            "ä.",
            ".ä",
            "ä#",
            "a\u{a0}b",
            "a\u{2003}b",
            "a\u{85}",
            "a\u{1c}b",
        ];
        for bad in bad {
            assert!(!is_loose_uri(bad), "{bad:?}");
        }
    }

    #[test]
    fn strict_is_small_letters_digits_and_underscores() {
        for good in ["a", "com.myapp.topic1", "a_b.0"] {
            assert!(is_uri(good, UriCheck::Strict), "{good}");
        }
        for bad in ["", "A", "com.my-app", "a..b", "a.", "ü", "a b", "a.*"] {
            assert!(!is_uri(bad, UriCheck::Strict), "{bad:?}");
        }
    }

    #[test]
    fn patterns_have_empty_components_where_they_may() {
        use Match::{Dotted, Exact, Prefix, Wildcard};
        let table = [
            (Prefix, &["", "a", "a.", "a.b", "a.b."][..], &[".", "a..", ".a", "a b"][..]),
            (Wildcard, &["", ".", "a..c", "..", "a.", ".b", "a.b"], &["a. .c", "a.#.c"]),
            (Dotted, &["*", "#", "a.*.c", "a.#", "a.b"], &["", "a..b", "a.##", "a.b#", "a. "]),
            (Exact, &["a.b"], &["", "a..b", "a."]),
        ];
        for (matching, good, bad) in table {
            for uri in good {
                assert!(is_pattern(uri, matching, UriCheck::Loose), "{matching:?} {uri}");
            }
            for uri in bad {
                assert!(!is_pattern(uri, matching, UriCheck::Loose), "{matching:?} {uri:?}");
            }
        }
        assert!(is_pattern("a..c_1", Wildcard, UriCheck::Strict));
        assert!(!is_pattern("a..C", Wildcard, UriCheck::Strict));
    }

    #[test]
    fn stars_and_hashes_make_a_pattern_of_a_topic() {
        assert!(is_dotted("*") && is_dotted("a.#") && is_dotted("a.*.b"));
        assert!(!is_dotted("a.b") && !is_dotted("a*.b") && !is_dotted(""));
    }

    #[test]
    fn only_the_first_component_is_reserved() {
        assert!(is_reserved("wamp") && is_reserved("wamp.session.on_join"));
        assert!(!is_reserved("wampum.price") && !is_reserved("com.wamp.x"));
    }

    proptest! {
        #[test]
        fn the_fast_rule_and_the_unicode_rule_agree(uri in "[a-c.# \\t\\x1c]{0,8}") {
            prop_assert_eq!(is_loose(&uri), is_loose_unicode_uri(&uri));
        }
    }
}
