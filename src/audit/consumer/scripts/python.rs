//! Scripts in other languages than the shell, as far as they write files: `open("…", "w")` and its like in Python, Perl and Ruby. It must
//! never be taken for a parser of any of them.

use std::collections::BTreeMap;
use std::path::Path;

use super::shell::Line;

/// As many names are kept.
const NAMES: usize = 200;

/// Whether a script is none of the shell's, by its first line or its name.
pub(super) fn is_foreign(path: &Path, text: &str) -> bool {
    let first = text.lines().next().filter(|line| line.starts_with("#!")).unwrap_or_default();
    let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    ["python", "perl", "ruby", "node"].iter().any(|name| first.contains(name)) || (first.is_empty() && matches!(ending, "py" | "pl" | "rb"))
}

/// Its lines without those that are comments.
pub(super) fn lines(text: &str) -> Vec<Line> {
    let all = (1_u32..).zip(text.lines());
    all.filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .map(|(number, line)| Line::new(number, line))
        .collect()
}

/// What a line does with files.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Files that are written where they are.
    pub(super) written: Vec<String>,
    /// Files that others become.
    pub(super) moved: Vec<String>,
    /// A mode for the new file stands in the line.
    pub(super) hidden: bool,
    /// A umask that leaves nothing to others is set.
    pub(super) umask: bool,
}

/// Names that were given a path: `CERT = "/etc/x.pem"`.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Takes in an assignment.
    pub(super) fn learn(&mut self, line: &str) {
        let Some((name, value)) = line.split_once('=') else { return };
        let name = name.trim().trim_start_matches("my ").trim_start_matches('$');
        let sound = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let path = quoted(value.trim()).filter(|path| sound && path.starts_with('/') && self.0.len() < NAMES);
        if let Some(path) = path {
            self.0.insert(name.to_owned(), path.to_owned());
        }
    }

    /// What a line does.
    pub(super) fn line(&self, line: &str) -> Seen {
        let mut seen = Seen {
            hidden: ["0o600", "0o640", "0600", "0640", "S_IRUSR"].iter().any(|mode| line.contains(mode)),
            umask: line.contains("umask(") && ["0o077", "0o77", "077", "0o027", "63"].iter().any(|mode| line.contains(mode)),
            ..Seen::default()
        };
        for (at, _) in line.match_indices("open(") {
            let inside = line.get(at + 5..).unwrap_or_default();
            let rest = inside.split(')').next().unwrap_or_default();
            let writes = ["\"w", "'w", "'>", "\">", "O_WRONLY", "O_TRUNC"].iter().any(|mode| rest.contains(mode));
            if writes {
                seen.written.extend(rest.split(',').filter_map(|argument| self.path(argument)));
            }
        }
        for call in [".write_text(", ".write_bytes("] {
            if let Some((before, _)) = line.split_once(call) {
                let argument = before.rsplit_once("Path(").map_or(before.trim(), |(_, inside)| inside.trim_end_matches(')'));
                seen.written.extend(self.path(argument));
            }
        }
        for call in ["os.replace(", "os.rename(", "shutil.move(", "rename(", "File.rename("] {
            if let Some((_, inside)) = line.split_once(call) {
                seen.moved.extend(inside.split(')').next().unwrap_or_default().split(',').filter_map(|argument| self.path(argument)));
            }
        }
        seen
    }

    /// The path that an argument names.
    fn path(&self, argument: &str) -> Option<String> {
        let argument = argument.trim().trim_start_matches(['>', '<', ' ']);
        let name = argument.trim_start_matches('$');
        let path = quoted(argument).map(|path| path.trim_start_matches(['>', ' ']).to_owned()).or_else(|| self.0.get(name).cloned())?;
        path.starts_with('/').then_some(path)
    }
}

/// What stands in quotes at the beginning of a text.
fn quoted(text: &str) -> Option<&str> {
    let text = text.trim_start_matches(['r', 'b', 'f', 'u']);
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    text.get(1..)?.split(quote).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_moved_and_hidden_is_seen() {
        let mut names = Names::default();
        names.learn("KEY = '/etc/x.key'");
        names.learn("my $crt = \"/etc/x.crt\";");
        for (line, written) in [
            ("open(\"/etc/a.pem\", \"w\").write(x)", vec!["/etc/a.pem"]),
            ("with open(KEY, 'wb') as f:", vec!["/etc/x.key"]),
            ("Path(\"/etc/b.pem\").write_text(x)", vec!["/etc/b.pem"]),
            ("open(my $f, '>', $crt)", vec!["/etc/x.crt"]),
            ("open(\"/etc/a.pem\").read()", vec![]),
            ("f = open(tmp, \"w\")", vec![]),
        ] {
            assert_eq!(names.line(line).written, written, "{line}");
        }
        assert_eq!(names.line("os.replace(\"/etc/x.new\", KEY)").moved, ["/etc/x.new", "/etc/x.key"]);
        assert!(names.line("os.umask(0o077)").umask && names.line("fd = os.open(KEY, os.O_WRONLY, 0o600)").hidden);
    }
}
