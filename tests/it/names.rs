//! What the settings no longer name (`omens forget`), and what they name otherwise (`renamed_from`).

use std::io::Read as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::child::run;
use crate::lab::estate::{Cert, Estate, Run, omens};
use crate::lab::hostile::Hostile;
use crate::lab::place;
use crate::tpm::start;
use crate::web::issued;

/// The certificate `web` is called `www` from now on.
fn rename(estate: &mut Estate) {
    "www".clone_into(&mut estate.certs[0].name);
    estate.certs[0].extra.push_str("renamed_from = \"web\"\n");
    estate.write();
}

/// Its settings, as they name it now or before.
fn state_of(estate: &Estate, name: &str) -> Value {
    let text = std::fs::read_to_string(estate.state().join("certs").join(name).join("state.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn code(run: &Run) -> &str {
    run.json["error"]["code"].as_str().unwrap_or_default()
}

fn last_of_ledger(estate: &Estate) -> Value {
    estate.ledger().last().cloned().unwrap_or_default()
}

#[test]
fn forget_removes_what_the_settings_no_longer_name_and_nothing_else() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    let consumer = estate.dir.join("consumer");
    place::make_private(&consumer);
    let extra = format!("install = [ {{ dir = \"{}\", cert = \"c.crt\", key = \"c.key\", as = \"copy\" }} ]\n", consumer.display());
    estate.certs.push(Cert { extra, ..Cert::web("old") });
    estate.write();
    estate.renew().expect(0, "old", "renewed");
    let serial = estate.omens(&["status"]).cert("old")["serial"].clone();
    // What is still in the settings is not forgotten, nor what their broken part may name.
    assert_eq!(
        (code(&estate.omens(&["forget", "web", "--yes"])), code(&estate.omens(&["forget", "old", "--yes"]))),
        ("still-named", "still-named")
    );
    estate.certs.pop();
    estate.write();
    let drop_in = estate.dir.join("omens.d");
    place::make_private(&drop_in);
    std::fs::write(drop_in.join("half.toml"), "[[certificate]\n").unwrap();
    assert_eq!(code(&estate.omens(&["forget", "old", "--yes"])), "still-named");
    std::fs::remove_dir_all(&drop_in).unwrap();
    assert_eq!(estate.omens(&["status"]).json["unnamed"], json!(["old"]));
    assert!(estate.plain(&["status"]).stdout.contains("`omens forget old` removes it"));
    let names = estate.plain(&["completions", "--unnamed"]).stdout;
    assert_eq!(names, "old\n", "the shell completes what can be forgotten");

    let asked = estate.omens(&["forget", "old"]);
    let text = asked.json["error"]["text"].as_str().unwrap_or_default();
    assert!(asked.code == 2 && text.contains("gen-1 (committed, valid until 20") && text.contains("c.key: a copy"), "{asked}");
    let other = estate.omens(&["forget", "other", "--yes"]);
    assert_eq!((other.code, code(&other), &other.json["error"]["hint"]), (2, "unknown-name", &json!("left over here: old")));

    let (state, published) = (estate.state().join("certs/old"), estate.run_dir().join("old"));
    let mut key_file = std::fs::File::open(state.join("gen-1/key.pem")).unwrap();
    // A kill on the way leaves something that has this name still, and the command can be repeated.
    std::fs::remove_file(state.join("gen-1/chain.pem")).unwrap();
    std::fs::remove_dir_all(published.join("gen-1")).unwrap();
    let run = estate.omens(&["forget", "old", "--yes"]);
    run.expect(0, "old", "forgotten");
    assert_eq!(run.json["schema"], "omens.forget/1");
    let lines =
        |field: &str| run.cert("old")[field].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert!(lines("removed").iter().any(|line| line.contains(state.to_str().unwrap()) && line.contains("gen-1")), "{run}");
    assert!(lines("left_alone").iter().any(|line| line.contains("c.crt")) && consumer.join("c.key").exists(), "{run}");
    assert!(!state.exists() && !published.exists());
    let mut key = Vec::new();
    key_file.read_to_end(&mut key).unwrap();
    assert!(key.len() > 200 && key.iter().all(|byte| *byte == 0), "the key was unlinked, not overwritten");
    let line = last_of_ledger(&estate);
    assert_eq!((&line["outcome"], &line["certificate"], &line["serial"]), (&json!("forgotten"), &json!("old"), &serial));
    assert_eq!((estate.omens(&["status"]).json["unnamed"].clone(), estate.committed("web")), (json!([]), Some(1)));
    assert_eq!(estate.omens(&["forget", "old", "--yes"]).code, 2, "there is nothing left to forget");

    // What somebody put in the place of a certificate goes as a link, and what it leads to stays.
    let (elsewhere, stray) = (estate.dir.join("elsewhere"), estate.state().join("certs/evil"));
    std::fs::create_dir(&elsewhere).unwrap();
    std::fs::write(elsewhere.join("kept"), "kept").unwrap();
    std::os::unix::fs::symlink(&elsewhere, &stray).unwrap();
    assert!(estate.plain(&["status"]).stdout.contains("`omens forget evil` removes it"));
    let run = estate.omens(&["forget", "evil", "--yes"]);
    run.expect(0, "evil", "forgotten");
    assert!(run.cert("evil")["removed"][0].as_str().unwrap().contains("a link, which is not followed"), "{run}");
    assert!(stray.symlink_metadata().is_err() && elsewhere.join("kept").exists());
}

#[test]
fn a_rename_keeps_generation_budget_and_state_and_signs_nothing() {
    let (_hostile, mut estate) = issued();
    estate.force().expect(0, "web", "renewed");
    let before = state_of(&estate, "web");
    let leaf = estate.published_leaf("web");
    rename(&mut estate);
    // A look says what will be done, and changes nothing.
    let plan = estate.omens(&["plan"]);
    assert_eq!((plan.reasons("www"), estate.committed("web")), (vec!["unpublished"], Some(2)), "{plan}");
    assert_eq!(estate.omens(&["status"]).json["unnamed"], json!(["web"]), "consumers still find it under that name");
    assert_eq!(code(&estate.omens(&["forget", "web", "--yes"])), "still-named", "its heir has not come yet");
    let run = estate.renew();
    run.expect(0, "www", "settled");
    assert!(warned(&run, "renamed"), "{run}");
    assert_eq!((estate.committed("www"), estate.published_leaf("www")), (Some(2), leaf));
    let after = state_of(&estate, "www");
    for field in ["largest", "previous", "requests", "requests_for", "withdrawn"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert!(!estate.state().join("certs/web").exists());
    let renamed = estate.ledger().into_iter().find(|line| line["outcome"] == "renamed").unwrap();
    assert_eq!((&renamed["certificate"], &renamed["renamed_from"]), (&json!("www"), &json!("web")));
    estate.renew().expect(0, "www", "not-due");
    // What consumers were told of the old directory stays until a person says that nobody reads it.
    assert!(estate.run_dir().join("web/live/cert.pem").exists());
    assert_eq!(estate.omens(&["status"]).json["unnamed"], json!(["web"]));
    estate.omens(&["forget", "web", "--yes"]).expect(0, "web", "forgotten");
    assert!(!estate.run_dir().join("web").exists() && estate.committed("www") == Some(2));

    // Both names have something: only a person knows which counts.
    copy_tree(&estate.state().join("certs/www"), &estate.state().join("certs/web"));
    let run = estate.renew();
    run.expect(1, "www", "failed").because("www", "plan/rename-conflict");
    assert!(run.cert("www")["error"]["hint"].as_str().unwrap().contains("`omens forget web`"), "{run}");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, warned(&status, "rename-conflict")), (1, true), "{status}");
    // A boot gives consumers what this name has, whatever a person has to decide.
    let leaf = estate.published_leaf("www");
    std::fs::remove_dir_all(estate.run_dir().join("www")).unwrap();
    estate.omens(&["restore"]).expect(1, "www", "failed").because("www", "plan/rename-conflict");
    assert_eq!((estate.published_leaf("www"), leaf.is_some()), (leaf.clone(), true));
    estate.omens(&["forget", "web", "--yes"]).expect(0, "web", "forgotten");
    estate.renew().expect(0, "www", "not-due");

    // A first run under the new name that failed leaves counts and failures there: they give way.
    let (www, web) = (estate.state().join("certs/www"), estate.state().join("certs/web"));
    std::fs::rename(&www, &web).unwrap();
    place::make_private(&www);
    std::fs::write(www.join("state.json"), serde_json::to_string(&json!({ "v": 1 })).unwrap()).unwrap();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    estate.omens(&["restore"]).expect(0, "www", "restored");
    assert_eq!(
        (estate.committed("www"), state_of(&estate, "www")["largest"].clone(), web.exists()),
        (Some(2), before["largest"].clone(), false)
    );
}

