//! What is written through memory that was mapped may bear no time: whom a file's owner and mode let in may write it that way.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{noted, said, said_either_way};
use crate::lab::child::run;
use crate::lab::estate::Cert;
use crate::lab::hostile::Hostile;
use crate::lab::place;

/// A user that no host has.
const SOMEBODY: u32 = 12_345;

/// The page is read before it is written.
const WRITE: &str = "import mmap, sys
file = open(sys.argv[1], 'r+b')
memory = mmap.mmap(file.fileno(), 0)
middle = len(memory) // 2
memory[middle] = memory[middle] ^ 1";

fn write_mapped(path: &Path) {
    let mut command = Command::new("/usr/bin/python3");
    command.args(["-ISc", WRITE]).arg(path).uid(SOMEBODY).gid(SOMEBODY).current_dir("/");
    let done = run(command, Duration::from_secs(20));
    assert_eq!(done.code, 0, "{done:?}");
}

#[test]
fn what_its_owner_writes_to_a_key_in_memory_through_a_mapping_is_found() {
    if !rustix::process::geteuid().is_root() {
        return crate::skipped("a key of another user that is written through a mapping: this is not root");
    }
    if !Path::new("/usr/bin/python3").exists() {
        return crate::skipped("a key of another user that is written through a mapping: there is no /usr/bin/python3");
    }
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.run = place::in_memory("run");
    fs::set_permissions(&estate.run, fs::Permissions::from_mode(0o755)).unwrap();
    estate.certs = vec![Cert { extra: format!("owner = \"{SOMEBODY}\"\n"), ..Cert::web("theirs") }, Cert::web("ours")];
    estate.write();
    estate.renew().expect(0, "theirs", "renewed");
    assert_eq!(noted(&estate).keys().collect::<Vec<_>>(), ["ours"]);
    let key = estate.run_dir().join("theirs/gen-1/key.pem");
    let times = || fs::metadata(&key).map(|meta| (meta.uid(), meta.ctime(), meta.ctime_nsec(), meta.mtime(), meta.mtime_nsec())).unwrap();
    let (before, healthy, bytes) = (times(), said(&estate), fs::read(&key).unwrap());
    assert_eq!(before.0, SOMEBODY);
    write_mapped(&key);
    assert_ne!(fs::read(&key).unwrap(), bytes);
    if times() != before {
        // Then nothing had to be kept from being noted here.
        eprintln!("this kernel dates what is written through a mapping in memory");
    }
    let [plan, _] = said_either_way(&estate, "somebody wrote to his key");
    let due = |document: &serde_json::Value| {
        ["ours", "theirs"].map(|name| {
            let certificates = document["certificates"].as_array().unwrap();
            certificates.iter().find(|one| one["name"] == name).unwrap()["due"].clone()
        })
    };
    assert_eq!((due(&healthy[0]), due(&plan)), ([false.into(), false.into()], [false.into(), true.into()]), "{plan}");
}
