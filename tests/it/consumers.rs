//! The pages of `units/consumers` on Debian's packages under a real systemd: what they say is copied from them and done.

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

#[test]
fn what_the_pages_of_consumers_say_works_word_for_word() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("units/consumers");
    let mut pages: Vec<String> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    pages.retain(|page| PAGES.iter().any(|(name, _)| *page == format!("{name}.md")));
    assert_eq!(pages.len(), PAGES.len(), "{pages:?}");
    let missing: Vec<&str> = PAGES.iter().filter(|(_, binary)| program(binary).is_none()).map(|(name, _)| *name).collect();
    if !missing.is_empty() {
        return crate::skipped(&format!("the pages of consumers: these are not installed: {}", missing.join(", ")));
    }
    match guest::boot("consumers.sh", &[], Duration::from_secs(240)) {
        Err(why) => crate::skipped(&format!("the pages of consumers under a real systemd: {why}")),
        Ok(output) => {
            assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
            assert_eq!(output.stdout.lines().collect::<Vec<_>>(), SERVED, "{}", output.stderr);
        }
    }
}
