//! glob(3) as nginx calls it for `include`: `*`, `?`, `[…]`, no hidden files, sorted by bytes.

use std::path::{Path, PathBuf};

use crate::io::look::View;

/// As many paths are found by one pattern.
const MATCHES: usize = 20_000;

/// Whether nginx takes this for a pattern.
pub(super) fn is_pattern(path: &str) -> bool {
    path.contains(['*', '?', '['])
}

/// The paths of a host that an absolute pattern matches.
pub(super) fn on_host(view: &View, pattern: &str) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.split('/').filter(|part| !part.is_empty()) {
        let mut next = Vec::new();
        for directory in &found {
            if !is_pattern(part) {
                next.push(directory.join(part));
                continue;
            }
            let names = view.list(directory).unwrap_or_default();
            next.extend(names.iter().filter(|name| matches(part, name)).map(|name| directory.join(name)));
            if next.len() > MATCHES {
                break;
            }
        }
        next.truncate(MATCHES);
        found = next;
    }
    found.retain(|path| view.meta(path).is_ok());
    found.sort();
    found
}

/// The same among paths that are known.
pub(super) fn among<'a>(paths: impl Iterator<Item = &'a PathBuf>, pattern: &str) -> Vec<PathBuf> {
    let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty()).collect();
    let fits = |path: &Path| {
        let names: Vec<&str> = path.to_str().unwrap_or_default().split('/').filter(|part| !part.is_empty()).collect();
        names.len() == parts.len() && parts.iter().zip(&names).all(|(part, name)| matches(part, name))
    };
    let mut found: Vec<PathBuf> = paths.filter(|path| fits(path)).cloned().collect();
    found.sort();
    found
}

/// Whether one name fits one part of a pattern. Linear in both but for the last `*`, which is tried again at each byte.
fn matches(pattern: &str, name: &str) -> bool {
    if name.starts_with('.') && !pattern.starts_with('.') {
        return false;
    }
    let (pattern, name): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    loop {
        let step = match (pattern.get(p), name.get(n)) {
            (Some('*'), _) => {
                back = Some((p + 1, n));
                p += 1;
                continue;
            }
            (None, None) => return true,
            (Some(_), Some(c)) => one(&pattern, p, *c),
            _ => None,
        };
        match (step, &mut back) {
            (Some(width), _) => {
                p += width;
                n += 1;
            }
            (None, Some((after, from))) if *from < name.len() => {
                *from += 1;
                (p, n) = (*after, *from);
            }
            _ => return false,
        }
    }
}

/// How long the part of the pattern is that takes this character.
fn one(pattern: &[char], at: usize, c: char) -> Option<usize> {
    match pattern.get(at)? {
        '?' => Some(1),
        '\\' => (pattern.get(at + 1) == Some(&c)).then_some(2),
        '[' => set(pattern, at, c).unwrap_or_else(|| (c == '[').then_some(1)),
        literal => (*literal == c).then_some(1),
    }
}

/// A bracket expression: `None` where it is not closed and so no expression.
fn set(pattern: &[char], at: usize, c: char) -> Option<Option<usize>> {
    let negated = matches!(pattern.get(at + 1), Some('!' | '^'));
    let first = at + 1 + usize::from(negated);
    let length = pattern.get(first + 1..)?.iter().position(|c| *c == ']')? + 1;
    let members = pattern.get(first..first + length)?;
    let mut inside = members.contains(&c);
    for range in members.windows(3) {
        if let [low, '-', high] = range {
            inside |= (*low..=*high).contains(&c);
        }
    }
    Some((inside != negated).then_some(first + length + 1 - at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_glob_does() {
        for (pattern, name, expected) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.conf.bak", false),
            ("*", "default~", true),
            ("*", ".hidden.swp", false),
            (".*", ".hidden", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[]x]y", "]y", true),
            ("[x", "[x", true),
            ("*a*b", "xxaxxb", true),
            ("*a*b", "xxaxxc", false),
            ("", "", true),
            ("\\*x", "*x", true),
            ("[0-9][0-9]-*.conf", "10-tls.conf", true),
        ] {
            assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
        }
        let stars = "*a".repeat(200) + "b";
        assert!(!matches(&stars, &"a".repeat(2000)));
    }
}