#[test]
fn a_sealed_key_opens_under_the_new_name_at_a_boot_too() {
    let Some(swtpm) = start(&[7]) else { return };
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.certs = vec![Cert::web("web").sealed()];
    let mut estate = estate.with_tpm(&swtpm.tcti(), &[]);
    estate.renew().expect(0, "web", "renewed");
    let leaf = estate.published_leaf("web");
    rename(&mut estate);
    // While its entry cannot be read nothing is carried over, and consumers find it under either name.
    estate.certs[0].ttl = "24".to_owned();
    estate.write();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    estate.omens(&["restore"]).expect(1, "www", "restored");
    assert_eq!((estate.published_leaf("www"), estate.published_leaf("web")), (leaf.clone(), leaf.clone()));
    estate.certs[0].ttl = "24h".to_owned();
    estate.write();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    estate.omens(&["restore"]).expect(0, "www", "restored");
    assert_eq!(estate.published_leaf("www"), leaf);
    // The settings need not tell of it for ever.
    estate.certs[0].extra.clear();
    estate.write();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    estate.omens(&["restore"]).expect(0, "www", "restored");
    estate.omens(&["reseal"]).expect(0, "www", "resealed");
    estate.force().expect(0, "www", "renewed");
    // Without the mark it is somebody else's key.
    let state = estate.state().join("certs/www");
    assert!(state.join("was-web").exists());
    std::fs::rename(&state, estate.state().join("certs/api")).unwrap();
    "api".clone_into(&mut estate.certs[0].name);
    estate.write();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    let run = estate.omens(&["restore"]);
    run.expect(1, "api", "failed").because("api", "seal/blob-damaged");
}

