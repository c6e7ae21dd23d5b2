//! Who may write, and who runs: directories and settings of other users are used for nothing, and everything also runs as an ordinary user
//! in a private directory.

use crate::lab::child::{NOBODY, User, as_user, run};
use crate::lab::estate::Estate;
use crate::lab::is_root;
use crate::web::{Web, issued};

#[test]
fn a_run_directory_that_others_may_write_is_mended_without_signing() {
    use std::os::unix::fs::PermissionsExt as _;
    let (hostile, estate) = issued();
    let directory = estate.run_dir().join("web");
    let before = std::fs::metadata(&directory).unwrap().permissions().mode();
    std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(0o777)).unwrap();
    let plan = estate.omens(&["plan"]);
    assert_eq!(plan.reasons("web"), ["unpublished"], "{plan}");
    estate.renew().expect(0, "web", "settled");
    assert_eq!(std::fs::metadata(&directory).unwrap().permissions().mode(), before);
    assert_eq!(hostile.sign_requests(), 1);
}

/// Also where an earlier run noted that all of it is intact.
#[test]
fn the_top_of_either_tree_that_is_open_or_closed_to_others_is_mended_without_signing() {
    use std::os::unix::fs::PermissionsExt as _;
    let (hostile, estate) = issued();
    let set = |path: &std::path::Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    let get = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    let noted = || std::fs::read_to_string(estate.state().join("seen.json")).is_ok_and(|text| text.contains("\"web\""));
    let run = estate.run_dir();
    for mode in [0o700, 0o777, 0o750, 0o775] {
        assert!(noted(), "{mode:o}");
        set(&run, mode);
        let plan = estate.omens(&["plan"]);
        assert_eq!(plan.reasons("web"), ["unpublished"], "{mode:o}: {plan}");
        assert_eq!(estate.omens(&["status"]).code, 1, "{mode:o}");
        if mode & 0o2 == 0 {
            estate.renew().expect(0, "web", "settled");
        } else {
            estate.omens(&["restore"]).expect(0, "web", "restored");
        }
        assert_eq!((get(&run), estate.omens(&["status"]).code), (0o755, 0), "{mode:o}");
        estate.renew().expect(0, "web", "not-due");
    }
    for kept in [estate.state(), estate.state().join("certs"), estate.state().join("certs/web")] {
        assert!(noted(), "{}", kept.display());
        set(&kept, 0o777);
        let status = estate.omens(&["status"]);
        assert!(status.code == 1 && status.cert("web")["warnings"].to_string().contains("may be written by others"), "{status}");
        estate.renew().expect(0, "web", "not-due");
        assert_eq!((get(&kept), estate.omens(&["status"]).code), (0o700, 0), "{}", kept.display());
    }
    assert_eq!(hostile.sign_requests(), 1);
}

