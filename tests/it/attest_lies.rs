//! A verifier and a registrar that lie: whatever they answer, there is no pass without evidence, and no evidence for a forged request.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use serde_json::{Value, json};

use crate::lab::child::run;
use crate::lab::estate::omens;
use crate::lab::liar::{Ask, Known, Liar, Reply, Twist, date, now};
use crate::lab::pki::{Ca, CaKeys, Leaf, pem_blocks, sha256};
use crate::lab::place;
use crate::lab::swtpm::Swtpm;
use crate::tpm::start;

/// A host that attests.
struct Host {
    dir: std::path::PathBuf,
    root: String,
    tcti: String,
}

impl Host {
    fn of(swtpm: &Swtpm, ca: &Ca) -> Self {
        let dir = place::directory("attests");
        std::fs::write(dir.join("root.pem"), &ca.pem).unwrap();
        Self { dir, root: ca.pem.clone(), tcti: swtpm.tcti() }
    }

    /// Attests once under this id, so that each begins with a registration.
    fn attest(&self, registrar: &str, verifier: &str, id: &str) -> (i32, Value) {
        let dir = self.dir.display();
        let pin = sha256(&pem_blocks(&self.root)[0]);
        let text = format!(
            "[host]\nname = \"lab.funlab.casa\"\n[paths]\nstate = \"{dir}/state\"\nrun = \"{dir}/run\"\n\
             [trust]\nanchor = \"{dir}/root.pem\"\nanchor_sha256 = \"{pin}\"\n\
             [openbao]\naddress = \"https://127.0.0.1:1\"\nmount = \"pki_int\"\nlogin = [ {{ token = {{ token = \"file:/none\" }} }} ]\n\
             [tpm]\ntcti = \"{}\"\n[attestation]\nrequired = true\n\
             by = [ {{ keylime = {{ registrar = \"{registrar}\", verifier = \"{verifier}\", agent_id = \"{id}\" }} }} ]\n",
            self.tcti
        );
        let settings = self.dir.join("omens.toml");
        std::fs::write(&settings, text).unwrap();
        let mut command = std::process::Command::new(omens());
        command.arg("--config").arg(settings).args(["attest", "--once", "--json"]).env("TSS2_LOG", "all+NONE");
        let output = run(command, Duration::from_secs(90));
        let document: Value =
            serde_json::from_str(&output.stdout).unwrap_or_else(|why| panic!("{id}: {why}: {} {}", output.stdout, output.stderr));
        crate::schemas::fits("attest", &document);
        (output.code, document)
    }
}

fn authority() -> (Ca, Leaf) {
    let ca = Ca::root("Eye of Thundera", CaKeys::Ec);
    (ca, Leaf::server("keylime", &["localhost"], &[IpAddr::V4(Ipv4Addr::LOCALHOST)], time::Duration::HOUR))
}

/// Does something to the answers to one kind of request.
fn at(ask: Ask, twist: impl Fn(&mut Known, &mut Reply) + Send + 'static) -> Twist {
    Box::new(move |asked, known, reply| {
        if asked == ask {
            twist(known, reply);
        }
    })
}

fn set(ask: Ask, pointer: &'static str, value: Value) -> Twist {
    at(ask, move |_, reply| reply.set(pointer, value.clone()))
}

/// Of what the verifier shows after it was sent evidence.
fn shows(pointer: &'static str, value: Value) -> Twist {
    at(Ask::Show, move |known, reply| {
        if known.evidences > 0 {
            reply.set(pointer, value.clone());
        }
    })
}

/// `i64` seconds from now, set when it is asked.
fn shows_time(pointer: &'static str, from_now: i64) -> Twist {
    at(Ask::Show, move |known, reply| {
        if known.evidences > 0 {
            reply.set(pointer, json!(now() + from_now));
        }
    })
}

fn raw(ask: Ask, bytes: &'static [u8]) -> Twist {
    at(ask, move |_, reply| reply.raw = Some(bytes.to_vec()))
}

fn status(ask: Ask, code: u16) -> Twist {
    at(ask, move |_, reply| (reply.status, reply.body) = (code, json!({})))
}

fn refuses(ask: Ask, code: u16, word: &'static str, detail: &'static str) -> Twist {
    at(ask, move |_, reply| {
        (reply.status, reply.body) = (code, json!({"errors": [{"status": code.to_string(), "code": word, "detail": detail}]}));
    })
}

