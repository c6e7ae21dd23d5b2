//! Drivers: one suite over all of them (a real nginx, units of a systemctl that a test can read, and a driver that is not in src/), and a
//! renewal with a driver that the table of the program does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use omens::config::service::{ANCHORS, Deployed, Drivers, Eyes, Question, Reply, Seen, Service, ServiceState};
use omens::config::settings::Settings;
use omens::config::{LoadOptions, load};
use omens::judge::cert::Facts;
use omens::model::code::Code;
use omens::model::entry::Outcome;
use omens::model::failure::{Failure, Stage};
use omens::model::layout;
use omens::model::name::{CertName, Generation};
use omens::model::report::{CertReport, Watch};
use omens::model::state::Proof;
use omens::plan::decide::Wishes;
use omens::steps::flow::world::World;
use omens::steps::flow::{self, Request};
use omens::steps::service::{DRIVERS, ask_or_start};

use crate::fakes::clock;
use crate::fakes::service as bell;
use crate::lab::child::run;
use crate::lab::client::served_leaf;
use crate::lab::estate::{Authority, Cert, Estate};
use crate::lab::hostile::Hostile;
use crate::lab::nginx::Nginx;
use crate::lab::openbao::NAMES;
use crate::lab::pki::{Ca, CaKeys, Leaf, ROOT, ec_key, pem_blocks, sha256};
use crate::lab::{place, program, runtime, wait_for};

/// Where the programs lie that drivers find first; set for the process in which the suite runs.
const PROGRAMS: &str = "OMENS_TEST_PROGRAMS";

/// The program's drivers and the bell.
fn drivers() -> Drivers {
    static ALL: OnceLock<Drivers> = OnceLock::new();
    ALL.get_or_init(|| Box::leak(DRIVERS.iter().copied().chain([&bell::KIND]).collect::<Vec<_>>().into_boxed_slice()))
}

fn settings(estate: &Estate) -> Settings {
    let options = LoadOptions { file: estate.settings(), credentials: None, check_secrets: false, drivers: drivers() };
    load(&options).unwrap_or_else(|why| panic!("{why:#?}"))
}

/// A run directory with generations of one certificate, as the swap would leave it.
struct Tree {
    ca: Ca,
    estate: Estate,
    /// The generation of each leaf.
    generations: BTreeMap<String, u64>,
}

impl Tree {
    fn new() -> Self {
        let ca = Ca::root(ROOT, CaKeys::Ec);
        let estate = Estate::new("service", Authority::token("https://127.0.0.1:1".into(), &ca.pem, "none"));
        Self { ca, estate, generations: BTreeMap::new() }
    }

    fn settings_with(&mut self, entry: &str) -> Settings {
        self.estate.certs = vec![Cert::web("web").reloaded_by(entry)];
        self.estate.write();
        settings(&self.estate)
    }

    fn service(&mut self, entry: &str) -> Arc<dyn Service> {
        self.settings_with(entry).certificates[0].reload[0].clone()
    }

    /// Publishes a generation with a leaf of its own and what the driver of this entry renders.
    fn publish(&mut self, generation: u64, entry: &str) -> Deployed {
        let key = ec_key();
        let leaf = self.ca.leaf(&key, &Leaf::server(NAMES[0], &[NAMES[0]], &[], time::Duration::HOUR));
        self.generations.insert(sha256(leaf.der()), generation);
        let settings = self.settings_with(entry);
        let certificate = &settings.certificates[0];
        let directory = layout::run_generation(&settings.paths.run, certificate.name(), Generation(generation));
        place::make_private(&directory);
        let top = directory.parent().unwrap();
        std::fs::write(directory.join("cert.pem"), leaf.pem()).unwrap();
        std::fs::write(directory.join("fullchain.pem"), leaf.pem()).unwrap();
        std::fs::write(directory.join("key.pem"), key.serialize_pem()).unwrap();
        for file in settings.rendered(certificate, Generation(generation)) {
            std::fs::write(directory.join(&file.name), &file.bytes).unwrap();
            link(&top.join(&file.name), &file.link());
        }
        link(&top.join("live"), &format!("gen-{generation}"));
        let leaf = Facts::parse(leaf.der()).unwrap();
        Deployed {
            certificate: CertName::parse("web").unwrap(),
            generation: Generation(generation),
            directory,
            leaf,
            reasons: Vec::new(),
            endpoints: Vec::new(),
            eyes: eyes(&settings),
        }
    }

