//! Whole answers of issuances that a script keeps in variables or files, and which halves of a pair it takes out of each. It must never take
//! two issuances for one pair where one answer gives both halves.

use std::collections::BTreeMap;

/// As many are followed.
const KEPT: usize = 50;

/// One answer that was kept.
#[derive(Debug)]
struct Kept {
    path: String,
    line: u32,
    certificate: bool,
    key: bool,
}

/// All of one script, by the name under which they are kept.
#[derive(Debug, Default)]
pub(super) struct Answers(BTreeMap<String, Kept>);

impl Answers {
    /// A line that issues and keeps the whole answer.
    pub(super) fn keep(&mut self, text: &str, path: &str, line: u32) {
        if let Some(name) = name(text).filter(|_| self.0.len() < KEPT) {
            self.0.insert(name, Kept { path: path.to_owned(), line, certificate: false, key: false });
        }
    }

    /// Another line, and what it takes.
    pub(super) fn take(&mut self, text: &str, certificate: bool, key: bool) {
        if !(certificate || key) {
            return;
        }
        let words: Vec<&str> = text.split(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '/' | '.' | '-'))).collect();
        for (name, kept) in &mut self.0 {
            // `answer["data"]`, `$ANSWER`, `answer.data`, `/tmp/answer.json`.
            if words.iter().any(|word| word == name || word.split('.').next() == Some(name.as_str())) {
                kept.certificate |= certificate;
                kept.key |= key;
            }
        }
    }

    /// Two issuances of one path of which one gives the certificate alone and the other the key alone: lines and path.
    pub(super) fn torn(&self) -> Option<(u32, u32, &str)> {
        let certificate = self.0.values().find(|kept| kept.certificate && !kept.key)?;
        let key = self.0.values().find(|kept| kept.key && !kept.certificate && kept.path == certificate.path)?;
        Some((certificate.line, key.line, &certificate.path))
    }
}

/// The variable that a line sets, or the file that it writes.
fn name(text: &str) -> Option<String> {
    let text = text.trim().trim_start_matches("local ").trim_start_matches("my ").trim_start_matches("export ");
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if let Some((left, _)) = text.split_once('=') {
        let left = left.trim().trim_start_matches('$');
        if is_name(left) {
            return Some(left.to_owned());
        }
    }
    let (_, file) = text.rsplit_once('>')?;
    let file = file.split_whitespace().next()?.trim_matches(['"', '\'']);
    (file.starts_with('/') && !file.contains('$')).then(|| file.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn torn(lines: &[(&str, Option<&str>)]) -> Option<(u32, u32)> {
        let mut answers = Answers::default();
        for (number, (text, path)) in (1..).zip(lines) {
            match path {
                Some(path) => answers.keep(text, path, number),
                None => answers.take(text, text.contains("certificate"), text.contains("private_key")),
            }
        }
        answers.torn().map(|(certificate, key, _)| (certificate, key))
    }

    #[test]
    fn halves_of_two_answers_are_torn_and_those_of_one_are_not() {
        let python = [
            ("c = client.write(\"pki_int/issue/web\")", Some("pki_int/issue/web")),
            ("save(c[\"data\"][\"certificate\"])", None),
            ("k = client.write(\"pki_int/issue/web\")", Some("pki_int/issue/web")),
            ("save(k[\"data\"][\"private_key\"])", None),
        ];
        assert_eq!(torn(&python), Some((1, 3)));
        let shell = [
            ("A=$(bao write -format=json pki_int/issue/web)", Some("pki_int/issue/web")),
            ("bao write -format=json pki_int/issue/web > /tmp/b.json", Some("pki_int/issue/web")),
            ("echo \"$A\" | jq -r .data.certificate > c", None),
            ("jq -r .data.private_key /tmp/b.json > k", None),
        ];
        assert_eq!(torn(&shell), Some((1, 2)));
        let sound = [
            ("a = issue(\"pki_int/issue/web\")", Some("pki_int/issue/web")),
            ("b = issue(\"pki_int/issue/db\")", Some("pki_int/issue/db")),
            ("save(a.certificate, a.private_key)", None),
            ("save(b.certificate); save(b.private_key)", None),
        ];
        assert_eq!(torn(&sound), None);
    }
}
