//! One private directory per process, removed when the process is gone, however it goes. It must never remove anything else.

use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

struct Place {
    root: PathBuf,
    janitor: Child,
    /// Held open as long as this process lives: its end tells the janitor.
    _alive: Option<ChildStdin>,
}

static PLACE: Mutex<Option<Place>> = Mutex::new(None);

/// Waits for the end of its standard input, then removes the directory. Servers may still be dying, hence the second tries.
const JANITOR: &str = r#"trap '' INT TERM HUP; cat >/dev/null
for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" "$2" 2>/dev/null; [ -e "$1" ] || [ -e "$2" ] || exit 0; sleep 0.3; done"#;

/// The directory of this process, made at first use.
pub fn root() -> PathBuf {
    let mut place = PLACE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    place.get_or_insert_with(make).root.clone()
}

fn make() -> Place {
    let root = tempfile::Builder::new().prefix("omens-lab-").tempdir().expect("a private directory").keep();
    let root = root.canonicalize().expect("its real path");
    // Others may walk through it: consumers of another user read their certificates below it.
    std::fs::set_permissions(&root, std::os::unix::fs::PermissionsExt::from_mode(0o711)).expect("mode");
    let mut command = Command::new("setsid");
    if std::env::var_os("OMENS_LAB_KEEP").is_some() {
        eprintln!("lab: kept after the end: {}", root.display());
        command = Command::new("cat");
    } else {
        command.args(["sh", "-c", JANITOR, "omens-lab-janitor"]).arg(&root).arg(memory_beside(&root));
    }
    let mut janitor = command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .expect("the janitor (util-linux)");
    let alive = janitor.stdin.take();
    Place { root, janitor, _alive: alive }
}

/// A new directory of this name below [`root`], mode 0700.
pub fn directory(name: &str) -> PathBuf {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let path = root().join(format!("{name}-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
    make_private(&path);
    path
}

fn memory_beside(root: &Path) -> PathBuf {
    Path::new("/dev/shm").join(root.file_name().expect("a name"))
}

/// A new directory of this name in memory, mode 0700: where sealed keys may lie in clear.
pub fn in_memory(name: &str) -> PathBuf {
    let top = memory_beside(&root());
    make_private(&top);
    std::fs::set_permissions(&top, std::os::unix::fs::PermissionsExt::from_mode(0o711)).expect("mode");
    let path = top.join(directory(name).file_name().expect("a name"));
    make_private(&path);
    path
}

/// What lies on a disk while the rest is in memory: the bench gives `OMENS_LAB_DISK`, since a CA's disk is not its client's and /run is none.
pub fn on_disk(path: &Path) -> PathBuf {
    match (std::env::var_os("OMENS_LAB_DISK"), path.strip_prefix(root())) {
        (Some(disk), Ok(below)) => {
            let path = PathBuf::from(disk).join(below);
            make_private(path.parent().expect("a parent"));
            path
        }
        _ => path.to_path_buf(),
    }
}

/// Makes a directory with mode 0700.
pub fn make_private(path: &Path) {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path).expect("a private directory");
}

/// Writes a file with mode 0600.
pub fn write_secret(path: &Path, text: &str) {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path).expect("a secret file");
    file.write_all(text.as_bytes()).expect("write");
}

/// Removes the directory now and waits until that is done: for programs that promise to leave nothing.
/// What was started must have been ended before.
pub fn clean_up() {
    let place = PLACE.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    if let Some(Place { mut janitor, _alive, .. }) = place {
        drop(_alive);
        janitor.wait().ok();
    }
}