#[test]
fn a_rename_whose_entry_has_another_fault_loses_nothing_at_a_boot() {
    let (_hostile, mut estate) = issued();
    let leaf = estate.published_leaf("web");
    rename(&mut estate);
    estate.certs[0].ttl = "24".to_owned();
    estate.write();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    let run = estate.omens(&["restore"]);
    run.expect(1, "www", "restored");
    assert_eq!((estate.published_leaf("www"), estate.published_leaf("web")), (leaf.clone(), leaf.clone()), "{run}");
    for name in ["www", "web"] {
        let include = std::fs::read_to_string(estate.include(name)).unwrap();
        let directory = estate.run_dir().join(name).join("gen-1");
        assert!(include.contains(&format!("{}/key.pem", directory.display())), "{include}");
    }
    // Its chain is one that consumers may meet, under whatever name it lies.
    let intermediates = std::fs::read_to_string(estate.run_dir().join("trust/intermediates.pem")).unwrap();
    let chain = std::fs::read_to_string(estate.run_dir().join("www/live/chain.pem")).unwrap();
    assert!(!chain.is_empty() && intermediates == chain, "{intermediates}");
    estate.omens(&["restore"]).expect(1, "www", "kept");
    let status = estate.omens(&["status"]);
    assert_eq!((&status.cert("www")["live"], &status.cert("www")["published"]), (&json!(1), &json!(1)), "{status}");
    // What it is about to take over is nobody's to remove.
    assert_eq!(code(&estate.omens(&["forget", "web", "--yes"])), "still-named");
    assert_eq!(estate.committed("web"), Some(1));
    // Mended, it is carried over, and a fault after that finds it under its own name with the paths of that one.
    estate.certs[0].ttl = "24h".to_owned();
    estate.write();
    let run = estate.renew();
    assert!(run.code == 0 && warned(&run, "renamed"), "{run}");
    std::fs::write(estate.settings(), estate.settings_text().replace("ttl = \"24h\"", "ttl = \"24\"")).unwrap();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    estate.omens(&["restore"]).expect(1, "www", "restored");
    let include = std::fs::read_to_string(estate.include("www")).unwrap();
    assert!(include.contains(&format!("{}/www/gen-1/key.pem", estate.run_dir().display())), "{include}");
}

