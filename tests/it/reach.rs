//! How far a fault of the settings reaches: one certificate, never another one and never the boot.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use serde_json::Value;

use crate::lab::estate::{Cert, Estate, Run};
use crate::lab::hostile::Hostile;
use crate::lab::swtpm::Swtpm;

/// A host with `web` in the main file and `api` in a file of its own, both committed.
struct Two {
    _hostile: Hostile,
    estate: Estate,
}

impl Two {
    fn committed() -> Self {
        Self::with(Cert::web("api"))
    }

    fn with(api: Cert) -> Self {
        let hostile = Hostile::start();
        let two = Self { estate: hostile.estate(), _hostile: hostile };
        two.write_api(&api.toml());
        let run = two.estate.renew();
        run.expect(0, "web", "renewed");
        run.expect(0, "api", "renewed");
        two
    }

    fn drop_in(&self) -> PathBuf {
        self.estate.dir.join("omens.d/api.toml")
    }

    fn write_api(&self, text: &str) {
        std::fs::create_dir_all(self.drop_in().parent().unwrap()).unwrap();
        std::fs::write(self.drop_in(), text).unwrap();
    }

    fn write_main(&self, change: impl Fn(String) -> String) {
        std::fs::write(self.estate.settings(), change(self.estate.settings_text())).unwrap();
    }

    fn wipe_run(&self) {
        std::fs::remove_dir_all(self.estate.run_dir()).unwrap();
    }

    fn leaf(&self, name: &str) -> Option<String> {
        self.estate.published_leaf(name)
    }
}

fn errors(run: &Run) -> &Vec<Value> {
    run.json["errors"].as_array().unwrap()
}

/// What can be wrong with one certificate: the text of its file, and the key that the error names.
fn faults() -> Vec<(&'static str, String, Option<&'static str>)> {
    let good = Cert::web("api").toml();
    vec![
        ("a value", good.replace("ttl = \"24h\"", "ttl = \"24\""), Some("certificate[0].ttl")),
        ("a key that is missing", good.replace("role = \"web-ec\"\n", ""), Some("certificate[0].role")),
        ("a key that nobody knows", format!("{good}rool = \"x\"\n"), Some("certificate[0].rool")),
        ("a profile that is not there", good.replace("\"tls-server\"", "\"no-such-profile\""), Some("certificate[0].profile")),
        ("a group that is gone", format!("{good}group = \"no-such-group\"\n"), Some("certificate[0].group")),
        ("no TOML", format!("{good}group = \n"), Some("certificate[0].group")),
        ("nothing that could be read", "\u{1}%% = [".to_owned(), Some("\"\\u{1}%%\"")),
        ("a table that does not exist", format!("{good}[hots]\nname = \"x\"\n"), Some("hots")),
        ("its name twice", format!("{good}{good}"), Some("certificate[1].name")),
    ]
}

#[test]
fn a_fault_of_one_certificate_costs_that_certificate() {
    let two = Two::committed();
    for (what, text, key) in faults() {
        two.write_api(&text);
        let run = two.estate.renew();
        run.expect(1, "api", "failed");
        run.expect(1, "web", "not-due");
        let error = &run.cert("api")["error"];
        assert_eq!((&error["stage"], &error["code"]), (&Value::from("plan"), &Value::from("settings")), "{what}: {run}");
        let place = format!("{}:", two.drop_in().display());
        assert!(error["text"].as_str().unwrap().starts_with(&place), "{what}: {run}");
        assert_eq!(run.cert("api")["generation"], 1, "{what}: {run}");
        assert_eq!(errors(&run)[0]["key"].as_str(), key, "{what}: {run}");
        assert_eq!(run.json["host"], "lab.funlab.casa", "{what}: {run}");

        let plan = two.estate.omens(&["plan"]);
        assert_eq!((plan.code, plan.cert("api")["reasons"][0]["code"].as_str()), (1, Some("settings")), "{what}: {plan}");
        assert_eq!(plan.cert("web")["due"], false, "{what}: {plan}");
        let status = two.estate.omens(&["status"]);
        assert_eq!((status.code, &status.cert("api")["healthy"]), (1, &Value::from(false)), "{what}: {status}");
        assert_eq!((&status.cert("api")["live"], &status.cert("api")["published"]), (&Value::from(1), &Value::from(1)), "{what}: {status}");
        assert_eq!(status.cert("web")["healthy"], true, "{what}: {status}");
        assert_eq!(two.estate.omens(&["check-config"]).code, 2, "{what}");
    }
    assert!(two.estate.ledger().iter().any(|line| line["certificate"] == "api" && line["error"]["code"] == "settings"));
    // The others go on, also when they are due, and by their names nothing is wrong with them.
    two.estate.omens(&["renew", "web", "--force"]).expect(0, "web", "renewed");
    let due = |names: &[&str]| two.estate.omens(&[&["status", "--due"], names].concat()).code;
    assert_eq!((due(&["web"]), due(&["api"]), due(&[])), (1, 255, 255));
    two.write_api(&Cert::web("api").toml());
    two.estate.renew().expect(0, "api", "not-due");
}

