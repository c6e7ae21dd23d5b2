//! Directories that are served, and keys that lie below them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::lints;
use super::reader::NginxReader;
use super::syntax::Directive;
use crate::audit::facts::findings::NewFinding;
use crate::io::look::View;
use crate::model::audit::{Location, Target};
use crate::model::finding::Severity;

/// Every `root` and `alias`, with its line.
#[derive(Debug, Default)]
pub(super) struct Roots(BTreeMap<PathBuf, Location>);

impl Roots {
    /// Takes those of a block and of what is in it.
    pub(super) fn collect(&mut self, list: &[Directive], prefix: &Path) {
        for line in list {
            let value = line.arg();
            if matches!(line.name.as_str(), "root" | "alias") && !value.contains('$') && !value.is_empty() {
                self.0.entry(prefix.join(value)).or_insert_with(|| line.location());
            }
            self.collect(line.inside(), prefix);
        }
    }
}

/// Finds the keys below them. A worker reads files with its own account, so a key that only root may read is not given out.
pub(super) fn judge(reader: &mut NginxReader<'_>, roots: &Roots, worker: &str) {
    if roots.0.is_empty() {
        return;
    }
    let mut drafts = Vec::new();
    for pair in &reader.wiring.pairs {
        let Some(key) = &pair.key else { continue };
        let real = reader.view.real(key).ok();
        let ways = [Some(key.as_path()), real.as_deref()];
        let below = ways.into_iter().flatten().flat_map(Path::ancestors).find_map(|directory| roots.0.get_key_value(directory));
        let Some((directory, location)) = below else { continue };
        let draft = NewFinding::at(&lints::KEY_UNDER_ROOT, Target::new("nginx", pair.consumer.target.name.clone()), location.clone());
        let draft = draft.file(pair.consumer.location.clone()).file(Location::file(key));
        let draft = draft.expected("keys outside of what is served").found(format!("{} below {}", key.display(), directory.display()));
        drafts.push(if is_readable(reader.view, key, worker) {
            draft
        } else {
            draft.severity(Severity::Medium).evidence("the workers may not read it today")
        });
    }
    for draft in drafts {
        reader.findings.add(draft);
    }
}

fn is_readable(view: &View, key: &Path, worker: &str) -> bool {
    let Ok(meta) = view.meta(key) else { return true };
    let user = view.accounts().uid(worker) == Some(meta.uid) && meta.mode & 0o400 != 0;
    let group = meta.mode & 0o040 != 0 && view.accounts().members(meta.gid).iter().any(|member| member == worker);
    user || group || meta.mode & 0o004 != 0
}
