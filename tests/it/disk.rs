//! Files as swap/ondisk.md has them: layout, modes, links that are refused, one run at a time, restore, rollback and install.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::{Hostile, Lie};
use crate::lab::pki::pem_blocks;
use crate::lab::place;
use crate::web::{Web, issued};

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).permissions().mode() & 0o7777
}

/// Everything below a directory, links not followed.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.is_symlink() {
            all.extend(tree(&path));
        }
        all.push(path);
    }
    all.sort();
    all
}

#[test]
fn both_trees_look_as_written_down() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    let (state, run) = (estate.state(), estate.run_dir());
    let owner = std::fs::metadata(&estate.dir).unwrap().uid();
    for (path, expected) in [
        (state.clone(), 0o700),
        (state.join("certs"), 0o700),
        (state.join("certs/web"), 0o700),
        (state.join("certs/web/gen-1"), 0o700),
        (state.join("certs/web/gen-1/key.pem"), 0o600),
        (state.join("certs/web/gen-1/cert.pem"), 0o644),
        (state.join("certs/web/gen-1/chain.pem"), 0o644),
        (state.join("certs/web/gen-1/fullchain.pem"), 0o644),
        (run.clone(), 0o755),
        (run.join("web"), 0o750),
        (run.join("web/gen-1/key.pem"), 0o600),
        (run.join("web/gen-1/combined.pem"), 0o600),
    ] {
        assert_eq!(format!("{:o}", mode(&path)), format!("{expected:o}"), "{}", path.display());
        assert_eq!(std::fs::symlink_metadata(&path).unwrap().uid(), owner, "{}", path.display());
    }
    for (link, target) in
        [(state.join("certs/web/live"), "gen-1"), (run.join("web/live"), "gen-1"), (run.join("web/nginx.conf"), "live/nginx.conf")]
    {
        assert_eq!(std::fs::read_link(&link).unwrap(), Path::new(target), "{}", link.display());
    }
    let include = std::fs::read_to_string(run.join("web/nginx.conf")).unwrap();
    for file in ["fullchain.pem", "key.pem"] {
        assert!(include.contains(&format!("{}/web/gen-1/{file}", run.display())), "names the generation's own paths: {include}");
    }
    assert!(state.join("certs/web/gen-1/meta.json").is_file() && state.join("lock").is_file());
    let odd: Vec<_> = tree(&estate.dir).into_iter().filter(|p| p.file_name().unwrap().to_string_lossy().starts_with('.')).collect();
    assert!(odd.is_empty(), "leftovers: {odd:?}");
    let line = &estate.ledger()[0];
    for field in ["v", "time", "run", "certificate", "generation", "stage", "outcome", "serial", "sha256", "error"] {
        assert!(line.get(field).is_some(), "{field}: {line}");
    }
}

#[test]
fn live_and_the_one_before_it_are_kept_and_no_more() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    for _ in 0..3 {
        estate.force().expect(0, "web", "renewed");
    }
    for tree in [estate.state().join("certs/web"), estate.run_dir().join("web")] {
        let mut names: Vec<String> = std::fs::read_dir(&tree).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.retain(|n| n.contains("gen-"));
        names.sort();
        assert_eq!(names, ["gen-3", "gen-4"], "{}", tree.display());
    }
}

#[test]
fn leftovers_of_a_killed_run_are_removed_and_numbers_never_used_twice() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    let certs = estate.state().join("certs/web");
    place::make_private(&certs.join(".gen-2"));
    std::fs::write(certs.join(".gen-2/key.pem"), "half").unwrap();
    std::fs::write(certs.join(".state.json.x1"), "half").unwrap();
    // Complete by its name, but not by its content: no debt.
    place::make_private(&estate.run_dir().join("web/gen-7"));
    estate.force().expect(0, "web", "renewed");
    assert!(!certs.join(".gen-2").exists());
    assert_eq!(estate.committed("web"), Some(8), "one more than the largest in both trees");
}

