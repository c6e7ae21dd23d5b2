//! What somebody else put into our directories concerns no certificate, and hides none.

use omens::model::entry::Outcome;
use omens::model::state::Proof;

use crate::host::Cert;
use crate::stories::{due, told};

const WEB: Cert = Cert { name: "web", daemons: &[0] };

#[test]
fn a_stray_file_in_either_tree_stops_and_hides_nothing() {
    let (_turn, host) = due(&[WEB]);
    for stray in ["run/readme", "run/web.bak", "state/readme", "state/certs/readme", "state/certs/web/gen-50", "run/web/gen-60"] {
        std::fs::write(host.path(stray), "x").expect("a stray file");
    }
    let status = host.status();
    assert_eq!(status.certificates[0].live.map(|generation| generation.0), Some(1), "{status:#?}");
    let report = host.renew();
    assert_eq!(told(&report), [("web".to_owned(), Outcome::Renewed, Some(Proof::Served), None)]);
    // Their numbers are taken.
    assert_eq!(host.live("run", "web").as_deref(), Some("gen-61"));
    assert!(host.status().healthy, "{:#?}", host.status());
    for stray in ["run/readme", "run/web.bak", "state/certs/web/gen-50", "run/web/gen-60"] {
        assert!(host.path(stray).is_file(), "{stray} was removed");
    }
    host.check("the end");
}

#[test]
fn what_is_no_state_file_is_said_and_what_is_committed_is_still_shown() {
    let (_turn, host) = due(&[WEB]);
    let file = host.path("state/certs/web/state.json");
    let strange: [fn(&std::path::Path); 3] = [
        |file| std::fs::create_dir(file).expect("a directory"),
        |file| std::fs::write(file, vec![b' '; 5 << 20]).expect("a large file"),
        |file| std::os::unix::fs::symlink("/nonexistent", file).expect("a link"),
    ];
    for put in strange {
        if file.is_dir() { std::fs::remove_dir(&file) } else { std::fs::remove_file(&file) }.expect("the one before");
        put(&file);
        let status = host.status();
        let web = &status.certificates[0];
        assert_eq!(web.live.map(|generation| generation.0), Some(1), "{web:#?}");
        assert!(web.planned.expires.is_some() && !status.healthy, "{web:#?}");
        assert!(format!("{web:?}").contains("state.json"), "{web:#?}");
    }
    // A link is followed by nobody and replaced by nobody; what was once a file is written anew.
    let refused = host.renew();
    assert_eq!(told(&refused)[0].3, Some("link-refused"), "{refused:#?}");
    std::fs::remove_file(&file).expect("the link");
    std::fs::write(&file, "no state").expect("a file");
    assert_eq!(host.renew().exit, 0);
    assert!(host.status().healthy, "{:#?}", host.status());
}
