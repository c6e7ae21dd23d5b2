//! Whatever the server says: the old certificate serves, nothing unvalidated reaches the consumer, the exit code and the ledger say so.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::estate::{Estate, Run};
use crate::lab::hostile::{Health, Hostile, Lie, Listener, Login, RetryAfter, SECRET_ID, TOKEN};
use crate::lab::pki::pem_blocks;

/// A host with generation 1 in use, whose server is about to lie.
fn in_use(hostile: &Hostile) -> (Estate, String) {
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    let leaf = estate.published_leaf("web").unwrap();
    (estate, leaf)
}

/// Nothing of a failed renewal is where a consumer could read it.
#[track_caller]
fn old_one_serves(estate: &Estate, leaf: &str, lie: &str) {
    assert_eq!(estate.committed("web"), Some(1), "{lie}: /var live");
    assert_eq!(estate.published("web"), Some(1), "{lie}: /run live");
    assert_eq!(estate.published_leaf("web").as_deref(), Some(leaf), "{lie}: /run cert.pem");
    let run: Vec<String> = std::fs::read_dir(estate.run_dir().join("web"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .filter(|n| n.contains("gen-"))
        .collect();
    assert_eq!(run, ["gen-1"], "{lie}: /run holds something else");
}

#[test]
fn a_wrong_certificate_is_refused_and_kept_in_the_ledger() {
    for lie in [
        Lie::OtherKey,
        Lie::OtherEku,
        Lie::NoEku,
        Lie::ExtraName,
        Lie::MissingName,
        Lie::OtherCommonName,
        Lie::OtherRoot,
        Lie::Expired,
        Lie::NotYetValid,
        Lie::TooLong,
        Lie::MissingIntermediate,
        Lie::NoIssuer,
    ] {
        let hostile = Hostile::start();
        let (estate, leaf) = in_use(&hostile);
        hostile.lie(lie);
        let run = estate.force();
        let shown = format!("{lie:?}: {run}");
        assert_eq!((run.code, run.outcome("web")), (1, "refused"), "{shown}");
        assert_eq!(run.cert("web")["error"]["stage"], "validate", "{shown}");
        let findings = run.cert("web")["findings"].as_array().unwrap();
        assert!(findings.iter().any(|f| f["severity"] == "high"), "{shown}");
        for finding in findings {
            assert!(
                finding["expected"].is_string() && finding["found"].is_string() && finding["id"].as_str().unwrap().contains('.'),
                "{shown}"
            );
        }
        old_one_serves(&estate, &leaf, &shown);
        assert_eq!(run.cert("web")["sha256"].as_str(), Some(leaf.as_str()), "the report describes what is in use: {shown}");
        let entry = estate.ledger().pop().unwrap();
        assert_eq!((entry["outcome"].as_str(), entry["stage"].as_str()), (Some("refused"), Some("validate")), "{entry}");
        assert!(!entry["findings"].as_array().unwrap().is_empty(), "{entry}");
        let pem = entry["refused_pem"].as_str().unwrap();
        assert!(!pem_blocks(pem).is_empty() && !pem.contains("PRIVATE"), "{entry}");
        assert_ne!(estate.omens(&["status"]).code, 0, "{lie:?}: the last run had an error");
    }
}

#[test]
fn a_first_issue_that_is_refused_publishes_nothing() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    hostile.lie(Lie::NoEku);
    estate.renew().expect(1, "web", "refused");
    assert_eq!((estate.committed("web"), estate.published("web")), (None, None));
    assert!(!estate.run_dir().join("web/gen-1").exists());
    assert_eq!(estate.omens(&["plan"]).reasons("web"), ["missing"]);
}

#[test]
fn what_is_odd_but_harmless_is_accepted_and_said() {
    for lie in [Lie::NoChain, Lie::ReversedChain, Lie::PrivateKey, Lie::Warns] {
        let hostile = Hostile::start();
        hostile.lie(lie);
        let estate = hostile.estate();
        let run = estate.renew();
        run.expect(0, "web", "renewed");
        let chain = std::fs::read_to_string(estate.run_dir().join("web/live/chain.pem")).unwrap();
        assert_eq!(pem_blocks(&chain).len(), 1, "{lie:?}: the intermediate, never the root");
        let said = run.cert("web")["warnings"].to_string();
        match lie {
            Lie::PrivateKey => {
                assert!(said.contains("private"), "{run}");
                assert!(!run.stdout.contains("PRIVATE KEY") && !run.stderr.contains("PRIVATE KEY"));
            }
            Lie::Warns => {
                assert!(said.contains("than permitted"), "{run}");
                assert!(!run.stdout.contains('\u{1b}') && !run.stdout.contains('\u{202e}'), "a terminal is never steered: {run}");
            }
            _ => {}
        }
    }
}

/// A row: the lie, which codes name it, how many signing requests it may cost.
type Row = (Lie, &'static [&'static str], usize);