    fn generation_of(&self, leaf: Option<String>) -> Option<u64> {
        self.generations.get(&leaf?).copied()
    }

    fn generation_of_pem(&self, file: &Path) -> Option<u64> {
        let text = std::fs::read_to_string(file).ok()?;
        self.generation_of(pem_blocks(&text).first().map(|der| sha256(der)))
    }
}

fn eyes(settings: &Settings) -> Eyes {
    Eyes { roots: settings.anchor_ders(), clock: clock(), credentials: None }
}

fn link(path: &Path, target: &str) {
    std::fs::remove_file(path).ok();
    std::os::unix::fs::symlink(target, path).unwrap();
}

/// A service that a driver asks, and the means to bring it into every state.
trait Subject {
    /// Its entry of `reload`.
    fn entry(&self) -> String;
    /// The same with `start = true`, where the driver has that.
    fn started(&self) -> Option<String>;
    /// Entries that differ from it in one setting each.
    fn others(&self) -> Vec<String>;
    /// Brings it into this state; false where it has no such state.
    fn bring(&mut self, state: ServiceState, tree: &Tree) -> bool;
    /// Makes it refuse what it is asked, or no longer.
    fn refuse(&mut self, refuses: bool);
    /// The generation that it uses; `None` where it does not run.
    fn uses(&mut self, tree: &Tree) -> Option<u64>;
    /// Whether it can be stopped; a program is there or not.
    fn has_states(&self) -> bool {
        true
    }
    /// Where the state of a stopped service is not known before it is asked.
    fn tells_its_state(&self) -> bool {
        true
    }
}

/// A real nginx, by its own process.
struct Process {
    nginx: Nginx,
    port: u16,
    entry: String,
    tells: bool,
}

impl Process {
    fn new(tree: &Tree) -> Self {
        let mut nginx = Nginx::new(None);
        let port = nginx.include(NAMES[0], &tree.estate.include("web"));
        Self { entry: nginx.driver(), nginx, port, tells: true }
    }

    /// The same nginx as the one of the distribution, whose unit the settings name although systemd does not run.
    fn as_unit(tree: &Tree) -> Self {
        let process = Self::new(tree);
        let words = format!("-p\n{}\n-c\n{}\n", process.nginx.dir.display(), process.nginx.conf().display());
        std::fs::write(PathBuf::from(std::env::var_os(PROGRAMS).unwrap()).join("default"), words).unwrap();
        Self { entry: "{ nginx = { unit = \"nginx.service\" } }".into(), tells: false, ..process }
    }
}

impl Subject for Process {
    fn entry(&self) -> String {
        self.entry.clone()
    }

    fn started(&self) -> Option<String> {
        None
    }

    fn others(&self) -> Vec<String> {
        [
            "conf = \"/a\"",
            "prefix = \"/a\"",
            "pid = \"/a\"",
            "conf = \"/a\", prefix = \"/b\"",
            "conf = \"/b\", prefix = \"/a\"",
            "unit = \"a.service\"",
        ]
        .map(|set| format!("{{ nginx = {{ {set} }} }}"))
        .into()
    }

    fn bring(&mut self, state: ServiceState, _: &Tree) -> bool {
        self.nginx.stop();
        match state {
            ServiceState::Running => self.nginx.start(),
            ServiceState::Stopped => {}
            ServiceState::Failed => return false,
        }
        true
    }

    fn refuse(&mut self, refuses: bool) {
        if refuses { self.nginx.write_broken() } else { self.nginx.write() }
    }