/// Whether the report of `www` has a warning of this code.
fn warned(run: &Run, code: &str) -> bool {
    run.cert("www")["warnings"].as_array().unwrap().iter().any(|warning| warning["code"] == code)
}

fn copy_tree(from: &Path, to: &Path) {
    place::make_private(to);
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_symlink() {
            std::os::unix::fs::symlink(std::fs::read_link(&path).unwrap(), &target).unwrap();
        } else if path.is_dir() {
            copy_tree(&path, &target);
        } else {
            std::fs::copy(&path, &target).unwrap();
        }
    }
}

/// Other settings beside those of the estate, in the same state directory.
fn beside(estate: &Estate, name: &str, from: &str, to: &str) -> std::path::PathBuf {
    let path = estate.dir.join(name);
    let text = estate.settings_text();
    assert!(text.contains(from), "{text}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
    path
}

#[test]
fn two_configurations_that_share_a_state_directory_are_refused_by_name() {
    let (_hostile, estate) = issued();
    let under = |path: &Path| {
        let mut command = Command::new(omens());
        command.arg("--config").arg(path).args(["--json", "renew", "--all"]).env_clear().env("PATH", "/usr/bin:/bin").current_dir("/");
        let output = run(command, Duration::from_secs(60));
        serde_json::from_str::<Value>(&output.stdout).unwrap_or_else(|why| panic!("{why}: {}{}", output.stdout, output.stderr))
    };
    for (name, from, to) in [("staging.toml", "lab.funlab.casa", "other.funlab.casa"), ("mail.toml", "name = \"web\"", "name = \"mail\"")] {
        let other = beside(&estate, name, from, to);
        let run = under(&other);
        assert_eq!((&run["exit"], &run["error"]["code"]), (&json!(2), &json!("shared-state")), "{run}");
        let text = run["error"]["text"].as_str().unwrap();
        assert!(text.contains(other.to_str().unwrap()) && text.contains(estate.settings().to_str().unwrap()), "{text}");
        assert!(!estate.state().join("certs/mail").exists(), "nothing was attempted");
    }
    // What the noted ones say cannot be told while they are broken.
    let good = estate.settings_text();
    for broken in [good.replace("mount = ", "mound = "), format!("{good}\n= =\n"), String::new()] {
        std::fs::write(estate.settings(), &broken).unwrap();
        let run = under(&estate.dir.join("mail.toml"));
        assert_eq!((&run["exit"], &run["error"]["code"]), (&json!(2), &json!("shared-state")), "{run}");
        assert!(run["error"]["text"].as_str().unwrap().contains("cannot be told") && !estate.state().join("certs/mail").exists(), "{run}");
    }
    estate.write();
    // A copy, and one that names more, are the same host's settings in another place; so is what was moved.
    assert_eq!(under(&beside(&estate, "copy.toml", "ttl = \"24h\"", "ttl = \"23h\""))["exit"], 0);
    assert_eq!(estate.renew().code, 0);
    let moved = estate.dir.join("mail.toml");
    std::fs::rename(estate.settings(), estate.dir.join("before.toml.old")).unwrap();
    assert_eq!(under(&moved)["certificates"][0]["name"], "mail", "the file that it belonged to is gone");
    // What restores at a boot is not kept from it.
    std::fs::rename(estate.dir.join("before.toml.old"), estate.settings()).unwrap();
    estate.omens(&["restore"]).expect(0, "web", "kept");
}
