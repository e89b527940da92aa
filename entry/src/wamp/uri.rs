//! URI checks by the loose rule of the specification (WAMP spec §2.1.1): components separated by
//! dots, none of them empty, without whitespace and '#'.

/// Whether `uri` is a realm or topic by the loose rule.
#[must_use]
pub(super) fn is_loose_uri(uri: &str) -> bool {
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
pub(super) fn is_reserved(uri: &str) -> bool {
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
    fn only_the_first_component_is_reserved() {
        assert!(is_reserved("wamp") && is_reserved("wamp.session.on_join"));
        assert!(!is_reserved("wampum.price") && !is_reserved("com.wamp.x"));
    }

    proptest! {
        #[test]
        fn the_fast_rule_and_the_unicode_rule_agree(uri in "[a-c.# \\t\\x1c]{0,8}") {
            prop_assert_eq!(is_loose_uri(&uri), is_loose_unicode_uri(&uri));
        }
    }
}
