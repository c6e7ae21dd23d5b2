//! What `status`, `plan` and the audit say of a host nobody renews, of links that are gone, and of a run that is under way.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::disk::short_profile;
use crate::lab::child::Server;
use crate::lab::estate::{Cert, Estate, Run};
use crate::lab::hostile::{Hostile, Lie};
use crate::lab::wait_for;
use crate::web::{issued, warned};

fn healthy(run: &Run, name: &str) -> bool {
    run.cert(name)["healthy"].as_bool().expect("a verdict")
}

#[test]
fn a_certificate_that_nobody_renews_is_overdue_everywhere() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    hostile.lie(Lie::Aged);
    estate.renew().expect(0, "web", "renewed");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, healthy(&status, "web"), &status.cert("web")["overdue"]), (1, false, &true.into()), "{status}");
    assert_eq!(status.reasons("web"), ["in-window", "overdue"], "{status}");
    let plan = estate.omens(&["plan"]);
    assert_eq!((plan.code, plan.reasons("web")), (0, vec!["in-window", "overdue"]), "{plan}");
    let audit = estate.omens(&["chain-audit"]);
    let found = audit.json["findings"].as_array().unwrap().iter().find(|f| f["id"] == "own.overdue").cloned();
    assert_eq!(found.unwrap_or_default()["severity"], "high", "{audit}");

    hostile.lie(Lie::Nothing);
    estate.renew().expect(0, "web", "renewed");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert("web")["overdue"]), (0, &false.into()), "{status}");
}

#[test]
fn what_others_may_exchange_or_read_is_not_healthy_and_the_next_run_closes_it() {
    if !rustix::process::geteuid().is_root() {
        return crate::skipped("needs root (files of another user)");
    }
    let (_hostile, estate) = issued();
    let mode = |path: &Path, mode: u32| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let nobody = |path: &Path| std::os::unix::fs::chown(path, Some(65_534), None).unwrap();
    type Row<'a> = (&'a str, std::path::PathBuf, &'a dyn Fn(&Path), &'a str);
    let (run, key) = (estate.run_dir().join("web"), estate.state().join("certs/web/gen-1/key.pem"));
    let rows: [Row; 5] = [
        ("a directory of somebody else", run.clone(), &nobody, "belongs to the user 65534, expected 0"),
        ("a generation of somebody else", run.join("gen-1"), &nobody, "belongs to the user 65534, expected 0"),
        ("a generation that others may write", run.join("gen-1"), &|path| mode(path, 0o777), "may be written by others: mode 0777"),
        ("a key that others may read", run.join("gen-1/key.pem"), &|path| mode(path, 0o644), "mode 0644, expected user 0"),
        ("a key that others may read where it rests", key.clone(), &|path| mode(path, 0o644), "key.pem has mode 0644, expected 0600"),
    ];
    for mend in [&["renew", "--all"][..], &["restore"]] {
        for (what, path, loosen, words) in &rows {
            let before = std::fs::metadata(path).unwrap();
            loosen(path);
            let status = estate.omens(&["status"]);
            assert_eq!((status.code, healthy(&status, "web")), (1, false), "{what}: {status}");
            let text = estate.plain(&["status", "-v"]).stdout;
            assert!(text.contains(words) && !text.contains("differs from what is committed"), "{what}: {text}");
            assert_eq!(estate.omens(mend).code, 0, "{what}");
            if mend == ["restore"] && *path == key {
                // What lies in the state directory is not what `restore` writes to: it stays said until a run closes it.
                let status = estate.omens(&["status"]);
                assert_eq!((status.code, std::fs::metadata(path).unwrap().mode() & 0o777), (1, 0o644), "{what}: {status}");
                assert_eq!(estate.renew().code, 0, "{what}");
            }
            let status = estate.omens(&["status"]);
            assert_eq!((status.code, healthy(&status, "web")), (0, true), "{what}: {status}");
            let after = std::fs::metadata(path).unwrap();
            assert_eq!((after.mode(), after.uid()), (before.mode(), before.uid()), "{what}");
        }
    }
}

