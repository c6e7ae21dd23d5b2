//! The pages of `units/consumers` on Debian's packages under a real systemd: what they say is copied from them and done. And what can happen to
//! HAProxy and PostgreSQL as their pages have them: they check a pair before they go on with it, or keep the old one in silence.

use std::path::Path;
use std::time::Duration;

use crate::lab::{guest, program};

/// Page, and a program of the Debian package that it is about.
const PAGES: [(&str, &str); 5] =
    [("nginx", "nginx"), ("haproxy", "haproxy"), ("apache", "apache2"), ("postgresql", "pg_ctlcluster"), ("postfix", "postfix")];

/// The proof with the service stopped; outcome and proof once it runs; of a forced renewal; and what the wire shows.
const SERVED: [&str; 7] = [
    "nginx: service-stopped; settled served; renewed served; gen-2 served",
    "haproxy: service-stopped; settled served; renewed served; gen-2 served",
    "apache: service-stopped; settled served; renewed served; gen-2 served",
    "postgresql: service-stopped; settled served; renewed served; gen-2 served",
    // Its file is a link that `omens install` made, until when no service is asked.
    "postfix: none; settled served; renewed served; gen-2 served",
    // The same two with one file in the other order.
    "haproxy: none; settled served; renewed served; gen-2 served",
    "postgresql: none; settled served; renewed served; gen-2 served",
];

/// Consumer, case, exit code, outcome, proof, stage and code of the error, warnings; state of the unit, whether what is published afterwards is
/// what was published before, what is served, and whether it is the same process.
const CASES: [(&str, &str); 12] = [
    // Debian's unit has HAProxy look at the pair first: the reload fails, and the old pair is asked for again.
    ("haproxy", "refused 1 rolled-back served reload/reload-failed - active old old same"),
    ("haproxy", "mended 0 settled served - - active new new same"),
    // Nobody sees what a process serves that does not answer: neither pair is said to be in use.
    ("haproxy", "hung 1 rolled-back none verify/unreachable previous-not-seen active old silent same"),
    ("haproxy", "awake 0 settled served - - active new new same"),
    ("haproxy", "lying 1 rolled-back served verify/old-leaf - active old old same"),
    ("haproxy", "honest 0 settled served - - active new new same"),
    // PostgreSQL says in its log alone that it keeps the old one: it is seen on the wire.
    ("postgresql", "refused 1 rolled-back served verify/old-leaf - active old old same"),
    ("postgresql", "mended 0 settled served - - active new new same"),
    ("postgresql", "hung 1 rolled-back none verify/unreachable previous-not-seen active old silent same"),
    ("postgresql", "awake 0 settled served - - active new new same"),
    ("postgresql", "lying 1 rolled-back served verify/old-leaf - active old old same"),
    ("postgresql", "honest 0 settled served - - active new new same"),
];

#[test]
fn what_the_pages_of_consumers_say_works_word_for_word_and_what_goes_wrong_is_put_back() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("units/consumers");
    let mut pages: Vec<String> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    pages.retain(|page| PAGES.iter().any(|(name, _)| *page == format!("{name}.md")));
    assert_eq!(pages.len(), PAGES.len(), "{pages:?}");
    let missing: Vec<&str> = PAGES.iter().filter(|(_, binary)| program(binary).is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return crate::skipped(&format!("the pages of consumers: these are not installed: {}", missing.join(", ")));
    }
    match guest::boot("consumers.sh", &[], Duration::from_secs(300)) {
        Err(why) => crate::skipped(&format!("the pages of consumers under a real systemd: {why}")),
        Ok(output) => {
            assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
            // A consumer's line of its page has a colon; what happens to it comes after.
            let (pages, cases): (Vec<&str>, Vec<&str>) = output.stdout.lines().partition(|line| line.contains(':'));
            assert_eq!(pages, SERVED, "{}", output.stderr);
            assert_eq!(cases, CASES.map(|(name, row)| format!("{name} {row}")), "{}", output.stderr);
        }
    }
}
