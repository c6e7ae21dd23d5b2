//! The binary as it is called: exit codes, documents, stdout and stderr apart.

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::web::issued;

fn omens(dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_omens"));
    command.current_dir(dir).args(arguments).env_remove("NO_COLOR").env_remove("CREDENTIALS_DIRECTORY").stdin(Stdio::null());
    command
}

fn run(dir: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = omens(dir, arguments).output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn document(stdout: &str) -> Value {
    assert_eq!(stdout.lines().count(), 1, "one document: {stdout}");
    serde_json::from_str(stdout).unwrap()
}

#[test]
fn a_wrong_command_line_is_exit_2_and_still_a_document_where_one_was_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, exit, schema) in [
        (&["renew", "--json"][..], 2, "omens.renew/1"),
        (&["--json", "renew", "--all", "--frce"], 2, "omens.renew/1"),
        (&["plan", "--json", "x"], 2, "omens.plan/1"),
        (&["status", "--due", "../x", "--json"], 255, "omens.status/1"),
        (&["nonsense", "--json"], 2, "omens.error/1"),
        (&["--json"], 2, "omens.error/1"),
    ] {
        let (code, stdout, stderr) = run(dir.path(), arguments);
        let document = document(&stdout);
        assert_eq!((code, &document["schema"], &document["exit"]), (Some(exit), &schema.into(), &exit.into()), "{arguments:?}");
        assert_eq!((&document["error"]["code"], &document["certificates"]), (&"usage".into(), &Value::Array(Vec::new())));
        assert!(!stderr.is_empty());
    }
    assert_eq!(run(dir.path(), &[]).0, Some(2));
}

#[test]
fn settings_that_are_wrong_stop_every_command_before_it_begins() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("omens.toml"), "[hots]\n").unwrap();
    for (arguments, exit) in [
        (&["renew", "--all"][..], 2),
        (&["plan"], 2),
        (&["status"], 2),
        (&["status", "--due"], 255),
        (&["restore"], 2),
        (&["rollback", "nginx"], 2),
        (&["revoke", "nginx", "--yes"], 2),
        (&["unblock", "nginx", "--yes"], 2),
        (&["forget", "nginx", "--yes"], 2),
        (&["install"], 2),
    ] {
        let arguments = [&["--config", "omens.toml"], arguments].concat();
        let (code, stdout, stderr) = run(dir.path(), &arguments);
        assert_eq!((code, stdout.as_str()), (Some(exit), ""), "{arguments:?}");
        assert!(
            stderr.contains("omens.toml:1:2: unknown-key: ") && stderr.contains("  hint: write [host], which there has to be"),
            "{stderr}"
        );

        let (code, stdout, _) = run(dir.path(), &[arguments.as_slice(), &["--json"]].concat());
        let document = document(&stdout);
        assert_eq!((code, &document["errors"][0]["line"]), (Some(exit), &1.into()), "{arguments:?}");
        assert_eq!(document["errors"].as_array().unwrap().len(), 3, "{document:#}");
    }
}

#[test]
fn check_config_has_its_errors_on_stdout() {
    let dir = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run(dir.path(), &["check-config", "--config", "none.toml"]);
    assert_eq!((code, stderr.as_str()), (Some(2), ""));
    // At a first run there are none yet: what makes some is named.
    let said = "none.toml: unreadable: none.toml: no such file or directory\n  hint: `omens init` prints settings";
    assert!(stdout.starts_with(said) && stdout.contains("examples/omens.toml") && stdout.ends_with("--config FILE\n"), "{stdout}");

    let (code, stdout, _) = run(dir.path(), &["check-config", "--config", "none.toml", "--json"]);
    let document = document(&stdout);
    assert_eq!((code, &document["schema"], &document["ok"]), (Some(2), &"omens.check-config/1".into(), &false.into()));
    let error = &document["errors"][0];
    for field in ["file", "line", "column", "code", "text", "suggestion"] {
        assert!(error.get(field).is_some(), "{field}: {error}");
    }
}

#[test]
fn colours_go_where_the_flag_says() {
    let dir = tempfile::tempdir().unwrap();
    let colored = |arguments: &[&str]| run(dir.path(), &[&["check-config", "--config", "none"], arguments].concat()).1.contains('\x1b');
    assert_eq!([colored(&[]), colored(&["--color", "always"]), colored(&["--color", "never"])], [false, true, false]);
}

