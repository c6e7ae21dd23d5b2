//! The first line of a script that is run by its path: the kernel takes it for the name of an interpreter, byte by byte.

use std::path::Path;

use crate::io::look::View;

const BOM: &[u8] = b"\xef\xbb\xbf";
/// The kernel reads this much of a file.
const FIRST: usize = 256;
/// Where `env` finds programs in the environment of a service, and of cron.
const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What is wrong with the first line of what is run.
pub(super) struct FirstLine {
    pub(super) expected: String,
    pub(super) found: String,
    /// The interpreter is not there, which a copy of a host may have been made without.
    pub(super) absent: bool,
}

/// Judges the first line of what is run by its path.
pub(super) fn fault(view: &View, path: &Path) -> Option<FirstLine> {
    let bytes = view.bytes(path).ok()?;
    first(view, bytes.get(..FIRST).unwrap_or(&bytes))
}

fn first(view: &View, bytes: &[u8]) -> Option<FirstLine> {
    let written = |expected: &str, found: String| Some(FirstLine { expected: expected.to_owned(), found, absent: false });
    if bytes.strip_prefix(BOM).is_some_and(|rest| rest.starts_with(b"#!")) {
        return written("#! as the first two bytes", "a byte order mark before #!".to_owned());
    }
    let line = bytes.strip_prefix(b"#!")?.split(|byte| *byte == b'\n').next()?;
    let text = std::str::from_utf8(line).ok()?;
    if text.ends_with('\r') {
        let found = format!("#!{}\\r: no interpreter has that name", text.trim_end());
        return written("line ends of Unix (sed -i 's/\\r$//')", found);
    }
    let mut words = text.split_whitespace();
    let interpreter = words.next()?;
    let program =
        if interpreter.ends_with("/env") { words.find(|word| !word.starts_with('-') && !word.contains('='))? } else { interpreter };
    let found = format!("#!{}: there is no {program}", text.trim());
    (!is_there(view, program)).then(|| FirstLine { expected: program.to_owned(), found, absent: true })
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
