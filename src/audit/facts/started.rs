//! How a unit starts a program.

use super::variable::Variable;

/// One command line of `ExecStart=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Started {
    /// The program, without its directory.
    pub program: String,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// The variables of its environment.
    pub variables: Vec<Variable>,
}

impl Started {
    /// What an option is given, written `-option VALUE` or `-option=VALUE`, with one dash or two.
    #[must_use]
    pub fn option(&self, name: &str) -> Option<&str> {
        let mut words = self.arguments.iter();
        while let Some(word) = words.next() {
            let Some(bare) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else { continue };
            match bare.split_once('=') {
                Some((option, value)) if option == name => return Some(value),
                None if bare == name => return words.next().map(String::as_str),
                _ => {}
            }
        }
        None
    }

    /// Whether a switch is given, and not as `=false`.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        let bare = |word: &String| word.strip_prefix("--").or_else(|| word.strip_prefix('-')).map(str::to_owned);
        self.arguments.iter().filter_map(bare).any(|word| word == name || word == format!("{name}=true"))
    }

    /// A text with `$NAME` and `${NAME}` put in; what is not set is nothing.
    #[must_use]
    pub fn expand(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('$') {
            out.push_str(rest.get(..at).unwrap_or_default());
            let after = rest.get(at + 1..).unwrap_or_default();
            let (name, length) = name_of(after);
            match self.variables.iter().rev().find(|variable| variable.name == name) {
                Some(variable) => out.push_str(&variable.value),
                None if name.is_empty() => out.push('$'),
                None => {}
            }
            rest = after.get(length..).unwrap_or_default();
        }
        out.push_str(rest);
        out
    }
}

/// The name behind a `$`, and how much of the text it takes.
fn name_of(after: &str) -> (&str, usize) {
    let word = |text: &str| text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len());
    if let Some(inner) = after.strip_prefix('{') {
        let end = word(inner);
        let closed = inner.get(end..).is_some_and(|rest| rest.starts_with('}'));
        return if closed { (inner.get(..end).unwrap_or_default(), end + 2) } else { ("", 0) };
    }
    let end = word(after);
    (after.get(..end).unwrap_or_default(), end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::audit::Location;

    #[test]
    fn options_and_variables_are_read_as_they_are_written() {
        let variable = |name: &str, value: &str| Variable { name: name.into(), value: value.into(), location: Location::file("/e") };
        let words = "run -config /a --dataDir=/d -expandEnv -x=false";
        let started = Started {
            program: "spire-server".into(),
            arguments: words.split(' ').map(str::to_owned).collect(),
            variables: vec![variable("A", "1"), variable("A", "2")],
        };
        assert_eq!((started.option("config"), started.option("dataDir"), started.option("y")), (Some("/a"), Some("/d"), None));
        assert!(started.has("expandEnv") && !started.has("x"));
        assert_eq!(started.expand("p = ${A} $A $B ${ $"), "p = 2 2  ${ $");
    }
}
