//! `restore` publishes what passed the gate and nothing else: damaged and foreign pairs, debt in place of what is damaged, an empty run
//! directory, the trust anchor.

use crate::lab::estate::Estate;
use crate::web::{NAME, Web, issued, warned};

/// A self-signed pair that works and is nobody's we know.
fn foreign_pair() -> (String, String) {
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = rcgen::CertificateParams::new(vec![NAME.to_owned()]).unwrap().self_signed(&key).unwrap();
    (certificate.pem(), key.serialize_pem())
}

fn wipe_run(estate: &Estate) {
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
}

#[test]
fn restore_publishes_no_pair_that_never_passed_the_gate() {
    let (_hostile, estate) = issued();
    let live = estate.state().join("certs/web/gen-1");
    let (certificate, key) = foreign_pair();
    for (file, text) in [("cert.pem", &certificate), ("fullchain.pem", &certificate), ("key.pem", &key)] {
        std::fs::write(live.join(file), text).unwrap();
    }
    wipe_run(&estate);
    let run = estate.omens(&["restore"]);
    run.expect(1, "web", "failed");
    assert_eq!(run.cert("web")["error"]["code"], "blob-damaged", "{run}");
    assert_eq!(estate.published_leaf("web"), None);
    // The next run makes a new one.
    estate.renew().expect(0, "web", "renewed");
}

#[test]
fn restore_takes_valid_debt_where_the_committed_one_is_damaged() {
    let web = Web::serving();
    web.nginx.write_broken();
    web.estate.force().expect(1, "web", "rolled-back");
    std::fs::write(web.estate.state().join("certs/web/gen-1/key.pem"), "torn").unwrap();
    wipe_run(&web.estate);
    let run = web.estate.omens(&["restore"]);
    run.expect(0, "web", "restored");
    assert_eq!(run.cert("web")["generation"], 2, "{run}");
    assert!(warned(&run, "debt-published"), "{run}");
    web.nginx.write();
    web.estate.renew().expect(0, "web", "settled");
    assert_eq!(web.estate.signed(), 2);
}

#[test]
fn restore_does_not_call_an_empty_run_directory_kept() {
    let (_hostile, estate) = issued();
    wipe_run(&estate);
    std::fs::create_dir_all(estate.run_dir().join("web")).unwrap();
    let run = estate.omens(&["restore"]);
    run.expect(0, "web", "restored");
    assert!(estate.published_leaf("web").is_some());
    estate.omens(&["restore"]).expect(0, "web", "kept");
}

#[test]
fn restore_writes_the_trust_anchor_again() {
    let (_hostile, estate) = issued();
    let anchor = estate.run_dir().join("trust/anchor.pem");
    std::fs::write(&anchor, "x").unwrap();
    estate.omens(&["restore"]).expect(0, "web", "kept");
    assert_eq!(std::fs::read_to_string(&anchor).unwrap().trim(), estate.authority.root_pem.trim());
}