#[test]
fn help_version_completions_and_manual_are_results() {
    let dir = tempfile::tempdir().unwrap();
    for (arguments, expected) in [
        (&["--version"][..], "omens "),
        (&["--help"], "Begin with:"),
        (&["renew", "--help"], "Exit codes:"),
        (&["completions", "zsh"], "#compdef omens"),
        (&["man"], ".TH omens 1"),
    ] {
        let (code, stdout, stderr) = run(dir.path(), arguments);
        let found = stdout.contains(expected);
        assert_eq!((code, stderr.as_str(), found), (Some(0), "", true), "{arguments:?}: {stdout}");
    }
    assert_eq!(run(dir.path(), &["man", "."]).0, Some(0));
    assert!(dir.path().join("omens-renew.1").is_file());
    assert_eq!(run(dir.path(), &["man", "none/here"]).0, Some(1));
}

#[test]
fn a_reader_that_leaves_does_not_break_a_run_and_a_full_disk_is_not_success() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let left = omens(dir.path(), &["completions", "bash"]).stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((left.status.code(), left.stderr.len()), (Some(0), 0), "{left:?}");

    let full = File::options().write(true).open("/dev/full").unwrap();
    let full = omens(dir.path(), &["man"]).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(full.status.code(), Some(1));
    assert!(String::from_utf8(full.stderr).unwrap().starts_with("error: cannot write the result: "));
}

#[test]
fn with_v_every_step_is_told_and_with_vv_every_question() {
    let (_hostile, estate) = issued();
    let stderr = |flag: &str| {
        let run = estate.plain(&["renew", "--all", "--force", flag]);
        assert_eq!(run.code, 0, "{run:?}");
        run.stderr
    };
    let told = stderr("-v");
    for words in ["web: issue", "web: validate", "web: publish", "web: renewed"] {
        assert!(told.contains(words), "{words}: {told}");
    }
    assert!(!told.contains("answered"), "{told}");
    assert!(stderr("-vv").contains("/sign/"));
}

#[test]
fn a_result_that_is_lost_is_never_read_as_another_answer() {
    let (_hostile, estate) = issued();
    let config = estate.settings().display().to_string();
    for (arguments, expected) in [(&["status", "--due", "--json"][..], 255), (&["plan"], 2), (&["check-config"], 2)] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let all: Vec<&str> = ["--config", config.as_str()].iter().chain(arguments).copied().collect();
        let ended = omens(Path::new("/"), &all).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(ended.status.code(), Some(expected), "{arguments:?}: {ended:?}");
    }
}

#[test]
fn what_was_mended_in_the_settings_is_over_at_once_and_an_unknown_host_has_a_word() {
    let (_hostile, estate) = issued();
    let good = estate.settings_text();
    std::fs::write(estate.settings(), good.replacen("24h", "24", 1)).unwrap();
    estate.renew().expect(1, "web", "failed").because("web", "plan/settings");
    assert!(estate.plain(&["status"]).stdout.contains("expected a number with its unit"));
    std::fs::write(estate.settings(), &good).unwrap();
    let status = estate.plain(&["status"]);
    assert!(status.code == 0 && !status.stdout.contains("a number with its unit"), "no run is needed for that: {status:?}");
    std::fs::write(estate.settings(), good.replace("[host]", "[hots]")).unwrap();
    let status = estate.plain(&["status"]).stdout;
    assert!(status.lines().any(|line| line.starts_with("this host: 1 of 1 need attention")), "{status}");
    std::fs::write(estate.settings(), &good).unwrap();
    // Every report tells the host by the name that the settings give it.
    let audit = estate.omens(&["chain-audit"]);
    assert_eq!(audit.json["host"], "lab.funlab.casa", "{audit}");
    let install = estate.plain(&["install"]);
    assert_eq!((install.code, install.stdout.as_str()), (0, "no certificate of the settings has `install`: there is nothing to make\n"));
}

