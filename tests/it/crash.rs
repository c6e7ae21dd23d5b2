//! The binary killed before every system call that changes the disk: a matching pair is left, and the next run converges with no help.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::lab::child::run;
use crate::lab::estate::{Cert, Estate, omens};
use crate::lab::hostile::Hostile;
use crate::lab::{is_root, place};
use crate::web::NAME;

/// The shared lab's tool, where this checkout stands beside it.
fn tool() -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/lab/crash.py");
    path.is_file().then_some(path)
}

/// A host whose two trees are where the tool mounts its own.
struct Victim {
    _hostile: Hostile,
    estate: Estate,
}

impl Victim {
    fn new() -> Self {
        let hostile = Hostile::start();
        let estate = hostile.estate();
        // The mount's own root is not ours to have modes on.
        std::fs::create_dir_all(estate.dir.join("disk")).unwrap();
        std::fs::create_dir_all(estate.dir.join("tmpfs")).unwrap();
        Self { _hostile: hostile, estate }.written()
    }

    fn written(self) -> Self {
        let dir = self.estate.dir.display().to_string();
        let text = self.estate.settings_text().replace(&format!("\"{dir}/state\""), &format!("\"{dir}/disk/state\""));
        let text = text.replace(&format!("\"{dir}/run\""), &format!("\"{dir}/tmpfs/run\""));
        std::fs::write(self.estate.settings(), text).unwrap();
        self
    }

    /// Runs the tool; `after` is what the next run must do and leave.
    fn cut(&self, name: &str, setup: &str, program: &[&str], ends_with_1: bool, after: &str) {
        self.cut_by(&[], name, setup, program, ends_with_1, after);
    }

    /// [`Self::cut`] with more flags for the tool.
    fn cut_by(&self, how: &[&str], name: &str, setup: &str, program: &[&str], ends_with_1: bool, after: &str) {
        let Some(tool) = tool() else {
            crate::skipped(&format!("crash test '{name}': ../shared/lab/crash.py is not there"));
            return;
        };
        if !is_root() {
            crate::skipped(&format!("crash test '{name}': needs root (mounts, namespaces)"));
            return;
        }
        let dir = &self.estate.dir;
        let (bin, conf) = (omens().display().to_string(), self.estate.settings().display().to_string());
        let own = format!("BIN='{bin}' CONF='{conf}' DISK='{0}/disk/state' RUN='{0}/tmpfs/run'", dir.display());
        let script = dir.join("check.sh");
        std::fs::write(&script, format!("{own}\n{PAIR}\n{after}\n")).unwrap();
        let mut command = Command::new("python3");
        command.arg(&tool).arg("kill").args(how).arg("--state").arg(dir.join("disk")).arg("--volatile").arg(dir.join("tmpfs"));
        // The tool wants a program that ends with 0 when nobody stops it; a renewal that is put back ends with 1.
        let wrapped = ["sh", "-c", "\"$0\" \"$@\" || [ $? = 1 ]"];
        command.args(["--setup", &format!("{own}; {setup}"), "--check", &format!("sh -eu '{}'", script.display()), "--"]);
        command.args(wrapped.iter().filter(|_| ends_with_1)).args([&bin, "--config", &conf]);
        command.args(program);
        let output = run(command, Duration::from_secs(420));
        if output.code == 125 {
            crate::skipped(&format!("crash test '{name}': {} {}", output.stdout.trim(), output.stderr.trim()));
            return;
        }
        assert_eq!(output.code, 0, "{name}:\n{}\n{}", output.stdout, output.stderr);
        println!("{name}:\n{}", output.stdout);
    }
}

/// `pair TREE`: certificate and key of what `live` names belong together; prints the generation, `-` where there is none.
const PAIR: &str = r#"
pair() {
  [ -L "$1/live" ] || { printf -- '-'; return 0; }
  gen=$(readlink "$1/live")
  [ -d "$1/$gen" ] || { echo "dangling live -> $gen in $1"; exit 1; }
  a=$(openssl x509 -in "$1/$gen/cert.pem" -noout -pubkey) || { echo "no certificate in $1/$gen"; exit 1; }
  b=$(openssl pkey -in "$1/$gen/key.pem" -pubout) || { echo "no key in $1/$gen"; exit 1; }
  [ "$a" = "$b" ] || { echo "mixed pair in $1/$gen"; exit 1; }
  printf '%s' "$gen"
}
var=$(pair "$DISK/certs/web") || { echo "$var"; exit 1; }
run=$(pair "$RUN/web") || { echo "$run"; exit 1; }
converged() { # the next run, with no help, and everything agrees
  "$BIN" --config "$CONF" renew --all >"$STATE/next.log" 2>&1 || { echo "after var=$var run=$run the next run ended with $?: $(tail -n 3 "$STATE/next.log" | tr '\n' ' ')"; exit 1; }
  v=$(pair "$DISK/certs/web") r=$(pair "$RUN/web")
  [ "$v" = "$r" ] && [ "$v" != - ] || { echo "does not converge: var=$v run=$r"; exit 1; }
  left=$(find "$DISK/certs" "$RUN" -name '.*' | head -n 3)
  [ -z "$left" ] || { echo "leftovers: $left"; exit 1; }
}
"#;