#[test]
fn install_says_where_others_may_exchange_what_it_makes() {
    let (_hostile, estate) = issued();
    let estate = with_links(estate, "link");
    let dir = estate.dir.join("consumer");
    for (mode, is_said) in [(0o755, false), (0o777, true), (0o775, true)] {
        std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(mode)).unwrap();
        let run = estate.omens(&["install"]);
        assert_eq!((run.code, warned(&run, "permissions")), (0, is_said), "{mode:o}: {run}");
    }
}

/// A host with a consumer's directory of links.
fn with_links(estate: Estate, kind: &str) -> Estate {
    let dir = estate.dir.join("consumer");
    std::fs::create_dir(&dir).unwrap();
    let install =
        format!("install = [ {{ dir = \"{}\", cert = \"server.crt\", key = \"server.key\", as = \"{kind}\" }} ]\n", dir.display());
    let estate = Estate { certs: vec![Cert { extra: install, ..Cert::web("web") }], ..estate };
    estate.write();
    estate
}

#[test]
fn a_link_that_is_missing_replaced_or_leads_elsewhere_is_not_healthy_until_install_makes_it() {
    let (_hostile, estate) = issued();
    let estate = with_links(estate, "link");
    let link = estate.dir.join("consumer/server.crt");
    assert_eq!(estate.omens(&["status"]).code, 1, "never installed");
    estate.omens(&["install"]).expect(0, "web", "installed");
    assert_eq!(estate.omens(&["status"]).code, 0);
    for what in ["missing", "is a file", "leads to /dev/null"] {
        std::fs::remove_file(&link).unwrap();
        match what {
            "missing" => {}
            "is a file" => std::fs::write(&link, "somebody's").unwrap(),
            _ => std::os::unix::fs::symlink("/dev/null", &link).unwrap(),
        }
        let status = estate.omens(&["status"]);
        assert_eq!((status.code, healthy(&status, "web")), (1, false), "{what}: {status}");
        assert!(status.reasons("web").contains(&"link-missing"), "{status}");
        let says = status.cert("web")["warnings"][0]["text"].as_str().unwrap_or_default();
        assert!(says.contains(what) && says.contains("omens install"), "{what}: {status}");
        // A run does not make it, and has nothing else to do.
        let run = estate.renew();
        run.expect(0, "web", "not-due");
        assert!(warned(&run, "link-missing"), "{run}");
        assert_eq!(estate.omens(&["status", "--due"]).code, 1);
        estate.omens(&["install"]).expect(0, "web", "installed");
        assert_eq!(estate.omens(&["status"]).code, 0, "{what}");
    }
    let audit = |estate: &Estate| {
        let audit = estate.omens(&["chain-audit"]);
        audit.json["findings"].as_array().unwrap().iter().any(|f| f["id"] == "own.link-missing" && f["severity"] == "high")
    };
    assert!(!audit(&estate));
    std::fs::remove_file(&link).unwrap();
    assert!(audit(&estate));
}

