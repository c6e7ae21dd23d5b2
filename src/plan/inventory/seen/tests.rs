//! When what was noted is relied on, and when not.

use std::path::Path;

use super::*;
use crate::config::{self, LoadOptions};
use crate::io::read;
use crate::io::write::{self, Ownership};
use crate::judge::kit::Pki;
use crate::judge::pem;
use crate::model::anchor::Fingerprint;
use crate::model::clock::Time;
use crate::model::key::Keep;

#[test]
fn what_was_found_is_relied_on_for_a_day() {
    const NOW: i64 = 1_800_000_000;
    let now = Tick { seconds: NOW, nanoseconds: 1 };
    for (at, expected) in [(NOW, true), (NOW - DAY, true), (NOW - DAY - 1, false), (NOW + 1, false), (i64::MIN, false), (i64::MAX, false)] {
        assert_eq!(is_recent(at, now), expected, "{at}");
    }
}

#[test]
fn only_a_file_that_is_ours_alone_says_anything() {
    let here = tempfile::tempdir().unwrap();
    let state = Dir::open(here.path()).unwrap().unwrap();
    let is_believed = |text: &str, mode: u32, uid: Option<u32>| {
        write::remove(&state, layout::SEEN).unwrap();
        let written = write::write_new(&state, layout::SEEN, text.as_bytes(), mode, Ownership { uid, gid: None });
        written.is_ok() && noted(&state).is_some()
    };
    assert!(noted(&state).is_none(), "there is none");
    let good = serde_json::to_string(&SeenFile { v: seen::VERSION, ..SeenFile::default() }).unwrap();
    let of_version = |version: u32| serde_json::to_string(&SeenFile { v: version, ..SeenFile::default() }).unwrap();
    assert!(is_believed(&good, 0o600, None));
    for mode in [0o640, 0o620, 0o604, 0o602] {
        assert!(!is_believed(&good, mode, None), "{mode:o}");
    }
    for text in ["", "{", "null", &good[..good.len() - 1], &of_version(seen::VERSION - 1), &of_version(seen::VERSION + 1)] {
        assert!(!is_believed(text, 0o600, None), "{text}");
    }
    // Where files cannot be given away nobody else can have made it either.
    assert!(!is_believed(&good, 0o600, Some(12_345)), "it is somebody's");
    write::replace_file(&state, "other", good.as_bytes(), 0o600).unwrap();
    write::replace_link(&state, layout::SEEN, "other").unwrap();
    assert!(noted(&state).is_none(), "it is a link");
}

#[test]
fn what_is_relied_on_is_of_this_boot_this_version_this_user_and_of_both_trees_as_they_are() {
    let here = tempfile::tempdir().unwrap();
    let open = |name: &str| Some(write::make_path(&here.path().join(name), 0o755).unwrap());
    let mut places = Places { state: open("state"), certs: open("state/certs"), run: open("run") };
    let ground = Ground::of(&places).expect("a file system that dates changes");
    let text = String::from_utf8(ground.bytes).unwrap();
    let boot = String::from_utf8(read::file(Path::new("/proc/sys/kernel/random/boot_id"), 64).unwrap()).unwrap();
    for part in [env!("CARGO_PKG_VERSION"), "CapEff:", &boot] {
        assert!(text.contains(part), "{text}");
    }
    let above = Dir::open(here.path()).unwrap().unwrap();
    if write::make_dir(&above, "run", 0o755, Ownership { uid: Some(12_345), gid: None }).is_ok() {
        assert!(Ground::of(&places).is_none(), "the run directory is somebody's");
    }
    places.run = Dir::open(Path::new("/proc")).unwrap();
    assert!(Ground::of(&places).is_none(), "nothing is known of that file system");
    places.run = None;
    assert!(Ground::of(&places).is_none(), "nothing is published");
}

#[test]
fn what_an_earlier_run_noted_is_relied_on_for_a_day_and_not_before_its_time() {
    let here = tempfile::tempdir().unwrap();
    let pki = Pki::new();
    let settings = settings(here.path(), &pki);
    let web = settings.certificates.first().unwrap();
    for tree in ["state/certs", "run"] {
        let dir = write::make_path(&here.path().join(tree).join("web/gen-1"), 0o755).unwrap();
        write::replace_file(&dir, layout::CERT, pem::write(&pki.leaf()).as_bytes(), 0o644).unwrap();
    }
    let places = Places::open(&settings).unwrap();
    let mut seen = Seen::read(&places).unwrap();
    let issuer = Issuer { chain: String::new(), anchor_sha256: Fingerprint::of(b"root") };
    let (live, at, largest, staged) = (Generation(1), Tick::now().seconds, 1, Time::from_unix(5));
    let outlet = Outlet::of_settings(&settings, web, live, None);
    let traces = Traces::of(&seen.ground, Subject::of(web, live, &outlet).unwrap()).unwrap();
    let said = Intact { at, live, complete: vec![live], largest, keep: Keep::File, staged, issuer: 0, sha256: Digest::of(b"") };
    let sha256 = seen.digest(web, &said, issuer.digest(), &traces);
    seen.file.certificates.insert("web".to_owned(), Intact { sha256, ..said });
    seen.issuers.push(Known { digest: issuer.digest(), issuer: Arc::new(issuer) });
    let keys = SealingKeys::default();
    for (later, expected) in [(0, true), (DAY, true), (DAY + 1, false), (-1, false)] {
        let now = Tick { seconds: at + later, nanoseconds: 0 };
        let beside = Beside { settings: &settings, keys: &keys, trust: None, now };
        assert_eq!(seen.unchanged(web, beside, &mut Buffer::default()).is_some(), expected, "{later} s later");
    }
}

/// Settings with one certificate, `web`.
fn settings(here: &Path, pki: &Pki) -> Settings {
    let dir = Dir::open(here).unwrap().unwrap();
    let (at, root) = (|name: &str| here.join(name).display().to_string(), &pki.root.der);
    let text = format!(
        "[host]\nname = \"host.example.net\"\n[paths]\nstate = \"{}\"\nrun = \"{}\"\n[trust]\nanchor = \"{}\"\nanchor_sha256 = \"{}\"\n\
         [openbao]\naddress = \"https://127.0.0.1:1\"\nmount = \"pki_int\"\nlogin = [{{ token = {{ token = \"file:{}\" }} }}]\n\
         [[certificate]]\nname = \"web\"\nprofile = \"tls-server\"\nrole = \"web\"\nttl = \"24h\"\ncommon_name = \"web.example.net\"\n\
         key = {{ keep = \"file\" }}\n",
        at("state"),
        at("run"),
        at("root.pem"),
        Fingerprint::of(root).as_str(),
        at("token"),
    );
    for (name, text) in [("root.pem", pem::write(root)), ("token", "t\n".to_owned()), ("omens.toml", text)] {
        write::replace_file(&dir, name, text.as_bytes(), 0o600).unwrap();
    }
    let options = LoadOptions { file: here.join("omens.toml"), credentials: None, check_secrets: false, drivers: &[] };
    config::load(&options).unwrap_or_else(|errors| panic!("{errors:#?}"))
}
