//! Where administrators keep scripts.

use std::path::{Path, PathBuf};

use crate::io::look::View;

/// As many directory entries are looked at.
const ENTRIES: usize = 20_000;

/// Directories, and how far below them scripts are line for. In the first ones programs lie as well, so that a name need not tell.
const PLACES: &[(&str, usize)] = &[
    ("/usr/local/bin", 0),
    ("/usr/local/sbin", 0),
    ("/etc/letsencrypt/renewal-hooks", 1),
    ("/etc/omens", 1),
    ("/etc/keylime", 1),
    ("/etc/spire", 1),
    ("/etc/nginx", 1),
    ("/etc/openbao", 1),
    ("/etc/vault.d", 1),
    ("/etc/ssl", 1),
    ("/root", 2),
    ("/opt", 4),
    ("/srv", 3),
    ("/home", 3),
];

/// Whether a name says that it is a script.
pub(super) fn is_script_name(name: &str) -> bool {
    [".sh", ".bash", ".py", ".pl"].iter().any(|end| name.ends_with(end))
}

/// The scripts at the usual places, copies that lie beside them too.
pub(super) fn usual(view: &View) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut left = ENTRIES;
    for (location, depth) in PLACES {
        let any = *location == "/usr/local/bin" || *location == "/usr/local/sbin" || location.ends_with("renewal-hooks");
        walk(view, Path::new(location), *depth, any, &mut left, &mut found);
    }
    found
}

fn walk(view: &View, directory: &Path, depth: usize, any: bool, left: &mut usize, found: &mut Vec<PathBuf>) {
    for name in view.list(directory).unwrap_or_default() {
        if *left == 0 {
            return;
        }
        *left -= 1;
        let path = directory.join(&name);
        // A link may lead context in circles; what it leads to is found where it lies.
        if view.link(&path).is_some_and(|_| !view.is_file(&path)) {
            continue;
        }
        let copy = name.contains(".sh.") || name.ends_with(".sh~");
        if is_script_name(&name) || copy || (any && view.is_file(&path)) {
            found.push(path);
        } else if depth > 0 && !name.starts_with('.') && view.is_directory(&path) {
            walk(view, &path, depth - 1, any, left, found);
        }
    }
}