#[test]
fn a_planted_link_leads_nowhere() {
    let plant: &[(&str, bool)] = &[
        ("state/certs", true),
        ("state/certs/web", true),
        ("state/certs/web/.gen-1", true),
        ("state/certs/web/gen-1", true),
        ("state/certs/web/state.json", false),
        ("state/ledger.jsonl", false),
        ("state/lock", false),
        ("run/web", true),
        ("run/web/.gen-1", true),
        ("run/web/gen-1", true),
        ("run/web/nginx.conf", false),
    ];
    for (path, to_directory) in plant {
        let hostile = Hostile::start();
        let estate = hostile.estate();
        let victim = place::directory("victim");
        let (file, target) = (victim.join("file"), if *to_directory { victim.clone() } else { victim.join("file") });
        std::fs::write(&file, "untouched").unwrap();
        let link = estate.dir.join(path);
        place::make_private(link.parent().unwrap());
        if path.starts_with("run") {
            std::fs::set_permissions(estate.run_dir(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        }
        symlink(&target, &link).unwrap();
        let run = estate.renew();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "untouched", "{path}: {run}");
        assert_eq!(std::fs::read_dir(&victim).unwrap().count(), 1, "{path} was followed: {run}");
        assert_eq!(mode(&victim), 0o700, "{path}: {run}");
        if run.code == 0 {
            // Then what consumers read is real.
            assert!(estate.published_leaf("web").is_some(), "{path}: {run}");
            // A link with the name of a generation is somebody else's: nobody follows it, and its number is taken.
            let is_left_alone = path.ends_with("nginx.conf") || path.ends_with("/gen-1");
            assert!(!estate.dir.join(path).is_symlink() || is_left_alone, "{path} is still there: {run}");
            assert!(!path.ends_with("/gen-1") || estate.published("web") == Some(2), "{path}: {run}");
        }
    }
}

#[test]
fn one_run_at_a_time_and_the_second_waits_or_says_so() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    let lock = std::fs::OpenOptions::new().read(true).write(true).open(estate.state().join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let start = Instant::now();
    let run = estate.omens(&["renew", "--all", "--wait", "300ms"]);
    assert_eq!((run.code, run.json["error"]["code"].as_str()), (1, Some("locked")), "{run}");
    assert!(start.elapsed() >= Duration::from_millis(300) && start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    // Restore never waits: everything is complete, so it is well.
    assert_eq!(estate.omens(&["restore"]).code, 0);
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    let run = estate.omens(&["restore"]);
    assert_eq!(run.code, 1, "{run}");
    assert!(run.stdout.contains("locked"), "{run}");
    // Reports need no lock.
    assert_eq!(estate.omens(&["plan"]).code, 0);
    drop(lock);
    estate.renew().expect(0, "web", "settled");
}

#[test]
fn two_runs_at_once_sign_once() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let runs = std::thread::scope(|s| {
        let threads: Vec<_> = (0..3).map(|_| s.spawn(|| estate.renew())).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect::<Vec<_>>()
    });
    assert!(runs.iter().all(|r| r.code == 0), "{runs:?}");
    assert_eq!(runs.iter().filter(|r| r.outcome("web") == "renewed").count(), 1, "{runs:?}");
    assert_eq!(hostile.sign_requests(), 1);
}

#[test]
fn restore_rebuilds_what_a_reboot_took_and_leaves_alone_what_is_there() {
    let web = Web::serving();
    let leaf = web.served().unwrap();
    let before = tree(&web.estate.run_dir().join("web/gen-1"));
    let key = std::fs::read(web.estate.run_dir().join("web/live/key.pem")).unwrap();
    let calls = crate::lab::openbao::OpenBao::shared().paths(&web.estate.login).len();
    std::fs::remove_dir_all(web.estate.run_dir()).unwrap();
    let run = web.estate.omens(&["restore"]);
    run.expect(0, "web", "restored");
    assert_eq!(tree(&web.estate.run_dir().join("web/gen-1")), before);
    assert_eq!(std::fs::read(web.estate.run_dir().join("web/live/key.pem")).unwrap(), key);
    assert_eq!(web.estate.published_leaf("web"), Some(leaf.clone()));
    web.estate.omens(&["restore"]).expect(0, "web", "kept");
    assert_eq!(web.nginx.reload().code, 0, "{}", web.nginx.log());
    web.agrees_on(1, &leaf);
    assert_eq!(crate::lab::openbao::OpenBao::shared().paths(&web.estate.login).len(), calls, "no network");
    assert_eq!(web.estate.renew().outcome("web"), "not-due");
}

#[test]
fn restore_goes_on_past_what_it_cannot_restore() {
    let hostile = Hostile::start();
    let estate = hostile.estate().with(Cert::web("zed"));
    assert_eq!(estate.renew().code, 0);
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    std::fs::write(estate.state().join("certs/web/gen-1/key.pem"), "gone").unwrap();
    let run = estate.omens(&["restore"]);
    run.expect(1, "web", "failed").expect(1, "zed", "restored");
    assert_eq!((estate.published("web"), estate.published("zed")), (None, Some(1)));
    // The next renewal repairs it.
    estate.renew().expect(0, "web", "renewed");
}

#[test]
fn restore_publishes_an_expired_one_all_the_same() {
    let hostile = Hostile::start();
    let mut cert = Cert::web("web");
    (cert.ttl, cert.profile) = ("60s".into(), "short".into());
    let mut estate = hostile.estate();
    estate.certs = vec![cert];
    short_profile(&estate);
    estate.write();
    hostile.lie(Lie::Aged);
    // Most of its minute is over.
    estate.renew().expect(0, "web", "renewed");
    crate::lab::wait_for("it to expire", Duration::from_secs(20), || estate.omens(&["plan"]).reasons("web").contains(&"expired"));
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    let run = estate.omens(&["restore"]);
    run.expect(0, "web", "restored");
    assert!(!run.cert("web")["warnings"].as_array().unwrap().is_empty(), "{run}");
    assert!(estate.published_leaf("web").is_some());
    assert_ne!(estate.omens(&["status"]).code, 0, "expired is not healthy");
}

/// A profile that allows certificates of a minute.
pub fn short_profile(estate: &Estate) {
    let text = "purpose = \"server\"\neku = { required = [\"serverAuth\"], allowed = [] }\nkey_usage = { required = [\"digitalSignature\"], \
                allowed = [] }\nkeys = [\"ec-p256\"]\nlifetime = { min = \"5s\", max = \"24h\" }\nwildcard = false\n";
    std::fs::write(estate.dir.join("policies/certificates/short.toml"), text).unwrap();
}

#[test]
fn rollback_takes_the_previous_one_and_keeps_it() {
    let web = Web::serving();
    let first = web.served().unwrap();
    web.estate.force().expect(0, "web", "renewed");
    assert_ne!(web.served().as_ref(), Some(&first));
    let run = web.estate.omens(&["rollback", "web"]);
    run.expect(0, "web", "rolled-back");
    web.agrees_on(1, &first);
    assert_eq!(web.estate.omens(&["plan"]).reasons("web"), ["fresh"], "what was withdrawn is no debt");
    assert_eq!(web.estate.renew().outcome("web"), "not-due");
    let again = web.estate.omens(&["rollback", "web"]);
    assert_eq!(again.code, 1, "nothing to go back to: {again}");
    web.agrees_on(1, &first);
    web.estate.force().expect(0, "web", "renewed");
    assert_eq!(web.estate.published("web"), Some(3), "a number is never used twice");
    assert_eq!(web.estate.signed(), 3);
}

#[test]
fn install_makes_links_once_and_keeps_what_was_there() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    let dir = estate.dir.join("consumer");
    place::make_private(&dir);
    estate.certs[0].extra =
        format!("install = [ {{ dir = \"{}\", cert = \"c.crt\", key = \"c.key\", chain = \"ca.crt\", as = \"link\" }} ]\n", dir.display());
    estate.write();
    let run = estate.omens(&["install"]);
    run.expect(1, "web", "failed");
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 0, "without a live it changes nothing");
    estate.renew().expect(0, "web", "renewed");
    place::write_secret(&dir.join("c.key"), "an old key");
    estate.omens(&["install"]).expect(0, "web", "installed");
    assert!(std::fs::read_link(dir.join("c.crt")).unwrap().starts_with(estate.run_dir().join("web/live")));
    assert_eq!(std::fs::read_to_string(dir.join("c.key.before-omens")).unwrap(), "an old key");
    estate.omens(&["install"]).expect(0, "web", "unchanged");
    estate.force().expect(0, "web", "renewed");
    let seen = std::fs::read_to_string(dir.join("c.crt")).unwrap();
    assert_eq!(seen, std::fs::read_to_string(estate.run_dir().join("web/gen-2/cert.pem")).unwrap(), "links follow every swap");
}

