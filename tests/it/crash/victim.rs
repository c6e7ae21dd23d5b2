//! A host whose two trees are where `crash.py` mounts its own, and the judging of what every cut left there (`left.py`).

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;

use crate::lab::child::run;
use crate::lab::estate::{Cert, Estate, omens};
use crate::lab::hostile::Hostile;
use crate::lab::pki::{Ca, CaKeys, pem_blocks, sha256};
use crate::lab::swtpm::Swtpm;
use crate::lab::{is_root, tool};

/// Signs what setup needs.
pub(super) const FIRST: &str = "\"$BIN\" --config \"$CONF\" renew --all";

/// The interpreter itself: where `python3` is a version manager's shim, each start of it takes longer than what it judges.
fn python() -> String {
    static PATH: OnceLock<String> = OnceLock::new();
    let ask = || {
        let mut command = Command::new("python3");
        command.args(["-ISc", "import sys; print(sys.executable)"]);
        run(command, Duration::from_secs(10)).stdout.trim().to_owned()
    };
    PATH.get_or_init(ask).clone()
}

/// How a run is cut, in the tool's words.
pub(super) type How = &'static [&'static str];
pub(super) const KILL: How = &["kill"];
pub(super) const POWER: How = &["power"];
/// At the calls that give what was written its name and its place; what lies between two of them looks the same after a loss of power.
pub(super) const POWER_AT_NAMES: How = &["power", "--calls", "renameat2?|fsync|fdatasync|mkdirat|symlinkat|unlinkat"];
pub(super) const KILL_AT_NAMES: How = &["kill", "--calls", "renameat2?|fsync|fdatasync|mkdirat|symlinkat|unlinkat"];
/// strace cannot tell a file's `write` from those that wake a thread or speak to a TPM, which never fail this way.
const BUT_WRITE: &str = "renameat2?|fsync|fdatasync|mkdirat|symlinkat|unlinkat|fchmod";
pub(super) const FULL: How = &["kill", "--error", "ENOSPC", "--calls", BUT_WRITE];
pub(super) const IO_ERROR: How = &["kill", "--error", "EIO", "--calls", BUT_WRITE];

/// A run that is cut, and what may be there afterwards. Generations by name; none is `None`.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) name: &'static str,
    /// Shell: the state before; it finds `BIN`, `CONF`, `DISK` and `RUN`.
    pub(super) setup: String,
    pub(super) program: Vec<&'static str>,
    /// What ends the program by itself: a renewal that is put back ends with 1.
    pub(super) ends_with: i32,
    /// What the state directory's `live` may name after a cut; the run directory's may name these or nothing.
    pub(super) may: Vec<Option<&'static str>>,
    /// What both must name where success was claimed.
    pub(super) done: &'static str,
    /// The next run, and how it may end.
    pub(super) next: Vec<&'static str>,
    pub(super) next_code: Vec<i32>,
    /// What is there after the next run, where that is always the same.
    pub(super) stays: Option<&'static str>,
    /// The file of roots that consumers have after the next run, and what they may have before.
    pub(super) roots: Option<[PathBuf; 2]>,
    /// Whether `state.json` is lost before the next run, which then has to stay with what is committed.
    pub(super) loses_state: bool,
    /// Where a service has to serve what is there after the next run.
    pub(super) served: Option<u16>,
}

impl Case {
    /// The first certificate of a host.
    pub(super) fn first_issue() -> Self {
        Self {
            name: "first issue",
            setup: "true".into(),
            program: vec!["renew", "--all"],
            may: vec![None, Some("gen-1")],
            done: "gen-1",
            ..Self::renewal()
        }
    }

    /// The second one.
    pub(super) fn renewal() -> Self {
        Self {
            name: "renewal",
            setup: FIRST.into(),
            program: vec!["renew", "--all", "--force"],
            ends_with: 0,
            may: vec![Some("gen-1"), Some("gen-2")],
            done: "gen-2",
            next: vec!["renew", "--all"],
            next_code: vec![0],
            stays: None,
            roots: None,
            loses_state: false,
            served: None,
        }
    }

    /// A person's way back from the second to the first.
    pub(super) fn rollback() -> Self {
        let setup = format!("{FIRST} && {FIRST} --force");
        Self { name: "rollback", setup, program: vec!["rollback", "web"], done: "gen-1", loses_state: true, ..Self::renewal() }
    }

    /// After a boot.
    pub(super) fn restore() -> Self {
        Self {
            name: "restore",
            setup: format!("{FIRST} && rm -rf \"$RUN\""),
            program: vec!["restore"],
            may: vec![Some("gen-1")],
            done: "gen-1",
            next: vec!["restore"],
            stays: Some("gen-1"),
            ..Self::renewal()
        }
    }
}

impl Case {
    /// The same certificate under a new sealing key.
    pub(super) fn reseal() -> Self {
        Self { name: "reseal", program: vec!["reseal"], ..Self::renewal() }
    }