#[test]
fn install_changes_all_targets_of_an_entry_or_none() {
    let (_hostile, estate) = issued();
    let estate = with_links(estate, "link");
    let dir = estate.dir.join("consumer");
    std::fs::write(dir.join("server.crt"), "old certificate").unwrap();
    // Seen before anything is changed: the second target cannot be replaced.
    std::fs::create_dir(dir.join("server.key")).unwrap();
    let before = names(&dir);
    estate.omens(&["install"]).expect(1, "web", "failed");
    assert_eq!((names(&dir), std::fs::read_to_string(dir.join("server.crt")).unwrap()), (before, "old certificate".to_owned()));

    // Seen only when it is tried: all names for what lies there are taken.
    std::fs::remove_dir(dir.join("server.key")).unwrap();
    std::fs::write(dir.join("server.key"), "old key").unwrap();
    for number in 1..=100 {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        std::fs::write(dir.join(format!("server.key.before-omens{suffix}")), "x").unwrap();
    }
    let before = names(&dir);
    let run = estate.omens(&["install"]);
    run.expect(1, "web", "failed");
    assert_eq!(names(&dir), before, "{run}");
    for (file, text) in [("server.crt", "old certificate"), ("server.key", "old key")] {
        assert!(!dir.join(file).is_symlink(), "a mixed pair: {file}");
        assert_eq!(std::fs::read_to_string(dir.join(file)).unwrap(), text);
    }
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir).unwrap().flatten().map(|e| e.file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn a_link_or_a_pipe_at_the_target_of_a_copy_is_kept_aside() {
    let (_hostile, estate) = issued();
    let estate = with_links(estate, "copy");
    let dir = estate.dir.join("consumer");
    std::os::unix::fs::symlink("/etc/hostname", dir.join("server.crt")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, dir.join("server.key"), rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let run = estate.omens(&["install"]);
    run.expect(0, "web", "installed");
    assert!(warned(&run, "kept-aside"), "{run}");
    assert_eq!(std::fs::read_link(dir.join("server.crt.before-omens")).unwrap(), Path::new("/etc/hostname"));
    assert!(std::os::unix::fs::FileTypeExt::is_fifo(&std::fs::symlink_metadata(dir.join("server.key.before-omens")).unwrap().file_type()));
    for file in ["server.crt", "server.key"] {
        assert!(std::fs::symlink_metadata(dir.join(file)).unwrap().is_file(), "{file}");
    }
    assert_eq!(estate.omens(&["status"]).code, 0);
}

/// Changes `state.json` of `web`.
fn edit_state(estate: &Estate, edit: impl Fn(&mut Value)) -> Vec<u8> {
    let path = estate.state().join("certs/web/state.json");
    let mut state = estate.state_json("web");
    edit(&mut state);
    let bytes = serde_json::to_vec(&state).unwrap();
    std::fs::write(&path, &bytes).unwrap();
    bytes
}

#[test]
fn a_state_of_a_newer_version_is_left_alone_and_said() {
    let (_hostile, estate) = issued();
    let second = Cert::web("second");
    let mut estate = estate;
    estate.certs.push(second);
    estate.write();
    estate.renew().expect(0, "second", "renewed");
    let path = estate.state().join("certs/web/state.json");
    for extra in [false, true] {
        let bytes = edit_state(&estate, |state| {
            state["v"] = 2.into();
            if extra {
                state["of_tomorrow"] = true.into();
            }
        });
        let run = estate.force();
        run.expect(1, "web", "failed").because("web", "plan/state-newer").expect(1, "second", "renewed");
        estate.omens(&["rollback", "web"]).expect(1, "web", "failed").because("web", "plan/state-newer");
        estate.omens(&["unblock", "web", "--yes"]).expect(1, "web", "failed").because("web", "plan/state-newer");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "untouched");
        assert_eq!((estate.committed("web"), estate.published("web")), (Some(1), Some(1)));
        let status = estate.omens(&["status"]);
        assert_eq!((status.code, healthy(&status, "web"), &status.cert("web")["live"]), (1, false, &1.into()), "{status}");
        // How it was proven is in what cannot be read: that is no debt.
        assert!(status.cert("web")["debt"].is_null() && !status.reasons("web").contains(&"debt"), "{status}");
        assert_eq!(estate.omens(&["status", "--due", "web"]).code, 0, "a run would say it");
        // What boots does not hang on it.
        std::fs::remove_dir_all(estate.run_dir()).unwrap();
        estate.omens(&["restore"]).expect(0, "web", "restored");
    }
}

#[test]
fn an_error_dated_in_the_future_ends_with_the_next_run_in_status_and_audit_alike() {
    let (_hostile, estate) = issued();
    edit_state(&estate, |state| {
        let failure = serde_json::json!({"stage": "issue", "code": "unreachable", "text": "nobody answers", "hint": null});
        state["last_error"] = serde_json::json!({"at": "2031-01-01T00:00:00Z", "failure": failure});
    });
    let audit = || estate.omens(&["chain-audit"]).json["findings"].as_array().unwrap().iter().any(|f| f["id"] == "own.last-error");
    estate.renew().expect(0, "web", "not-due");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert("web")["last_error"], audit()), (0, &Value::Null, false), "{status}");
    // One that counts, counts for both.
    edit_state(&estate, |state| state["last_error"]["at"] = serde_json::json!(status.json["at"]));
    assert_eq!((estate.omens(&["status"]).code, audit()), (1, true));
}

