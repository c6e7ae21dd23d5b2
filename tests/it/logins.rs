//! What `status` says of a login without asking anybody: that a run waits for one, and that one ends before it is needed.

use std::io::{BufRead as _, Read as _, Write as _};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::lab::estate::{Authority, Cert, Estate, Run};
use crate::lab::hostile::{Hostile, Login, TOKEN};
use crate::lab::jwt::Signer;
use crate::lab::openbao::OpenBao;
use crate::lab::place;
use crate::lab::swtpm::Swtpm;
use crate::lab::wait_for;

#[test]
fn a_run_that_only_waits_for_its_login_is_under_way_and_health_is_as_before_it() {
    let hostile = Hostile::start();
    let estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    hostile.login(Login::Late);
    let mut child = estate.command(&["renew", "web", "--force"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let working = estate.run_dir().join(".working.json");
    wait_for("the run to begin its work", Duration::from_secs(10), || working.exists());
    let status = estate.omens(&["status"]);
    let state = estate.state_json("web");
    assert!(child.try_wait().unwrap().is_none() && state["begun"].is_null(), "nothing of the run is in its state yet: {state}");
    assert_eq!((status.code, &status.cert("web")["in_progress"]["stage"]), (0, &json!("issue")), "{status}");
    assert!(status.reasons("web").contains(&"in-progress"), "{status}");
    assert!(estate.plain(&["status"]).stdout.contains("in-progress"));
    assert!(child.wait().unwrap().success() && !working.exists());
    // What a killed run left says nothing of a later one.
    std::fs::write(&working, json!({ "since": "2026-01-01T00:00:00Z", "certificates": ["web"] }).to_string()).unwrap();
    assert_eq!(estate.omens(&["status"]).cert("web")["in_progress"], json!(null));
}

#[test]
fn a_token_that_ends_before_the_next_renewal_is_said_and_measured_without_asking_for_it() {
    let hostile = Hostile::start();
    let mut estate = hostile.estate();
    estate.renew().expect(0, "web", "renewed");
    assert_eq!(estate.omens(&["status"]).json["logins"], json!([]), "a login that is made for each run has no end that matters");
    place::write_secret(&estate.dir.join("token"), TOKEN);
    estate.authority.login = "[ { token = { token = \"file:DIR/token\" } } ]".into();
    estate.write();
    // Its period is an hour, and the certificate is due in 16: by then it is over.
    estate.force().expect(0, "web", "renewed");
    let asked = hostile.requests().len();
    let status = estate.omens(&["status"]);
    assert_eq!((&status.json["logins"][0]["method"], &status.json["logins"][0]["renews"]), (&json!("token"), &json!(true)), "{status}");
    assert_eq!((status.code, &status.json["warnings"][0]["code"]), (0, &json!("login-ends")), "{status}");
    assert_eq!(status.json["login_expires"], status.json["logins"][0]["expires"]);
    assert!(estate.plain(&["status"]).stdout.contains("login-ends: the login by token ends in"));
    let metrics = estate.plain(&["status", "--format", "prometheus"]).stdout;
    assert!(metrics.contains("omens_login_expires_seconds{login=\"token\"} 1"), "{metrics}");
    assert!(!metrics.contains("omens_tpm_state"), "there is no TPM here");
    assert_eq!(hostile.requests().len(), asked, "status asks nobody");
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(checked.json["warnings"].as_array().unwrap().iter().any(|warning| warning["code"] == "login-ends"), "{checked}");
    // Another login: what was noted of the token is no longer about anything.
    estate.authority.login = hostile.estate().authority.login;
    estate.write();
    assert_eq!(estate.omens(&["status"]).json["logins"], json!([]));
}

/// The warnings of a host, by their codes.
fn warned(run: &Run) -> Vec<&str> {
    run.json["warnings"].as_array().unwrap().iter().filter_map(|warning| warning["code"].as_str()).collect()
}

/// A secret id of this role, which is changed to make it so.
fn secret_id(estate: &Estate, role: &Value) {
    let (bao, path) = (OpenBao::shared(), format!("auth/approle/role/{}", estate.login));
    bao.api("POST", &path, Some(role.clone()));
    let made = bao.api("POST", &format!("{path}/secret-id"), Some(json!({})));
    place::write_secret(&estate.dir.join("secret-id"), made["data"]["secret_id"].as_str().unwrap());
}

#[test]
fn where_a_login_may_not_ask_for_its_secret_id_nothing_is_known_and_that_is_said() {
    let bao = OpenBao::shared();
    let estate = Estate::at_openbao().with(Cert::web("web"));
    let why = |run: &Run| run.json["logins_unknown"][0]["why"].as_str().unwrap_or_default().to_owned();
    let status = estate.omens(&["status"]);
    assert!(why(&status).contains("no run has logged in by it yet"), "{status}");
    estate.renew().expect(0, "web", "renewed");
    let status = estate.omens(&["status"]);
    let path = format!("auth/approle/role/{}/secret-id/lookup", estate.login);
    assert_eq!((status.code, &status.json["logins"], warned(&status)), (0, &json!([]), Vec::new()), "{status}");
    assert!(why(&status).contains(&format!("lacks `update` on {path}")), "{status}");
    let last = estate.plain(&["status"]).stdout.lines().last().unwrap_or_default().to_owned();
    assert!(
        last.contains(": healthy, last run ") && last.ends_with("; when the login by approle ends is not known; more with -v"),
        "{last}"
    );
    assert!(estate.plain(&["status", "-v"]).stdout.contains("note: when the login by approle ends is not known: the login may not ask"));
    let metrics = estate.plain(&["status", "--format", "prometheus"]).stdout;
    assert!(
        metrics.contains("omens_login_end_known{login=\"approle\"} 0") && !metrics.contains("omens_login_expires_seconds"),
        "{metrics}"
    );
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(checked.code == 0 && checked.json["checks"].to_string().contains("login-end-unknown"), "{checked}");
    assert!(!bao.paths(&estate.login).contains(&path), "what is denied is not asked for");
}

#[test]
fn a_secret_id_that_ends_or_is_used_up_too_soon_is_said_where_the_login_may_ask() {
    let bao = OpenBao::shared();
    let mut estate = Estate::at_openbao().with(Cert::web("web"));
    let path = format!("auth/approle/role/{}/secret-id/lookup", estate.login);
    let policy = format!("omens-look-{}", estate.login);
    let text = format!("path \"{path}\" {{ capabilities = [\"update\"] }}");
    bao.api("PUT", &format!("sys/policies/acl/{policy}"), Some(json!({ "policy": text })));
    let policies = ["omens-renew", &policy];
    let role = |ttl: &str, uses: u32| json!({ "token_policies": policies, "secret_id_ttl": ttl, "secret_id_num_uses": uses });

    // Due in 16 hours and again 16 hours after: one of a day does not last, one of a month does.
    secret_id(&estate, &role("24h", 0));
    estate.renew().expect(0, "web", "renewed");
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, warned(&status), &status.json["logins_unknown"]), (0, vec!["login-ends"], &json!([])), "{status}");
    assert_eq!((&status.json["logins"][0]["method"], &status.json["logins"][0]["renews"]), (&json!("approle"), &json!(false)), "{status}");
    assert!(estate.plain(&["status", "--format", "prometheus"]).stdout.contains("omens_login_expires_seconds{login=\"approle\"} 1"));
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(checked.code == 0 && warned(&checked).contains(&"login-ends"), "{checked}");
    // A run that does not log in learns nothing, and forgets nothing.
    let known = status.json["logins"].clone();
    std::fs::remove_dir_all(estate.run_dir()).unwrap();
    estate.renew().expect(0, "web", "settled");
    assert_eq!(estate.omens(&["status"]).json["logins"], known);

    // Until somebody logged in by a new one, nothing is known of it; the check asks.
    std::thread::sleep(Duration::from_millis(1100));
    secret_id(&estate, &role("720h", 0));
    let status = estate.omens(&["status"]);
    assert!(warned(&status).is_empty() && status.json["logins_unknown"][0]["why"].as_str().unwrap().contains("was changed at"), "{status}");
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(
        !warned(&checked).contains(&"login-ends") && checked.json["checks"].to_string().contains("the login by approle ends at"),
        "{checked}"
    );
    estate.force().expect(0, "web", "renewed");
    let status = estate.omens(&["status"]);
    assert_eq!(
        (warned(&status), &status.json["logins_unknown"], status.json["logins"][0]["method"].as_str()),
        (vec![], &json!([]), Some("approle")),
        "{status}"
    );

    // By uses: this run is one, so that of three two are left; then one, then none.
    std::thread::sleep(Duration::from_millis(1100));
    secret_id(&estate, &role("720h", 3));
    for (uses_left, expected) in [(2, vec![]), (1, vec!["login-ends"]), (0, vec!["login-ends"])] {
        estate.force().expect(0, "web", "renewed");
        let status = estate.omens(&["status"]);
        assert_eq!((&status.json["logins"][0]["uses_left"], warned(&status)), (&json!(uses_left), expected), "{status}");
    }
    assert!(estate.plain(&["status"]).stdout.contains("the secret id of the login by approle is used up"));

    // One without any end has none that matters, and that is known.
    std::thread::sleep(Duration::from_millis(1100));
    secret_id(&estate, &role("0", 0));
    estate.force().expect(0, "web", "renewed");
    let status = estate.omens(&["status"]);
    assert_eq!((&status.json["logins"], &status.json["logins_unknown"]), (&json!([]), &json!([])), "{status}");
    assert!(estate.omens(&["check-config", "--online"]).stdout.contains("the login by approle does not end"));

    // What was learnt of one auth method says nothing of another.
    estate.authority.login = "[ { token = { token = \"file:DIR/token\" } } ]".into();
    place::write_secret(&estate.dir.join("token"), &bao.token("other", &["omens-renew"]));
    estate.write();
    assert_eq!(estate.omens(&["status"]).json["logins_unknown"][0]["method"], "token");
}