    fn uses(&mut self, tree: &Tree) -> Option<u64> {
        tree.generation_of(served_leaf(self.port, NAMES[0]))
    }

    fn tells_its_state(&self) -> bool {
        self.tells
    }
}

/// A unit of the systemctl in [`PROGRAMS`], or a bell: what it does lies in a directory.
struct Directory {
    dir: PathBuf,
    words: [&'static str; 3],
    heard: &'static str,
    entry: Box<dyn Fn(&str) -> String>,
    others: Vec<String>,
}

impl Directory {
    fn unit(tree: &Tree, action: &'static str) -> Self {
        let unit = format!("{action}ed.service");
        let dir = PathBuf::from(std::env::var_os(PROGRAMS).unwrap()).join("units").join(&unit);
        place::make_private(&dir);
        std::fs::write(dir.join("file"), tree.estate.run_dir().join("web/live/cert.pem").display().to_string()).unwrap();
        let entry = move |more: &str| format!("{{ systemd = {{ unit = \"{unit}\", action = \"{action}\"{more} }} }}");
        let other = if action == "reload" { "restart" } else { "reload" };
        let others = vec![
            format!("{{ systemd = {{ unit = \"{action}ed.service\", action = \"{other}\" }} }}"),
            "{ systemd = { unit = \"other.service\" } }".into(),
            entry(", start = true"),
        ];
        Self { dir, words: ["active", "failed", "inactive"], heard: "read", entry: Box::new(entry), others }
    }

    /// A unit of another driver than `systemd`; `set` are that driver's other settings, `others` what may stand there instead.
    fn driven(tree: &Tree, driver: &str, set: &str, others: &[&str]) -> Self {
        let unit = format!("{driver}.service");
        let dir = PathBuf::from(std::env::var_os(PROGRAMS).unwrap()).join("units").join(&unit);
        place::make_private(&dir);
        let run = tree.estate.run_dir().join("web");
        std::fs::write(dir.join("file"), run.join("live/cert.pem").display().to_string()).unwrap();
        std::fs::write(dir.join("data"), run.join("spire-NodeAttestor-keylime.json").display().to_string()).unwrap();
        std::fs::write(dir.join("log"), "").unwrap();
        let set = set.replace("DIR", &dir.display().to_string());
        let others =
            others.iter().map(|other| format!("{{ {driver} = {{ {} }} }}", other.replace("UNIT", &format!("unit = \"{unit}\"")))).collect();
        let driver = driver.to_owned();
        let entry = move |more: &str| format!("{{ {driver} = {{ unit = \"{unit}\"{set}{more} }} }}");
        Self { dir, words: ["active", "failed", "inactive"], heard: "read", entry: Box::new(entry), others }
    }

    /// A program that is told of one certificate and reads it.
    fn program() -> Self {
        let dir = place::directory("exec");
        let shown = dir.display().to_string();
        let script = dir.join("take-up");
        let text = format!(
            "#!/bin/sh\nif [ -e {shown}/refuses ]; then echo 'not now' >&2; exit 3; fi\ncp \"$OMENS_DIR/cert.pem\" {shown}/read\nenv > {shown}/environment\n"
        );
        std::fs::write(&script, text).unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let entry = move |more: &str| format!("{{ exec = {{ command = [\"{shown}/take-up\"]{more} }} }}");
        let others = vec![entry(", timeout = \"5s\""), entry("").replace("take-up\"", "take-up\", \"now\"")];
        Self { dir, words: ["running", "", ""], heard: "read", entry: Box::new(entry), others }
    }

    fn bell() -> Self {
        let dir = place::directory("bell");
        let shown = dir.display().to_string();
        let entry = move |more: &str| format!("{{ bell = {{ dir = \"{shown}\"{more} }} }}");
        let others = vec![entry(", sound = \"high\""), entry(", start = true"), "{ bell = { dir = \"/other\" } }".into()];
        Self { dir, words: ["running", "failed", "stopped"], heard: bell::HEARD, entry: Box::new(entry), others }
    }
}

impl Subject for Directory {
    fn entry(&self) -> String {
        (self.entry)("")
    }