    /// Two runs that both want to renew: the second waits for the lock, and then renews what the first has made.
    pub(super) fn at_once() -> Self {
        Self { name: "two runs at once", may: vec![Some("gen-1"), Some("gen-2"), Some("gen-3")], done: "gen-3", ..Self::renewal() }
    }
}

/// The host.
pub(super) struct Victim {
    /// It signs as long as it lives.
    _hostile: Hostile,
    pub(super) estate: Estate,
    swtpm: Option<Swtpm>,
}

impl Victim {
    /// With keys in files.
    pub(super) fn new() -> Self {
        Self::with(None)
    }

    /// With keys sealed to this TPM. Its own state lies outside of what is cut, as a chip's does.
    pub(super) fn sealed(swtpm: Swtpm) -> Self {
        Self::with(Some(swtpm))
    }

    fn with(swtpm: Option<Swtpm>) -> Self {
        let hostile = Hostile::start();
        let mut estate = hostile.estate();
        // The mount's own root is not ours to have modes on. The tool mounts a tmpfs where the run directory lies.
        std::fs::create_dir_all(estate.dir.join("disk")).unwrap();
        std::fs::create_dir_all(estate.dir.join("tmpfs")).unwrap();
        estate.run = estate.dir.join("tmpfs/run");
        if let Some(swtpm) = &swtpm {
            estate.certs[0] = Cert::web("web").sealed();
            estate.set_tpm(&swtpm.direct(), &[]);
        }
        let victim = Self { _hostile: hostile, estate, swtpm };
        victim.write();
        victim
    }

    /// For what is made beside the binary.
    pub(super) fn swtpm(&self) -> &Swtpm {
        self.swtpm.as_ref().unwrap()
    }

    /// The settings: those of the estate, but with the state directory on the disk that is cut.
    fn text(&self) -> String {
        let dir = self.estate.dir.display();
        self.estate.settings_text().replace(&format!("\"{dir}/state\""), &format!("\"{dir}/disk/state\""))
    }

    /// Writes the settings, and those of a boot beside: of a copy of the state, into a run directory of its own.
    pub(super) fn write(&self) {
        let (dir, text) = (self.estate.dir.display(), self.text());
        std::fs::write(self.estate.settings(), &text).unwrap();
        let beside = text.replace(&format!("\"{dir}/disk/state\""), &format!("\"{dir}/tmpfs/beside/state\""));
        std::fs::write(self.beside(), beside.replace(&format!("\"{dir}/tmpfs/run\""), &format!("\"{dir}/tmpfs/beside/run\""))).unwrap();
    }

    fn beside(&self) -> PathBuf {
        self.estate.dir.join("beside.toml")
    }

    /// From here on sealing keys are bound to a PCR; the first certificate was made before that.
    pub(super) fn with_another_sealing_key(&mut self) -> Case {
        let plain = self.keep_settings("plain.toml");
        let tcti = self.swtpm().direct();
        self.estate.set_tpm(&tcti, &[7]);
        self.write();
        let setup = format!("\"$BIN\" --config '{}' renew --all", plain.display());
        Case { name: "renewal that changes the sealing key", setup, ..Case::renewal() }
    }

    /// From here on another root is trusted beside the first; the certificate, whose consumers read both, was made before that.
    pub(super) fn with_another_root(&mut self) -> Case {
        let dir = self.estate.dir.clone();
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        self.estate.certs[0].extra =
            format!("install = [ {{ dir = \"{}/etc\", as = \"copy\", anchors = \"roots.pem\" }} ]\n", dir.display());
        self.write();
        let plain = self.keep_settings("plain.toml");
        let new = Ca::root("Another Eye", CaKeys::Ec);
        let (file, roots) = (dir.join("another.pem"), dir.join("roots.pem"));
        std::fs::write(&file, &new.pem).unwrap();
        let old = omens::judge::pem::write(&pem_blocks(&self.estate.authority.root_pem)[0]);
        std::fs::write(dir.join("old-roots.pem"), &old).unwrap();
        std::fs::write(&roots, format!("{old}{}", omens::judge::pem::write(&new.der))).unwrap();
        let also = format!("also = [ {{ anchor = \"{}\", anchor_sha256 = \"{}\" }} ]\n\n[openbao]", file.display(), sha256(&new.der));
        for path in [self.estate.settings(), self.beside()] {
            let text = std::fs::read_to_string(&path).unwrap().replace("\n[openbao]", &also);
            std::fs::write(path, text).unwrap();
        }
        Case {
            name: "change of trust",
            setup: format!("\"$BIN\" --config '{}' renew --all", plain.display()),
            program: vec!["renew", "--all"],
            may: vec![Some("gen-1")],
            done: "gen-1",
            stays: Some("gen-1"),
            roots: Some([dir.join("old-roots.pem"), roots]),
            ..Case::renewal()
        }
    }