#[test]
fn a_login_certificate_that_ends_before_the_next_renewal_but_one_is_said_by_itself() {
    let bao = OpenBao::shared();
    let pair = bao.pair("hosts-login", "auth.funlab.casa");
    let estate = Estate::new("cert", Authority::cert(bao.address(), &bao.root.pem, pair)).with(Cert::web("web"));
    estate.renew().expect(0, "web", "renewed");
    // It lives for a day, and is needed in 16 hours and in 32.
    let status = estate.omens(&["status"]);
    assert_eq!((status.code, warned(&status)), (0, vec!["login-ends"]), "{status}");
    assert_eq!((&status.json["logins"][0]["method"], &status.json["logins_unknown"]), (&json!("cert"), &json!([])), "{status}");
    assert!(estate.plain(&["status"]).stdout.contains("login-ends: the login by cert ends in"));
    assert!(estate.plain(&["status", "--format", "prometheus"]).stdout.contains("omens_login_end_known{login=\"cert\"} 1"));
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(warned(&checked).contains(&"login-ends"), "{checked}");
}

#[test]
fn the_state_of_the_tpm_is_a_metric_of_every_state_it_can_be_in() {
    let Some(swtpm) = crate::tpm::start(&[7]) else { return };
    let estate = Estate::at_openbao().with_tpm(&Swtpm::direct(&swtpm), &[7]).with(Cert::web("web").sealed());
    estate.renew().expect(0, "web", "renewed");
    let states = || {
        let metrics = estate.plain(&["status", "--format", "prometheus"]).stdout;
        let lines = metrics.lines().filter_map(|line| line.strip_prefix("omens_tpm_state{state=\"")?.split_once("\"} "));
        lines.map(|(state, value)| (state.to_owned(), value.to_owned())).collect::<Vec<_>>()
    };
    let is = |state: &str| {
        let all = states();
        assert_eq!(all.len(), 7, "{all:?}");
        all.iter().all(|(one, value)| (one == state) == (value == "1"))
    };
    assert!(is("ok"), "{:?}", states());
    drop(swtpm);
    assert_eq!(estate.force().code, 1);
    assert!(is("tpm-unreachable"), "{:?}", states());
}