#[test]
fn an_answer_that_is_none_leaves_the_old_certificate_serving() {
    const MALFORMED: &[&str] = &["issue/answer-malformed"];
    const AWAY: &[&str] = &["issue/unreachable"];
    const EITHER: &[&str] = &["issue/answer-malformed", "issue/unreachable"];
    const SERVER: &[&str] = &["issue/server-error"];
    let rows: &[Row] = &[
        (Lie::Truncated, EITHER, 2),
        (Lie::Endless, MALFORMED, 2),
        (Lie::Html, MALFORMED, 1),
        (Lie::NotUtf8, MALFORMED, 1),
        (Lie::WrongLength, MALFORMED, 1),
        (Lie::Empty, MALFORMED, 1),
        (Lie::JunkCertificate, MALFORMED, 1),
        (Lie::Redirect, &["issue/answer-malformed", "issue/server-error"], 1),
        (Lie::Status(500), SERVER, 2),
        (Lie::Status(502), SERVER, 2),
        (Lie::Status(504), SERVER, 2),
        (Lie::Status(404), &["issue/role-refused", "issue/permission-denied", "issue/server-error", "issue/answer-malformed"], 1),
        (Lie::Sealed, &["issue/server-sealed"], 1),
        (Lie::SealedHtml, SERVER, 2),
        (Lie::TokenDenied, &["issue/login-refused", "issue/permission-denied"], 1),
        (Lie::PolicyDenied, &["issue/permission-denied"], 1),
        (Lie::RoleRefused, &["issue/role-refused"], 1),
        (Lie::Echo, &["issue/role-refused"], 1),
        (Lie::TooMany(RetryAfter::Absent), &["issue/rate-limited"], 2),
        (Lie::TooMany(RetryAfter::Absurd), &["issue/rate-limited"], 2),
        (Lie::ResetBefore, AWAY, 2),
        (Lie::ResetAfter, AWAY, 2),
        (Lie::CloseSilently, AWAY, 2),
    ];
    for (lie, codes, requests) in rows {
        let hostile = Hostile::start();
        let (estate, leaf) = in_use(&hostile);
        let before = hostile.sign_requests();
        hostile.lie(*lie);
        let start = Instant::now();
        let run = estate.force();
        let shown = format!("{lie:?}: {run}");
        assert_eq!((run.code, run.outcome("web")), (1, "failed"), "{shown}");
        assert!(codes.contains(&run.error("web").as_str()), "expected one of {codes:?}: {shown}");
        let error = &run.cert("web")["error"];
        assert!(error["hint"].is_string(), "{shown}");
        let text = error["text"].as_str().unwrap();
        assert!(text.chars().count() < 600 && !text.contains('\n') && !text.chars().any(char::is_control), "{shown}");
        assert!(
            hostile.sign_requests() - before <= *requests,
            "{} requests, at most {requests}: {shown}",
            hostile.sign_requests() - before
        );
        assert!(start.elapsed() < Duration::from_secs(20), "took {:?}: {shown}", start.elapsed());
        old_one_serves(&estate, &leaf, &shown);
        let entry = estate.ledger().pop().unwrap();
        assert_eq!((entry["outcome"].as_str(), entry["stage"].as_str()), (Some("failed"), Some("issue")), "{entry}");
        // The next run needs no help.
        hostile.lie(Lie::Nothing);
        estate.force().expect(0, "web", "renewed");
    }
}

#[test]
fn one_hiccup_is_retried_within_the_run() {
    for lie in [
        Lie::Status(500),
        Lie::Status(503),
        Lie::CloseSilently,
        Lie::ResetBefore,
        Lie::TooMany(RetryAfter::Seconds(1)),
        Lie::TooMany(RetryAfter::Date(2)),
        Lie::TooMany(RetryAfter::Absurd),
        Lie::TooMany(RetryAfter::Absent),
    ] {
        let hostile = Hostile::start();
        hostile.lies(&[lie, Lie::Nothing]);
        let start = Instant::now();
        let estate = hostile.estate();
        let run = estate.renew();
        assert_eq!((run.code, run.outcome("web")), (0, "renewed"), "{lie:?}: {run}");
        assert!(start.elapsed() < Duration::from_secs(8), "{lie:?}: {:?}", start.elapsed());
        if let Lie::TooMany(RetryAfter::Seconds(_)) = lie {
            assert!(start.elapsed() > Duration::from_secs(1), "Retry-After is waited for: {:?}", start.elapsed());
        }
    }
}