fn later(ask: Ask, code: u16, after: Option<&'static str>) -> Twist {
    at(ask, move |_, reply| {
        (reply.status, reply.body) = (code, json!({}));
        if let Some(after) = after {
            reply.header("Retry-After", after);
        }
    })
}

fn redirects(ask: Ask) -> Twist {
    at(ask, |_, reply| {
        reply.status = 307;
        reply.header("Location", "https://127.0.0.1:1/");
    })
}

const CHOSEN: &str = "/data/attributes/evidence_requested/0/chosen_parameters";

fn asks(name: &'static str, value: Value) -> Twist {
    at(Ask::Begin, move |_, reply| reply.set(&format!("{CHOSEN}/{name}"), value.clone()))
}

fn goes(location: Option<&'static str>) -> Twist {
    at(Ask::Begin, move |_, reply| match location {
        Some(location) => reply.header("Location", location),
        None => reply.headers.retain(|(name, _)| name != "Location"),
    })
}

/// One lie: what it is, the verdict that it must come to, whether evidence may have been sent, and the twist.
struct Lie(&'static str, &'static str, bool, Twist);

fn of_the_registrar() -> Vec<Lie> {
    use Ask::{Activate, Register};
    let other = Base64::encode_string(&[0xba, 0xdc, 0xc0, 0xde, 0, 0, 0, 1, 0, 4, 0, 2, 1, 1, 0, 2, 9, 9]);
    vec![
        Lie("registrar: other keys", "identity-mismatch", false, status(Register, 403)),
        Lie("registrar: 400", "malformed", false, status(Register, 400)),
        Lie("registrar: 500", "malformed", false, status(Register, 500)),
        Lie("registrar: HTML", "malformed", false, raw(Register, b"<html>welcome</html>")),
        Lie("registrar: two documents", "malformed", false, raw(Register, b"{\"results\":{\"blob\":\"\"}}{}")),
        Lie("registrar: no blob", "malformed", false, set(Register, "/results", json!({}))),
        Lie("registrar: a blob that is none", "malformed", false, set(Register, "/results/blob", json!("AAAA"))),
        Lie("registrar: a blob for another TPM", "malformed", false, set(Register, "/results/blob", json!(other))),
        Lie("registrar: a redirect", "malformed", false, redirects(Register)),
        Lie("registrar: hangs up", "unreachable", false, at(Register, |_, reply| reply.hangs_up = true)),
        Lie("registrar: 503 for ever", "unreachable", false, later(Register, 503, Some("86400"))),
        Lie("registrar: the proof is refused", "malformed", false, status(Activate, 400)),
        Lie("registrar: forgets in between", "unknown-agent", false, status(Activate, 404)),
    ]
}

fn of_the_login() -> Vec<Lie> {
    use Ask::{Open, Prove};
    let nonce = "/data/attributes/authentication_requested/0/chosen_parameters/challenge";
    let of = |length| json!(Base64::encode_string(&vec![7; length]));
    let requested = "/data/attributes/authentication_requested";
    vec![
        Lie("login: another agent's", "identity-mismatch", false, set(Open, "/data/attributes/agent_id", json!("other"))),
        Lie("login: a short challenge", "malformed", false, set(Open, nonce, of(15))),
        Lie("login: a long challenge", "malformed", false, set(Open, nonce, of(64))),
        Lie("login: no challenge", "malformed", false, set(Open, nonce, json!(""))),
        Lie(
            "login: a challenge again",
            "malformed",
            false,
            Box::new(move |ask, _, reply| match ask {
                Ask::Open => reply.set(nonce, of(16)),
                Ask::Begin => reply.set(&format!("{CHOSEN}/challenge"), of(16)),
                _ => {}
            }),
        ),
        Lie("login: no proof wanted", "malformed", false, set(Open, requested, json!([]))),
        Lie("login: an id that leads elsewhere", "malformed", false, set(Open, "/data/id", json!("../../v2.6/agents/x"))),
        Lie(
            "login: another proof",
            "malformed",
            false,
            set(Open, "/data/attributes/authentication_requested/0/authentication_type", json!("psk")),
        ),
        Lie("login: another agent's proof", "identity-mismatch", false, set(Prove, "/data/attributes/agent_id", json!("other"))),
        Lie("login: another session", "malformed", false, set(Prove, "/data/id", json!("s-2"))),
        Lie("login: not enrolled", "unknown-agent", false, set(Prove, "/data/attributes/evaluation", json!("fail"))),
        Lie(
            "login: another key",
            "identity-mismatch",
            false,
            at(Prove, |_, reply| {
                reply.status = 401;
                reply.set("/data/attributes/evaluation", json!("fail"));
            }),
        ),
        Lie("login: 401 and pass", "malformed", false, at(Prove, |_, reply| reply.status = 401)),
        Lie("login: a pass without a token", "malformed", false, set(Prove, "/data/attributes/token", json!(null))),
        Lie("login: a token that no header carries", "malformed", false, set(Prove, "/data/attributes/token", json!("a\r\nb"))),
        Lie("login: an endless token", "malformed", false, set(Prove, "/data/attributes/token", json!("a".repeat(100_000)))),
        Lie("login: HTML", "malformed", false, raw(Open, b"<html>")),
        Lie("login: 429 tomorrow", "unreachable", false, later(Open, 429, Some("86400"))),
        Lie("login: 429 without a time", "unreachable", false, later(Open, 429, None)),
        Lie("login: tokens that count nowhere", "malformed", false, status(Ask::Show, 401)),
    ]
}

