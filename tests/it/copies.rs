//! Copies for consumers: what was there before is kept aside, and a copy that was changed is written again without a signature.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::Hostile;
use crate::web::{issued, warned};

fn with_copies(estate: Estate) -> Estate {
    let dir = estate.dir.join("consumer");
    std::fs::create_dir(&dir).unwrap();
    let install = format!(
        "install = [ {{ dir = \"{}\", cert = \"server.crt\", key = \"server.key\", ca = \"ca.crt\", as = \"copy\" }} ]\n",
        dir.display()
    );
    let estate = Estate { certs: vec![Cert { extra: install, ..Cert::web("web") }], ..estate };
    estate.write();
    estate
}

#[test]
fn a_file_that_is_not_ours_is_kept_aside_by_whoever_comes_first() {
    let hostile = Hostile::start();
    for command in [&["renew", "--all"][..], &["install"]] {
        let estate = hostile.estate();
        if command == ["install"] {
            estate.renew().expect(0, "web", "renewed");
        }
        let estate = with_copies(estate);
        let dir = estate.dir.join("consumer");
        std::fs::write(dir.join("server.key"), "-----BEGIN PRIVATE KEY-----\nprecious\n").unwrap();
        std::fs::write(dir.join("ca.crt"), "somebody's authorities").unwrap();
        let run = estate.omens(command);
        assert_eq!(run.code, 0, "{run}");
        assert!(std::fs::read_to_string(dir.join("server.key.before-omens")).unwrap().contains("precious"), "{run}");
        assert_eq!(std::fs::read_to_string(dir.join("ca.crt.before-omens")).unwrap(), "somebody's authorities", "{run}");
        assert!(warned(&run, "kept-aside") && warned(&run, "plaintext-key"), "{run}");
        // Our own copies are simply renewed.
        let run = estate.force();
        run.expect(0, "web", "renewed");
        assert!(!warned(&run, "kept-aside"), "{run}");
        assert_eq!(std::fs::read(dir.join("server.key")).unwrap(), std::fs::read(estate.run_dir().join("web/live/key.pem")).unwrap());
        assert!(!dir.join("server.key.before-omens-2").exists());
    }
}