const FIRST: &str = "\"$BIN\" --config \"$CONF\" renew --all";

/// After a renewal: the old one or the new one in both trees, the new one where success was claimed, and the next run agrees.
const OLD_OR_NEW: &str = r#"case $var in gen-1|gen-2) ;; *) echo "var=$var"; exit 1;; esac
case $run in gen-1|gen-2) ;; *) echo "run=$run"; exit 1;; esac
if [ "$RC" = 0 ]; then [ "$var$run" = gen-2gen-2 ] || { echo "success claimed, var=$var run=$run"; exit 1; }; fi
converged
echo "var=$var run=$run""#;

#[test]
fn a_first_issue_survives_every_kill() {
    let after = r#"if [ "$RC" = 0 ]; then [ "$var$run" = gen-1gen-1 ] || { echo "success claimed, var=$var run=$run"; exit 1; }; fi
converged
echo "var=$var run=$run""#;
    Victim::new().cut("first issue", "true", &["renew", "--all"], false, after);
}

#[test]
fn a_renewal_survives_every_kill() {
    Victim::new().cut("renewal", FIRST, &["renew", "--all", "--force"], false, OLD_OR_NEW);
}

#[test]
fn a_renewal_survives_a_full_disk_at_every_call() {
    Victim::new().cut_by(&["--error", "ENOSPC"], "full disk", FIRST, &["renew", "--all", "--force"], false, OLD_OR_NEW);
}

#[test]
fn a_renewal_that_is_not_taken_up_survives_every_kill() {
    // The endpoint never shows the new leaf: the flow goes through publish, reload and revert.
    let mut victim = Victim::new();
    let mut nginx = crate::lab::nginx::Nginx::new(None);
    let key = crate::lab::pki::ec_key();
    let root = crate::lab::pki::Ca::root("elsewhere", crate::lab::pki::CaKeys::Ec);
    let leaf = crate::lab::pki::Leaf::server(NAME, &[NAME], &[], time::Duration::HOUR);
    let (cert_file, key_file) = (victim.estate.dir.join("other.pem"), victim.estate.dir.join("other.key"));
    std::fs::write(&cert_file, root.leaf(&key, &leaf).pem()).unwrap();
    place::write_secret(&key_file, &key.serialize_pem());
    let port = nginx.fixed(NAME, &cert_file, &key_file);
    nginx.start();
    let first = victim.estate.settings();
    victim = victim.written();
    // Generation 1 is made without an endpoint, generation 2 is tried with one.
    let plain = victim.estate.dir.join("plain.toml");
    std::fs::copy(&first, &plain).unwrap();
    victim.estate.certs[0] = Cert::web("web").seen_at(port, "50ms");
    let victim = victim.written();
    let after = r#"[ "$var" = gen-1 ] || { echo "committed without proof: var=$var"; exit 1; }
# Stopped before anything was asked, there is nothing to do; otherwise the proof is still missing.
begun=$(grep -c '"begun": {' "$DISK/certs/web/state.json" || true)
if "$BIN" --config "$CONF" renew --all >"$STATE/next.log" 2>&1; then
  [ ! -d "$DISK/certs/web/gen-2" ] && [ "$begun" = 0 ] || { echo "success without proof"; exit 1; }
fi
v=$(pair "$DISK/certs/web") r=$(pair "$RUN/web")
[ "$v$r" = gen-1gen-1 ] || { echo "does not go back: var=$v run=$r"; exit 1; }
echo "var=$var run=$run""#;
    let setup = format!("\"$BIN\" --config '{}' renew --all", plain.display());
    victim.cut("renewal that is not taken up", &setup, &["renew", "--all", "--force"], true, after);
}

#[test]
fn restore_survives_every_kill() {
    let setup = format!("{FIRST} && rm -rf \"$RUN\"");
    let after = r#"[ "$var" = gen-1 ] || { echo "var=$var"; exit 1; }
case $run in -|gen-1) ;; *) echo "run=$run"; exit 1;; esac
"$BIN" --config "$CONF" restore >"$STATE/next.log" 2>&1 || { echo "restore ended with $?: $(tail -n 3 "$STATE/next.log")"; exit 1; }
[ "$(pair "$RUN/web")" = gen-1 ] || { echo "not restored"; exit 1; }
[ "$RC" != 0 ] || [ "$run" = gen-1 ] || { echo "success claimed, run=$run"; exit 1; }
echo "var=$var run=$run""#;
    Victim::new().cut("restore", &setup, &["restore"], false, after);
}