fn of_the_negotiation() -> Vec<Lie> {
    use Ask::Begin;
    let requested = "/data/attributes/evidence_requested";
    let log = json!([{"evidence_class": "log", "evidence_type": "ima_log", "chosen_parameters": {"format": "text/plain"}}]);
    vec![
        Lie("asks for nothing", "empty-policy", false, set(Begin, requested, json!([]))),
        Lie("expired at None", "empty-policy", false, refuses(Begin, 403, "challenges_expired", "expired at None.")),
        Lie("only a log", "malformed", false, set(Begin, requested, log)),
        Lie(
            "another kind of evidence",
            "malformed",
            false,
            set(Begin, "/data/attributes/evidence_requested/0/evidence_type", json!("sgx")),
        ),
        Lie("a challenge of 15 bytes", "malformed", false, asks("challenge", json!(Base64::encode_string(&[1; 15])))),
        Lie("a challenge of 17 bytes", "malformed", false, asks("challenge", json!(Base64::encode_string(&[1; 17])))),
        Lie("no challenge", "malformed", false, asks("challenge", json!(null))),
        Lie("sha1", "malformed", false, asks("hash_algorithm", json!("sha1"))),
        Lie("ecdsa", "malformed", false, asks("signature_scheme", json!("ecdsa"))),
        Lie("PCRs of sha1", "malformed", false, asks("selected_subjects", json!({"sha1": [7]}))),
        Lie("PCR 24", "malformed", false, asks("selected_subjects", json!({"sha256": [24]}))),
        Lie("no PCR", "malformed", false, asks("selected_subjects", json!({"sha256": []}))),
        Lie("a PCR twice", "malformed", false, asks("selected_subjects", json!({"sha256": [7, 7]}))),
        Lie("another key", "identity-mismatch", false, asks("certification_key", json!({"public": "AAAA"}))),
        Lie("evidence to another agent", "malformed", false, goes(Some("/v3.0/agents/other/attestations/4"))),
        Lie("evidence to another host", "malformed", false, goes(Some("https://127.0.0.1:1/v3.0/agents/x/attestations/4"))),
        Lie("evidence nowhere", "malformed", false, goes(None)),
        Lie("waits for no evidence", "malformed", false, set(Begin, "/data/attributes/stage", json!("verification_complete"))),
        Lie("negotiation: 200", "malformed", false, at(Begin, |_, reply| reply.status = 200)),
        Lie("negotiation: HTML", "malformed", false, raw(Begin, b"<html>")),
        Lie("negotiation: not enrolled", "unknown-agent", false, status(Begin, 404)),
        Lie("negotiation: 422", "malformed", false, refuses(Begin, 422, "invalid_resource_data", "no")),
        Lie("negotiation: 429 tomorrow", "unreachable", false, later(Begin, 429, Some("86400"))),
        Lie("negotiation: 503 some time", "unreachable", false, later(Begin, 503, Some("Fri, 32 Nov 2026"))),
        Lie("negotiation: conflicts for ever", "unreachable", false, refuses(Begin, 409, "conflict", "again")),
        Lie("negotiation: a redirect", "malformed", false, redirects(Begin)),
    ]
}