    fn started(&self) -> Option<String> {
        let has = ["{ systemd", "{ bell"].iter().any(|driver| self.entry().starts_with(driver));
        has.then(|| (self.entry)(", start = true"))
    }

    fn has_states(&self) -> bool {
        !self.words[2].is_empty()
    }

    fn others(&self) -> Vec<String> {
        self.others.clone()
    }

    fn bring(&mut self, state: ServiceState, tree: &Tree) -> bool {
        let [running, failed, stopped] = self.words;
        let word = match state {
            ServiceState::Running => running,
            ServiceState::Failed => failed,
            ServiceState::Stopped => stopped,
        };
        std::fs::write(self.dir.join(bell::STATE), word).unwrap();
        std::fs::remove_file(self.dir.join(self.heard)).ok();
        if state == ServiceState::Running {
            std::fs::copy(tree.estate.run_dir().join("web/live/cert.pem"), self.dir.join(self.heard)).unwrap();
        }
        true
    }

    fn refuse(&mut self, refuses: bool) {
        let file = self.dir.join(bell::REFUSES);
        if refuses { std::fs::write(file, "").unwrap() } else { std::fs::remove_file(file).unwrap() }
    }

    fn uses(&mut self, tree: &Tree) -> Option<u64> {
        let is_running = std::fs::read_to_string(self.dir.join(bell::STATE)).is_ok_and(|state| state.trim() == self.words[0]);
        if is_running { tree.generation_of_pem(&self.dir.join(self.heard)) } else { None }
    }
}

fn proof(service: &dyn Service, settings: &Settings, deployed: &Deployed, before: &serde_json::Value) -> Result<Seen, Failure> {
    let deployed = Deployed { eyes: eyes(settings), ..deployed.clone() };
    runtime().block_on(service.prove(&Question { deployed: &deployed, before })).map(|shown| shown.seen)
}

fn until_used(subject: &mut dyn Subject, tree: &Tree, generation: u64) {
    wait_for(&format!("generation {generation} in use"), Duration::from_secs(10), || subject.uses(tree) == Some(generation));
}

/// What every driver must hold to. Gives the states that its service has.
fn conformance(subject: &mut dyn Subject, tree: &mut Tree) -> Vec<ServiceState> {
    let entry = subject.entry();
    let service = tree.service(&entry);
    let ask = |service: &dyn Service, deployed: &Deployed| {
        runtime().block_on(async { ask_or_start(service, service.state().await?, std::slice::from_ref(deployed)).await })
    };
    let mut states = vec![ServiceState::Running, ServiceState::Stopped];
    identity(subject, tree);
    rendering(subject, tree);

    // Running: asked, it reads; asked again, it still runs. A driver with a proof of its own sees that, and sees it where it was not asked.
    let first = tree.publish(1, &entry);
    assert!(subject.bring(ServiceState::Running, tree));
    until_used(subject, tree, 1);
    assert_eq!(runtime().block_on(service.state()).unwrap(), ServiceState::Running, "{entry}");
    let second = tree.publish(2, &entry);
    let settings = tree.settings_with(&entry);
    assert_eq!(subject.uses(tree), Some(1), "{entry}: it reads when it is asked, not before");
    let unasked = proof(&*service, &settings, &second, &serde_json::Value::Null);
    let Reply::Done(done) = ask(&*service, &second).unwrap() else { panic!("{entry}: it runs") };
    until_used(subject, tree, 2);
    match proof(&*service, &settings, &second, &done.before).unwrap() {
        Seen::Nothing => assert_eq!(unasked.unwrap(), Seen::Nothing, "{entry}"),
        Seen::Read | Seen::Leaf => {
            assert_eq!(unasked.unwrap_err().stage, Stage::Verify, "{entry}: a proof that cannot fail");
            assert!(proof(&*service, &settings, &first, &done.before).is_err(), "{entry}: another generation is proven");
        }
    }

    // A refusal is a failure of its stage that says what to do, and what was in use stays in use.
    let third = tree.publish(3, &entry);
    subject.refuse(true);
    let refusal = ask(&*service, &third).unwrap_err();
    assert_eq!((refusal.stage, refusal.code), (Stage::Reload, Code::ReloadFailed), "{refusal}");
    assert!(refusal.hint.is_some_and(|hint| !hint.is_empty()), "{entry}");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(subject.uses(tree), Some(2), "{entry}");
    subject.refuse(false);

    if !subject.has_states() {
        return vec![ServiceState::Running];
    }
    // Stopped: left alone, unless the settings want it started.
    assert!(subject.bring(ServiceState::Stopped, tree));
    let state = runtime().block_on(service.state()).unwrap();
    assert!(!subject.tells_its_state() || state == ServiceState::Stopped, "{entry}: {state:?}");
    assert!(!service.wants_start());
    assert_eq!(ask(&*service, &third).unwrap(), Reply::Stopped, "{entry}");
    assert_eq!(subject.uses(tree), None, "{entry}: it was started");
    if let Some(entry) = subject.started() {
        let service = tree.service(&entry);
        assert!(service.wants_start(), "{entry}");
        assert!(matches!(ask(&*service, &third).unwrap(), Reply::Done(_)), "{entry}");
        until_used(subject, tree, 3);
    }

    // Failed: it gets a start.
    if subject.bring(ServiceState::Failed, tree) {
        states.push(ServiceState::Failed);
        assert_eq!(runtime().block_on(service.state()).unwrap(), ServiceState::Failed, "{entry}");
        assert!(matches!(ask(&*service, &third).unwrap(), Reply::Done(_)), "{entry}");
        until_used(subject, tree, 3);
    }
    subject.bring(ServiceState::Stopped, tree);
    states
}

/// Equal settings are one service, others are others.
fn identity(subject: &dyn Subject, tree: &mut Tree) {
    let (one, same) = (tree.service(&subject.entry()), tree.service(&subject.entry()));
    assert_eq!((one.id(), one.name()), (same.id(), same.name()));
    assert!(subject.entry().contains(&format!("{{ {} = ", one.id().driver())), "the identity names the driver");
    let others: Vec<_> = subject.others().iter().map(|entry| tree.service(entry).id()).collect();
    assert!(!others.is_empty() && !others.contains(&one.id()), "{others:?}");
    assert_eq!(others.iter().collect::<BTreeSet<_>>().len(), others.len(), "{others:?}");
}

/// Rendered files: no names of ours, the same for the same generation, and of that generation's own paths.
fn rendering(subject: &dyn Subject, tree: &mut Tree) {
    let settings = tree.settings_with(&subject.entry());
    let certificate = &settings.certificates[0];
    let render = |generation| settings.rendered(certificate, Generation(generation));
    assert_eq!(render(7), render(7));
    assert!(render(7).iter().any(|file| file.name == "nginx.conf"), "every certificate has it");
    let ours =
        [layout::CERT, layout::CHAIN, layout::FULLCHAIN, layout::KEY, layout::COMBINED, layout::LIVE, layout::META, layout::SEALED_KEY];
    let names: BTreeSet<String> = render(7).into_iter().map(|file| file.name).collect();
    assert_eq!(names.len(), render(7).len());
    assert!(names.iter().all(|name| !name.contains('/') && !name.starts_with('.') && !ours.contains(&name.as_str())), "{names:?}");
    for (seven, eight) in render(7).into_iter().zip(render(8)) {
        if seven.name == ANCHORS {
            assert_eq!(pem_blocks(&String::from_utf8_lossy(&seven.bytes)), std::slice::from_ref(&settings.anchor.der));
            continue;
        }
        let (seven, eight) = (String::from_utf8(seven.bytes).unwrap(), String::from_utf8(eight.bytes).unwrap());
        assert!(seven.contains("/web/gen-7/") && !seven.contains("/live/") && !seven.contains("PRIVATE"), "{seven}");
        assert_eq!(seven.replace("/gen-7/", "/gen-8/"), eight);
    }
}

/// A systemctl whose units are directories, an nginx that knows which one is the default, and a record of who started them.
fn programs() -> PathBuf {
    let dir = place::directory("programs");
    let nginx = program("nginx").expect("nginx is missing: `./run test` names the package");
    let texts = [
        (
            "systemctl",
            r#"#!/bin/sh
here=$(dirname "$0"); for unit in "$@"; do :; done; dir=$here/units/$unit
echo "$PPID systemctl $*" >> "$here/calls"
take() { cp "$(cat "$dir/file")" "$dir/read" && echo active > "$dir/state"; }
refused() { if [ -e "$dir/refuses" ]; then echo "Job for $unit failed." >&2; exit 1; fi; }
case "$*" in
"show --property=LoadState,ActiveState,SubState,Job -- $unit")
  if [ -d "$dir" ]; then echo LoadState=loaded; else echo LoadState=not-found; fi
  echo "ActiveState=$(cat "$dir/state" 2>/dev/null || echo inactive)";;
"reset-failed -- $unit") ;;
"show --property=SubState,ActiveState,InvocationID -- $unit")
  echo "ActiveState=$(cat "$dir/state" 2>/dev/null || echo inactive) InvocationID=one";;
"show --property=SubState -- $unit") echo SubState=dead;;
"show --property=MainPID -- $unit") echo MainPID=0;;
"show --property=ExecStart -- $unit") echo "ExecStart={ path=/usr/bin/bao ; argv[]=/usr/bin/bao server -config=/nowhere.hcl }";;
"kill --kill-who=main --signal=HUP -- $unit" | "kill --kill-who=main --signal=USR2 -- $unit")
  refused; if ! grep -q '^active' "$dir/state"; then echo "$unit is not active." >&2; exit 1; fi; take;;