#[test]
fn a_slow_server_is_given_up_in_time() {
    let hostile = Hostile::start();
    let (estate, leaf) = in_use(&hostile);
    hostile.lie(Lie::Drip);
    let start = Instant::now();
    let run = estate.force();
    run.expect(1, "web", "failed");
    assert!(["issue/unreachable", "issue/answer-malformed"].contains(&run.error("web").as_str()), "{run}");
    assert!(start.elapsed() < Duration::from_secs(47), "issuing ends within 45 s: {:?}", start.elapsed());
    old_one_serves(&estate, &leaf, "drip");
}

#[test]
fn our_secrets_are_taken_out_of_what_a_server_says() {
    let hostile = Hostile::start();
    hostile.lie(Lie::Echo);
    let estate = hostile.estate();
    let run = estate.renew();
    run.expect(1, "web", "failed");
    let text = run.cert("web")["error"]["text"].as_str().unwrap();
    assert!(text.contains("[redacted]"), "{run}");
    for secret in [TOKEN, SECRET_ID] {
        assert!(!run.stdout.contains(secret) && !run.stderr.contains(secret), "{secret}: {run}");
        assert!(!estate.ledger().iter().any(|e| e.to_string().contains(secret)));
        assert!(!estate.state_json("web").to_string().contains(secret));
    }
}

/// Runs a first issue against a server in this state of health.
fn with_health(health: Health) -> (Run, usize) {
    let hostile = Hostile::start();
    hostile.health(health);
    let run = hostile.estate().renew();
    (run, hostile.sign_requests())
}

#[test]
fn health_is_advice_and_the_clock_is_judged_before_anything_is_asked() {
    for health in [Health::Fine, Health::Skewed(20), Health::Skewed(-20)] {
        let (run, _) = with_health(health);
        run.expect(0, "web", "renewed");
        assert_eq!(run.cert("web")["warnings"], serde_json::json!([]), "{health:?}: {run}");
    }
    for health in [Health::NotFound, Health::Html, Health::Skewed(-3600)] {
        let (run, _) = with_health(health);
        run.expect(0, "web", "renewed");
        assert!(!run.cert("web")["warnings"].as_array().unwrap().is_empty(), "{health:?}: {run}");
    }
    for health in [Health::Skewed(3600), Health::Skewed(-100_000)] {
        let (run, requests) = with_health(health);
        run.expect(1, "web", "failed").because("web", "issue/clock-skew");
        assert_eq!(requests, 0, "{health:?}: judged before anything is asked");
    }
    let (run, requests) = with_health(Health::Sealed);
    run.expect(1, "web", "failed").because("web", "issue/server-sealed");
    assert_eq!(requests, 0, "{run}");
}

#[test]
fn a_login_that_fails_asks_for_nothing_else() {
    for (login, codes) in [
        (Login::Refused, ["issue/login-refused", ""]),
        (Login::ServerError, ["issue/server-error", "issue/login-refused"]),
        (Login::NoToken, ["issue/answer-malformed", "issue/login-refused"]),
    ] {
        let hostile = Hostile::start();
        hostile.login(login);
        let run = hostile.estate().renew();
        run.expect(1, "web", "failed");
        assert!(codes.contains(&run.error("web").as_str()), "{login:?}: {run}");
        assert_eq!(hostile.sign_requests(), 0);
    }
}

#[test]
fn a_server_under_another_root_or_name_is_told_nothing() {
    for listener in [Listener::OtherRoot, Listener::OtherName, Listener::Expired] {
        let hostile = Hostile::start_with(listener);
        let run = hostile.estate().renew();
        run.expect(1, "web", "failed").because("web", "issue/tls-untrusted");
        assert_eq!(hostile.requests().len(), 0, "{listener:?}: not even a request line");
    }
}

#[test]
fn nobody_listening_is_said_at_once() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    drop(hostile);
    let start = Instant::now();
    let run = estate.renew();
    run.expect(1, "web", "failed").because("web", "issue/unreachable");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    assert_eq!(estate.ledger().last().unwrap()["outcome"], "failed", "network failures too");
}