#[test]
fn copies_are_written_by_every_swap_and_never_through_a_link() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    let (dir, victim) = (estate.dir.join("consumer"), estate.dir.join("victim"));
    place::make_private(&dir);
    std::fs::write(&victim, "untouched").unwrap();
    symlink(&victim, dir.join("c.key")).unwrap();
    estate.certs[0].extra = format!("install = [ {{ dir = \"{}\", cert = \"c.crt\", key = \"c.key\", as = \"copy\" }} ]\n", dir.display());
    estate.write();
    estate.renew().expect(0, "web", "renewed");
    assert_eq!(estate.omens(&["install"]).code, 0);
    let pair = |generation: u64| {
        let gen_dir = estate.run_dir().join(format!("web/gen-{generation}"));
        ["cert.pem", "key.pem"].map(|f| std::fs::read_to_string(gen_dir.join(f)).unwrap())
    };
    let there = || ["c.crt", "c.key"].map(|f| std::fs::read_to_string(dir.join(f)).unwrap());
    assert_eq!(there(), pair(1));
    assert_eq!(std::fs::read_to_string(&victim).unwrap(), "untouched");
    assert!(!dir.join("c.key").is_symlink() && mode(&dir.join("c.key")) == 0o600, "{:o}", mode(&dir.join("c.key")));
    estate.force().expect(0, "web", "renewed");
    assert_eq!(there(), pair(2));
    std::fs::write(dir.join("c.crt"), "edited").unwrap();
    assert_eq!(estate.omens(&["plan"]).cert("web")["due"], true, "plan compares copies by hash");
    assert_eq!(estate.renew().code, 0);
    assert_eq!(there(), pair(2));
}

