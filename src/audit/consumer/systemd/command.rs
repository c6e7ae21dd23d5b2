//! A command line of a service as far as systemd judges it when it loads the unit (`config_parse_exec`), and the kinds of services. It must
//! never ask whether the program is there.

/// What `Type=` may be; `notify-reload` since systemd 253.
pub(super) const TYPES: &[&str] = &["simple", "exec", "forking", "oneshot", "dbus", "notify", "notify-reload", "idle"];

/// What stands before a command.
pub(super) fn signs(line: &str) -> &str {
    let bare = line.trim_start_matches(['-', '@', ':', '+', '!', '|']);
    line.get(..line.len() - bare.len()).unwrap_or_default()
}

/// What keeps a command line from being one.
pub(super) fn command(line: &str) -> Option<(&'static str, &str)> {
    let signs = signs(line);
    let bare = line.get(signs.len()..).unwrap_or_default();
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
    let mut quote = None;
    let mut rest = value.chars();
    while let Some(c) = rest.next() {
        match (c, quote) {
            ('\\', _) => drop(rest.next()),
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            _ => {}
        }
    }
    quote.is_none()
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
}