#[test]
fn no_certificate_expires_because_nobody_can_be_told_of_it() {
    let two = Two::committed();
    let good = two.estate.settings_text();
    let (gone, open) = (two.estate.dir.join("gone"), two.estate.dir.join("open"));
    std::fs::write(&open, "#!/bin/sh\nexit 0\n").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).unwrap();
    for (what, tables, key) in [
        ("a program that is not there", format!("[notify]\nexec = [\"{}\"]\n", gone.display()), "notify.exec"),
        ("one that anybody may have written", format!("[notify]\nexec = [\"{}\"]\n", open.display()), "notify.exec"),
        ("a file that no collector reads", format!("[metrics]\ntextfile = \"{}.txt\"\n", gone.display()), "metrics.textfile"),
        ("no file", "[metrics]\n".to_owned(), "metrics.textfile"),
        ("no table", "metrics = 5\n".to_owned(), "metrics"),
        ("a key that nobody knows", "[notify]\nexce = [\"/bin/true\"]\n".to_owned(), "notify.exce"),
    ] {
        // A key of the whole file stands before its tables.
        let text = if tables.starts_with('[') { format!("{good}\n{tables}") } else { format!("{tables}{good}") };
        two.write_main(|_| text.clone());
        let run = two.estate.force();
        run.expect(1, "web", "renewed");
        run.expect(1, "api", "renewed");
        assert!(errors(&run).iter().any(|error| error["key"].as_str().is_some_and(|found| found.starts_with(key))), "{what}: {run}");
        two.estate.omens(&["renew", "web"]).expect(0, "web", "not-due");
        let status = two.estate.omens(&["status"]);
        assert_eq!((status.code, &status.cert("web")["healthy"]), (1, &Value::from(true)), "{what}: {status}");
        assert_eq!(two.estate.omens(&["check-config"]).code, 2, "{what}");
        two.wipe_run();
        two.estate.omens(&["restore"]).expect(1, "web", "restored");
    }
    // What stops everything still does.
    two.write_main(|_| format!("{good}\n[attestation]\nrequired = 1\n"));
    assert_eq!(two.estate.renew().code, 2);
}

#[test]
fn a_boot_publishes_what_is_committed_whatever_is_wrong_with_its_settings() {
    let two = Two::with(Cert { extra: "group = \"daemon\"\n".to_owned(), ..Cert::web("api") });
    let (web, api) = (two.leaf("web"), two.leaf("api"));
    let include = std::fs::read_to_string(two.estate.include("api")).unwrap();
    for (what, text, _) in faults() {
        two.write_api(&text);
        two.wipe_run();
        let run = two.estate.omens(&["restore"]);
        run.expect(1, "api", "restored");
        run.expect(1, "web", "restored");
        assert!(!errors(&run).is_empty(), "{what}: {run}");
        assert_eq!((two.leaf("web"), two.leaf("api")), (web.clone(), api.clone()), "{what}");
        assert_eq!(std::fs::read_to_string(two.estate.include("api")).unwrap(), include, "{what}");
        // The group is that of the generation, not that of the broken settings.
        let key = std::fs::metadata(two.estate.run_dir().join("api/live/key.pem")).unwrap();
        use std::os::unix::fs::MetadataExt as _;
        let daemon = nix::unistd::Group::from_name("daemon").unwrap().unwrap().gid.as_raw();
        assert_eq!((key.gid(), key.mode() & 0o777), (daemon, 0o640), "{what}");
        two.estate.omens(&["restore"]).expect(1, "api", "kept");
    }
}

