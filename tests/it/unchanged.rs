//! What did not change since a run found it intact is not read again, and whatever did change is found as if everything had been read.

mod mapped;
mod tpm;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, chown, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::lab::child::run;
use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::Hostile;

/// Both directories of one certificate.
struct Both {
    kept: PathBuf,
    published: PathBuf,
}

/// Something that is done to the files of a certificate.
struct Change {
    what: String,
    /// Whether a run has something to do about it.
    is_due: bool,
    make: Box<dyn Fn(&Both)>,
}

impl Change {
    fn new(what: impl Into<String>, is_due: bool, make: impl Fn(&Both) + 'static) -> Self {
        Self { what: what.into(), is_due, make: Box::new(make) }
    }
}

fn seen(estate: &Estate) -> PathBuf {
    estate.state().join("seen.json")
}

/// The certificates that were noted as intact.
fn noted(estate: &Estate) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(seen(estate)).expect("seen.json");
    let file: Value = serde_json::from_str(&text).expect("JSON");
    file["certificates"].as_object().expect("certificates").clone().into_iter().collect()
}

/// What `plan` and `status` say, without the times at which they were asked.
fn said(estate: &Estate) -> [Value; 2] {
    ["plan", "status"].map(|command| {
        let mut document = estate.omens(&[command]).json;
        assert!(document["certificates"].is_array(), "{document}");
        timeless(&mut document);
        document
    })
}

fn timeless(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            ["at", "started", "finished"].iter().for_each(|time| drop(fields.remove(*time)));
            // It says how long it is until something.
            if fields.get("code") == Some(&json!("fresh")) {
                fields.remove("text");
            }
            fields.values_mut().for_each(timeless);
        }
        Value::Array(all) => all.iter_mut().for_each(timeless),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What is said with what was noted, and without; and it is the same.
fn said_either_way(estate: &Estate, what: &str) -> [Value; 2] {
    let with = said(estate);
    let aside = estate.dir.join("aside");
    fs::rename(seen(estate), &aside).expect("aside");
    let without = said(estate);
    fs::rename(&aside, seen(estate)).expect("back");
    for (with, without) in with.iter().zip(&without) {
        let certificates = |document: &Value| document["certificates"].as_array().cloned().unwrap_or_default();
        for (with, without) in certificates(with).iter().zip(&certificates(without)) {
            assert_eq!(with, without, "{what}: the first is with what was noted");
        }
        assert_eq!(with, without, "{what}: the first is with what was noted");
    }
    with
}

/// One byte is another one, and the time of writing is put back.
fn flip(path: &Path) {
    let times = fs::metadata(path).expect("a file");
    let file = fs::File::options().read(true).write(true).open(path).expect("a file");
    let middle = times.len() / 2;
    let mut byte = [0];
    file.read_exact_at(&mut byte, middle).expect("a byte");
    byte[0] ^= 1;
    file.write_all_at(&byte, middle).expect("a byte");
    let old = fs::FileTimes::new().set_accessed(times.accessed().expect("a time")).set_modified(times.modified().expect("a time"));
    file.set_times(old).expect("its time");
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
}

/// The same directory with everything in it and its times, made anew.
fn made_anew(path: &Path) {
    let old = path.with_extension("old");
    fs::rename(path, &old).expect("aside");
    let mut command = Command::new("cp");
    command.arg("-a").arg(&old).arg(path);
    assert_eq!(run(command, std::time::Duration::from_secs(20)).code, 0);
    fs::remove_dir_all(old).expect("the old one");
}

/// Whatever can be done to the bytes of a file, with its time of writing put back, and a file that goes.
fn to_bytes() -> Vec<Change> {
    let kept = ["cert.pem", "chain.pem", "fullchain.pem", "key.pem", "meta.json"];
    let published = ["cert.pem", "chain.pem", "fullchain.pem", "key.pem", "combined.pem", "nginx.conf"];
    let flip_kept =
        |file| Change::new(format!("a byte of {file} in the state directory"), true, move |both| flip(&both.kept.join("gen-1").join(file)));
    let flip_published = |file| {
        Change::new(format!("a byte of {file} in the run directory"), true, move |both| flip(&both.published.join("gen-1").join(file)))
    };
    let remove = |file| {
        let what = format!("{file} in the state directory is gone");
        Change::new(what, true, move |both| fs::remove_file(both.kept.join("gen-1").join(file)).unwrap())
    };
    let gone = ["cert.pem", "key.pem", "meta.json"].map(remove);
    kept.map(flip_kept).into_iter().chain(published.map(flip_published)).chain(gone).collect()
}