#[test]
fn a_service_account_logs_in_by_its_token_which_is_read_anew_each_time() {
    let (bao, signer) = (OpenBao::shared(), Signer::new("cluster"));
    // The method `kubernetes` asks the API of a cluster about the token; what it is sent is what this one is sent.
    bao.api("POST", "sys/auth/kubernetes", Some(json!({ "type": "jwt" })));
    let config = json!({ "jwt_validation_pubkeys": [signer.public_pem()], "jwt_supported_algs": ["ES256"] });
    bao.api("POST", "auth/kubernetes/config", Some(config));
    let subject = "system:serviceaccount:default:omens";
    let role = json!({
        "role_type": "jwt", "user_claim": "sub", "bound_audiences": ["openbao"], "bound_subject": subject, "token_policies": ["omens-renew"],
        "token_no_default_policy": true, "token_ttl": "10m"
    });
    bao.api("POST", "auth/kubernetes/role/omens", Some(role));
    let now = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let token = |ends: u64| signer.token(&json!({ "sub": subject, "aud": "openbao", "exp": ends, "iat": now() - 600, "nbf": now() - 600 }));
    let login = "[ { jwt = { mount = \"kubernetes\", role = \"omens\", jwt = \"file:DIR/token\" } } ]";
    let secrets = vec![("token".to_owned(), token(now() - 400))];
    let authority = Authority { address: bao.address(), root_pem: bao.root.pem.clone(), login: login.to_owned(), secrets };
    let estate = Estate::new("kubernetes", authority).with(Cert::web("web"));
    estate.renew().expect(1, "web", "failed").because("web", "issue/login-refused");
    // A projected token is replaced by the kubelet before it ends.
    place::write_secret(&estate.dir.join("token"), &token(now() + 300));
    estate.renew().expect(0, "web", "renewed");
    let status = estate.omens(&["status"]);
    assert_eq!(
        (&status.json["logins"], &status.json["logins_unknown"]),
        (&json!([]), &json!([])),
        "whoever writes it keeps it alive: {status}"
    );
}

