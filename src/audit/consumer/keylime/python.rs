//! Values as Keylime's Python parts understand them. It must never guess: what Python refuses is refused.

/// A setting as Keylime takes it: `config.get` strips blanks and double quotes.
pub(super) fn plain(value: &str) -> &str {
    value.trim_matches([' ', '"'])
}

/// `getboolean` of configparser.
pub(super) fn boolean(value: &str) -> Option<bool> {
    match plain(value).to_ascii_lowercase().as_str() {
        "1" | "yes" | "true" | "on" => Some(true),
        "0" | "no" | "false" | "off" => Some(false),
        _ => None,
    }
}

/// The strings of a Python list literal, such as `['a.crt', "b.crt"]`.
pub(super) fn list(value: &str) -> Option<Vec<String>> {
    let inner = plain(value).trim().strip_prefix('[')?.strip_suffix(']')?;
    let mut items = Vec::new();
    let mut rest = inner.trim_start();
    while !rest.is_empty() {
        let quote = rest.chars().next().filter(|first| matches!(first, '\'' | '"'))?;
        let (item, after) = rest.get(1..)?.split_once(quote)?;
        items.push(item.to_owned());
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(items)
}

/// The part of a value that was meant as a comment: configparser has none within a line.
pub(super) fn comment(value: &str) -> Option<&str> {
    let mut quoted = None;
    let mut before = ' ';
    for (index, letter) in value.char_indices() {
        match (letter, quoted) {
            ('\'' | '"', None) => quoted = Some(letter),
            (close, Some(open)) if close == open => quoted = None,
            ('#' | ';', None) if before.is_whitespace() => return value.get(index..),
            _ => {}
        }
        before = letter;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_python_literals() {
        let strings = |items: &[&str]| Some(items.iter().map(|item| (*item).to_owned()).collect());
        let cases: &[(&str, Option<Vec<String>>)] = &[
            ("['a.crt','b.crt']", strings(&["a.crt", "b.crt"])),
            ("[\"a\", 'b',]", strings(&["a", "b"])),
            ("['a',\n'b']", strings(&["a", "b"])),
            ("[]", strings(&[])),
            ("ca.crt", None),
            ("[ca.crt]", None),
            ("['a' 'b']", None),
            ("['a", None),
            ("['a']  # x", None),
            ("", None),
            ("é", None),
        ];
        for (text, expected) in cases {
            assert_eq!(list(text), *expected, "{text}");
        }
    }

    #[test]
    fn comments_within_a_line_are_told_from_values() {
        let cases = [
            ("8881 # the port", Some("# the port")),
            ("8881 ; x", Some("; x")),
            ("['a'] # x", Some("# x")),
            ("a#b", None),
            ("'a # b'", None),
            ("sqlite:///x;y", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(comment(text), expected, "{text}");
        }
        assert_eq!((boolean("\"True\""), boolean("off"), boolean("maybe")), (Some(true), Some(false), None));
    }
}
