//! Variables of a script, with what they are given as far as that stands there.

use std::collections::BTreeMap;

use super::shell::assignment;
use crate::audit::facts::variable::Variable;

/// The longest text that variables are put into.
const LONG: usize = 4096;

/// What variables are given, in the order of the script; the last one wins.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Those of the environment that a script is run in.
    pub(super) fn of(environment: &[Variable]) -> Self {
        Self(environment.iter().map(|variable| (variable.name.clone(), variable.value.clone())).collect())
    }

    /// Takes in what a line assigns, values expanded as far as they are known.
    pub(super) fn learn(&mut self, line: &str) {
        let mut rest = line.trim_start();
        for word in ["export ", "local ", "readonly ", "declare ", "typeset "] {
            rest = rest.strip_prefix(word).unwrap_or(rest).trim_start();
        }
        if let Some((name, words)) = rest.strip_prefix("for ").and_then(|rest| rest.split_once(" in ")) {
            // Of a loop all values count, one after the other.
            let words = words.split(';').next().unwrap_or_default();
            self.0.insert(name.trim().to_owned(), self.expand(words.trim()).chars().take(LONG).collect());
            return;
        }
        let mut limit = 0;
        while let Some((name, value)) = assignment(rest).filter(|_| limit < 8) {
            let end = value_end(value);
            let raw = value.get(..end).unwrap_or(value);
            let bare = raw.trim_matches(['"', '\'']);
            let known = if raw.starts_with('\'') { bare.to_owned() } else { self.expand(bare) };
            // A value that names itself again and again would grow without end.
            self.0.insert(name.to_owned(), if known.len() > LONG { String::new() } else { known });
            rest = value.get(end..).unwrap_or_default().trim_start_matches([' ', ';', '\t']);
            limit += 1;
        }
    }

    /// What a variable is given, where no command gives it.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.contains(['(', '`', '$']))
    }

    /// A text with the variables that are known put in; `${NAME:-default}` gives the default where nothing is known. What a command gave
    /// is not known.
    #[must_use]
    pub(super) fn expand(&self, text: &str) -> String {
        self.put(text, false)
    }

    /// The same, with the command in the place of what it gave.
    #[must_use]
    pub(super) fn expand_commands(&self, text: &str) -> String {
        self.put(text, true)
    }

    fn put(&self, text: &str, commands: bool) -> String {
        let mut out = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(rest.get(..at).unwrap_or_default());
            let after = rest.get(at + 1..).unwrap_or_default();
            let (name, default, length) = name_of(after);
            let value = self.0.get(name).map(String::as_str).filter(|value| commands || !value.contains(['(', '`']));
            match value.or(default).filter(|_| !name.is_empty() && out.len() < LONG) {
                Some(value) => out.push_str(value),
                None => {
                    out.push('$');
                    out.push_str(after.get(..length).unwrap_or_default());
                }
            }
            rest = after.get(length..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }
}

/// The name behind a `$`, its default, and how long all of it is.
fn name_of(after: &str) -> (&str, Option<&str>, usize) {
    if let Some(inner) = after.strip_prefix('{') {
        let Some((inner, _)) = inner.split_once('}') else { return ("", None, 0) };
        let end = inner.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(inner.len());
        let (name, rest) = inner.split_at_checked(end).unwrap_or((inner, ""));
        let default = rest.strip_prefix(":-").or_else(|| rest.strip_prefix(":=")).or_else(|| rest.strip_prefix('-'));
        let sound = rest.is_empty() || default.is_some();
        return (if sound { name } else { "" }, default, inner.len() + 2);
    }
    let end = after.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(after.len());
    (after.get(..end).unwrap_or_default(), None, end)
}

/// Where a value ends: at white space outside quotes and substitutions.
fn value_end(value: &str) -> usize {
    let (mut quote, mut depth) = (None, 0_usize);
    for (at, c) in value.char_indices() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (_, Some('\'')) => {}
            ('\'' | '"', None) => quote = Some(c),
            ('(', _) => depth += 1,
            (')', _) => depth = depth.saturating_sub(1),
            (' ' | '\t' | ';' | '&' | '|', None) if depth == 0 => return at,
            _ => {}
        }
    }
    value.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_put_in_as_far_as_they_are_known() {
        let mut variables = Variables::default();
        for line in ["DIR=/etc/x", "export KEY=\"$DIR/${NAME:-a}.key\"", "P=$(pgrep keylime_verifier) Q=1", "R='$DIR'", "for S in a b; do"]
        {
            variables.learn(line);
        }
        for (text, expected) in [
            ("$KEY", "/etc/x/a.key"),
            ("kill $P", "kill $P"),
            ("$R", "$DIR"),
            ("$unknown ${also", "$unknown ${also"),
            ("é$", "é$"),
            ("x $S", "x a b"),
        ] {
            assert_eq!(variables.expand(text), expected, "{text}");
        }
        assert_eq!(variables.expand_commands("kill $P"), "kill $(pgrep keylime_verifier)");
    }

    #[test]
    fn values_that_name_themselves_do_not_grow_without_end() {
        let mut variables = Variables::default();
        for _ in 0..100 {
            variables.learn("A=$A$A$A$A$A$A$A$A$A$A");
        }
        variables.learn("A=xxxxxxxxxxxxxxxx");
        for _ in 0..100 {
            variables.learn("A=$A$A");
        }
        assert!(variables.expand("$A").len() < 1 << 17);
    }
}