#[test]
fn a_copy_with_the_wrong_mode_or_content_is_mended_without_signing() {
    let (hostile, estate) = issued();
    let estate = with_copies(estate);
    estate.renew().expect(0, "web", "settled");
    let signed = || hostile.requests().iter().filter(|r| r.path.contains("/sign/")).count();
    let before = signed();
    let dir = estate.dir.join("consumer");
    let mend = |break_it: &dyn Fn(&Path)| {
        break_it(&dir);
        let plan = estate.omens(&["plan"]);
        assert_eq!(plan.reasons("web"), ["unpublished"], "{plan}");
        estate.renew().expect(0, "web", "settled");
        assert_eq!(estate.omens(&["status", "--due"]).code, 1);
    };
    mend(&|dir| std::fs::set_permissions(dir.join("server.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap());
    mend(&|dir| std::fs::remove_file(dir.join("ca.crt")).unwrap());
    mend(&|dir| std::fs::write(dir.join("server.crt"), "scribble").unwrap());
    assert_eq!(signed(), before);
}

/// Stand-ins for consumers that read no PEM: what they need is here, or the reason why it is not tried.
fn opens(tool: &str, arguments: &[&str]) -> Option<String> {
    crate::lab::program(tool)?;
    let output = std::process::Command::new(tool).args(arguments).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{tool} {arguments:?}: {said}");
    Some(said)
}

/// A certificate with every container, as links and as copies, and the file of their password.
struct Containers {
    hostile: Hostile,
    estate: Estate,
    dir: PathBuf,
    password: PathBuf,
}

impl Containers {
    fn up() -> Self {
        let hostile = Hostile::start();
        let estate = hostile.estate();
        let (dir, password) = (estate.dir.join("consumer"), estate.dir.join("password"));
        std::fs::create_dir(&dir).unwrap();
        let (shown, secret) = (dir.display(), password.display());
        let install = format!(
            "install = [ {{ dir = \"{shown}\", pkcs12 = \"web.p12\", jks = \"web.jks\", password = \"file:{secret}\" }},\n\
             {{ dir = \"{shown}\", pkcs12 = \"copy.p12\", jks = \"copy.jks\", password = \"file:{secret}\", as = \"copy\" }},\n\
             {{ dir = \"{shown}\", combined = \"key-first.pem\", order = \"key-first\" }} ]\n"
        );
        let estate = Estate { certs: vec![Cert { extra: install, ..Cert::web("web") }], ..estate };
        estate.write();
        Self { hostile, estate, dir, password }
    }

    fn secret(&self, word: &str) {
        std::fs::write(&self.password, format!("{word}\n")).unwrap();
        std::fs::set_permissions(&self.password, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }

    fn file(&self, name: &str) -> String {
        self.dir.join(name).display().to_string()
    }

    fn live(&self, name: &str) -> PathBuf {
        self.estate.run_dir().join("web/live").join(name)
    }

    fn copies(&self) -> [Vec<u8>; 2] {
        ["copy.p12", "copy.jks"].map(|name| std::fs::read(self.dir.join(name)).unwrap())
    }

    #[track_caller]
    fn are_healthy(&self) {
        let status = self.estate.omens(&["status"]);
        assert_eq!((status.code, status.reasons("web")), (0, vec!["fresh"]), "{status}");
    }

    /// What is wrong is seen, and mended without a signature.
    #[track_caller]
    fn are_mended(&self) {
        let signed = self.hostile.signed();
        let plan = self.estate.omens(&["plan"]);
        assert_eq!(plan.reasons("web"), ["unpublished"], "{plan}");
        self.estate.renew().expect(0, "web", "settled");
        self.are_healthy();
        assert_eq!(self.hostile.signed(), signed);
    }

    fn open_with_openssl(&self) -> Option<()> {
        for name in ["web.p12", "copy.p12"] {
            let said = opens("openssl", &["pkcs12", "-in", &self.file(name), "-passin", "pass:Eye-of-Thundera", "-nodes", "-info"])?;
            assert!(said.contains("PBES2, PBKDF2, AES-256-CBC, Iteration 10000, PRF hmacWithSHA256"), "{said}");
            assert_eq!(said.matches("BEGIN CERTIFICATE").count(), 2, "{said}");
            let key = std::fs::read_to_string(self.live("key.pem")).unwrap();
            assert!(said.contains(&key), "{said}");
        }
        Some(())
    }

    fn open_with_keytool(&self) -> Option<()> {
        let leaf = self.estate.published_leaf("web").unwrap();
        for name in ["web.p12", "copy.p12", "web.jks", "copy.jks"] {
            let kind = if name.ends_with("p12") { "PKCS12" } else { "JKS" };
            let file = self.file(name);
            let store = ["-storetype", kind, "-keystore", &file, "-storepass", "Eye-of-Thundera"];
            let said = opens("keytool", &[&["-list", "-v"][..], &store].concat())?;
            let sha256 = said.replace(':', "").to_lowercase();
            assert!(said.contains("PrivateKeyEntry") && said.contains("chain length: 2") && sha256.contains(&leaf), "{name}: {said}");
            // The key itself opens: it is asked to sign.
            let request = opens("keytool", &[&["-certreq", "-alias", "web"][..], &store].concat())?;
            assert!(request.contains("BEGIN NEW CERTIFICATE REQUEST"), "{name}: {request}");
            assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600, "{name}");
        }
        Some(())
    }
}

#[test]
fn consumers_without_pem_open_what_they_are_given_and_nothing_is_signed_without_its_password() {
    let containers = Containers::up();
    let Containers { estate, hostile, .. } = &containers;
    // A word that keytool would refuse is refused here.
    for word in [None, Some("short")] {
        word.into_iter().for_each(|word| containers.secret(word));
        assert_eq!(estate.omens(&["check-config"]).code, 2);
        estate.renew().expect(1, "web", "failed").because("web", "publish/unreadable");
        assert_eq!(hostile.signed(), 0);
    }
    containers.secret("Eye-of-Thundera");
    assert_eq!(estate.omens(&["check-config"]).code, 0);
    estate.renew().expect(0, "web", "renewed");
    estate.omens(&["install"]).expect(0, "web", "installed");
    estate.renew();
    containers.are_healthy();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let expected = format!("{}{}", read(&containers.live("key.pem")), read(&containers.live("fullchain.pem")));
    assert_eq!(read(Path::new(&containers.file("key-first.pem"))), expected);
    if containers.open_with_openssl().is_none() {
        crate::skipped("PKCS #12: there is no openssl");
    }
    if containers.open_with_keytool().is_none() {
        crate::skipped("keystores of Java: there is no keytool (Debian: a JRE)");
    }
}

#[test]
fn containers_are_compared_by_what_is_in_them_and_written_anew_only_where_that_differs() {
    let containers = Containers::up();
    let Containers { estate, dir, password, .. } = &containers;
    containers.secret("Eye-of-Thundera");
    estate.renew().expect(0, "web", "renewed");
    estate.omens(&["install"]).expect(0, "web", "installed");
    estate.renew();
    // No two files of this kind are equal: they stay all the same, also after a boot.
    let before = containers.copies();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    estate.omens(&["restore"]).expect(0, "web", "restored");
    estate.renew().expect(0, "web", "not-due");
    assert_eq!(before, containers.copies());
    containers.are_healthy();
    // Another file with the right name; one that is gone; another password.
    std::fs::copy(dir.join("copy.jks"), dir.join("copy.p12")).unwrap();
    containers.are_mended();
    std::fs::remove_file(containers.live("keystore.p12")).unwrap();
    containers.are_mended();
    containers.secret("Book-of-Omens");
    containers.are_mended();
    opens("openssl", &["pkcs12", "-in", &containers.file("web.p12"), "-passin", "pass:Book-of-Omens", "-noout"]);
    // Ours, although nobody can look into the old ones any more; what somebody else wrote is not, whatever its password.
    let aside = |name: &str| dir.join(format!("{name}.before-omens")).exists();
    let copied = std::fs::read(dir.join("copy.jks")).unwrap();
    assert_eq!([aside("copy.p12"), aside("copy.jks")], [true, false], "only the foreign file of above was kept aside");
    std::fs::write(dir.join("copy.jks"), &containers.copies()[0]).unwrap();
    containers.are_mended();
    assert!(aside("copy.jks") && std::fs::read(dir.join("copy.jks")).unwrap() != copied);
    std::fs::remove_file(dir.join("copy.jks.before-omens")).unwrap();
    // A killed run may have noted what it did not come to write.
    containers.secret("Sword-of-Omens");
    containers.are_mended();
    assert!(!aside("copy.jks") && !dir.join("copy.p12.before-omens-2").exists());
    containers.secret("Book-of-Omens");
    containers.are_mended();
    // Without the password a boot publishes the rest, and says what is missing.
    std::fs::remove_file(password).unwrap();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    let run = estate.omens(&["restore"]);
    run.expect(1, "web", "failed").because("web", "publish/container-not-made");
    assert!(warned(&run, "container-not-made") && run.cert("web")["not_after"].is_string(), "{run}");
    assert!(containers.live("key.pem").exists() && !containers.live("keystore.p12").exists());
    // It goes on being said until it is mended.
    estate.omens(&["restore"]).expect(1, "web", "failed");
    assert_eq!(estate.omens(&["status"]).code, 1);
    containers.secret("Book-of-Omens");
    containers.are_mended();
    // With the next generation all of them are new.
    let before = containers.copies();
    estate.force().expect(0, "web", "renewed");
    assert!(before.iter().zip(containers.copies()).all(|(before, after)| *before != after));
    containers.are_healthy();
}

/// `install`, killed at the n-th call of a kind; whether it came to that.
fn install_killed(estate: &Estate, call: &str, number: usize) -> Option<bool> {
    let omens = estate.command(&["install"]);
    let mut command = std::process::Command::new(crate::lab::program("strace")?);
    command.args(["-f", "-o", "/dev/null", "-e", &format!("trace={call}"), "-e", &format!("inject={call}:signal=KILL:when={number}")]);
    command.arg(omens.get_program()).args(omens.get_args()).env_clear().envs(omens.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let output = crate::lab::child::run(command, std::time::Duration::from_secs(60));
    assert!([0, 137].contains(&output.code), "{output:?}");
    Some(output.code == 137)
}

/// Whatever `install` was killed at, the one that is repeated keeps each foreign file aside once, as what it was.
#[test]
fn an_install_that_was_killed_and_repeated_keeps_each_file_aside_once() {
    for kind in ["", ", as = \"copy\""] {
        let (_hostile, estate) = issued();
        let dir = estate.dir.join("consumer");
        let install = format!("install = [ {{ dir = \"{}\", cert = \"server.crt\", key = \"server.key\"{kind} }} ]\n", dir.display());
        let estate = Estate { certs: vec![Cert { extra: install, ..Cert::web("web") }], ..estate };
        estate.write();
        for call in ["linkat", "symlinkat", "renameat", "fsync"] {
            for number in 1.. {
                std::fs::remove_dir_all(&dir).ok();
                std::fs::create_dir(&dir).unwrap();
                let foreign = ["server.crt", "server.key"].map(|file| (dir.join(file), format!("theirs: {file}")));
                foreign.iter().for_each(|(path, text)| std::fs::write(path, text).unwrap());
                let Some(killed) = install_killed(&estate, call, number) else {
                    return crate::skipped("an install that is killed at each call: there is no strace");
                };
                if !killed {
                    assert!(number > 1 || (call, kind.is_empty()) == ("symlinkat", false), "{call} was never called");
                    break;
                }
                let run = estate.omens(&["install"]);
                assert_eq!(run.code, 0, "{run}");
                let mut names: Vec<String> =
                    std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
                names.sort();
                let expected = ["server.crt", "server.crt.before-omens", "server.key", "server.key.before-omens"];
                assert_eq!(names, expected, "killed at {call} {number}{kind}: {run}");
                for (path, text) in &foreign {
                    let aside = std::path::PathBuf::from(format!("{}.before-omens", path.display()));
                    assert_eq!(&std::fs::read_to_string(aside).unwrap(), text, "{call} {number}");
                }
                assert!(!std::fs::read_to_string(dir.join("server.key")).unwrap().contains("theirs"));
            }
        }
    }
}