/// What else can be done where consumers read.
fn to_published() -> Vec<Change> {
    vec![
        Change::new("nothing", false, |_| {}),
        Change::new("a published file is gone", true, |both| fs::remove_file(both.published.join("gen-1/combined.pem")).unwrap()),
        Change::new("a published file is another one", true, |both| {
            fs::write(both.published.join("gen-1/new"), "another").unwrap();
            fs::rename(both.published.join("gen-1/new"), both.published.join("gen-1/fullchain.pem")).unwrap();
        }),
        Change::new("a published file is a link", true, |both| {
            let file = both.published.join("gen-1/key.pem");
            fs::rename(&file, both.published.join("gen-1/elsewhere")).unwrap();
            symlink("elsewhere", file).unwrap();
        }),
        Change::new("a published file is an equal one", false, |both| {
            let (file, new) = (both.published.join("gen-1/cert.pem"), both.published.join("gen-1/new"));
            fs::copy(&file, &new).unwrap();
            fs::rename(new, file).unwrap();
        }),
        Change::new("a published file came", false, |both| fs::write(both.published.join("gen-1/more"), "more").unwrap()),
        Change::new("the published key is open to all", true, |both| mode(&both.published.join("gen-1/key.pem"), 0o644)),
        Change::new("the published directory is open to all", true, |both| mode(&both.published, 0o777)),
        Change::new("the published generation is open to all", true, |both| mode(&both.published.join("gen-1"), 0o777)),
        Change::new("the link to what is published leads elsewhere", true, |both| {
            fs::remove_file(both.published.join("live")).unwrap();
            symlink("gen-9", both.published.join("live")).unwrap();
        }),
        Change::new("the link to what a driver put there is gone", true, |both| {
            fs::remove_file(both.published.join("nginx.conf")).unwrap()
        }),
        Change::new("nothing is published", true, |both| fs::remove_dir_all(&both.published).unwrap()),
        Change::new("the published directory was made anew", false, |both| made_anew(&both.published)),
    ]
}

/// And in the state directory.
fn to_kept() -> Vec<Change> {
    vec![
        Change::new("the kept directory was made anew", false, |both| made_anew(&both.kept)),
        Change::new("the kept generation was made anew", false, |both| made_anew(&both.kept.join("gen-1"))),
        Change::new("the kept key is open to all", false, |both| mode(&both.kept.join("gen-1/key.pem"), 0o644)),
        Change::new("a run left something half-made", false, |both| fs::write(both.kept.join(".gen-2"), "").unwrap()),
        Change::new("a generation came that waits", true, |both| {
            let mut command = Command::new("cp");
            command.arg("-a").arg(both.kept.join("gen-1")).arg(both.kept.join("gen-2"));
            assert_eq!(run(command, std::time::Duration::from_secs(20)).code, 0);
        }),
        Change::new("a mark came", false, |both| fs::write(both.kept.join("withdrawn-7"), "").unwrap()),
        Change::new("the committed generation is another one", true, |both| {
            fs::rename(both.kept.join("gen-1"), both.kept.join("gen-3")).unwrap();
            fs::remove_file(both.kept.join("live")).unwrap();
            symlink("gen-3", both.kept.join("live")).unwrap();
        }),
        Change::new("nothing is committed", true, |both| fs::remove_file(both.kept.join("live")).unwrap()),
        Change::new("state.json is gone", true, |both| fs::remove_file(both.kept.join("state.json")).unwrap()),
        Change::new("state.json is none", true, |both| fs::write(both.kept.join("state.json"), "{").unwrap()),
        Change::new("state.json says something else", true, |both| {
            let text = fs::read_to_string(both.kept.join("state.json")).unwrap();
            assert!(text.contains("\"proof\": \"file\""), "{text}");
            fs::write(both.kept.join("state.json"), text.replace("\"proof\": \"file\"", "\"proof\": \"service-stopped\"")).unwrap();
        }),
    ]
}

fn changes() -> Vec<Change> {
    let mut all: Vec<Change> = to_bytes().into_iter().chain(to_published()).chain(to_kept()).collect();
    if rustix::process::geteuid().is_root() {
        let file = |both: &Both| chown(both.published.join("gen-1/key.pem"), Some(12_345), None).unwrap();
        all.push(Change::new("the published key is somebody's", true, file));
        let directory = |both: &Both| lchown(&both.published, Some(12_345), None).unwrap();
        all.push(Change::new("the published directory is somebody's", true, directory));
    }
    all
}