#[test]
fn what_serves_is_not_said_to_come_from_a_run_that_did_not_finish() {
    let (_hostile, estate) = issued();
    std::fs::remove_file(estate.state().join("certs/web/state.json")).unwrap();
    let plan = estate.omens(&["plan"]);
    let text = plan.cert("web")["reasons"][0]["text"].as_str().unwrap_or_default().to_owned();
    assert!(text.contains("gen-1 is committed") && !text.contains("did not finish"), "{plan}");
    estate.renew().expect(0, "web", "settled");
    assert_eq!(estate.omens(&["status"]).code, 0);
}

#[test]
fn a_run_that_is_under_way_is_told_as_that_and_health_is_as_before_it() {
    let (_hostile, mut estate) = issued();
    assert_eq!(estate.omens(&["status"]).code, 0);
    // Nobody is there: the run looks for the new leaf until the deadline, and goes back.
    let nobody = crate::lab::free_port();
    estate.certs[0] = estate.certs[0].clone().seen_at(nobody, "4s");
    estate.write();
    let mut command = estate.command(&["renew", "web", "--force"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let (mut during, mut seen) = (Vec::new(), 0);
    while child.try_wait().unwrap().is_none() {
        let status = estate.omens(&["status"]);
        if child.try_wait().unwrap().is_none() {
            during.push((status.code, status.reasons("web").contains(&"debt"), status.cert("web")["in_progress"]["stage"].clone()));
            seen += usize::from(status.reasons("web").contains(&"in-progress"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(during.iter().all(|(code, debt, _)| (*code, *debt) == (0, false)), "{during:?}");
    assert!(seen > 3 && during.iter().any(|(_, _, stage)| stage == "reload"), "{during:?}");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, status.reasons("web")[0]), (1, "debt"), "{status}");
}

#[test]
fn a_state_directory_that_no_run_can_write_is_said_before_it_matters() {
    let (_hostile, estate) = issued();
    let chattr = |flag: &str| Command::new("chattr").arg(flag).arg(estate.state()).status().is_ok_and(|status| status.success());
    if !crate::lab::is_root() || !chattr("+i") {
        return crate::skipped("an immutable state directory: needs root, chattr and a file system that knows it");
    }
    let status = estate.omens(&["status"]);
    assert!(chattr("-i"));
    assert_eq!(status.code, 1, "{status}");
    assert!(warned(&status, "state-not-written"), "{status}");
    assert_eq!(estate.omens(&["status"]).code, 0);
}

#[test]
fn a_certificate_that_is_due_before_the_next_tick_is_renewed_in_time() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    let mut cert = Cert::web("web");
    (cert.ttl, cert.profile) = ("60s".into(), "short".into());
    estate.certs = vec![cert];
    short_profile(&estate);
    estate.write();
    let log = estate.dir.join("run.log");
    let mut server = Server::start(estate.command(&["run", "--every", "6h"]), &log, Signal::TERM);
    wait_for("the second certificate", Duration::from_secs(55), || estate.committed("web") == Some(2));
    server.stop();
    let said = std::fs::read_to_string(&log).unwrap();
    assert!(said.contains("runs-too-seldom: web lives 60s") || said.contains("runs-too-seldom: web lives 1m"), "{said}");
    let check = estate.omens(&["check-config"]);
    assert!(check.json["warnings"].as_array().unwrap().iter().any(|w| w["code"] == "runs-too-seldom"), "{check}");
}

/// A line of the exposition: its value.
fn value(text: &str, series: &str) -> Option<i64> {
    text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[test]
fn every_run_leaves_its_metrics_and_status_prints_the_same() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let dir = estate.dir.join("textfile");
    std::fs::create_dir(&dir).unwrap();
    let file = dir.join("omens.prom");
    let text = format!("{}\n[metrics]\ntextfile = \"{}\"\n", estate.settings_text(), file.display());
    std::fs::write(estate.settings(), text).unwrap();
    estate.renew().expect(0, "web", "renewed");
    let left = std::fs::read_to_string(&file).unwrap();
    assert_eq!(names(&dir), ["omens.prom"], "renamed into place");
    for (series, expected) in [
        ("omens_certificate_debt{certificate=\"web\"}", 0),
        ("omens_certificate_overdue{certificate=\"web\"}", 0),
        ("omens_certificate_healthy{certificate=\"web\"}", 1),
        ("omens_certificate_budget_remaining{certificate=\"web\"}", 5),
        ("omens_last_run_outcome{outcome=\"renewed\"}", 1),
        ("omens_last_run_outcome{outcome=\"failed\"}", 0),
        ("omens_healthy", 1),
    ] {
        assert_eq!(value(&left, series), Some(expected), "{series}\n{left}");
    }
    let status = estate.omens(&["status"]);
    let unix = |field: &str| omens::model::clock::Time::parse(status.cert("web")[field].as_str().unwrap()).unwrap().unix();
    for (name, field) in [("not_after", "expires"), ("not_before", "not_before"), ("due", "due_at"), ("last_success", "last_success")] {
        let series = format!("omens_certificate_{name}_seconds{{certificate=\"web\"}}");
        assert_eq!(value(&left, &series), Some(unix(field)), "{series}\n{left}");
    }
    for name in ["omens_certificate_last_attempt_seconds{certificate=\"web\"}", "omens_last_run_seconds", "omens_last_run_duration_seconds"]
    {
        assert!(value(&left, name).is_some(), "{name}\n{left}");
    }
    // Each metric once, with its help and type.
    let series: Vec<&str> = left.lines().filter(|line| !line.starts_with('#')).map(|line| line.rsplit_once(' ').unwrap().0).collect();
    assert_eq!(series.iter().collect::<std::collections::BTreeSet<_>>().len(), series.len(), "{left}");
    let printed = estate.plain(&["status", "--format", "prometheus"]).stdout;
    let of_run = left.find("# HELP omens_last_run_duration_seconds").unwrap();
    assert_eq!(printed, left[..of_run]);

    hostile.lie(Lie::PolicyDenied);
    std::thread::sleep(Duration::from_millis(1100));
    estate.force().expect(1, "web", "failed");
    let left = std::fs::read_to_string(&file).unwrap();
    assert_eq!(value(&left, "omens_last_run_outcome{outcome=\"failed\"}"), Some(1), "{left}");
    let series = "omens_certificate_last_error{certificate=\"web\",stage=\"issue\",code=\"permission-denied\"}";
    assert_eq!((value(&left, series), value(&left, "omens_healthy")), (Some(1), Some(0)), "{left}");
}

#[test]
fn status_is_one_line_a_certificate_with_the_worst_first() {
    let (hostile, mut estate) = issued();
    estate.certs.push(Cert::web("apart"));
    estate.certs.push(Cert::web("zed"));
    estate.write();
    hostile.lies(&[Lie::PolicyDenied, Lie::Nothing]);
    estate.renew();
    let lines: Vec<String> = estate.plain(&["status"]).stdout.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{lines:#?}");
    assert!(lines[0].contains("permission-denied") && !lines[1].contains("denied"), "{lines:#?}");
    assert!(lines[1].contains("healthy") && lines[2].contains("healthy"), "{lines:#?}");
    assert!(lines[3].starts_with("lab.funlab.casa: 1 of 3 need attention, last run "), "{lines:#?}");
    assert!(estate.plain(&["status", "-v"]).stdout.lines().count() > 6);
    // The plan likewise: what is due first, with the reason that counts most.
    let plan: Vec<String> = estate.plain(&["plan"]).stdout.lines().map(str::to_owned).collect();
    assert!(plan.len() == 4 && plan[0].contains("  due      missing: "), "{plan:#?}");
    assert!(plan[1].contains("not due  fresh: ") && plan[3] == "lab.funlab.casa: 1 of 3 due; more with -v", "{plan:#?}");
    assert!(estate.plain(&["plan", "-v"]).stdout.lines().all(|line| line.ends_with(')')));
}

#[test]
fn what_failed_is_on_stderr_and_quiet_leaves_the_rest_out() {
    let (hostile, mut estate) = issued();
    let quiet = estate.plain(&["renew", "--all", "--quiet"]);
    assert_eq!((quiet.code, quiet.stdout.as_str(), quiet.stderr.as_str()), (0, "", ""));
    estate.certs.insert(0, Cert::web("again"));
    estate.certs.push(Cert::web("late"));
    estate.write();
    hostile.lies(&[Lie::Nothing, Lie::PolicyDenied]);
    let loud = estate.plain(&["renew", "--all"]);
    let order: Vec<&str> = loud.stdout.lines().filter_map(|line| line.split(": ").nth(1)).collect();
    assert_eq!((loud.code, order[0], order.last().copied().map(|word| word.starts_with("not-due"))), (1, "failed", Some(true)), "{loud:?}");
    assert!(loud.stderr.contains("failed: issue: permission-denied"), "{loud:?}");
    let quiet = estate.plain(&["renew", "--all", "-q"]);
    assert_eq!((quiet.code, quiet.stdout.as_str()), (1, ""), "{quiet:?}");
    assert!(quiet.stderr.contains(": failed: issue: permission-denied"), "{quiet:?}");
    let json = estate.omens(&["renew", "--all"]);
    assert!(json.stderr.contains(": failed: issue: permission-denied"), "{json}");
    // Those who only look say on stderr what needs attention, and nothing else.
    let looked = estate.plain(&["status", "--quiet"]);
    assert_eq!((looked.code, looked.stdout.as_str()), (1, ""), "{looked:?}");
    assert!(looked.stderr.contains("permission-denied") && !looked.stderr.contains("  healthy  "), "{looked:?}");
    for (arguments, code) in [
        (&["plan", "-q"][..], 0),
        (&["check-config", "-q"], 0),
        (&["status", "-q", "--due"], 0),
        (&["probe", "-q", "127.0.0.1:1"], 1),
        (&["chain-audit", "-q", "--fail-on", "none"], 0),
    ] {
        let looked = estate.plain(arguments);
        assert_eq!((looked.code, looked.stdout.as_str(), looked.stderr.is_empty()), (code, "", code == 0), "{arguments:?}: {looked:?}");
    }
}

#[test]
fn a_document_has_one_shape_at_every_exit_code() {
    let (_hostile, estate) = issued();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    let good = [estate.omens(&["plan"]), estate.omens(&["status"])];
    let broken = format!("{}\nnonsense = 1\n", estate.settings_text());
    std::fs::write(estate.settings(), broken).unwrap();
    for (good, command) in good.iter().zip(["plan", "status"]) {
        for arguments in [&[command][..], &[command, "--nonsense"]] {
            let refused = estate.omens(arguments);
            assert_eq!(refused.json["schema"], good.json["schema"], "{refused}");
            if refused.code == 2 {
                assert_eq!(keys(&refused.json), keys(&good.json), "{refused}");
            }
        }
    }
}

#[test]
fn help_is_a_word_too_and_completions_know_the_names() {
    let (_hostile, estate) = issued();
    let (word, flag) = (estate.plain(&["help", "renew"]), estate.plain(&["renew", "--help"]));
    assert_eq!((word.code, flag.code), (0, 0), "{word:?}");
    let bare = |arguments: &[&str]| {
        let mut command = Command::new(crate::lab::estate::omens());
        command.args(arguments);
        crate::lab::child::run(command, Duration::from_secs(10))
    };
    assert_eq!(bare(&["help", "renew"]).stdout, bare(&["renew", "--help"]).stdout);
    assert_eq!(bare(&["help"]).stdout, bare(&["--help"]).stdout);
    for words in [&["help", "renew", "--json"][..], &["--json", "help", "renew"], &["help", "renew", "-q"], &["help", "-v", "renew"]] {
        assert_eq!(bare(words).stdout, bare(&["renew", "--help"]).stdout, "{words:?}");
    }
    let merge = bare(&["help", "chain-audit", "merge"]);
    assert!(merge.code == 0 && merge.stdout == bare(&["chain-audit", "merge", "--help"]).stdout, "{merge:?}");
    let unknown = bare(&["help", "settings", "nope"]);
    assert!(unknown.code == 2 && unknown.stderr.lines().any(|line| line.starts_with("  hint: ")), "{unknown:?}");
    assert_eq!(bare(&["help", "settings", "uri", "--json"]).stdout, bare(&["help", "settings", "uri"]).stdout);
    assert_eq!(bare(&["help", "nonsense"]).code, 2);
    assert_eq!(estate.plain(&["completions", "--names"]).stdout, "web\n");
    assert!(estate.plain(&["completions", "bash"]).stdout.contains("omens completions --names"));
}

/// Figures, and a bound far above them: a debug build on a shared machine.
#[test]
fn thousands_of_certificates_and_a_long_ledger_cost_status_seconds_at_most() {
    const MANY: usize = 3000;
    let (_hostile, mut estate) = issued();
    let copy = |from: &Path, to: &Path| {
        std::fs::create_dir_all(to.join("gen-1")).unwrap();
        for entry in std::fs::read_dir(from.join("gen-1")).unwrap().flatten() {
            std::fs::hard_link(entry.path(), to.join("gen-1").join(entry.file_name())).unwrap();
        }
        // It names its own paths.
        let own = to.join("gen-1/nginx.conf");
        if let Ok(text) = std::fs::read_to_string(&own) {
            std::fs::remove_file(&own).unwrap();
            std::fs::write(&own, text.replace("/web/", &format!("/{}/", to.file_name().unwrap().to_str().unwrap()))).unwrap();
        }
        std::os::unix::fs::symlink("gen-1", to.join("live")).unwrap();
    };
    let (certs, run) = (estate.state().join("certs"), estate.run_dir());
    for number in 1..MANY {
        let name = format!("c{number}");
        copy(&certs.join("web"), &certs.join(&name));
        std::fs::copy(certs.join("web/state.json"), certs.join(&name).join("state.json")).unwrap();
        copy(&run.join("web"), &run.join(&name));
        std::os::unix::fs::symlink("live/nginx.conf", run.join(&name).join("nginx.conf")).unwrap();
        estate.certs.push(Cert::web(&name));
    }
    // Settings of more than a mebibyte are split.
    let text = estate.settings_text();
    let middle = text.match_indices("[[certificate]]").nth(MANY / 2).unwrap().0;
    std::fs::write(estate.settings(), &text[..middle]).unwrap();
    std::fs::create_dir_all(estate.dir.join("omens.d")).unwrap();
    std::fs::write(estate.dir.join("omens.d/more.toml"), &text[middle..]).unwrap();
    // A million lines of it: nothing that looks reads them.
    let ledger = std::fs::OpenOptions::new().append(true).open(estate.state().join("ledger.jsonl")).unwrap();
    ledger.set_len(300 << 20).unwrap();
    for command in ["status", "plan"] {
        let begin = std::time::Instant::now();
        let output = estate.plain(&[command]);
        let took = begin.elapsed();
        eprintln!("{command} with {MANY} certificates and a ledger of 300 MiB: {took:?}");
        assert_eq!(output.code, 0, "{}{}", &output.stdout[output.stdout.len().saturating_sub(500)..], output.stderr);
        assert!(output.stdout.lines().count() == MANY + 1 && took < Duration::from_secs(60), "{command}: {took:?}");
    }
}