/// Somebody who answers as the API of a cluster does: a `TokenReview` of one token that is good, asked for by another one.
struct Cluster {
    port: u16,
    /// The token of a pod that is known, and what was asked.
    known: Arc<Mutex<(String, Vec<Value>)>>,
}

impl Cluster {
    const REVIEWER: &str = "the token of the one who may ask";

    fn start() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (port, known) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new((String::new(), Vec::new()))));
        let answers = Arc::clone(&known);
        std::thread::spawn(move || listener.incoming().flatten().for_each(|stream| Self::answer(&stream, &answers)));
        Self { port, known }
    }

    /// One request (`authentication.k8s.io/v1`, TokenReview), and the connection ends.
    fn answer(stream: &std::net::TcpStream, known: &Mutex<(String, Vec<Value>)>) {
        let mut reader = std::io::BufReader::new(stream);
        let (mut head, mut length) = (Vec::new(), 0);
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || line.trim().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').map_or((line.trim(), ""), |(name, value)| (name, value.trim()));
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
            head.push(line.trim().to_owned());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut known = known.lock().unwrap();
        let may_ask = head.iter().any(|line| *line == format!("Authorization: Bearer {}", Self::REVIEWER));
        let is_review = head[0] == "POST /apis/authentication.k8s.io/v1/tokenreviews HTTP/1.1";
        let status = if asked["spec"]["token"] == known.0.as_str() {
            let user =
                json!({ "username": "system:serviceaccount:default:omens", "uid": "7d1e8b0a", "groups": ["system:serviceaccounts"] });
            json!({ "authenticated": true, "user": user, "audiences": ["openbao"] })
        } else {
            json!({ "authenticated": false, "error": "[invalid bearer token, token has expired]" })
        };
        let (code, answer) = if may_ask && is_review {
            ("201 Created", json!({ "kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1", "status": status }))
        } else {
            ("401 Unauthorized", json!({ "kind": "Status", "status": "Failure", "code": 401 }))
        };
        known.1.push(asked);
        let answer = answer.to_string();
        let head =
            format!("HTTP/1.1 {code}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", answer.len());
        let mut writer = stream;
        writer.write_all(format!("{head}{answer}").as_bytes()).ok();
    }
}

