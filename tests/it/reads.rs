//! What is read where nothing is due: of every certificate each directory and each file once, however many certificates there are, and of one
//! that did not change since a run found it intact no more than has to be known.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::lab::child::run;
use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::Hostile;
use crate::lab::{place, program};

/// What is opened of one certificate whose key is in a file: two directories and six files in the state directory, and two and six where
/// consumers read.
const OPENED: usize = 16;

/// The same where nothing changed: its certificate and `state.json`. No directory, no key, and nothing where consumers read.
const UNCHANGED: [&str; 2] = ["gen-1/cert.pem", "state.json"];

/// How often each path of the certificates is opened; `None` where there is no strace.
fn opened(estate: &Estate, arguments: &[&str]) -> Option<BTreeMap<String, usize>> {
    let log = estate.dir.join("opened");
    let omens = estate.command(arguments);
    let mut command = Command::new(program("strace")?);
    // With the path of what was opened behind its number.
    command.args(["-f", "-qq", "-y", "-e", "trace=open,openat,openat2", "-o"]).arg(&log);
    command.arg(omens.get_program()).args(omens.get_args()).env_clear().envs(omens.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let output = run(command, Duration::from_secs(60));
    assert_eq!(output.code, 0, "{output:?}");
    let trace = std::fs::read_to_string(&log).expect("a trace");
    let mut times = BTreeMap::new();
    for line in trace.lines() {
        let Some((_, found)) = line.rsplit_once(" = ").filter(|(_, found)| !found.starts_with('-')) else { continue };
        let path = found.split_once('<').and_then(|(_, path)| path.trim_end().strip_suffix('>')).unwrap_or_default();
        let of_certificates = [estate.state().join("certs"), estate.run_dir()];
        let is_one = |above: &Path| Path::new(path).strip_prefix(above).is_ok_and(|rest| rest.components().next().is_some());
        if of_certificates.iter().any(|above| is_one(above)) && !Path::new(path).starts_with(estate.run_dir().join("trust")) {
            *times.entry(path.to_owned()).or_default() += 1;
        }
    }
    Some(times)
}

/// What looks at every certificate and does nothing.
const LOOKS: [&[&str]; 3] = [&["renew", "--all"], &["plan"], &["status"]];

#[test]
fn each_file_of_a_certificate_that_rests_is_opened_once() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    let etc = estate.dir.join("etc");
    place::make_private(&etc);
    let install = |files: &str| format!("install = [ {{ dir = \"{}\", {files} }} ]\n", etc.display());
    estate.certs = vec![
        Cert::web("plain"),
        Cert { extra: install("bundle = \"bundle.pem\""), ..Cert::web("trusts") },
        Cert { extra: install("ca = \"ca.pem\", cert = \"c.pem\", as = \"copy\""), ..Cert::web("copies") },
    ];
    estate.write();
    estate.renew().expect(0, "plain", "renewed");
    assert_eq!(estate.omens(&["install"]).code, 0);
    estate.renew().expect(0, "plain", "not-due");
    for arguments in LOOKS {
        let Some(times) = opened(&estate, arguments) else {
            return crate::skipped("what a run with nothing due opens: there is no strace");
        };
        let plain: Vec<(&String, &usize)> = times.iter().filter(|(path, _)| path.contains("/plain")).collect();
        assert_eq!(plain.len(), UNCHANGED.len(), "{arguments:?}: {plain:#?}");
        for ((path, times), file) in plain.iter().zip(UNCHANGED) {
            assert!(path.ends_with(&format!("certs/plain/{file}")) && **times == 1, "{arguments:?}: {plain:#?}");
        }
        // What lies at consumers' own paths is compared each time.
        assert_eq!(times.keys().filter(|path| path.contains("/copies")).count(), OPENED, "{arguments:?}: {times:#?}");
    }
    std::fs::remove_file(estate.state().join("seen.json")).expect("what was noted");
    for arguments in LOOKS {
        let Some(times) = opened(&estate, arguments) else {
            return crate::skipped("what a run with nothing due opens: there is no strace");
        };
        let twice: Vec<&String> = times.iter().filter(|(_, times)| **times > 1).map(|(path, _)| path).collect();
        assert!(twice.is_empty(), "{arguments:?} opens these more than once: {twice:#?}");
        let plain = times.keys().filter(|path| path.contains("/plain")).count();
        assert_eq!(plain, OPENED, "{arguments:?}: {times:#?}");
    }
}