"kill --kill-who=main --signal=USR1 -- $unit")
  refused; take; hash=$(sha512sum "$(cat "$dir/data")" | cut -c1-32)
  echo 'level=info msg="Reconfigure signal received"' >> "$dir/log"
  echo "level=info msg=\"Plugin reconfigured\" new_hash=$hash plugin_name=keylime plugin_type=NodeAttestor" >> "$dir/log";;
"--no-ask-password reload -- $unit")
  refused; if ! grep -q '^active' "$dir/state"; then echo "$unit is not active, cannot reload." >&2; exit 1; fi; take;;
"--no-ask-password restart -- $unit" | "--no-ask-password start -- $unit") refused; take;;
*) echo "what is that?" >&2; exit 2;;
esac
"#
            .to_owned(),
        ),
        (
            "nginx",
            format!(
                "#!/bin/sh\nhere=$(dirname \"$0\"); echo \"$PPID nginx $*\" >> \"$here/calls\"\n\
                 case \"$1\" in -s) while read -r word; do set -- \"$@\" \"$word\"; done < \"$here/default\";; esac\nexec {} \"$@\"\n",
                nginx.display()
            ),
        ),
    ];
    for (name, text) in texts {
        std::fs::write(dir.join(name), text).unwrap();
        std::fs::set_permissions(dir.join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    dir
}

#[test]
fn every_driver_holds_to_what_the_flow_relies_on() {
    // A process of its own: what drivers find on PATH cannot be changed within one.
    let programs = programs();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "--ignored", "--nocapture", "service::all_drivers_with_the_programs_of_the_test"]);
    let path = std::env::var("PATH").unwrap_or_default();
    command.env(PROGRAMS, &programs).env("PATH", format!("{}:{path}", programs.display()));
    let output = run(command, Duration::from_secs(120));
    assert!(output.code == 0 && output.stdout.contains("1 passed"), "{}\n{}", output.stdout, output.stderr);
}