#[test]
fn a_directory_of_somebody_else_is_used_for_nothing() {
    if !rustix::process::geteuid().is_root() {
        return crate::skipped("directories of another user: only root can make them");
    }
    for which in [Estate::state, Estate::run_dir] {
        let (hostile, estate) = issued();
        let directory = which(&estate);
        // Nothing may be written before that is seen: not the lock, the ledger, or the note whose settings these are.
        if directory == estate.state() {
            for file in ["lock", "ledger.jsonl", "settings.json"] {
                std::fs::remove_file(directory.join(file)).unwrap();
            }
        } else {
            std::fs::remove_dir_all(directory.join("trust")).unwrap();
        }
        let names = || {
            let mut names: Vec<_> = std::fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let before = names();
        std::os::unix::fs::chown(&directory, Some(12_345), None).unwrap();
        let run = estate.force();
        assert!(run.code == 1 && run.json.to_string().contains("\"foreign-owner\""), "{run}");
        // Also of a tree that is whole: it is left alone, and it is said.
        let restored = estate.omens(&["restore"]);
        restored.expect(1, "web", "failed").because("web", "publish/foreign-owner");
        assert!(restored.cert("web")["error"]["hint"].as_str().unwrap().contains("chown"), "{restored}");
        assert_eq!(names(), before, "{run}{restored}");
        if directory == estate.run_dir() {
            // Nor does a run in which nothing else is due pass over it.
            let run = estate.renew();
            run.expect(1, "web", "failed").because("web", "publish/foreign-owner");
            assert_eq!(run.reasons("web"), ["unpublished"], "{run}");
            let status = estate.omens(&["status"]);
            assert_eq!((status.code, &status.cert("web")["last_error"]["failure"]["code"]), (1, &"foreign-owner".into()), "{status}");
        }
        assert_eq!((hostile.sign_requests(), estate.committed("web")), (1, Some(1)), "{run}");
        std::os::unix::fs::chown(&directory, Some(0), None).unwrap();
        estate.force().expect(0, "web", "renewed");
    }
}

#[test]
fn what_the_settings_give_to_nobody_any_more_is_ours_again() {
    use std::os::unix::fs::MetadataExt as _;
    if !is_root() {
        return crate::skipped("keys that were given to another user: needs root to give files away");
    }
    let (hostile, mut estate) = issued();
    let consumer = estate.dir.join("consumer");
    crate::lab::place::make_private(&consumer);
    let copy = format!("install = [ {{ dir = \"{}\", cert = \"c.crt\", key = \"c.key\", as = \"copy\" }} ]\n", consumer.display());
    let of = |path: &str| {
        let found = std::fs::metadata(estate.dir.join(path)).unwrap_or_else(|why| panic!("{path}: {why}"));
        (found.uid(), found.gid(), format!("{:o}", found.mode() & 0o7777))
    };
    let (nobody, daemon) = (NOBODY.uid, nix::unistd::Group::from_name("daemon").unwrap().unwrap().gid.as_raw());
    let owned = format!("owner = \"{nobody}\"\n");
    let grouped = format!("{owned}group = \"daemon\"\n");
    for (extra, directory, key) in [
        (owned.as_str(), (nobody, 0, "750"), (nobody, 0, "600")),
        ("", (0, 0, "750"), (0, 0, "600")),
        (grouped.as_str(), (0, daemon, "750"), (nobody, daemon, "640")),
        ("group = \"daemon\"\n", (0, daemon, "750"), (0, daemon, "640")),
        ("", (0, 0, "750"), (0, 0, "600")),
    ] {
        estate.certs[0].extra = format!("{extra}{copy}");
        estate.write();
        let plan = estate.omens(&["plan"]);
        assert_eq!(plan.reasons("web"), ["unpublished"], "{extra}: {plan}");
        estate.renew().expect(0, "web", "settled");
        for (path, (uid, gid, mode)) in
            [("run/web", directory), ("run/web/live", directory), ("run/web/live/key.pem", key), ("consumer/c.key", key)]
        {
            assert_eq!(of(path), (uid, gid, mode.to_owned()), "{path} with {extra:?}");
        }
        estate.renew().expect(0, "web", "not-due");
    }
    assert_eq!(hostile.sign_requests(), 1);
}

#[test]
fn settings_of_another_user_are_refused() {
    if !rustix::process::geteuid().is_root() {
        return crate::skipped("settings_of_another_user_are_refused: needs root to give files away");
    }
    let (_hostile, estate) = issued();
    std::os::unix::fs::chown(estate.settings(), Some(65534), None).unwrap();
    let run = estate.omens(&["check-config"]);
    assert_eq!((run.code, &run.json["errors"][0]["code"]), (2, &"permissions".into()), "{run}");
}

/// Somebody who is not root: nobody where we are root, ourselves where not.
fn somebody() -> Option<User> {
    is_root().then_some(NOBODY)
}

#[test]
fn an_ordinary_user_gets_a_certificate_served_renewed_and_put_back() {
    let web = Web::stopped_as(Estate::at_openbao(), somebody()).proven();
    web.estate.force().expect(0, "web", "renewed");
    web.agrees_on(2, &web.estate.published_leaf("web").unwrap());
    web.nginx.write_broken();
    web.estate.force().expect(1, "web", "rolled-back");
    web.nginx.write();
    web.estate.renew().expect(0, "web", "settled");
    assert_eq!(web.estate.omens(&["status"]).code, 0);
    let owner = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(web.estate.run_dir().join("web/live/key.pem")).unwrap());
    assert_eq!(owner, somebody().map_or_else(|| rustix::process::geteuid().as_raw(), |u| u.uid));
}

#[test]
fn what_may_not_be_read_is_an_error_and_never_due() {
    if !is_root() {
        // A file of somebody else needs root to be made.
        crate::skipped("what_may_not_be_read_is_an_error_and_never_due: needs root to own files as another user");
        return;
    }
    let web = Web::stopped(Estate::at_openbao());
    web.estate.renew().expect(0, "web", "renewed");
    let mut command = as_user(Some(NOBODY), None, &crate::lab::estate::omens());
    // The settings may be read, the state may not.
    std::fs::set_permissions(&web.estate.dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    for file in ["omens.toml", "eye-of-thundera.pem"] {
        std::fs::set_permissions(web.estate.dir.join(file), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    }
    command.arg("--config").arg(web.estate.settings()).args(["--json", "plan"]).env_clear();
    let output = run(command, std::time::Duration::from_secs(10));
    assert_eq!(output.code, 2, "{output:?}");
}