#[test]
fn a_boot_publishes_what_is_committed_without_any_settings_that_could_be_used() {
    let two = Two::committed();
    let anchor = two.estate.run_dir().join("trust/anchor.pem");
    let root = std::fs::read_to_string(&anchor).unwrap();
    let (web, api) = (two.leaf("web"), two.leaf("api"));
    type Change = fn(String) -> String;
    let broken: [(&str, Change); 5] = [
        ("[openbao]", |text| text.replace("address = ", "adress = ")),
        ("[trust]", |text| text.replace("eye-of-thundera.pem", "gone.pem")),
        ("[host]", |text| text.replace("name = \"lab.funlab.casa\"", "name = \"\"")),
        ("no TOML", |text| format!("{text}\n= =\n")),
        ("paths.policies", |text| text.replace("policies = \"/", "policies = \"")),
    ];
    for (what, change) in broken {
        two.write_main(change);
        two.wipe_run();
        assert_eq!(two.estate.renew().code, 2, "{what}: nothing can be attempted");
        let run = two.estate.omens(&["restore"]);
        run.expect(1, "api", "restored");
        run.expect(1, "web", "restored");
        assert!(!errors(&run).is_empty(), "{what}: {run}");
        assert_eq!((two.leaf("web"), two.leaf("api")), (web.clone(), api.clone()), "{what}");
        assert_eq!(std::fs::read_to_string(&anchor).unwrap(), root, "{what}: the root for consumers");
        let status = two.estate.omens(&["status"]);
        assert_eq!((status.code, &status.cert("web")["published"]), (1, &Value::from(1)), "{what}: {status}");
        assert!(!errors(&status).is_empty(), "{what}: {status}");
    }
    // Where they lie must be known, and something has to lie there.
    two.write_main(|text| text.replace("state = \"/", "state = \""));
    assert_eq!(two.estate.omens(&["restore"]).code, 2);
    two.write_main(|text| text.replace("/state\"", "/elsewhere\"").replace("mount = ", "mound = "));
    assert_eq!(two.estate.omens(&["restore"]).code, 2);
    assert_eq!(two.estate.omens(&["status"]).code, 2);
}

#[test]
fn what_older_versions_committed_is_published_for_root_alone() {
    let two = Two::with(Cert { extra: "group = \"daemon\"\n".to_owned(), ..Cert::web("api") });
    let meta = two.estate.state().join("certs/api/gen-1/meta.json");
    let mut older: Value = serde_json::from_str(&std::fs::read_to_string(&meta).unwrap()).unwrap();
    for added in ["keep", "owner", "group", "rendered", "copies"] {
        older.as_object_mut().unwrap().remove(added);
    }
    std::fs::write(&meta, older.to_string()).unwrap();
    two.write_api("= =");
    two.wipe_run();
    let run = two.estate.omens(&["restore"]);
    run.expect(1, "api", "restored");
    assert!(run.cert("api")["warnings"].to_string().contains("did not note owner"), "{run}");
    use std::os::unix::fs::MetadataExt as _;
    let key = std::fs::metadata(two.estate.run_dir().join("api/live/key.pem")).unwrap();
    assert_eq!((key.gid(), key.mode() & 0o777), (0, 0o600));
    assert!(two.estate.include("api").is_file(), "nginx finds its file");
}

#[test]
fn copies_come_back_without_settings_and_a_damaged_pair_does_not() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let dir = estate.dir.join("consumer");
    std::fs::create_dir_all(&dir).unwrap();
    let install =
        format!("install = [{{ dir = \"{}\", cert = \"c.pem\", key = \"k.pem\", ca = \"ca.pem\", as = \"copy\" }}]\n", dir.display());
    let two = Two { estate, _hostile: hostile };
    two.write_api(&Cert { extra: install, ..Cert::web("api") }.toml());
    two.estate.renew().expect(0, "api", "renewed");
    let copies = || ["c.pem", "k.pem", "ca.pem"].map(|file| std::fs::read_to_string(dir.join(file)).ok());
    let before = copies();
    assert!(before.iter().all(Option::is_some), "{before:?}");
    std::fs::remove_file(dir.join("k.pem")).unwrap();
    std::fs::remove_file(dir.join("ca.pem")).unwrap();
    two.write_main(|text| text.replace("mount = ", "mound = "));
    two.estate.omens(&["restore"]).expect(1, "api", "restored");
    assert_eq!(copies(), before);

    std::fs::write(two.estate.state().join("certs/api/gen-1/key.pem"), "torn").unwrap();
    two.wipe_run();
    let run = two.estate.omens(&["restore"]);
    run.expect(1, "api", "failed");
    assert_eq!((run.cert("api")["error"]["code"].as_str(), two.leaf("api")), (Some("blob-damaged"), None), "{run}");
    run.expect(1, "web", "restored");
}

#[test]
fn a_sealed_key_is_opened_by_the_tpm_that_its_generation_names_when_the_settings_name_none() {
    let swtpm = Swtpm::start(&[7]);
    let estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[7]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    let leaf = estate.published_leaf("web");
    let key = std::fs::read(estate.run_dir().join("web/live/key.pem")).unwrap();
    let good = estate.settings_text();
    for broken in
        [good.replace("tcti = \"swtpm:", "tcti = \"swtmp:"), format!("{good}\n= =\n"), good.replace("ttl = \"24h\"", "ttl = \"\"")]
    {
        std::fs::write(estate.settings(), broken).unwrap();
        std::fs::remove_dir_all(estate.run_dir()).unwrap();
        let run = estate.omens(&["restore"]);
        run.expect(1, "web", "restored");
        assert_eq!(estate.published_leaf("web"), leaf, "{run}");
        assert_eq!(std::fs::read(estate.run_dir().join("web/live/key.pem")).unwrap(), key, "{run}");
    }
}