#[test]
#[ignore = "run by every_driver_holds_to_what_the_flow_relies_on in a process of its own"]
fn all_drivers_with_the_programs_of_the_test() {
    use ServiceState::{Failed, Running, Stopped};
    let programs = PathBuf::from(std::env::var_os(PROGRAMS).expect("set by the test that starts this one"));
    let mut seen = BTreeSet::new();
    let mut check = |make: &dyn Fn(&Tree) -> Box<dyn Subject>, states: &[ServiceState]| {
        let mut tree = Tree::new();
        let mut subject = make(&tree);
        seen.insert(tree.service(&subject.entry()).id().driver());
        assert_eq!(conformance(&mut *subject, &mut tree), states, "{}", subject.entry());
    };
    check(&|tree| Box::new(Process::new(tree)), &[Running, Stopped]);
    if Path::new("/run/systemd/system").exists() {
        crate::skipped("an nginx.service without systemd: systemd runs here (under systemd: tests/it/systemd.rs)");
    } else {
        check(&|tree| Box::new(Process::as_unit(tree)), &[Running, Stopped]);
    }
    check(&|tree| Box::new(Directory::unit(tree, "reload")), &[Running, Stopped, Failed]);
    check(&|tree| Box::new(Directory::unit(tree, "restart")), &[Running, Stopped, Failed]);
    check(&|_| Box::new(Directory::bell()), &[Running, Stopped, Failed]);
    check(&|_| Box::new(Directory::program()), &[Running]);
    let units = |driver: &'static str, set: &'static str, others: &'static [&'static str]| {
        move |tree: &Tree| Box::new(Directory::driven(tree, driver, set, others)) as Box<dyn Subject>
    };
    let all = [Running, Stopped, Failed];
    check(&units("signal", ", signal = \"HUP\"", &["UNIT, signal = \"USR2\"", "unit = \"other.service\", signal = \"HUP\""]), &all);
    const PLACES: &[&str] = &["unit = \"other.service\"", "UNIT, address = \"127.0.0.1:1\""];
    check(&units("openbao", "", PLACES), &all);
    check(&units("keylime_registrar", "", PLACES), &all);
    check(&units("keylime_verifier", "", PLACES), &all);
    check(&units("keylime_agent", "", PLACES), &all);
    const PLUGIN: &str = ", log = \"DIR/log\", plugin = { kind = \"NodeAttestor\", name = \"keylime\", cert = \"a.cert\", key = \"a.key\", ca = \"ca\", data = { host = \"::1\", port = 1 } }";
    const OTHER_PLUGINS: &[&str] = &[
        "UNIT, plugin = { kind = \"NodeAttestor\", name = \"keylime\", cert = \"a.cert\", key = \"a.key\" }",
        "UNIT, plugin = { kind = \"NodeAttestor\", name = \"other\", cert = \"a.cert\", key = \"a.key\" }",
    ];
    check(&units("spire_server", PLUGIN, OTHER_PLUGINS), &all);
    check(&units("spire_agent", PLUGIN, OTHER_PLUGINS), &all);
    assert_eq!(seen, drivers().iter().map(|kind| kind.name).collect(), "a driver of the table has no subject here");

    // Every program was started by this process itself, so by no shell; and each was waited for.
    let calls = std::fs::read_to_string(programs.join("calls")).unwrap();
    let own = format!("{} ", std::process::id());
    assert!(calls.lines().any(|call| call.contains("systemctl")) && calls.lines().any(|call| call.contains("nginx -")), "{calls}");
    let foreign: Vec<&str> = calls
        .lines()
        .filter(|call| call.contains(" -s reload") || call.contains("systemctl"))
        .filter(|call| !call.starts_with(&own))
        .collect();
    assert!(foreign.is_empty(), "{foreign:?}");
    wait_for("every child to be waited for", Duration::from_secs(5), || zombies().is_empty());
}