#[test]
fn refused_answers_use_the_budget_up_and_definite_refusals_do_not() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    hostile.lie(Lie::NoEku);
    for _ in 0..5 {
        estate.renew().expect(1, "web", "refused");
    }
    let run = estate.renew();
    run.expect(1, "web", "exhausted");
    assert_eq!(run.cert("web")["error"]["stage"], "issue", "{run}");
    let hint = run.cert("web")["error"]["hint"].as_str().unwrap();
    assert!(hint.contains("the next request is possible at 20") && hint.contains("`omens unblock web`"), "{hint}");
    estate.force().expect(1, "web", "exhausted");
    assert_eq!(hostile.sign_requests(), 5, "--force counts too");
    // What plan and status say is what the run did.
    let next = hint.split_once("the next request is possible at ").unwrap().1.split([' ', ',', ';']).next().unwrap();
    for arguments in [&["plan"][..], &["status"]] {
        let waits = &estate.omens(arguments).json["certificates"][0]["waits_for"];
        assert_eq!((&waits["opens"], &waits["ends"], &waits["why"]), (&next.into(), &Value::Null, &"budget".into()), "{arguments:?}");
    }
    for arguments in [&["plan"][..], &["plan", "-v"], &["status"], &["status", "-v"]] {
        let text = estate.plain(arguments).stdout;
        assert!(text.contains(&format!("the CA is asked again from {next} on")), "{arguments:?}: {text}");
    }

    let hostile = Hostile::start();
    let estate = hostile.estate();
    hostile.lie(Lie::RoleRefused);
    for _ in 0..8 {
        estate.renew().expect(1, "web", "failed").because("web", "issue/role-refused");
    }
    hostile.lie(Lie::Nothing);
    estate.renew().expect(0, "web", "renewed");
}

#[test]
fn a_renewal_that_would_shorten_life_is_refused_and_a_rollback_to_less_is_warned_of() {
    let hostile = Hostile::start();
    // Where nothing serves, little is better than nothing.
    let estate = hostile.estate();
    hostile.lie(Lie::Clipped);
    let run = estate.renew();
    run.expect(0, "web", "renewed");
    assert_eq!(
        (run.findings("web"), &run.cert("web")["findings"][0]["severity"]),
        (vec!["validity.shortened"], &serde_json::json!("medium"))
    );
    // Longer than what serves is better as well.
    hostile.lie(Lie::Nothing);
    estate.force().expect(0, "web", "renewed");
    let leaf = estate.published_leaf("web").unwrap();
    hostile.lie(Lie::Clipped);
    let run = estate.force();
    run.expect(1, "web", "refused");
    let high: Vec<&serde_json::Value> =
        run.cert("web")["findings"].as_array().unwrap().iter().filter(|finding| finding["severity"] == "high").collect();
    assert_eq!((high.len(), &high[0]["id"]), (1, &serde_json::json!("validity.shorter-than-serving")), "{run}");
    assert!(run.cert("web")["error"]["hint"].as_str().unwrap().contains("max_ttl of role web-ec"), "{run}");
    assert_eq!(estate.published_leaf("web"), Some(leaf), "the longer one serves");
    let run = estate.omens(&["rollback", "web"]);
    run.expect(0, "web", "rolled-back");
    assert_eq!(run.cert("web")["warnings"][0]["code"], "shorter-than-serving", "{run}");
}

fn asked(hostile: &Hostile, path: &str) -> String {
    let requests = hostile.requests();
    let found = requests.iter().rev().find(|request| request.path == format!("/v1/{path}"));
    String::from_utf8_lossy(&found.unwrap_or_else(|| panic!("{path} was not asked")).bytes).to_lowercase()
}

