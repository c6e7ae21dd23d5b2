//! Windows by the clock of the host: what waits, what it says, and who may pass.

use crate::lab::estate::{Cert, Estate};

/// A daily window in UTC, so many hours from now.
fn window(from: i64, to: i64) -> String {
    let now = time::OffsetDateTime::now_utc();
    let hour = |hours: i64| {
        let at = now + time::Duration::hours(hours);
        format!("{:02}:{:02}", at.hour(), at.minute())
    };
    format!("window = [\"{}-{}\"]\ntimezone = \"UTC\"\n", hour(from), hour(to))
}

#[test]
fn what_is_due_waits_for_its_window_unless_a_person_says_otherwise() {
    let mut estate = Estate::at_openbao();
    estate.certs = vec![Cert::web("web")];
    estate.certs[0].extra = window(2, 3);
    estate.write();
    for arguments in [&["renew", "--all"][..], &["renew", "web", "--force"]] {
        let run = estate.omens(arguments);
        run.expect(0, "web", "blocked").because("web", "plan/outside-window");
        assert!(run.cert("web")["error"]["text"].as_str().unwrap().contains("opens at"), "{run}");
    }
    assert_eq!((estate.signed(), estate.committed("web")), (0, None));
    let status = estate.omens(&["status"]);
    let waits = &status.json["certificates"][0]["waits_for"];
    assert!(waits["opens"].as_str() < waits["ends"].as_str() && waits["opens"].is_string(), "{status}");
    assert_eq!((&waits["why"], &estate.omens(&["plan"]).json["certificates"][0]["waits_for"]), (&"window".into(), waits));
    for arguments in [&["status", "-v"][..], &["plan"], &["plan", "-v"]] {
        let text = estate.plain(arguments).stdout;
        let opens = format!("waits for its window, which opens at {}", waits["opens"].as_str().unwrap());
        assert!(text.contains(&opens), "{arguments:?}: {text}");
    }
    assert_eq!(estate.omens(&["renew", "--all", "--ignore-window"]).expect(0, "web", "renewed").cert("web")["generation"], 1);
    // What a boot takes away is given back at any time.
    std::fs::remove_dir_all(estate.run_dir().join("web")).unwrap();
    estate.renew().expect(0, "web", "settled");
    estate.renew().expect(0, "web", "not-due");

    estate.certs[0].extra = window(-1, 1);
    estate.write();
    // Staged in this window, it is not renewed for the next one.
    estate.renew().expect(0, "web", "not-due");
    estate.force().expect(0, "web", "renewed");
}

#[test]
fn what_is_sealed_anew_inside_a_window_is_renewed_in_it_all_the_same() {
    let Some(swtpm) = crate::tpm::start(&[7]) else { return };
    let mut estate = Estate::at_openbao().with_tpm(&swtpm.direct(), &[]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    // It is older than the window.
    let meta = estate.state().join("certs/web/gen-1/meta.json");
    let mut noted: serde_json::Value = serde_json::from_slice(&std::fs::read(&meta).unwrap()).unwrap();
    noted["staged"] = "2026-01-01T00:00:00Z".into();
    std::fs::write(&meta, noted.to_string()).unwrap();
    estate.certs[0].extra = window(-1, 1);
    estate.write();
    assert_eq!(estate.omens(&["plan"]).reasons("web"), ["in-window"]);
    estate.omens(&["reseal"]).expect(0, "web", "resealed");
    assert_eq!(estate.omens(&["plan"]).reasons("web"), ["in-window"], "the certificate is the same");
    estate.renew().expect(0, "web", "renewed");
    estate.renew().expect(0, "web", "not-due");
}

#[test]
fn a_certificate_that_would_not_live_to_its_window_overrides_it() {
    let mut estate = Estate::at_openbao();
    estate.certs = vec![Cert { ttl: "1h".into(), ..Cert::web("web") }];
    estate.certs[0].extra = window(2, 3);
    estate.write();
    estate.omens(&["renew", "--all", "--ignore-window"]).expect(0, "web", "renewed");
    let run = estate.force();
    run.expect(0, "web", "renewed");
    assert!(crate::web::warned(&run, "window-overridden"), "{run}");
}

#[test]
fn a_window_that_is_none_is_a_mistake_at_its_place() {
    let mut estate = Estate::at_openbao();
    estate.certs = vec![Cert::web("web")];
    for (lines, words) in [
        ("window = [\"Mon 02:00\"]\n", "HH:MM-HH:MM"),
        ("window = []\n", "empty list"),
        ("window = [\"Moon 02:00-03:00\"]\n", "expected Mon"),
        ("timezone = \"UTC\"\n", "without"),
        ("window = [\"02:00-03:00\"]\ntimezone = \"Thundera/Plun-Darr\"\n", "no time zone"),
        ("window = [\"02:00-03:00\"]\ntimezone = \"../../etc/passwd\"\n", "name of a time zone"),
    ] {
        estate.certs[0].extra = lines.into();
        estate.write();
        let run = estate.omens(&["check-config"]);
        assert_eq!((run.code, run.json["errors"][0]["code"].as_str()), (2, Some("bad-value")), "{lines}: {run}");
        assert!(run.json["errors"][0]["text"].as_str().unwrap().contains(words), "{lines}: {run}");
    }
}