fn of_the_evidence() -> Vec<Lie> {
    use Ask::Submit;
    vec![
        Lie("evidence: 200", "malformed", true, at(Submit, |_, reply| reply.status = 200)),
        Lie("evidence: 500", "malformed", true, status(Submit, 500)),
        Lie("evidence: still waits", "malformed", true, set(Submit, "/data/attributes/stage", json!("awaiting_evidence"))),
        Lie("evidence: HTML", "malformed", true, raw(Submit, b"<html>")),
        Lie("evidence: dropped for ever", "unreachable", true, refuses(Submit, 403, "old_attestation", "too old")),
        Lie("evidence: hangs up", "unreachable", true, at(Submit, |_, reply| reply.hangs_up = true)),
        Lie("a 202 and no verdict", "frozen", true, at(Submit, |known, _| (known.count, known.last) = (known.count - 1, 0))),
    ]
}

fn of_the_verdict() -> Vec<Lie> {
    let policy = "/results/tpm_policy";
    vec![
        Lie("FAIL", "failed", true, shows("/results/attestation_status", json!("FAIL"))),
        Lie("TIMEOUT", "timeout", true, shows("/results/attestation_status", json!("TIMEOUT"))),
        Lie("PENDING", "never", true, shows("/results/attestation_status", json!("PENDING"))),
        Lie("pass in small letters", "malformed", true, shows("/results/attestation_status", json!("pass"))),
        Lie("PASS in a list", "malformed", true, shows("/results/attestation_status", json!(["PASS"]))),
        Lie("PASS with count 0", "never", true, shows("/results/attestation_count", json!(0))),
        Lie("a count that leaps", "frozen", true, shows("/results/attestation_count", json!(9999))),
        Lie("a count below zero", "malformed", true, shows("/results/attestation_count", json!(-1))),
        Lie("a count in words", "malformed", true, shows("/results/attestation_count", json!("8"))),
        Lie("no quote passed", "never", true, shows("/results/last_successful_attestation", json!(0))),
        Lie("an old quote passed", "frozen", true, shows_time("/results/last_successful_attestation", -100)),
        Lie("passed in the future", "malformed", true, shows_time("/results/last_successful_attestation", 1000)),
        Lie("received in the future", "malformed", true, shows_time("/results/last_received_quote", 1000)),
        Lie("the end of time", "malformed", true, shows("/results/last_successful_attestation", json!(i64::MAX))),
        Lie("half a second", "malformed", true, shows("/results/last_received_quote", json!(0.5))),
        Lie(
            "an old pass",
            "stale",
            true,
            at(Ask::Show, |known, reply| {
                if known.evidences > 0 {
                    for pointer in ["/results/last_successful_attestation", "/results/last_received_quote"] {
                        reply.set(pointer, json!(now() - 30));
                    }
                }
            }),
        ),
        Lie("no interval", "malformed", true, shows("/results/maximum_attestation_interval", json!("soon"))),
        Lie("a policy of nothing", "empty-policy", true, shows(policy, json!("{\"mask\": \"0x0\"}"))),
        Lie("no policy", "empty-policy", true, shows(policy, json!(null))),
        Lie("a policy that is none", "malformed", true, shows(policy, json!("PASS"))),
        Lie("PCRs that were not quoted", "malformed", true, shows(policy, json!("{\"0\": [\"00\"]}"))),
        Lie("policies in words", "malformed", true, shows("/results/has_runtime_policy", json!("yes"))),
        Lie("another agent's verdict", "identity-mismatch", true, shows("/results/agent_id", json!("other"))),
        Lie("another attestation key", "identity-mismatch", true, shows("/results/ak_tpm", json!("AAAA"))),
        Lie("another endorsement key", "identity-mismatch", true, shows("/results/ek_tpm", json!("AAAA"))),
        Lie(
            "not enrolled any more",
            "unknown-agent",
            true,
            at(Ask::Show, |known, reply| {
                if known.evidences > 0 {
                    (reply.status, reply.body) = (404, json!({}));
                }
            }),
        ),
        Lie("a clock of tomorrow", "malformed", true, at(Ask::Show, |_, reply| reply.header("Date", &date(now() + 86_400)))),
        Lie("a date that is none", "malformed", false, at(Ask::Show, |_, reply| reply.header("Date", "yesterday"))),
        Lie("verdict: HTML", "malformed", false, raw(Ask::Show, b"<html>PASS</html>")),
        Lie("verdict: two documents", "malformed", false, raw(Ask::Show, b"{\"results\":{}}{\"results\":{}}")),
        Lie("verdict: a list", "malformed", false, raw(Ask::Show, b"[]")),
        Lie("verdict: nothing", "malformed", false, raw(Ask::Show, b"")),
        Lie("verdict: a redirect", "malformed", false, redirects(Ask::Show)),
        Lie("verdict: 10 MiB", "malformed", false, at(Ask::Show, |_, reply| reply.raw = Some(vec![b' '; 10 << 20]))),
        Lie("verdict: hangs up", "unreachable", false, at(Ask::Show, |_, reply| reply.hangs_up = true)),
        Lie("verdict: a stall", "unreachable", false, at(Ask::Show, |_, reply| reply.delay = Duration::from_secs(20))),
    ]
}