/// The auth method `kubernetes` of a real OpenBao, which asks a cluster about the token that it is shown.
#[test]
fn a_service_account_logs_in_by_the_auth_method_of_clusters_which_asks_one_about_its_token() {
    let (bao, signer, cluster) = (OpenBao::shared(), Signer::new("pods"), Cluster::start());
    bao.api("POST", "sys/auth/cluster", Some(json!({ "type": "kubernetes" })));
    let host = format!("http://127.0.0.1:{}", cluster.port);
    // Its own CA has to be named, which plain http on this host has no use for.
    let ca = bao.root.pem.clone();
    let config =
        json!({ "kubernetes_host": host, "kubernetes_ca_cert": ca, "token_reviewer_jwt": Cluster::REVIEWER, "disable_local_ca_jwt": true });
    bao.api("POST", "auth/cluster/config", Some(config));
    let role = json!({
        "bound_service_account_names": ["omens"], "bound_service_account_namespaces": ["default"], "audience": "openbao",
        "token_policies": ["omens-renew"], "token_no_default_policy": true, "token_ttl": "10m"
    });
    bao.api("POST", "auth/cluster/role/omens", Some(role));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let token = |account: &str, number: u64| {
        let of_pod =
            json!({ "namespace": "default", "serviceaccount": { "name": account, "uid": "7d1e8b0a" }, "pod": { "name": "web-0" } });
        let subject = format!("system:serviceaccount:default:{account}");
        let times = (now + 600 + number, now - number);
        signer.token(&json!({ "iss": "https://kubernetes.default.svc", "sub": subject, "aud": ["openbao"], "exp": times.0, "iat": times.1, "nbf": times.1, "kubernetes.io": of_pod }))
    };
    let login = "[ { jwt = { mount = \"cluster\", role = \"omens\", jwt = \"file:DIR/token\" } } ]";
    let secrets = vec![("token".to_owned(), token("omens", 1))];
    let authority = Authority { address: bao.address(), root_pem: bao.root.pem.clone(), login: login.to_owned(), secrets };
    let estate = Estate::new("cluster", authority).with(Cert::web("web"));
    let asked = || cluster.known.lock().unwrap().1.len();

    // A token that the cluster does not know any more.
    let run = estate.renew();
    run.expect(1, "web", "failed").because("web", "issue/login-refused");
    assert_eq!((asked(), estate.signed()), (1, 0), "the cluster was asked: {run}");
    // The kubelet has replaced it.
    let replace = |token: &str| {
        token.clone_into(&mut cluster.known.lock().unwrap().0);
        place::write_secret(&estate.dir.join("token"), token);
    };
    let second = token("omens", 2);
    replace(&second);
    let run = estate.renew();
    run.expect(0, "web", "renewed");
    let review = cluster.known.lock().unwrap().1.last().cloned().unwrap();
    assert_eq!(review["spec"]["audiences"], json!(["openbao"]), "{review}");
    assert!(review["spec"]["token"] == second.as_str() && !run.stdout.contains(&second), "{run}");
    // Another account of the cluster is none of the role's.
    replace(&token("other", 3));
    estate.force().expect(1, "web", "failed").because("web", "issue/login-refused");
}

/// OpenBao counts each call with a token that was made with `num_uses`, also the questions of the check.
#[test]
fn a_token_whose_uses_are_counted_is_no_login_to_rely_on() {
    let bao = OpenBao::shared();
    let mut estate = Estate::at_openbao().with(Cert::web("web"));
    estate.authority.login = "[ { token = { token = \"file:DIR/token\" } } ]".into();
    let token = |uses: u32| {
        let ask = json!({ "policies": ["omens-renew"], "no_parent": true, "ttl": "30m", "num_uses": uses });
        let made = bao.api("POST", "auth/token/create", Some(ask));
        place::write_secret(&estate.dir.join("token"), made["auth"]["client_token"].as_str().unwrap());
    };
    token(1);
    estate.write();
    let checked = estate.omens(&["check-config", "--online"]);
    assert!(checked.code == 2 && checked.stdout.contains("used up") && !checked.stdout.contains("sys/capabilities-self"), "{checked}");
    for uses in [2, 3] {
        token(uses);
        let checked = estate.omens(&["check-config", "--online"]);
        assert!(checked.code == 0 && warned(&checked).contains(&"login-ends"), "{uses}: {checked}");
        let left = format!("can be used {} time", uses - 1);
        assert!(checked.stdout.contains(&left) && !checked.stdout.contains("sys/capabilities-self"), "{uses}: {checked}");
    }
    // The check took one of them, and left the two that a renewal needs.
    estate.renew().expect(0, "web", "renewed");
    let status = estate.omens(&["status"]);
    assert!(warned(&status).contains(&"login-ends"), "{status}");
    // Beside another login one whose file is gone has no end that anybody knows.
    estate.authority.login =
        "[ { token = { token = \"file:DIR/token\" } }, { approle = { role_id = \"file:DIR/role-id\", secret_id = \"file:DIR/secret-id\" } } ]"
            .into();
    estate.write();
    std::fs::remove_file(estate.dir.join("token")).unwrap();
    let status = estate.omens(&["status"]);
    assert!(status.code == 0 && status.json["logins"] == json!([]), "{status}");
    assert!(status.json["logins_unknown"].to_string().contains("is not there"), "{status}");
}