#[test]
fn whatever_changes_in_either_tree_is_found_as_if_everything_were_read() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    let changes = changes();
    let name = |number: usize| format!("c{number}");
    estate.certs = (0..changes.len()).map(|number| Cert::web(&name(number))).collect();
    estate.write();
    estate.renew().expect(0, "c0", "renewed");
    assert_eq!(noted(&estate).len(), changes.len(), "each is noted");
    let healthy = said_either_way(&estate, "nothing is done yet");
    for (number, change) in changes.iter().enumerate() {
        (change.make)(&Both { kept: estate.state().join("certs").join(name(number)), published: estate.run_dir().join(name(number)) });
    }
    let [plan, status] = said_either_way(&estate, "after all that");
    assert_ne!(healthy, [plan.clone(), status]);
    let of = |document: &Value, name: &str| {
        document["certificates"].as_array().unwrap().iter().find(|one| one["name"] == name).cloned().unwrap()
    };
    for (number, Change { what, is_due, .. }) in changes.iter().enumerate() {
        assert_eq!(of(&plan, &name(number))["due"], *is_due, "{what}: {}", of(&plan, &name(number)));
    }
    // A run acts on what `plan` found, and reads it as a whole before that.
    let run = estate.renew();
    for (number, Change { what, is_due, .. }) in changes.iter().enumerate() {
        let outcome = run.outcome(&name(number));
        let acted = !matches!(outcome, "not-due");
        // What a stopped service is to prove may be proven by then.
        assert!(acted == *is_due || what.starts_with("state.json"), "{what}: {outcome} {}", run.cert(&name(number)));
    }
    let [plan, _] = said_either_way(&estate, "after it was set right");
    let noted = noted(&estate);
    for (number, Change { what, .. }) in changes.iter().enumerate() {
        // A link at a place of ours is refused until a person has looked where it leads.
        let is_refused = run.outcome(&name(number)) == "failed";
        assert_eq!(is_refused, what.ends_with("is a link"), "{what}: {}", run.cert(&name(number)));
        assert_eq!(of(&plan, &name(number))["due"], is_refused, "{what}: {}", of(&plan, &name(number)));
        assert_eq!(noted.contains_key(&name(number)), !is_refused, "{what}");
    }
}

#[test]
fn other_settings_are_found_as_if_everything_were_read() {
    let hostile = Hostile::start();
    let estate = |extra: &str| {
        let mut estate = hostile.estate();
        estate.certs = vec![Cert { extra: extra.into(), ..Cert::web("web") }];
        estate.write();
        estate.renew().expect(0, "web", "renewed");
        assert_eq!(noted(&estate).len(), 1);
        estate
    };
    let group = rustix::process::getegid().as_raw();
    let mut owned = estate("");
    owned.certs[0].extra = format!("group = \"{group}\"\n");
    owned.write();
    let [plan, _] = said_either_way(&owned, "a group");
    assert_eq!(plan["certificates"][0]["due"], true, "{plan}");
    if rustix::process::geteuid().is_root() {
        owned.renew().expect(0, "web", "settled");
        assert_eq!(noted(&owned).len(), 1);
        chown(owned.run_dir().join("web/gen-1/key.pem"), None, Some(12_345)).unwrap();
        let [plan, _] = said_either_way(&owned, "the published key is another group's");
        assert_eq!(plan["certificates"][0]["due"], true, "{plan}");
    }
    let mut named = estate("");
    named.certs[0].dns = vec!["other.funlab.casa".into()];
    named.write();
    let [plan, _] = said_either_way(&named, "a name");
    assert_eq!(plan["certificates"][0]["due"], true, "{plan}");
    let mut moved = estate("");
    let elsewhere = moved.dir.join("elsewhere");
    fs::rename(moved.run_dir(), &elsewhere).unwrap();
    moved.run = elsewhere;
    moved.write();
    let [plan, _] = said_either_way(&moved, "another run directory");
    assert_eq!(plan["certificates"][0]["due"], true, "{plan}");
    let mut copied = estate("");
    let copies = copied.dir.join("copies");
    fs::create_dir(&copies).unwrap();
    copied.certs[0].extra = format!("install = [ {{ dir = \"{}\", cert = \"c.pem\", as = \"copy\" }} ]\n", copies.display());
    copied.write();
    let [plan, _] = said_either_way(&copied, "copies");
    assert_eq!(plan["certificates"][0]["due"], true, "{plan}");
    copied.renew().expect(0, "web", "settled");
    assert_eq!(noted(&copied).len(), 0, "what lies elsewhere is looked at each time");
}

