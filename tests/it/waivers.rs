//! What somebody decided to live with does not count in any format, and stays to be seen in each; and who may decide it is as trusted as who
//! writes settings.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::lab::child::{Output, run};
use crate::lab::pki::{Ca, CaKeys, Leaf, ROOT, ec_key};
use crate::lab::{estate, place};

fn audit(arguments: &[&str]) -> Output {
    let mut command = Command::new(estate::omens());
    command.args(["chain-audit", "--no-config"]).args(arguments);
    run(command, Duration::from_secs(30))
}

/// A chain with a finding that is high: its certificate is for another name.
struct Case {
    dir: std::path::PathBuf,
    file: String,
    root: String,
}

impl Case {
    fn new() -> Self {
        let dir = place::directory("waivers");
        let root = Ca::root(ROOT, CaKeys::Ec);
        let leaf = root.leaf(&ec_key(), &Leaf::server("a.example", &["a.example"], &[], time::Duration::DAY));
        let put = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text).unwrap();
            dir.join(name).to_str().unwrap().to_owned()
        };
        let (file, root) = (put("a.pem", &leaf.pem()), put("root.pem", &root.pem));
        Self { dir, file, root }
    }

    fn asks<'a>(&'a self, more: &[&'a str]) -> Output {
        let mut all = vec![self.file.as_str(), "--anchor", &self.root, "--name", "dns:b.example", "--fail-on", "low"];
        all.extend(more);
        audit(&all)
    }

    /// A waiver for each finding that there is.
    fn waive_all(&self) -> String {
        let document: Value = serde_json::from_str(&self.asks(&["--format", "json"]).stdout).unwrap();
        let ids = document["findings"].as_array().unwrap().iter().map(|finding| finding["id"].as_str().unwrap().to_owned());
        let one = |id: String| {
            format!("[[waiver]]\nid = \"{id}\"\nobject = \"{}\"\nreason = \"moves <soon>\"\nuntil = \"2999-01-01\"\n", self.file)
        };
        let path = self.dir.join("waivers.toml");
        std::fs::write(&path, ids.map(one).collect::<String>()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

#[test]
fn what_is_waived_counts_in_no_format_and_is_seen_in_each() {
    let case = Case::new();
    let without = case.asks(&["--format", "junit"]);
    assert!(without.code == 1 && without.stdout.contains("<failure ") && without.stdout.contains("skipped=\"0\""), "{without:?}");
    let waivers = case.waive_all();
    let with = |format: &str| {
        let output = case.asks(&["--waivers", &waivers, "--format", format]);
        assert_eq!(output.code, 0, "{format}: {output:?}");
        output.stdout
    };
    let document: Value = serde_json::from_str(&with("json")).unwrap();
    let count = document["findings"].as_array().unwrap().len();
    assert!(count > 0 && document["summary"]["waived"] == count, "{document:#}");
    let junit = with("junit");
    assert!(!junit.contains("<failure") && junit.contains("failures=\"0\""), "{junit}");
    assert_eq!(junit.matches("<skipped message=\"waived until 2999-01-01T00:00:00Z: moves &lt;soon&gt;\"/>").count(), count, "{junit}");
    let sarif: Value = serde_json::from_str(&with("sarif")).unwrap();
    for result in sarif["runs"][0]["results"].as_array().unwrap() {
        assert_eq!(result["suppressions"][0]["kind"], "external", "{result:#}");
    }
    let metrics = with("prometheus");
    let count_of = |name: &str| -> usize {
        let values = metrics.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit_once(' '));
        values.map(|(_, value)| value.parse::<usize>().unwrap()).sum()
    };
    assert_eq!((count_of("omens_audit_findings{"), count_of("omens_audit_finding{")), (0, 0), "{metrics}");
    assert_eq!(count_of("omens_audit_findings_waived{"), count, "{metrics}");
    // What one waiver is not about still counts, and says that it is not suppressed.
    let text = std::fs::read_to_string(&waivers).unwrap();
    let one = text.split_inclusive("until = \"2999-01-01\"\n").next().unwrap();
    std::fs::write(&waivers, one).unwrap();
    let some = |format: &str| case.asks(&["--waivers", &waivers, "--format", format]);
    let sarif: Value = serde_json::from_str(&some("sarif").stdout).unwrap();
    let suppressed = |result: &Value| result["suppressions"].as_array().map(Vec::len);
    let counts: Vec<_> = sarif["runs"][0]["results"].as_array().unwrap().iter().map(suppressed).collect();
    assert!(counts.contains(&Some(1)) && counts.contains(&Some(0)) && !counts.contains(&None), "{counts:?}");
    let junit = some("junit");
    assert!(junit.code == 1 && junit.stdout.contains("skipped=\"1\""), "{junit:?}");
    case.waive_all();
    assert!(with("text").contains(&format!(", {count} of them waived")));
}

#[test]
fn who_others_can_write_or_who_names_no_finding_waives_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let case = Case::new();
    let waivers = case.waive_all();
    std::fs::set_permissions(&waivers, std::fs::Permissions::from_mode(0o666)).unwrap();
    let refused = case.asks(&["--waivers", &waivers]);
    assert!(refused.code == 2 && refused.stderr.contains("has mode 0666"), "{refused:?}");
    std::fs::set_permissions(&waivers, std::fs::Permissions::from_mode(0o644)).unwrap();
    let text = std::fs::read_to_string(&waivers).unwrap()
        + "[[waiver]]\nid = \"key.readable-by-other\"\nobject = \"x\"\nreason = \"y\"\nuntil = \"2999-01-01\"\n";
    std::fs::write(&waivers, text).unwrap();
    let refused = case.asks(&["--waivers", &waivers]);
    assert!(refused.code == 2 && refused.stderr.contains("did you mean key.readable-by-others?"), "{refused:?}");
}