/// The dead children of this process that nobody has waited for.
fn zombies() -> Vec<String> {
    let mut found = Vec::new();
    for task in std::fs::read_dir("/proc/self/task").unwrap() {
        let children = std::fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default();
        for pid in children.split_whitespace() {
            let status = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if status.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('Z')) {
                found.push(status);
            }
        }
    }
    found
}

struct Silent;

impl Watch for Silent {
    fn stage(&self, _: &CertName, _: Stage) {}
    fn finished(&self, _: &CertReport) {}
}

fn renew(estate: &Estate, force: bool) -> CertReport {
    let settings = Arc::new(settings(estate));
    let clock = clock();
    let request = Request { names: Vec::new(), wishes: Wishes { force, ..Wishes::default() }, wait: Duration::ZERO };
    let report = flow::renew(&settings, &request, &World::of(&settings, clock, &Silent));
    report.certificates.into_iter().next().unwrap_or_else(|| panic!("no certificate: {:?}", report.error))
}

#[test]
fn a_driver_that_src_does_not_know_renders_is_asked_proves_and_takes_back() {
    let hostile = Hostile::start();
    let bell = Directory::bell();
    std::fs::write(bell.dir.join(bell::STATE), "running").unwrap();
    let mut estate = hostile.estate();
    estate.certs[0].reload = vec![bell.entry()];
    estate.write();
    let live = |file: &str| std::fs::read_to_string(estate.run_dir().join("web").join(file)).unwrap();

    // Issued, rendered into the generation, read through the constant link, proven by the driver itself.
    let first = renew(&estate, false);
    assert_eq!((first.outcome, first.proof), (Outcome::Renewed, Some(Proof::File)), "{first:?}");
    assert_eq!(std::fs::read_link(estate.run_dir().join("web").join(bell::FILE)).unwrap(), Path::new("live").join(bell::FILE));
    assert!(live(bell::FILE).contains("/web/gen-1/cert.pem"), "{}", live(bell::FILE));
    assert_eq!(std::fs::read_to_string(bell.dir.join(bell::HEARD)).unwrap(), live("live/cert.pem"));
    assert_eq!(renew(&estate, false).outcome, Outcome::NotDue);

    // A file of a driver is a file of the generation: one that was changed is published again.
    std::fs::write(estate.run_dir().join("web/live").join(bell::FILE), "{}").unwrap();
    let mended = renew(&estate, false);
    assert_eq!((mended.outcome, mended.generation), (Outcome::Settled, Some(Generation(1))), "{mended:?}");
    assert!(live(bell::FILE).contains("/web/gen-1/cert.pem"));

    // Its own proof fails: the previous generation comes back, and the failure is the driver's.
    std::fs::write(bell.dir.join(bell::DEAF), "").unwrap();
    let deaf = renew(&estate, true);
    assert_eq!((deaf.outcome, deaf.generation), (Outcome::RolledBack, Some(Generation(1))), "{deaf:?}");
    let why = deaf.error.unwrap();
    assert_eq!((why.stage, why.code, why.hint.as_deref()), (Stage::Verify, Code::OldLeaf, Some("ring louder")));
    assert!(why.text.contains("gen-2"), "{why}");
    std::fs::remove_file(bell.dir.join(bell::DEAF)).unwrap();

    // What is wrong with its settings is said like anything else, with the place and what is known.
    estate.certs[0].reload = vec!["{ bell = { dir = \"relative\", sound = \"loud\", volume = \"9\" } }".into()];
    estate.write();
    let options = LoadOptions { file: estate.settings(), credentials: None, check_secrets: false, drivers: drivers() };
    let errors = load(&options).unwrap_err();
    let codes: Vec<&str> = errors.iter().map(|error| error.code.as_str()).collect();
    assert_eq!(codes, ["bad-value", "bad-value", "unknown-key"], "{errors:#?}");
    assert!(errors.iter().all(|error| error.line.is_some() && error.suggestion.is_some()), "{errors:#?}");
    // The program itself does not know it.
    let errors = load(&LoadOptions { drivers: DRIVERS, ..options }).unwrap_err();
    assert!(
        errors[0].text == "there is no reload driver \"bell\""
            && errors[0].suggestion.as_deref().is_some_and(|s| s.contains("nginx, openbao")),
        "{errors:#?}"
    );
}
