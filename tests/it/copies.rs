//! Copies for consumers: what was there before is kept aside, and a copy that was changed is written again without a signature.

use std::path::Path;

use crate::lab::estate::{Cert, Estate};
use crate::lab::hostile::Hostile;
use crate::web::{issued, warned};

fn with_copies(estate: Estate) -> Estate {
    let dir = estate.dir.join("consumer");
    std::fs::create_dir(&dir).unwrap();
    let install = format!(
        "install = [ {{ dir = \"{}\", cert = \"server.crt\", key = \"server.key\", ca = \"ca.crt\", as = \"copy\" }} ]\n",
        dir.display()
    );
    let estate = Estate { certs: vec![Cert { extra: install, ..Cert::web("web") }], ..estate };
    estate.write();
    estate
}

#[test]
fn a_file_that_is_not_ours_is_kept_aside_by_whoever_comes_first() {
    let hostile = Hostile::start();
    for command in [&["renew", "--all"][..], &["install"]] {
        let estate = hostile.estate();
        if command == ["install"] {
            estate.renew().expect(0, "web", "renewed");
        }
        let estate = with_copies(estate);
        let dir = estate.dir.join("consumer");
        std::fs::write(dir.join("server.key"), "-----BEGIN PRIVATE KEY-----\nprecious\n").unwrap();
        std::fs::write(dir.join("ca.crt"), "somebody's authorities").unwrap();
        let run = estate.omens(command);
        assert_eq!(run.code, 0, "{run}");
        assert!(std::fs::read_to_string(dir.join("server.key.before-omens")).unwrap().contains("precious"), "{run}");
        assert_eq!(std::fs::read_to_string(dir.join("ca.crt.before-omens")).unwrap(), "somebody's authorities", "{run}");
        assert!(warned(&run, "kept-aside") && warned(&run, "plaintext-key"), "{run}");
        // Our own copies are simply renewed.
        let run = estate.force();
        run.expect(0, "web", "renewed");
        assert!(!warned(&run, "kept-aside"), "{run}");
        assert_eq!(std::fs::read(dir.join("server.key")).unwrap(), std::fs::read(estate.run_dir().join("web/live/key.pem")).unwrap());
        assert!(!dir.join("server.key.before-omens-2").exists());
    }
}

#[test]
fn a_copy_with_the_wrong_mode_or_content_is_mended_without_signing() {
    let (hostile, estate) = issued();
    let estate = with_copies(estate);
    estate.renew().expect(0, "web", "settled");
    let signed = || hostile.requests().iter().filter(|r| r.path.contains("/sign/")).count();
    let before = signed();
    let dir = estate.dir.join("consumer");
    let mend = |break_it: &dyn Fn(&Path)| {
        break_it(&dir);
        let plan = estate.omens(&["plan"]);
        assert_eq!(plan.reasons("web"), ["unpublished"], "{plan}");
        estate.renew().expect(0, "web", "settled");
        assert_eq!(estate.omens(&["status", "--due"]).code, 1);
    };
    mend(&|dir| std::fs::set_permissions(dir.join("server.key"), std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap());
    mend(&|dir| std::fs::remove_file(dir.join("ca.crt")).unwrap());
    mend(&|dir| std::fs::write(dir.join("server.crt"), "scribble").unwrap());
    assert_eq!(signed(), before);
}
