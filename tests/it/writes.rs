//! What a run with nothing due writes: the page of the contract names all of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use omens::model::clock::Time;
use serde_json::json;

use crate::lab::child::run;
use crate::lab::estate::Estate;
use crate::lab::program;
use crate::web::issued;

/// Every call by which something on a file system changes.
const CHANGING: &str = "open,openat,openat2,creat,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,\
                        truncate,ftruncate,chmod,fchmod,fchmodat,?fchmodat2,chown,fchown,fchownat,lchown,utimensat,futimesat,utimes,mknod,mknodat";

/// The paths below the host's directory that a run changes, with random digits left out. `None` where there is no strace.
fn changed(estate: &Estate, arguments: &[&str]) -> Option<BTreeSet<String>> {
    let log = std::env::temp_dir().join(format!("{}.changed", estate.dir.file_name()?.to_str()?));
    let omens = estate.command(arguments);
    let mut command = Command::new(program("strace")?);
    command.args(["-f", "-qq", "-y", "-s", "4096", "-e", &format!("trace={CHANGING}"), "-o"]).arg(&log);
    command.arg(omens.get_program()).args(omens.get_args()).env_clear().envs(omens.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let output = run(command, Duration::from_secs(60));
    assert_eq!(output.code, 0, "{output:?}");
    let trace = std::fs::read_to_string(&log).expect("a trace");
    std::fs::remove_file(&log).ok();
    Some(trace.lines().filter_map(|line| target(line, &estate.dir)).collect())
}

/// What a call changed: of one that opens, only where it may write, and the lock only where its time is set.
fn target(line: &str, host: &Path) -> Option<String> {
    let (call, rest) = line.split_once(' ').map_or(line, |(_, call)| call.trim_start()).split_once('(')?;
    if rest.rsplit_once(" = ").is_some_and(|(_, result)| result.starts_with('-')) {
        return None;
    }
    let opens = call.starts_with("open");
    if opens && !["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC"].iter().any(|flag| rest.contains(flag)) {
        return None;
    }
    // The directory is told behind its descriptor, the name in quotes; the last name is the new one.
    let (before, _) = rest.rsplit_once(" = ")?;
    let dir = before.rsplit_once('<').and_then(|(_, path)| path.split_once('>')).map(|(path, _)| path)?;
    let name = before.rsplit('"').nth(1).unwrap_or_default();
    let path = if name.starts_with('/') { name.into() } else { Path::new(dir).join(name) };
    let path = path.strip_prefix(host).ok()?.display().to_string();
    let path = path.trim_end_matches('/').to_owned();
    // A lock is opened to be held.
    if opens && path.ends_with("/lock") {
        return None;
    }
    let without_digits =
        |part: &str| if part.len() == 16 && part.bytes().all(|b| b.is_ascii_hexdigit()) { "RANDOM".to_owned() } else { part.to_owned() };
    let path = path.split('.').map(without_digits).collect::<Vec<_>>().join(".");
    Some(path)
}

/// Demands that a run in which nothing is due changes this and nothing else.
#[track_caller]
fn changes(estate: &Estate, what: &str, expected: &[&str]) -> Option<()> {
    let changed = changed(estate, &["renew", "--all"])?;
    let expected: BTreeSet<String> = expected.iter().map(|path| (*path).to_owned()).collect();
    // A temporary name stands for the file that it becomes.
    let is_temporary = |path: &&String| Path::new(path).file_name().is_some_and(|name| name.to_string_lossy().ends_with(".RANDOM"));
    let changed: BTreeSet<String> = changed.iter().filter(|path| !is_temporary(path)).cloned().collect();
    assert_eq!(changed, expected, "{what}");
    Some(())
}

#[test]
fn a_run_with_nothing_due_writes_the_time_of_the_lock_and_else_only_what_the_contract_names() {
    let (_hostile, estate) = issued();
    let Some(()) = changes(&estate, "nothing is due", &["state/lock"]) else {
        return crate::skipped("what a run with nothing due writes: there is no strace");
    };

    // A failure of the second before, which it had no cause to repeat: nobody could tell later which came first.
    let note = |at: Time| {
        let mut state = estate.state_json("web");
        state["last_error"] = json!({ "at": at.to_string(), "failure": { "stage": "publish", "code": "disk", "text": "what happened" } });
        std::fs::write(estate.state().join("certs/web/state.json"), state.to_string()).unwrap();
    };
    let now = || Time::from_unix(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().try_into().unwrap());
    note(Time::from_unix(now().unix() - 60));
    changes(&estate, "a failure of a minute ago", &["state/lock"]);
    // On a busy machine the run may begin more than a second later.
    let is_over = (0..20).any(|_| {
        note(now());
        let changed = changed(&estate, &["renew", "--all"]).unwrap();
        changed.contains("state/certs/web/state.json")
    });
    assert!(is_over, "a failure of this second");
    assert!(estate.state_json("web")["last_error"].is_null());

    // What consumers are to trust is not as it should be.
    std::fs::write(estate.run_dir().join("trust/bundle.pem"), "other").unwrap();
    changes(&estate, "a file of trust", &["state/lock", "run/trust/bundle.pem"]);

    // What a killed run left half-made.
    std::fs::create_dir(estate.state().join("certs/web/.gen-2")).unwrap();
    changes(&estate, "a leftover", &["state/lock", "state/certs/web/.gen-2"]);

    // The file of the metrics, and that it is noted where they are.
    std::fs::create_dir(estate.dir.join("textfile")).unwrap();
    let text = format!("{}\n[metrics]\ntextfile = \"{}/textfile/omens.prom\"\n", estate.settings_text(), estate.dir.display());
    std::fs::write(estate.settings(), text).unwrap();
    changes(&estate, "metrics for the first time", &["state/lock", "state/settings.json", "textfile/omens.prom"]);
    changes(&estate, "metrics", &["state/lock", "textfile/omens.prom"]);
}
