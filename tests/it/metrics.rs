//! `[metrics] textfile` says what `status` says, whatever became of the run.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::lab::child::run;
use crate::lab::estate::{Cert, Estate, omens};
use crate::lab::hostile::Hostile;

/// A host with two certificates and a textfile.
struct Host {
    _hostile: Hostile,
    estate: Estate,
}

impl Host {
    fn renewed() -> Self {
        let hostile = Hostile::start();
        let host = Self { estate: hostile.estate().with(Cert::web("api")), _hostile: hostile };
        std::fs::create_dir(host.file().parent().unwrap()).unwrap();
        host.write(|text| text);
        host.estate.renew().expect(0, "web", "renewed");
        assert_eq!((host.value("omens_healthy"), host.value(&of("api", "healthy"))), (Some(1), Some(1)));
        host
    }

    fn file(&self) -> PathBuf {
        self.estate.dir.join("textfile/omens.prom")
    }

    fn write(&self, change: impl Fn(String) -> String) {
        let text = format!("{}\n[metrics]\ntextfile = \"{}\"\n", self.estate.settings_text(), self.file().display());
        std::fs::write(self.estate.settings(), change(text)).unwrap();
    }

    fn left(&self) -> String {
        std::fs::read_to_string(self.file()).unwrap()
    }

    fn value(&self, series: &str) -> Option<i64> {
        self.left().lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
    }

    /// What `status` prints, in which no series is of the run alone.
    fn printed(&self) -> String {
        self.estate.plain(&["status", "--format", "prometheus"]).stdout
    }

    fn left_by_status(&self) -> String {
        let left = self.left();
        left.split("# HELP omens_last_run_duration_seconds").next().unwrap().to_owned()
    }
}

fn of(name: &str, metric: &str) -> String {
    format!("omens_certificate_{metric}{{certificate=\"{name}\"}}")
}

#[test]
fn a_certificate_with_wrong_settings_keeps_its_series_and_is_not_healthy() {
    let host = Host::renewed();
    let end = host.value(&of("api", "not_after_seconds"));
    host.write(|text| text.replacen("\"tls-server\"", "\"no-such-profile\"", 2).replacen("\"no-such-profile\"", "\"tls-server\"", 1));
    host.estate.renew().expect(1, "api", "failed");
    assert_eq!(
        (host.value("omens_healthy"), host.value(&of("api", "healthy")), host.value(&of("web", "healthy"))),
        (Some(0), Some(0), Some(1))
    );
    assert_eq!(host.value("omens_last_run_outcome{outcome=\"failed\"}"), Some(1), "{}", host.left());
    assert_eq!(host.value(&of("api", "not_after_seconds")), end);
    assert_eq!(host.left_by_status(), host.printed());
}

#[test]
fn a_run_that_could_not_use_the_settings_takes_back_that_all_is_well() {
    let host = Host::renewed();
    type Change = fn(String) -> String;
    let broken: [(&str, Change, Option<i64>); 4] = [
        ("the CA", |text| text.replacen("[openbao]", "[openbao]\nmount = 5", 1).replacen("mount = \"", "# \"", 1), Some(0)),
        ("the root", |text| text.replace("eye-of-thundera.pem", "gone.pem"), Some(0)),
        ("a table that nobody knows", |text| format!("{text}\n[hots]\n"), Some(0)),
        // Nobody knows then where anything lies.
        ("the places", |text| text.replacen("state = \"/", "state = \"", 1), None),
    ];
    for (what, change, of_web) in broken {
        for command in [&["renew", "--all"][..], &["restore"], &["install"]] {
            host.write(|text| text);
            host.estate.renew();
            assert_eq!(host.value("omens_healthy"), Some(1), "{what}");
            host.write(change);
            let run = host.estate.omens(command);
            assert!([1, 2].contains(&run.code) && (run.code == 2 || command == ["restore"]), "{what}: {run}");
            assert_eq!(host.value("omens_healthy"), Some(0), "{what} {command:?}: {run}");
            assert_eq!(host.value(&of("web", "healthy")), of_web, "{what} {command:?}");
            if of_web.is_some() {
                assert_eq!(host.left_by_status(), host.printed(), "{what}");
            }
        }
    }
    // A look writes nothing.
    host.write(|text| text);
    host.estate.renew();
    host.write(broken[0].1);
    for command in [&["plan"][..], &["status"], &["check-config"], &["chain-audit"]] {
        host.estate.omens(command);
    }
    assert_eq!(host.value("omens_healthy"), Some(1));
}

#[test]
fn where_the_settings_do_not_say_any_more_where_the_metrics_are_they_are_where_they_were() {
    let host = Host::renewed();
    type Change = fn(String) -> String;
    let unreadable: [(&str, Change, i32); 3] = [
        ("no TOML where the table begins", |text| text.replace("[metrics]", "[metrics"), 2),
        ("no file for a collector", |text| text.replace("omens.prom", "omens.txt"), 1),
        ("a key that is misspelled", |text| text.replace("\ntextfile", "\ntextfiel"), 1),
    ];
    for (what, change, code) in unreadable {
        for command in [&["renew", "--all"][..], &["restore"]] {
            host.write(|text| text);
            host.estate.renew();
            assert_eq!(host.value("omens_healthy"), Some(1), "{what}");
            host.write(change);
            let run = host.estate.omens(command);
            assert!(run.code == code || (command == ["restore"] && run.code == 1), "{what}: {run}");
            assert_eq!(host.value("omens_healthy"), Some(0), "{what} {command:?}: {run}");
        }
    }
    // Where nobody wants them any more, they are nobody's to write.
    host.write(|text| text);
    host.estate.renew();
    let left = host.left();
    host.write(|text| text.split("\n[metrics]").next().unwrap().to_owned());
    assert_eq!(host.estate.renew().code, 0);
    host.write(|text| text.split("\n[metrics]").next().unwrap().replace("[host]", "[hots]"));
    assert_eq!(host.estate.renew().code, 2);
    assert_eq!(host.left(), left);
}

