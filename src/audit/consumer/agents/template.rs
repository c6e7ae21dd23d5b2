//! One template of an agent: which secrets of a PKI it takes, and where it writes them.

use std::path::{Path, PathBuf};

use crate::audit::facts::hcl::Body;
use crate::io::look::View;

/// A part of an issuance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Half {
    Certificate,
    Key,
}

/// What a template takes of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Secret {
    /// `pki/issue/web`.
    pub(super) path: String,
    /// The whole call: the same words share one answer.
    pub(super) call: String,
    pub(super) half: Half,
    /// `pkiCert`, which keeps an answer of its own for each destination.
    pub(super) own_answer: bool,
}

/// A `template` block.
#[derive(Clone, Debug, Default)]
pub(super) struct Template {
    pub(super) file: PathBuf,
    pub(super) line: u32,
    pub(super) destinations: Vec<PathBuf>,
    pub(super) perms: Option<String>,
    /// Whether something is run after it was written.
    pub(super) tells: bool,
    pub(super) secrets: Vec<Secret>,
    /// The key goes into another file, with a mode of its own (`writeToFile`).
    pub(super) writes_key_itself: bool,
    /// Its source, where that is not there.
    pub(super) absent: Option<PathBuf>,
}

impl Template {
    pub(super) fn read(view: &View, file: &Path, block: &Body, line: u32) -> Self {
        let text = |key: &str| block.text(key).map(|(text, _)| text).filter(|text| !text.trim().is_empty());
        let source = text("source").map(PathBuf::from);
        let read = source.as_ref().map(|source| view.text(source));
        let absent = source.filter(|_| read.as_ref().is_some_and(|read| read.as_ref().is_err_and(|error| error.is_absent())));
        let contents = read.and_then(Result::ok).or_else(|| text("contents")).unwrap_or_default();
        let written = written(&contents);
        let destinations = text("destination").into_iter().map(PathBuf::from).chain(written.iter().map(|one| one.path.clone()));
        let run = block.bodies("exec").any(|(exec, _)| exec.get("command").is_some());
        Self {
            file: file.to_path_buf(),
            line,
            destinations: destinations.collect(),
            perms: text("perms"),
            tells: block.get("command").is_some_and(|item| !item.value.texts().iter().all(|word| word.trim().is_empty())) || run,
            secrets: secrets(&contents),
            writes_key_itself: written.iter().any(|one| one.is_key),
            absent,
        }
    }

    pub(super) fn halves(&self) -> impl Iterator<Item = Half> {
        self.secrets.iter().map(|secret| secret.half)
    }

    /// Whether what it writes is readable for others.
    pub(super) fn opens(&self) -> bool {
        let perms = self.perms.as_deref().map(|perms| u32::from_str_radix(perms.trim_start_matches("0o"), 8));
        perms.is_none_or(|perms| perms.is_ok_and(|perms| perms & 0o004 != 0))
    }
}

/// A file that `writeToFile` writes.
struct Written {
    path: PathBuf,
    is_key: bool,
}

fn written(text: &str) -> Vec<Written> {
    let lines = text.split("}}").filter(|part| part.contains("writeToFile"));
    let one = |part: &str| {
        let path = part.split('"').find(|word| word.starts_with('/'))?;
        Some(Written { path: PathBuf::from(path), is_key: part.contains(".Key") || part.contains("private_key") })
    };
    lines.filter_map(one).collect()
}

/// What a template takes of `secret "pki/issue/…"` and `pkiCert "pki/issue/…"`.
fn secrets(text: &str) -> Vec<Secret> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find("{{") {
        let action = rest.get(at + 2..).unwrap_or_default();
        let end = action.find("}}").unwrap_or(action.len());
        let (call, behind) = action.split_at_checked(end).unwrap_or((action, ""));
        rest = behind;
        let own_answer = call.contains("pkiCert ");
        if !(own_answer || call.contains("secret ")) || !(call.contains("/issue/") || call.contains("/sign/")) {
            continue;
        }
        let Some(path) = call.split('"').find(|word| word.contains("/issue/") || word.contains("/sign/")) else { continue };
        // Its fields stand up to the next call, or in the action itself.
        let until = behind.find("secret \"").or_else(|| behind.find("pkiCert \"")).unwrap_or(behind.len());
        let fields = format!("{call}{}", behind.get(..until).unwrap_or_default());
        let words = call.split_whitespace().skip_while(|word| !matches!(*word, "secret" | "pkiCert")).collect::<Vec<_>>().join(" ");
        let has = |names: &[&str]| names.iter().any(|name| fields.contains(name));
        for (half, names) in
            [(Half::Certificate, &[".certificate", ".Cert", "\"certificate\""]), (Half::Key, &[".private_key", ".Key", "\"private_key\""])]
        {
            if has(names) {
                found.push(Secret { path: path.to_owned(), call: words.clone(), half, own_answer });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_halves_of_an_issuance_are_read_out_of_a_template() {
        for (text, expected) in [
            ("{{ with secret \"pki/issue/web\" \"ttl=24h\" }}{{ .Data.certificate }}{{ end }}", vec![Half::Certificate]),
            ("{{ with secret \"pki/issue/web\" \"ttl=24h\" }}{{ .Data.private_key }}{{ end }}", vec![Half::Key]),
            (
                "{{- with pkiCert \"pki/issue/web\" \"common_name=a\" -}}{{ .Cert }}{{ .CA }}{{ .Key | writeToFile \"/k\" \"a\" \"a\" \"0600\" }}{{- end -}}",
                vec![Half::Certificate, Half::Key],
            ),
            ("{{ with secret \"kv/data/x\" }}{{ .Data.data.certificate }}{{ end }}", vec![]),
            ("{{ with secret", vec![]),
        ] {
            let found: Vec<Half> = secrets(text).into_iter().map(|secret| secret.half).collect();
            assert_eq!(found, expected, "{text}");
        }
        let both = secrets(
            "{{ with secret \"pki/issue/a\" \"ttl=1h\" }}{{ .Data.certificate }}{{ end }}{{ with secret \"pki/issue/a\" \"ttl=2h\" }}{{ .Data.private_key }}{{ end }}",
        );
        assert!(both[0].call != both[1].call && both[0].half == Half::Certificate && both[1].half == Half::Key);
        assert!(written("{{ .Key | writeToFile \"/k\" \"a\" \"a\" \"0600\" }}")[0].is_key);
    }
}