#[test]
fn a_status_line_says_what_is_wrong_now_and_when_the_ca_is_asked_again() {
    use crate::lab::hostile::{Hostile, Lie};
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    hostile.lies(&[Lie::Truncated; 6]);
    let outcomes = [(); 4].map(|()| estate.renew().outcome("web").to_owned());
    assert_eq!(outcomes, ["failed", "failed", "failed", "exhausted"]);
    let line = estate.plain(&["status"]).stdout;
    assert!(line.contains("connection lost") && line.contains("; the CA is asked again from 2"), "{line}");
    let whole = estate.plain(&["status", "-v"]).stdout;
    assert!(
        whole.contains("five signing requests brought no certificate: ") && whole.contains("at once after `omens unblock web`"),
        "{whole}"
    );
    assert_eq!(estate.omens(&["unblock", "web", "--yes"]).code, 0);
    hostile.lies(&[Lie::Nothing, Lie::PolicyDenied]);
    estate.renew().expect(0, "web", "renewed");
    estate.force().expect(1, "web", "failed");
    assert!(estate.plain(&["status"]).stdout.contains("permission-denied"));
    // What a person has to do is not hidden by what a run met.
    estate.certs[0].extra = format!("install = [ {{ dir = \"{}\", fullchain = \"web.pem\" }} ]\n", estate.dir.display());
    estate.write();
    let line = estate.plain(&["status"]).stdout;
    assert!(line.starts_with("web  link-missing ") && line.contains("`omens install` makes it"), "{line}");
    assert!(!line.contains("permission-denied"), "{line}");
}

/// What the audit says of a target, without where it lies.
fn said(target: &Path, more: &[&str]) -> (Option<i32>, Vec<(Value, Value)>, Vec<Value>) {
    let target = target.to_str().unwrap();
    let (code, stdout, _) = run(Path::new("/"), &[&["--json", "chain-audit", "--no-config", target], more].concat());
    let document: Value = serde_json::from_str(&stdout).unwrap();
    let findings = document["findings"].as_array().unwrap().iter().map(|one| (one["id"].clone(), one["found"].clone())).collect();
    let chains =
        document["chains"].as_array().unwrap().iter().map(|one| Value::from(vec![one["leaf_sha256"].clone(), one["verdict"].clone()]));
    (code, findings, chains.collect())
}

#[test]
fn a_ca_in_a_directory_is_judged_as_in_a_file() {
    use crate::lab::pki::{Ca, CaKeys};
    let dir = tempfile::tempdir().unwrap();
    let (root, other) = (Ca::root("Some Root", CaKeys::Ec), Ca::root("Some Other", CaKeys::Ec));
    let (file, anchor) = (dir.path().join("alone/ca.pem"), dir.path().join("anchor.pem"));
    std::fs::create_dir(dir.path().join("alone")).unwrap();
    std::fs::write(&file, &root.pem).unwrap();
    for pinned in [None, Some(&root), Some(&other)] {
        let anchor = pinned.map(|pinned| {
            std::fs::write(&anchor, &pinned.pem).unwrap();
            ["--anchor", anchor.to_str().unwrap()]
        });
        let more = anchor.as_ref().map_or(&[][..], |more| &more[..]);
        let (of_file, of_directory) = (said(&file, more), said(&dir.path().join("alone"), more));
        assert_eq!(of_file, of_directory, "{more:?}");
        assert!(of_file.2.len() == 1 && of_file.1.iter().any(|(id, _)| id == "bc.ca-leaf"), "{of_file:?}");
    }
}

#[test]
fn where_no_systemd_runs_status_says_so_too() {
    use crate::lab::estate::Cert;
    let hostile = crate::lab::hostile::Hostile::start();
    let driver = "{ systemd = { unit = \"nginx.service\", action = \"reload\" } }";
    let mut estate = hostile.estate();
    estate.certs = vec![Cert::web("web").reloaded_by(driver)];
    estate.write();
    let is_here = Path::new("/run/systemd/system").is_dir();
    for command in ["status", "check-config"] {
        let run = estate.omens(&[command]);
        let warnings = run.json["warnings"].as_array().unwrap();
        let warning = warnings.iter().find(|warning| warning["code"] == "no-systemd");
        assert_eq!(warning.is_none(), is_here, "{run}");
        if let Some(warning) = warning {
            assert!(warning["text"].as_str().unwrap().contains("nobody can be asked to reload nginx.service"), "{run}");
            assert!(warning["hint"].as_str().unwrap().contains("name in `reload` what needs none"), "{run}");
        }
    }
    // Where no unit is named nothing is missing.
    estate.certs = vec![Cert::web("web")];
    estate.write();
    assert!(!estate.omens(&["status"]).stdout.contains("no-systemd"));
}