/// What is wrong with a secret stops every run: those who look say so too, and the metrics of every command are what they say.
#[test]
fn a_secret_that_no_run_can_use_is_seen_by_those_who_look() {
    let host = Host::renewed();
    let secret = host.estate.dir.join("secret-id");
    let kept = std::fs::read(&secret).unwrap();
    let mode = |mode| std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
    type Break<'a> = &'a dyn Fn();
    let broken: [(&str, Break<'_>); 2] = [("gone", &|| std::fs::remove_file(&secret).unwrap()), ("world-readable", &|| mode(0o644))];
    for (what, break_it) in broken {
        break_it();
        for (command, code) in [
            (&["plan"][..], 2),
            (&["status"], 1),
            (&["status", "--due"], 255),
            (&["status", "--due", "web"], 255),
            (&["renew", "--all"], 2),
            (&["restore"], 0),
        ] {
            let run = host.estate.omens(command);
            assert_eq!(run.code, code, "{what} {command:?}: {run}");
            assert!(code == 0 || run.stderr.contains("secret-id"), "{what} {command:?}: {run}");
        }
        for command in [&["renew", "--all"][..], &["restore"]] {
            host.estate.omens(command);
            assert_eq!((host.value("omens_healthy"), host.value(&of("web", "healthy"))), (Some(0), Some(0)), "{what} {command:?}");
            assert_eq!(host.left_by_status(), host.printed(), "{what} {command:?}");
        }
        std::fs::write(&secret, &kept).unwrap();
        mode(0o600);
        assert_eq!(host.estate.renew().code, 0, "{what}");
        assert_eq!((host.value("omens_healthy"), host.estate.omens(&["status"]).code), (Some(1), 0), "{what}");
    }
    // A secret that systemd would hand to the unit is nobody else's to see.
    host.write(|text| text.replace(&format!("file:{}", secret.display()), "credential:secret-id"));
    assert_eq!((host.estate.omens(&["status"]).code, host.estate.omens(&["status", "--due"]).code), (0, 1));
}

#[test]
fn whoever_is_told_of_runs_is_told_that_one_failed_on_its_settings() {
    let host = Host::renewed();
    let told = host.estate.dir.join("told");
    let program = host.estate.dir.join("tell");
    std::fs::write(&program, format!("#!/bin/sh\ncat > {}\n", told.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let tell = format!("\n[notify]\nexec = [\"{}\"]\n", program.display());
    type Change = fn(String) -> String;
    let broken: [(&str, Change); 3] = [
        ("the root", |text| text.replace("eye-of-thundera.pem", "gone.pem")),
        ("a key that nobody knows", |text| text.replacen("[host]", "[host]\nnmae = 1", 1)),
        ("a secret", |text| text.replace("/secret-id\"", "/no-secret-id\"")),
    ];
    for (what, change) in broken {
        for command in [&["renew", "--all"][..], &["renew", "web"], &["run"]] {
            host.write(|text| change(format!("{text}{tell}")));
            let run = host.estate.omens(command);
            assert_eq!(run.code, 2, "{what}: {run}");
            let notice: serde_json::Value = serde_json::from_slice(&std::fs::read(&told).unwrap_or_default()).unwrap_or_default();
            assert_eq!(notice["exit"], 2, "{what} {command:?}: {notice} {run}");
            assert!(notice["error"]["text"].as_str().is_some_and(|text| text.contains("omens.toml:")), "{what}: {notice}");
            crate::schemas::fits("notify", &notice);
            std::fs::remove_file(&told).unwrap();
        }
        // Whoever looks, or asks for something else, tells nobody.
        for command in [&["plan"][..], &["status"], &["reseal"]] {
            host.estate.omens(command);
            assert!(!told.exists(), "{what} {command:?}");
        }
    }
    // What is wrong with those who are told keeps nothing from being decided.
    host.write(|text| format!("{text}\n[notify]\nexec = [\"/no/such/program\"]\n"));
    assert_eq!((host.estate.omens(&["status"]).code, host.estate.omens(&["status", "--due"]).code), (1, 1));
}

#[test]
fn a_draft_of_the_settings_that_is_broken_says_nothing_about_the_host() {
    let host = Host::renewed();
    host.write(|text| text);
    host.estate.renew();
    let left = host.left();
    let draft = host.estate.dir.join("draft.toml");
    std::fs::write(&draft, std::fs::read_to_string(host.estate.settings()).unwrap().replace("[metrics]", "[metrics")).unwrap();
    let mut command = std::process::Command::new(omens());
    command.arg("--config").arg(&draft).args(["renew", "--all"]).env_clear().env("PATH", "/usr/bin:/bin");
    let output = run(command, std::time::Duration::from_secs(60));
    assert_eq!((output.code, host.left() == left), (2, true), "{}", output.stderr);
}
