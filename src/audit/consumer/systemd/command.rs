//! A command line of a service as far as systemd judges it when it loads the unit (`config_parse_exec`), and the kinds of services. It must
//! never ask whether the program is there.

/// What `Type=` may be; `notify-reload` since systemd 253.
pub(super) const TYPES: &[&str] = &["simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"];

/// A command without the signs before it, which say how it is run.
pub(super) fn unprefixed(line: &str) -> &str {
    line.trim_start_matches(['-', '@', ':', '+', '!', '|'])
}

/// What stands before a command.
pub(super) fn signs(line: &str) -> &str {
    line.strip_suffix(unprefixed(line)).unwrap_or_default()
}

/// What keeps a command line from being one.
pub(super) fn command(line: &str) -> Option<(&'static str, &str)> {
    let signs = signs(line);
    let bare = unprefixed(line);
    if bare.is_empty() {
        return Some(("a program behind the signs", line));
    }
    // They say with which rights it runs, each otherwise.
    if signs.contains('+') && signs.contains('!') {
        return Some(("+ or !", line));
    }
    if !is_closed(bare) {
        return Some(("a closing quote", line));
    }
    let program = bare.split_whitespace().next().unwrap_or_default().trim_matches(['"', '\'']);
    // A name alone is looked for; a path must be whole. What begins with a specifier is known later.
    let relative = program.contains('/') && !program.starts_with(['/', '%', '$']);
    relative.then_some(("an absolute path, or a name alone", line))
}

/// Whether every quote ends.
pub(super) fn is_closed(value: &str) -> bool {
    Walk::over(value).quote.is_none()
}

/// Whether a semicolon that is a word of its own begins another command: none does in quotes or behind a backslash.
pub(super) fn is_several(value: &str) -> bool {
    Walk::over(value).several
}

/// What shows on the way over a command line.
#[derive(Default)]
struct Walk {
    /// The quote that is open at the end.
    quote: Option<char>,
    several: bool,
}

impl Walk {
    fn over(value: &str) -> Self {
        let mut walk = Self::default();
        let mut rest = value.chars().peekable();
        let (mut begins, mut ended) = (false, false);
        while let Some(c) = rest.next() {
            walk.several |= ended && !c.is_whitespace();
            let last = rest.peek().is_none_or(|next| next.is_whitespace());
            match (c, walk.quote) {
                ('\\', _) => drop(rest.next()),
                (c, Some(open)) if c == open => walk.quote = None,
                ('"' | '\'', None) => walk.quote = Some(c),
                (';', None) if begins && last => ended = true,
                _ => {}
            }
            begins = walk.quote.is_none() && c.is_whitespace();
        }
        walk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn command_lines_are_those_that_systemd_takes() {
        for (line, bad) in [
            ("/a b", false),
            ("true", false),
            ("-/a", false),
            ("./a", true),
            ("/a 'b", true),
            ("/a \"it's\"", false),
            ("@", true),
            ("%h/x", false),
        ] {
            assert_eq!(command(line).is_some(), bad, "{line}");
        }
    }

    #[test]
    fn a_semicolon_alone_begins_another_command() {
        for (line, several) in [
            ("/a ; /b", true),
            ("/a 'x y' ; /b", true),
            ("/bin/sh -c 'cd /srv ; exec ./run'", false),
            ("/bin/sh -c \"a ; b\"", false),
            ("/a \\; /b", false),
            ("/a; /b", false),
            ("/a ;b", false),
            ("/a ;", false),
        ] {
            assert_eq!(is_several(line), several, "{line}");
        }
    }
}