/// A gate on a path that names something else does not open.
#[test]
fn a_named_file_without_a_certificate_gives_no_verdict_that_lets_anybody_through() {
    let case = Case::new();
    let at = |name: &str| case.dir.join(name).to_str().unwrap().to_owned();
    place::write_secret(Path::new(&at("key.pem")), &ec_key().serialize_pem());
    rustix::fs::mknodat(rustix::fs::CWD, at("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let anchor = ["--anchor", case.root.as_str()];
    let path = ["--verdict", "path", "--anchor", case.root.as_str()];
    for (name, more, code) in [
        (at("fifo"), &[][..], 1),
        (at("fifo"), &path[..], 1),
        ("/dev/zero".to_owned(), &anchor[..], 1),
        (at("key.pem"), &anchor[..], 1),
        (at("key.pem"), &path[..], 1),
        // Who may read the key is all that was asked.
        (at("key.pem"), &[][..], 0),
    ] {
        let mut arguments = vec![name.as_str()];
        arguments.extend(more);
        let output = audit(&arguments);
        assert_eq!(output.code, code, "{arguments:?}: {output:?}");
    }
}

#[test]
fn a_report_that_is_given_twice_counts_once_and_merge_has_its_own_options() {
    let case = Case::new();
    let report = case.dir.join("a.json");
    std::fs::write(&report, case.asks(&["--format", "json"]).stdout).unwrap();
    let report = report.to_str().unwrap();
    let merged = |files: &[&str]| -> Value {
        let mut arguments = vec!["merge", "--format", "json"];
        arguments.extend(files);
        let mut command = Command::new(estate::omens());
        command.arg("chain-audit").args(arguments);
        serde_json::from_str(&run(command, Duration::from_secs(30)).stdout).unwrap()
    };
    assert_eq!(merged(&[report])["summary"], merged(&[report, report])["summary"]);
    let mut command = Command::new(estate::omens());
    command.args(["chain-audit", "merge", report, "--root", "r"]);
    let output = run(command, Duration::from_secs(30));
    assert!(output.code == 2 && !output.stderr.contains("did you mean"), "{output:?}");
}

/// A copy's waivers are read inside of the copy, and not at all where its settings are not.
#[test]
fn a_copy_waives_by_its_own_file_and_not_by_this_host_s() {
    let case = Case::new();
    let root = case.dir.join("copy");
    std::fs::create_dir_all(root.join("etc/omens")).unwrap();
    std::fs::copy(&case.file, root.join("a.pem")).unwrap();
    let text = std::fs::read_to_string(case.waive_all()).unwrap().replace(&case.file, "/a.pem");
    let outside = case.dir.join("outside.toml");
    std::fs::write(&outside, &text).unwrap();
    let asks = |more: &[&str]| {
        let mut command = Command::new(estate::omens());
        command.args(["chain-audit", "--root", root.to_str().unwrap(), "/a.pem", "--anchor", &case.root, "--name", "dns:b.example"]);
        command.args(more);
        run(command, Duration::from_secs(30)).code
    };
    std::fs::write(root.join("etc/omens/waivers.toml"), &text).unwrap();
    assert_eq!((asks(&[]), asks(&["--no-config"])), (0, 1));
    std::fs::remove_file(root.join("etc/omens/waivers.toml")).unwrap();
    std::os::unix::fs::symlink(&outside, root.join("etc/omens/waivers.toml")).unwrap();
    assert_eq!(asks(&[]), 1, "a link leads out of the copy");
}
