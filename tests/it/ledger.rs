//! The history does not grow for ever, and loses nothing of what it keeps.

use crate::lab::estate::{Cert, Estate};
use crate::web::issued;

/// As `model::layout::LEDGER_LIMIT` says and `swap/ondisk.md`, "Ledger", promises.
const LIMIT: usize = 8 * 1024 * 1024;

#[test]
fn a_large_ledger_is_put_aside_whole_and_the_next_line_begins_a_new_one() {
    let (_hostile, estate) = issued();
    let path = |age: &str| estate.state().join(format!("ledger.jsonl{age}"));
    let first = std::fs::read_to_string(path("")).unwrap();
    let line = format!("{}\n", first.lines().next().unwrap());
    let full = line.repeat(LIMIT / line.len() + 1);
    std::fs::write(path(""), &full).unwrap();
    for age in 1..=4 {
        std::fs::write(path(&format!(".{age}")), format!("{age}\n")).unwrap();
    }
    // Nothing due: nothing is written, and nothing renamed.
    estate.renew().expect(0, "web", "not-due");
    assert_eq!(std::fs::metadata(path("")).unwrap().len(), full.len() as u64);

    let run = estate.force();
    run.expect(0, "web", "renewed");
    assert!(std::fs::read_to_string(path(".1")).unwrap() == full, "the old one is whole");
    let lines = estate.ledger();
    assert_eq!((lines.len(), &lines[0]["serial"]), (1, &run.cert("web")["serial"]), "{lines:?}");
    let old = |age: &str| std::fs::read_to_string(path(age)).unwrap_or_default();
    assert_eq!([old(".2"), old(".3"), old(".4"), old(".5")], ["1\n", "2\n", "3\n", ""], "four are kept");

    // What omens itself says does not hang on the history.
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, &status.cert("web")["proof"]), (0, &"file".into()), "{status}");
    estate.force().expect(0, "web", "renewed");
    assert_eq!(estate.ledger().len(), 2);
}

/// The line is lost; that it was is not: it is in `status` until a later run has gone well.
#[test]
fn a_ledger_that_cannot_be_written_is_seen_when_the_run_is_over() {
    let estate = Estate::at_openbao().with(Cert::web("web"));
    estate.renew().expect(0, "web", "renewed");
    let ledger = estate.state().join("ledger.jsonl");
    let aside = estate.state().join("ledger.aside");
    std::fs::rename(&ledger, &aside).unwrap();
    std::fs::create_dir(&ledger).unwrap();
    let run = estate.force();
    run.expect(1, "web", "renewed");
    assert!(run.json["error"]["text"].as_str().unwrap().contains("ledger.jsonl"), "{run}");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, status.cert("web")["healthy"].as_bool()), (1, Some(false)), "{status}");
    std::fs::remove_dir(&ledger).unwrap();
    std::fs::rename(&aside, &ledger).unwrap();
    // Dates on disk are whole seconds.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    estate.renew().expect(0, "web", "not-due");
    assert_eq!(estate.omens(&["status"]).code, 0);
}