    /// The certificate was called `old` when its two generations were made.
    pub(super) fn renamed(&mut self) -> Case {
        "old".clone_into(&mut self.estate.certs[0].name);
        self.write();
        let plain = self.keep_settings("plain.toml");
        "web".clone_into(&mut self.estate.certs[0].name);
        self.estate.certs[0].extra.push_str("renamed_from = \"old\"\n");
        self.write();
        let made = format!("\"$BIN\" --config '{}' renew --all", plain.display());
        Case {
            name: "change of the name",
            setup: format!("{made} && {made} --force"),
            program: vec!["renew", "--all"],
            may: vec![None, Some("gen-2")],
            done: "gen-2",
            stays: Some("gen-2"),
            ..Case::renewal()
        }
    }

    /// Two runs at once as one program.
    pub(super) fn at_once(&self) -> Vec<String> {
        let run = format!("'{}' --config '{}' renew --all --force", omens().display(), self.estate.settings().display());
        vec!["sh".to_owned(), "-c".to_owned(), format!("{run} & {run}; a=$?; wait $! && exit $a")]
    }

    /// Keeps the settings as they are now under another name.
    pub(super) fn keep_settings(&self, name: &str) -> PathBuf {
        let path = self.estate.dir.join(name);
        std::fs::copy(self.estate.settings(), &path).unwrap();
        path
    }

    /// Cuts the binary.
    pub(super) fn cut(&self, how: &[&str], case: &Case) {
        let (bin, conf) = (omens().display().to_string(), self.estate.settings().display().to_string());
        let mut program = Vec::new();
        if case.ends_with != 0 {
            // The tool wants a program that ends with 0 when nobody stops it.
            program.extend(["sh".to_owned(), "-c".to_owned(), format!("\"$0\" \"$@\" || [ $? = {} ]", case.ends_with)]);
        }
        program.extend([bin, "--config".to_owned(), conf]);
        program.extend(case.program.iter().map(|argument| (*argument).to_owned()));
        self.cut_program(how, case, &program);
    }

    /// Cuts a program of more than one run.
    pub(super) fn cut_program(&self, how: &[&str], case: &Case, program: &[String]) {
        let name = format!("{} ({})", case.name, how.join(" "));
        if !is_root() {
            return crate::skipped(&format!("crash test '{name}': needs root (mounts, namespaces)"));
        }
        let dir = &self.estate.dir;
        let script = self.script(how, case);
        let mut command = Command::new("python3");
        command.arg(tool("crash.py")).args(how).args(["--timeout", "30"]).arg("--state").arg(dir.join("disk"));
        command.arg("--volatile").arg(dir.join("tmpfs"));
        let variables = format!(
            "BIN='{}' CONF='{}' DISK='{2}/disk/state' RUN='{2}/tmpfs/run'",
            omens().display(),
            self.estate.settings().display(),
            dir.display()
        );
        command.args(["--setup", &format!("{variables}; {}", case.setup), "--check", &script, "--"]).args(program);
        let output = run(command, Duration::from_secs(600));
        assert_eq!(output.code, 0, "{name}:\n{}\n{}", output.stdout, output.stderr);
        println!("{name}:\n{}\n{}", output.stdout, output.stderr);
    }

    /// The check, with all that it must know.
    fn script(&self, how: &[&str], case: &Case) -> String {
        let dir = self.estate.dir.display();
        let power = how.first() == Some(&"power");
        let run_may: Vec<Option<&str>> = if power { vec![None] } else { case.run_may() };
        let facts = json!({
            "bin": omens(), "conf": self.estate.settings(), "probe_conf": self.beside(),
            "disk": format!("{dir}/disk/state"), "run": format!("{dir}/tmpfs/run"), "probe": format!("{dir}/tmpfs/beside"),
            "keep": self.estate.certs[0].keep, "tcti": self.swtpm.as_ref().map(Swtpm::direct),
            "power": power, "error": how.contains(&"--error"), "var": case.may, "run_may": run_may, "done": case.done,
            "next": case.next, "next_code": case.next_code, "stays": case.stays,
            "loses_state": case.loses_state, "roots": case.roots, "served": case.served,
        });
        let (judge, file) = (self.estate.dir.join("left.py"), self.estate.dir.join("case.json"));
        std::fs::write(&judge, include_str!("left.py")).unwrap();
        std::fs::write(&file, facts.to_string()).unwrap();
        format!("'{}' -IS '{}' '{}'", python(), judge.display(), file.display())
    }
}

impl Case {
    /// What the run directory's `live` may name: what the state directory's may or will, or nothing where nothing was published yet.
    fn run_may(&self) -> Vec<Option<&'static str>> {
        let mut all = self.may.clone();
        if self.setup.contains("rm -rf") {
            all.push(None);
        }
        if self.ends_with != 0 {
            // Tried, not taken up, and put back.
            all.push(Some("gen-2"));
        }
        all
    }
}