#[test]
fn no_lie_of_a_verifier_or_registrar_is_a_pass_nor_gets_evidence_it_must_not_have() {
    let Some(swtpm) = start(&[7]) else { return };
    let (ca, leaf) = authority();
    let (host, liar) = (Host::of(&swtpm, &ca), Liar::start(&ca, &leaf));
    liar.twisted(Box::new(|_, _, _| {}));
    let (code, honest) = host.attest(&liar.address, &liar.address, "honest");
    assert_eq!((code, honest["verdict"]["code"].as_str(), liar.evidences()), (0, Some("pass"), 1), "{honest:#}");
    let lies = [of_the_registrar(), of_the_login(), of_the_negotiation(), of_the_evidence(), of_the_verdict()];
    let lies: Vec<Lie> = lies.into_iter().flatten().collect();
    assert!(lies.len() >= 60, "{}", lies.len());
    let mut wrong = Vec::new();
    for (number, Lie(what, expected, may_send, twist)) in lies.into_iter().enumerate() {
        liar.twisted(twist);
        let (code, document) = host.attest(&liar.address, &liar.address, &format!("host-{number}"));
        let verdict = document["verdict"]["code"].as_str().unwrap_or_default().to_owned();
        let [logins, begins, evidences] = liar.asked();
        let bounded = logins <= 6 && begins <= 12 && evidences <= 3;
        if code != 1 || verdict != expected || (evidences > 0 && !may_send) || !bounded {
            wrong.push(format!(
                "{what}: exit {code}, {verdict}, expected {expected}; {logins} logins, {begins} negotiations, {evidences} evidences: {}",
                document["verdict"]["text"]
            ));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert_eq!(swtpm.loaded(), Vec::<String>::new(), "all of that left the TPM as it was");
}

#[test]
fn a_verifier_is_known_by_its_certificate() {
    let Some(swtpm) = start(&[7]) else { return };
    let (ca, leaf) = authority();
    let host = Host::of(&swtpm, &ca);
    let registrar = Liar::start(&ca, &leaf);
    let yesterday = time::OffsetDateTime::now_utc() - time::Duration::DAY;
    let expired = Leaf { not_before: yesterday - time::Duration::DAY, not_after: yesterday, ..leaf.clone() };
    let other = Leaf::server("other", &["other.example"], &[], time::Duration::HOUR);
    let client = Leaf { eku: vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth], ..leaf.clone() };
    let foreign = Ca::root("Eye of Thundera", CaKeys::Ec);
    for (what, ca, leaf) in [
        ("expired", &ca, &expired),
        ("another name", &ca, &other),
        ("a client's", &ca, &client),
        ("another root of that name", &foreign, &leaf),
    ] {
        let verifier = Liar::start(ca, leaf);
        let (code, document) = host.attest(&registrar.address, &verifier.address, "tls");
        assert_eq!((code, document["verdict"]["code"].as_str()), (1, Some("untrusted")), "{what}: {document:#}");
        assert_eq!(verifier.requests(), 0, "{what}");
    }
    let plain = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", plain.local_addr().unwrap());
    std::thread::spawn(move || {
        use std::io::Write as _;
        for mut client in plain.incoming().flatten() {
            client.write_all(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n").ok();
        }
    });
    let (code, document) = host.attest(&registrar.address, &address, "tls");
    assert_eq!((code, document["verdict"]["code"].as_str()), (1, Some("untrusted")), "plain HTTP: {document:#}");
    let (code, document) = host.attest(&registrar.address, "https://127.0.0.1:1", "tls");
    assert_eq!((code, document["verdict"]["code"].as_str()), (1, Some("unreachable")), "nobody: {document:#}");
}