#[test]
fn a_torn_ledger_line_is_followed_by_a_whole_one() {
    use std::io::Write as _;
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    let mut ledger = std::fs::OpenOptions::new().append(true).open(estate.state().join("ledger.jsonl")).unwrap();
    ledger.write_all(b"{\"v\":1,\"time\":\"2026-01-").unwrap();
    drop(ledger);
    estate.force().expect(0, "web", "renewed");
    let text = std::fs::read_to_string(estate.state().join("ledger.jsonl")).unwrap();
    assert!(text.ends_with('\n'));
    assert!(estate.ledger().iter().filter(|e| e["outcome"] == "renewed").count() == 2, "{text}");
}

/// A state directory on a small disk of its own; unmounted when dropped.
struct Small(std::path::PathBuf);

impl Small {
    fn mount(path: &Path) -> Self {
        place::make_private(path);
        let mounted =
            std::process::Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k,mode=0700", "omens-test"]).arg(path).status();
        assert!(mounted.unwrap().success());
        Self(path.to_path_buf())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        std::process::Command::new("umount").arg(&self.0).status().ok();
    }
}

#[test]
fn a_full_disk_is_said_and_the_old_one_serves_on_until_there_is_room() {
    if !rustix::process::geteuid().is_root() {
        return crate::skipped("a disk that is really full: only root can mount one");
    }
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let _small = Small::mount(&estate.state());
    estate.renew().expect(0, "web", "renewed");
    let serving = estate.published_leaf("web");
    // Not one page is left.
    let filler = estate.state().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 512]).is_ok() {}
    let run = estate.force();
    assert_eq!(run.code, 1, "{run}");
    assert!(run.json.to_string().contains("disk-full"), "{run}");
    assert_eq!((estate.committed("web"), estate.published_leaf("web")), (Some(1), serving), "{run}");
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    estate.force().expect(0, "web", "renewed");
    assert!(estate.committed("web") > Some(1));
    assert_eq!(estate.omens(&["status"]).code, 0);
}

#[test]
fn the_certificate_at_live_is_a_leaf_and_its_chain_without_the_root() {
    let (_hostile, estate) = issued();
    let live = estate.run_dir().join("web/live");
    let count = |file: &str| pem_blocks(&std::fs::read_to_string(live.join(file)).unwrap()).len();
    assert_eq!((count("cert.pem"), count("chain.pem"), count("fullchain.pem")), (1, 1, 2));
}

#[test]
fn nothing_is_signed_that_a_nearly_full_disk_could_not_keep() {
    if !rustix::process::geteuid().is_root() {
        return crate::skipped("a disk that is nearly full: only root can mount one");
    }
    let hostile = Hostile::start();
    let estate = hostile.estate();
    let _small = Small::mount(&estate.state());
    estate.renew().expect(0, "web", "renewed");
    let signed = hostile.signed();
    let filler = estate.state().join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 512]).is_ok() {}
    // Room for a file or two, and not for a generation.
    file.set_len(file.metadata().unwrap().len() / 4096 * 4096 - 4 * 4096).unwrap();
    for _ in 0..7 {
        let run = estate.force();
        assert_eq!(run.code, 1, "{run}");
        assert!(run.json.to_string().contains("disk-full"), "{run}");
    }
    assert_eq!(hostile.signed(), signed, "what could not be kept was signed");
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    estate.force().expect(0, "web", "renewed");
}
