//! The Debian package: the same bytes from the same input, and what becomes of a host that it comes to and goes from. It is built of the
//! binary under test here; `./run package` builds it of a release binary.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::{guest, place, program};

/// Step; what dpkg says; the boot step, the timer, whether it waits; how many units failed.
const HOST: [&str; 32] = [
    "installed: installed 0.1.0-1; enabled enabled active; failed: 0",
    "/var/lib/omens root:root 700",
    "/run/omens root:root 755",
    "tss",
    "idle: installed 0.1.0-1; enabled enabled active; failed: 0",
    "3",
    "completes",
    "the example is right",
    "first success inactive 0 renewed",
    "taken success inactive 0 settled",
    "gen-1 served",
    "upgraded: installed 0.1.0-2; enabled enabled active; failed: 0",
    "gen-1 served",
    "quiet success inactive 0 skipped",
    "downgraded: installed 0.1.0-1; enabled disabled inactive; failed: 0",
    "removed: config-files 0.1.0-1; none none inactive; failed: 0",
    "no binary",
    "gen-1 served",
    "/etc/omens:",
    "omens.toml",
    "role-id",
    "root.pem",
    "",
    "/var/lib/omens/certs:",
    "web",
    "again: installed 0.1.0-2; enabled enabled active; failed: 0",
    "healthy",
    "active",
    "purged: absent; none none inactive; failed: 0",
    "omens.toml",
    "role-id",
    "root.pem",
];

fn cargo_deb() -> Option<PathBuf> {
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/lab/package/bin/cargo-deb");
    let found = if built.is_file() { Some(built) } else { program("cargo-deb") };
    if found.is_none() {
        crate::skipped("the Debian package: needs cargo-deb (./run test builds it, as root)");
    }
    found
}

fn build(cargo_deb: &Path, out: &Path, version: &str) {
    let mut command = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/build.sh"));
    command.arg(omens()).arg(out).arg(version).env("CARGO_DEB", cargo_deb).env("FAST", "1");
    let output = run(command, Duration::from_secs(300));
    assert_eq!(output.code, 0, "{}{}", output.stdout, output.stderr);
}

fn lines(command: &str, arguments: &[&str], package: &Path) -> Vec<String> {
    let mut command = Command::new(program(command).expect("dpkg-deb"));
    command.args(arguments).arg(package);
    let output = run(command, Duration::from_secs(60));
    assert_eq!(output.code, 0, "{}", output.stderr);
    output.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn the_package_is_reproducible_and_a_host_gets_it_keeps_its_certificates_and_gets_rid_of_it() {
    let Some(cargo_deb) = cargo_deb() else { return };
    let dir = place::directory("package");
    let [old, again, new] = ["old.deb", "again.deb", "new.deb"].map(|name| dir.join(name));
    for (package, version) in [(&old, "0.1.0-1"), (&again, "0.1.0-1"), (&new, "0.1.0-2")] {
        build(&cargo_deb, package, version);
    }
    assert!(std::fs::read(&old).unwrap() == std::fs::read(&again).unwrap(), "the same input gives another package");
    assert!(std::fs::read(&old).unwrap() != std::fs::read(&new).unwrap(), "another version gives the same package");
    std::fs::remove_file(again).unwrap();

    let files = lines("dpkg-deb", &["-c"], &old);
    for file in ["usr/bin/omens", "usr/lib/systemd/system/omens-restore.service", "usr/share/man/man1/omens.1.gz"] {
        assert!(files.iter().any(|line| line.ends_with(&format!("./{file}")) && line.contains(" 0/0 ")), "{file} of root: {files:#?}");
    }
    // Every file of units/ that somebody may need is in it.
    let mut units = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("units"), &mut units);
    for unit in &units {
        let ending = format!("/{}/{}", unit.parent().unwrap().file_name().unwrap().display(), unit.file_name().unwrap().display());
        let ending = ending.replace("/units/", "/system/");
        assert!(files.iter().any(|line| line.ends_with(&ending)), "units: {} is not in the package", unit.display());
    }
    let control = lines("dpkg-deb", &["-f"], &old);
    let field = |name: &str| control.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    // What the binary loads by name, nobody finds in it.
    for (fields, package) in
        [("Depends: ", "libc6 ("), ("Depends: ", "libtss2-esys"), ("Depends: ", "libtss2-tctildr0"), ("Recommends: ", "tcti-device0")]
    {
        assert!(field(fields).contains(package), "{package}: {control:#?}");
    }

    let options = ["-d".to_owned(), format!("{}:/opt/package", dir.display())];
    match guest::boot_with("package.sh", &[], Duration::from_secs(240), &options) {
        Err(why) => crate::skipped(&format!("the Debian package under a real systemd: {why}")),
        Ok(output) => {
            assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
            assert_eq!(output.stdout.lines().collect::<Vec<_>>(), HOST, "{}", output.stderr);
        }
    }
}

fn collect(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, into) } else { into.push(path) }
    }
}
