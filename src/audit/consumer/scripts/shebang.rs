//! The first line of a script that is run by its path: the kernel takes it for the name of an interpreter, byte by byte.

use std::path::Path;

use super::lints;
use super::run::Runner;
use crate::audit::facts::findings::{HostFindings, NewFinding};
use crate::io::look::View;
use crate::model::audit::Location;
use crate::model::finding::Severity;

const BOM: &[u8] = b"\xef\xbb\xbf";
/// The kernel reads this much of a file.
const FIRST: usize = 256;
/// Where `env` finds programs in the environment of a service, and of cron.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Judges the first line of what is run.
pub(super) fn judge(view: &View, runner: &Runner, path: &Path, findings: &mut HostFindings) {
    let Ok(bytes) = view.bytes(path) else { return };
    let Some((expected, found)) = fault(view, bytes.get(..FIRST).unwrap_or(&bytes)) else { return };
    let draft = NewFinding::at(&lints::FIRST_LINE, runner.target.clone(), runner.location.clone()).file(Location::line(path, 1));
    let draft = draft.expected(expected).found(found.words);
    // A copy may have been made without a program.
    findings.add(if found.absent && view.is_elsewhere() { draft.severity(Severity::Medium) } else { draft });
}

/// What is there.
struct Found {
    words: String,
    /// The interpreter is not there.
    absent: bool,
}

/// What is wrong with a beginning: what it should be, and what it is.
fn fault(view: &View, bytes: &[u8]) -> Option<(String, Found)> {
    let written = |words: String| Found { words, absent: false };
    if bytes.strip_prefix(BOM).is_some_and(|rest| rest.starts_with(b"#!")) {
        return Some(("#! as the first two bytes".to_owned(), written("a byte order mark before #!".to_owned())));
    }
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let text = std::str::from_utf8(line).ok()?;
    if text.ends_with('\r') {
        return Some((
            "line ends of Unix (sed -i 's/\\r$//')".to_owned(),
            written(format!("#!{}\\r: no interpreter has that name", text.trim_end())),
        ));
    }
    let mut words = text.split_whitespace();
    let interpreter = words.next()?;
    let program =
        if interpreter.ends_with("/env") { words.find(|word| !word.starts_with('-') && !word.contains('='))? } else { interpreter };
    (!is_there(view, program))
        .then(|| (program.to_owned(), Found { words: format!("#!{}: there is no {program}", text.trim()), absent: true }))
}

/// Whether an interpreter is there. A copy of a host is made without most programs: only a directory of it that holds some speaks of others.
fn is_there(view: &View, program: &str) -> bool {
    let has = |path: &Path| view.meta(path).is_ok() || view.link(path).is_some();
    if !program.starts_with('/') {
        return view.is_elsewhere() || PATH.iter().any(|directory| has(&Path::new(directory).join(program)));
    }
    let path = Path::new(program);
    // /bin is a link to /usr/bin where the two were joined.
    let system = program.strip_prefix("/bin/").map(|name| Path::new("/usr/bin").join(name));
    let speaks = |directory: &Path| !view.is_elsewhere() || view.list(directory).is_ok_and(|names| !names.is_empty());
    let of_distribution =
        view.is_elsewhere() && ["/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/"].iter().any(|start| program.starts_with(start));
    has(path) || system.is_some_and(|path| has(&path)) || of_distribution || !path.parent().is_some_and(speaks)
}
