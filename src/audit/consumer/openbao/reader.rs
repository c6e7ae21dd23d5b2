//! One server's configuration while it is read, and how findings name it.

use std::path::{Path, PathBuf};

use super::program::OPENBAO;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::audit::facts::hcl::{Body, Value};
use crate::audit::facts::wiring::{Consumer, Wiring};
use crate::io::look::View;
use crate::judge::lint::Lint;
use crate::model::audit::{Location, Object, Target};

pub(super) struct OpenBaoReader<'a> {
    pub(super) view: &'a View,
    pub(super) findings: &'a mut HostFindings,
    pub(super) wiring: Wiring,
    pub(super) file: PathBuf,
}

impl<'a> OpenBaoReader<'a> {
    pub(super) fn new(view: &'a View, file: &Path, findings: &'a mut HostFindings, wiring: Wiring) -> Self {
        Self { view, findings, wiring, file: file.to_path_buf() }
    }

    /// Whether it is Vault's: it keeps what OpenBao has dropped.
    pub(super) fn is_vault(&self) -> bool {
        self.file.components().any(|part| part.as_os_str().to_string_lossy().starts_with("vault"))
    }

    pub(super) fn service(&self) -> &'static str {
        if self.is_vault() { "vault" } else { "openbao" }
    }

    /// A finding at a key of a block; two keys of one file are two things.
    pub(super) fn draft(&self, lint: &'static Lint, name: &str, key: &str, line: u32) -> NewFinding {
        let object = Object::File(format!("{}#{name}.{key}", self.file.display()));
        NewFinding::new(lint, Target::new("openbao", name).at_line(Some(line)), object).file(Location::line(&self.file, line))
    }

    pub(super) fn add(&mut self, draft: NewFinding) {
        self.findings.add(draft);
    }

    pub(super) fn consumer(&self, name: &str, line: u32) -> Consumer {
        let target = Target::new("openbao", name).at_line(Some(line));
        Consumer { program: &OPENBAO, target, location: Location::line(&self.file, line) }
    }

    /// Relative names begin where the server was started, which only its unit tells; the root is where units start.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        let path = Path::new(name.trim());
        let beside = self.file.parent().unwrap_or(Path::new("/")).join(path);
        if path.is_absolute() || self.view.meta(&beside).is_ok() { beside } else { Path::new("/").join(path) }
    }
}

/// An option's text, where it is set and not empty.
pub(super) fn text(body: &Body, key: &str) -> Option<(String, u32)> {
    body.text(key).filter(|(text, _)| !text.trim().is_empty())
}

/// A boolean as Go's `strconv.ParseBool` has it; `Err` with what it is instead.
pub(super) fn flag(body: &Body, key: &str) -> Result<bool, (String, u32)> {
    let Some(item) = body.get(key) else { return Ok(false) };
    match &item.value {
        Value::Bool(flag) => Ok(*flag),
        Value::Text(text) | Value::Number(text) => match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
            "0" | "f" | "F" | "FALSE" | "false" | "False" | "" => Ok(false),
            other => Err((other.to_owned(), item.line)),
        },
        _ => Ok(false),
    }
}