/// Something at the place of the file.
type Wrong = (&'static str, fn(&Path));

const WRONG: [Wrong; 11] = [
    ("nothing", |path| fs::remove_file(path).unwrap()),
    ("garbage", |path| fs::write(path, [0xff; 999]).unwrap()),
    ("half of it", |path| fs::File::options().write(true).open(path).unwrap().set_len(fs::metadata(path).unwrap().len() / 2).unwrap()),
    ("far too much", |path| fs::File::options().write(true).open(path).unwrap().set_len(1 << 33).unwrap()),
    ("a directory", |path| {
        fs::remove_file(path).unwrap();
        fs::create_dir(path).unwrap();
    }),
    ("a link to it", |path| {
        fs::rename(path, path.with_extension("old")).unwrap();
        symlink("seen.old", path).unwrap();
    }),
    ("a pipe", |path| {
        fs::remove_file(path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0).unwrap();
    }),
    ("one that others may read", |path| mode(path, 0o644)),
    ("one of another version", |path| {
        let text = fs::read_to_string(path).unwrap();
        let other = text.replace("{\"v\":2,", "{\"v\":1,");
        assert_ne!(text, other);
        fs::write(path, other).unwrap();
    }),
    ("one with another generation", |path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replace("\"complete\":[1]", "\"complete\":[1,2]").replace("\"largest\":1", "\"largest\":2")).unwrap();
    }),
    ("one with other intermediates", |path| {
        let text = fs::read_to_string(path).unwrap();
        fs::write(path, text.replacen("-----BEGIN", "-----BEGUN", 1)).unwrap();
    }),
];

#[test]
fn a_file_that_is_not_as_it_was_written_is_as_good_as_none() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.certs = vec![Cert::web("web"), Cert::web("other")];
    estate.write();
    estate.renew().expect(0, "web", "renewed");
    let healthy = said(&estate);
    let put = |wrong: fn(&Path)| {
        let path = seen(&estate);
        fs::remove_dir(&path).or_else(|_| fs::remove_file(&path)).ok();
        fs::remove_file(path.with_extension("old")).ok();
        estate.omens(&["renew", "other", "--force"]).expect(0, "other", "renewed");
        assert!(noted(&estate).contains_key("other"));
        wrong(&path);
    };
    let key = estate.run_dir().join("web/gen-1/key.pem");
    let published = fs::read(&key).unwrap();
    for (what, wrong) in WRONG {
        put(wrong);
        let [plan, status] = said(&estate);
        assert_eq!(plan["certificates"][0], healthy[0]["certificates"][0], "{what}");
        assert_eq!(status["certificates"][0]["warnings"], healthy[1]["certificates"][0]["warnings"], "{what}");
        assert_eq!(status["warnings"], healthy[1]["warnings"], "{what}");
        let renewed = estate.renew();
        renewed.expect(0, "web", "not-due");
        assert_eq!(renewed.cert("web")["warnings"], json!([]), "{what}");
        flip(&key);
        assert_eq!(said(&estate)[0]["certificates"][0]["due"], true, "{what}");
        fs::write(&key, &published).unwrap();
        // Nor is it an error where it cannot be replaced.
        estate.omens(&["renew", "other", "--force"]).expect(0, "other", "renewed");
    }
    if rustix::process::geteuid().is_root() {
        put(|path| chown(path, Some(12_345), None).unwrap());
        estate.renew().expect(0, "web", "not-due");
    }
}

#[test]
fn a_run_with_nothing_due_leaves_the_file_as_it_is() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.certs = vec![Cert::web("web")];
    estate.write();
    estate.renew().expect(0, "web", "renewed");
    let file = || {
        let meta = fs::metadata(seen(&estate)).expect("seen.json");
        (meta.ino(), meta.ctime(), meta.ctime_nsec(), meta.mode() & 0o7777, fs::read(seen(&estate)).expect("seen.json"))
    };
    let before = file();
    assert_eq!(before.3, 0o600);
    estate.renew().expect(0, "web", "not-due");
    said(&estate);
    assert_eq!(file(), before);
    // Nor does it make one.
    fs::remove_file(seen(&estate)).unwrap();
    estate.renew().expect(0, "web", "not-due");
    said(&estate);
    assert!(!seen(&estate).exists());
    assert_eq!(estate.omens(&["status"]).json["unnamed"], json!([]));
}
