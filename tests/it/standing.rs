//! `status` says what serves, also where that is not what is committed, and calls nothing debt that nobody was asked for.

use crate::lab::estate::Estate;
use crate::reseal::with_failing;
use crate::web::{issued, warned};

/// What `status` says to a person.
fn says(estate: &Estate, more: &[&str]) -> String {
    estate.plain(&[&["status"], more].concat()).stdout
}

#[test]
fn what_was_published_and_not_committed_is_what_status_tells() {
    let (_hostile, estate) = issued();
    // The link that says what boots cannot be made.
    let var = estate.state().join("certs/web");
    let Some(run) = with_failing(&estate, &["renew", "--all", "--force"], "symlinkat", "ENOSPC", Some(&var)) else { return };
    let web = &run["certificates"][0];
    assert_eq!(
        (&web["error"]["stage"], &web["error"]["code"], &web["generation"]),
        (&"commit".into(), &"disk-full".into(), &2.into()),
        "{run}"
    );
    assert!(!web["error"]["hint"].as_str().unwrap().contains("nothing that serves was changed"), "{run}");
    assert_eq!((estate.committed("web"), estate.published("web")), (Some(1), Some(2)));
    let status = estate.omens(&["status"]);
    let told = status.cert("web");
    assert_eq!(
        (status.code, &told["live"], &told["published"], &told["debt"]["generation"]),
        (1, &1.into(), &2.into(), &2.into()),
        "{status}"
    );
    for (field, of_run) in [("serial", "serial"), ("sha256", "sha256"), ("not_before", "not_before"), ("expires", "not_after")] {
        assert_eq!(told[field], web[of_run], "{field}: {status}");
    }
    assert_eq!(estate.omens(&["plan"]).cert("web")["expires"], web["not_after"]);
    let text = says(&estate, &[]);
    assert!(text.contains("gen-2") && !text.contains("nothing that serves"), "{text}");
    let text = says(&estate, &["-v"]);
    assert!(text.contains("gen-2 is what consumers read") && !text.contains("not taken up"), "{text}");
    estate.renew().expect(0, "web", "settled");
    assert_eq!((estate.committed("web"), estate.omens(&["status"]).code), (Some(2), 0));
}

#[test]
fn links_that_were_never_made_are_no_debt_and_status_says_what_makes_them() {
    let hostile = crate::lab::hostile::Hostile::start();
    let mut estate = hostile.estate();
    let dir = estate.dir.join("consumer");
    std::fs::create_dir(&dir).unwrap();
    estate.certs[0].extra = format!("install = [ {{ dir = \"{}\", cert = \"server.crt\", key = \"server.key\" }} ]\n", dir.display());
    estate.write();
    estate.renew().expect(0, "web", "renewed");
    for _ in 0..2 {
        let status = estate.omens(&["status"]);
        let told = status.cert("web");
        assert_eq!((status.code, told["debt"].is_null(), told["due"].as_bool()), (1, true, Some(false)), "{status}");
        assert!(status.reasons("web").contains(&"link-missing") && !status.reasons("web").contains(&"debt"), "{status}");
        for text in [says(&estate, &[]), says(&estate, &["-v"])] {
            assert!(text.contains("omens install") && !text.contains("debt") && !text.contains("0 times"), "{text}");
        }
        assert_eq!(estate.omens(&["status", "--due"]).code, 1);
        let run = estate.renew();
        run.expect(0, "web", "not-due");
        assert!(warned(&run, "link-missing") && warned(&run, "not-installed"), "{run}");
    }
    // What lies there is mended all the same.
    std::fs::remove_file(estate.run_dir().join("web/live/chain.pem")).unwrap();
    estate.renew();
    assert!(estate.run_dir().join("web/live/chain.pem").exists());
    assert!(estate.omens(&["status"]).cert("web")["debt"].is_null());
    // Once they are there, its services are asked.
    estate.omens(&["install"]).expect(0, "web", "installed");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, status.reasons("web")), (1, vec!["unproven"]), "{status}");
    assert_eq!(estate.omens(&["status", "--due"]).code, 0);
    estate.renew().expect(0, "web", "settled");
    assert_eq!(estate.omens(&["status"]).code, 0);
}
