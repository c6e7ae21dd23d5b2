//! Settings of a host in a temporary root: what is said of them and of the roots that they pin.
#![expect(clippy::disallowed_methods, reason = "a test makes the files that are looked at")]

use std::fs;

use super::mounted::read;
use super::*;
use crate::judge::{kit, pem};
use crate::model::anchor::Fingerprint;
use crate::model::audit::Finding;

const MAIN: &str = "/etc/omens/omens.toml";
const MORE: &str = "/etc/omens/omens.d/more.toml";
const ROOT: &str = "/etc/omens/root.pem";

fn text(der: &[u8]) -> String {
    pem::write(der)
}

/// Sound settings that pin this root, and more below `[trust]`.
fn settings(pin: &str, trust: &str) -> String {
    format!(
        "[host]\nname = \"a.example\"\n[trust]\nanchor = \"{ROOT}\"\nanchor_sha256 = \"{pin}\"\n{trust}\n[openbao]\naddress = \
         \"https://b.example\"\nmount = \"pki\"\nlogin = [{{ token = {{ token = \"credential:t\" }} }}]\n\
         [[certificate]]\nname = \"a\"\nprofile = \"tls-server\"\nrole = \"a\"\nttl = \"24h\"\ncommon_name = \"a.example\"\n"
    )
}

/// `None` in place of a text makes a directory.
fn look(files: &[(&str, Option<&str>)]) -> (Vec<Vec<u8>>, Vec<Finding>) {
    let top = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = top.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text {
            Some(text) => fs::write(path, text).unwrap(),
            None => fs::create_dir(path).unwrap(),
        }
    }
    let view = View::root(top.path()).unwrap();
    let mut findings = HostFindings::new(kit::now(), "h");
    let mounted = read(&view, Path::new(MAIN), &[], &mut findings);
    (mounted.map(|mounted| mounted.anchors).unwrap_or_default(), findings.into_document().findings)
}

fn said(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().map(|finding| (finding.id.as_str(), finding.files[0].path.as_str())).collect()
}

#[test]
fn a_root_that_is_not_the_pinned_one_is_suspect_and_not_trusted() {
    let [right, wrong] = ["Eye of Thundera", "Eye of Ramlak"].map(|name| kit::Authority::root(name).der);
    let pin = Fingerprint::of(&right).to_string();
    let also = |file: &str| format!("also = [{{ anchor = \"{file}\", anchor_sha256 = \"{pin}\" }}]");
    let (right_text, wrong_text) = (text(&right), text(&wrong));
    let sound = settings(&pin, "");
    assert_eq!(look(&[(MAIN, Some(&sound)), (ROOT, Some(&right_text))]), (vec![right.clone()], Vec::new()));
    // A copy may have been made without it.
    assert_eq!(look(&[(MAIN, Some(&sound))]), (Vec::new(), Vec::new()));
    let other = "/etc/omens/other.pem";
    for (main, held) in [(sound.clone(), ROOT), (settings(&pin, &also(other)), other)] {
        let (anchors, findings) = look(&[(MAIN, Some(&main)), (ROOT, Some(&right_text)), (held, Some(&wrong_text))]);
        assert_eq!(said(&findings), [("own.settings", held)], "{findings:#?}");
        let [finding] = findings.as_slice() else { panic!("{findings:#?}") };
        assert_eq!((&finding.expected, &finding.found), (&pin, &Fingerprint::of(&wrong).to_string()));
        assert_eq!(finding.object, Some(Object::File(held.to_owned())));
        assert!(finding.files.iter().any(|file| file.path == MAIN) && !anchors.contains(&wrong), "{finding:#?}");
    }
    for (held, id) in [(Some("no certificate"), "input.malformed"), (None, "input.unreadable")] {
        let (_, findings) = look(&[(MAIN, Some(&sound)), (ROOT, held)]);
        assert_eq!(said(&findings), [(id, ROOT)], "{findings:#?}");
    }
    let (anchors, findings) = look(&[(MAIN, Some(&settings("00", ""))), (ROOT, Some(&right_text))]);
    assert_eq!((said(&findings), anchors), (vec![("own.settings", MAIN)], Vec::new()), "{findings:#?}");
}

#[test]
fn settings_that_cannot_be_read_are_said() {
    let sound = settings(&"0".repeat(64), "");
    let directory = "/etc/omens/omens.d";
    for (files, expected) in [
        (vec![(MAIN, None)], vec![("input.unreadable", MAIN)]),
        (vec![(MAIN, Some(sound.as_str())), (MORE, None)], vec![("input.unreadable", MORE)]),
        (vec![(MAIN, Some(&sound)), (directory, Some(""))], vec![("input.unreadable", directory)]),
        (vec![(MAIN, Some(&sound)), (MORE, Some(""))], Vec::new()),
        (vec![(directory, None)], Vec::new()),
    ] {
        let (_, findings) = look(&files);
        assert_eq!(said(&findings), expected, "{findings:#?}");
    }
}

#[test]
fn that_there_are_more_files_than_are_read_is_said() {
    let sound = settings(&"0".repeat(64), "");
    let files: Vec<String> = (0..=1_000).map(|number| format!("/etc/omens/omens.d/{number:04}.toml")).collect();
    let with = |count: usize| {
        let drop_ins = files.iter().take(count).map(|file| (file.as_str(), Some("")));
        look(&std::iter::once((MAIN, Some(sound.as_str()))).chain(drop_ins).collect::<Vec<_>>()).1
    };
    assert_eq!(said(&with(1_000)), []);
    let findings = with(1_001);
    assert_eq!(said(&findings), [("input.unreadable", "/etc/omens/omens.d")], "{findings:#?}");
    let texts = (findings[0].expected.as_str(), findings[0].found.as_str());
    assert_eq!(texts, ("at most 1000 files of settings in /etc/omens/omens.d", "1001 files; 1000.toml and those behind it were not read"));
}

/// A word that leaves a certificate out of what is judged is said.
#[test]
fn no_certificate_drops_out_in_silence() {
    let sound = settings(&"0".repeat(64), "");
    for (from, to, found) in [
        ("ttl =", "key = { algorithm = \"ec-p265\" }\nttl =", "ec-p265"),
        ("name = \"a\"", "name = \"A/b\"", "A/b"),
        ("ttl =", "key = { keep = \"seeled\" }\nttl =", "seeled"),
    ] {
        let (_, findings) = look(&[(MAIN, Some(&sound.replace(from, to)))]);
        assert_eq!(said(&findings), [("own.settings", MAIN)], "{to}: {findings:#?}");
        assert!(findings[0].found.contains(found) && findings[0].files[0].line.is_some(), "{findings:#?}");
    }
}