#[test]
fn a_namespace_a_list_of_addresses_and_logins_by_files_of_others() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    let dead = crate::lab::free_port();
    let write = |estate: &Estate| {
        let text = estate.settings_text();
        let one = format!("address = \"{}\"", estate.authority.address);
        assert!(text.contains(&one));
        let list = format!("addresses = [\"https://127.0.0.1:{dead}\", \"{}\"]\nnamespace = \"team/web\"", estate.authority.address);
        std::fs::write(estate.settings(), text.replace(&one, &list)).unwrap();
    };
    write(&estate);
    let run = estate.renew();
    run.expect(0, "web", "renewed");
    let warnings: Vec<&str> = run.cert("web")["warnings"].as_array().unwrap().iter().filter_map(|w| w["code"].as_str()).collect();
    assert!(warnings.contains(&"unreachable"), "{run}");
    for path in ["pki_int/sign/web-ec", "auth/approle/login", "auth/token/revoke-self"] {
        assert!(asked(&hostile, path).contains("x-vault-namespace: team/web"), "{path}");
    }
    assert!(!asked(&hostile, "sys/health").contains("x-vault-namespace"), "a server's health is that of the whole server");

    // A JWT that somebody writes, a secret id that is unwrapped, and a periodic token of which half is over.
    crate::lab::place::write_secret(&estate.dir.join("jwt"), "header.claims.signature\n");
    estate.authority.login = "[ { jwt = { role = \"hosts\", jwt = \"file:DIR/jwt\" } } ]".into();
    write(&estate);
    estate.force().expect(0, "web", "renewed");
    assert!(asked(&hostile, "auth/jwt/login").ends_with("{\"role\":\"hosts\",\"jwt\":\"header.claims.signature\"}"));
    crate::lab::place::write_secret(&estate.dir.join("wrapped"), "hvs.wrapping\n");
    estate.authority.login =
        "[ { approle = { role_id = \"file:DIR/role-id\", secret_id = \"file:DIR/wrapped\", wrapped = true } } ]".into();
    write(&estate);
    estate.force().expect(0, "web", "renewed");
    assert!(asked(&hostile, "sys/wrapping/unwrap").contains("x-vault-token: hvs.wrapping"));
    assert!(asked(&hostile, "auth/approle/login").contains(SECRET_ID));
    crate::lab::place::write_secret(&estate.dir.join("token"), TOKEN);
    estate.authority.login = "[ { token = { token = \"file:DIR/token\" } } ]".into();
    write(&estate);
    estate.force().expect(0, "web", "renewed");
    assert!(asked(&hostile, "auth/token/renew-self").contains("x-vault-token"));
}

#[test]
fn what_a_control_group_holds_back_is_told_apart_from_a_denial() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    hostile.lie(Lie::HeldBack);
    for _ in 0..6 {
        // Nothing was signed, so nothing counts.
        estate.renew().expect(1, "web", "failed").because("web", "issue/control-group");
    }
}

#[test]
fn a_person_begins_the_budget_anew_and_so_do_other_settings() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    hostile.lie(Lie::NoEku);
    let spend = |estate: &Estate| {
        for _ in 0..5 {
            estate.renew().expect(1, "web", "refused");
        }
        estate.renew().expect(1, "web", "exhausted");
    };
    spend(&estate);
    // Nobody is there to say yes.
    let run = estate.omens(&["unblock", "web"]);
    assert_eq!((run.code, run.json["error"]["hint"].as_str()), (2, Some("repeat the command with --yes")), "{run}");
    estate.renew().expect(1, "web", "exhausted");
    let run = estate.omens(&["unblock", "web", "--yes"]);
    run.expect(0, "web", "unblocked");
    assert_eq!(run.json["schema"], "omens.unblock/1");
    assert_eq!(estate.ledger().last().unwrap()["outcome"], "unblocked");
    assert_eq!(estate.omens(&["unblock", "other", "--yes"]).code, 2);
    spend(&estate);
    // Another role, then other names, then another mount: each is a new question.
    for change in 0..3 {
        match change {
            0 => estate.certs[0].role = "other-role".into(),
            1 => estate.certs[0].dns.push("second.example.net".into()),
            _ => {}
        }
        let text = estate.settings_text();
        let text = if change == 2 { text.replace("mount = \"pki_int\"", "mount = \"other\"") } else { text };
        std::fs::write(estate.settings(), text).unwrap();
        let before = hostile.sign_requests();
        estate.renew();
        assert_eq!(hostile.sign_requests() - before, 1, "change {change}");
        for _ in 0..5 {
            estate.renew();
        }
        assert_eq!(hostile.sign_requests() - before, 5, "change {change}");
        estate.renew().expect(1, "web", "exhausted");
    }
}

#[test]
fn a_lost_answer_counts_and_one_run_sends_two_at_most() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    hostile.lie(Lie::ResetAfter);
    estate.renew().expect(1, "web", "failed");
    assert!(hostile.sign_requests() <= 2, "{}", hostile.sign_requests());
    for _ in 0..6 {
        estate.renew();
    }
    assert_eq!(hostile.sign_requests(), 5);
    assert_eq!(estate.renew().outcome("web"), "exhausted");
}
