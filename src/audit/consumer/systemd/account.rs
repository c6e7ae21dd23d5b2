//! The account and group that a unit runs as: whether they are there.

use std::path::Path;

use super::lints;
use super::unit::Unit;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::io::look::View;

/// Where accounts are listed that systemd-sysusers makes at a boot.
const SYSUSERS: [&str; 4] = ["/etc/sysusers.d", "/usr/lib/sysusers.d", "/lib/sysusers.d", "/run/sysusers.d"];

/// Judges `User=` and `Group=` by passwd and group. An account of a directory service is not in them, so that this is never more than a hint.
pub(super) fn judge(view: &View, unit: &Unit, findings: &mut HostFindings) {
    let is_on = |key: &str| unit.get("Service", key).is_some_and(|setting| matches!(setting.value.as_str(), "yes" | "true" | "1" | "on"));
    if is_on("DynamicUser") {
        return;
    }
    for (key, list) in [("User", "/etc/passwd"), ("Group", "/etc/group")] {
        let Some(setting) = unit.get("Service", key).filter(|_| view.is_file(Path::new(list))) else { continue };
        let name = setting.value.as_str();
        let odd = name.is_empty() || name.contains(['%', '$']) || name.bytes().all(|byte| byte.is_ascii_digit());
        let accounts = view.accounts();
        let known = if key == "User" { accounts.uid(name).is_some() } else { accounts.gid(name).is_some() };
        if !odd && !known && !is_made(view, name) {
            let draft = NewFinding::at(&lints::ACCOUNT_ABSENT, unit.target(), setting.location());
            findings.add(draft.expected(format!("{name} in {list}")).found("no such name, and no sysusers.d file makes it"));
        }
    }
}

/// Whether systemd-sysusers makes it.
fn is_made(view: &View, name: &str) -> bool {
    SYSUSERS.iter().map(Path::new).any(|directory| {
        let files = view.list(directory).unwrap_or_default();
        files
            .iter()
            .filter_map(|file| view.text(&directory.join(file)).ok())
            .any(|text| text.lines().any(|line| line.split_whitespace().nth(1) == Some(name)))
    })
}
