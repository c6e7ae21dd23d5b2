//! What a refusal means, by status and text ([What a refusal means](crate::io::openbao#what-a-refusal-means)): its code, whether trying
//! again can help, and what to
//! do. It must never show a secret, nor call something temporary that a second try cannot cure.

use std::time::Duration;

use serde::Deserialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::io::http::Answer;
use crate::model::clock::Time;
use crate::model::code::Code;
use crate::model::failure::{Failure, Stage};
use crate::model::text;

/// The code of a sealed server.
const SEALED: Code = Code::ServerSealed;
/// Wait before a second try, unless the server asks for another.
const WAIT: Duration = Duration::from_secs(1);
/// The longest wait a server can ask for; more is absurd within a run.
const LONGEST_WAIT: u64 = 10;

/// A call that did not work.
#[derive(Clone, Debug)]
pub struct Problem {
    /// What to tell people.
    pub failure: Failure,
    /// Set when one more try can help: how long to wait before it.
    pub again: Option<Duration>,
    /// The server answered and did not do it. Not set when an answer was lost: it may have been done.
    pub definite: bool,
    /// The token is unknown, expired or revoked: log in anew.
    pub token_not_accepted: bool,
}

impl Problem {
    /// Nothing that a second try helps; the server may have acted.
    pub(super) const fn last(failure: Failure) -> Self {
        Self { failure, again: None, definite: false, token_not_accepted: false }
    }

    /// Refused for good.
    pub(super) const fn definite(failure: Failure) -> Self {
        Self { failure, again: None, definite: true, token_not_accepted: false }
    }

    /// The connection was lost.
    pub(super) const fn lost(failure: Failure) -> Self {
        Self { failure, again: Some(WAIT), definite: false, token_not_accepted: false }
    }

    /// The same without these secrets in its text: a peer can put them into a header or a name as well.
    pub(super) fn without(mut self, secrets: &[&str]) -> Self {
        for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
            self.failure.text = self.failure.text.replace(secret, "[redacted]");
        }
        self
    }
}

/// What a status and its texts mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// The policy of a good token.
    Denied,
    /// No such mount or path.
    NotFound,
    /// A quota.
    RateLimited,
    /// The request or the role.
    Refused,
    /// Sealed or not initialised.
    Sealed,
    /// The server or something before it.
    ServerError,
    /// The token is missing, unknown, expired or revoked: one text for all.
    TokenNotAccepted,
    /// A status that OpenBao does not use here.
    Unexpected,
}

fn classify(status: u16, errors: &[String]) -> Class {
    let says = |needle: &str| errors.iter().any(|text| text.to_ascii_lowercase().contains(needle));
    match status {
        503 if says("sealed") => Class::Sealed,
        501 => Class::Sealed,
        500 | 502 | 503 | 504 => Class::ServerError,
        429 => Class::RateLimited,
        // The list form is the policy's answer; a bare text is the token's, and Vault adds why as a second line of the list.
        403 if says("invalid token") || says("bad token") => Class::TokenNotAccepted,
        403 if errors.iter().any(|text| text.trim() == "permission denied") => Class::TokenNotAccepted,
        401 | 403 => Class::Denied,
        404 => Class::NotFound,
        400..=499 => Class::Refused,
        _ => Class::Unexpected,
    }
}

#[derive(Deserialize)]
struct ErrorBody {
    errors: Vec<String>,
}

/// The server's texts; none where the body is not OpenBao's.
fn errors(answer: &Answer) -> Vec<String> {
    serde_json::from_slice::<ErrorBody>(&answer.body).map(|body| body.errors).unwrap_or_default()
}

fn said(answer: &Answer, errors: &[String], secrets: &[&str]) -> String {
    let texts = errors.iter().map(String::as_str).collect::<Vec<_>>().join("; ");
    if !texts.trim().is_empty() {
        return format!("status {}: {}", answer.status, text::of_server(&texts, secrets));
    }
    let html = answer.body.trim_ascii_start().starts_with(b"<");
    format!("status {}{}", answer.status, if html { " and HTML, so perhaps by a proxy" } else { " and no reason" })
}

/// A refused login.
pub(super) fn of_login(path: &str, answer: &Answer, secrets: &[&str], now: Time) -> Problem {
    let errors = errors(answer);
    let class = classify(answer.status, &errors);
    // OpenBao calls a client certificate it cannot verify a server error (io/openbao/facts.md, "Logging in"): no second try, another login.
    let own_certificate = answer.status == 500 && errors.iter().any(|text| text.contains("x509:"));
    let text = format!("{path}: {}", said(answer, &errors, secrets));
    match class {
        Class::Denied | Class::NotFound | Class::Refused | Class::TokenNotAccepted => Problem::definite(login_refused(text)),
        Class::ServerError if own_certificate => Problem::definite(login_refused(text)),
        Class::RateLimited | Class::Sealed | Class::ServerError | Class::Unexpected => general(class, text, answer, now),
    }
}

/// A control group wants somebody's approval before the CSR is signed.
pub(super) fn awaits_approval(path: &str) -> Problem {
    let text = format!("{path}: a control group holds the answer back until somebody approves it");
    let hint = "renewals run unattended: have the policy of this login sign without a control group, or give it a role of its own";
    Problem::definite(Failure::new(Stage::Issue, Code::ControlGroup, text).hint(hint))
}

/// A login that was not granted.
pub(super) fn login_refused(text: String) -> Failure {
    Failure::new(Stage::Issue, Code::LoginRefused, text)
        .hint("check the login's mount, role and secret or client certificate; an expired or used-up secret is refused like a wrong one")
}

/// The answer to a token's question about itself. A policy may forbid that question
/// ([Roles and policies](crate::io::openbao#roles-and-policies)): then the token is known, so good.
pub(super) fn of_own_token(path: &str, answer: &Answer, secrets: &[&str], now: Time) -> Result<(), Problem> {
    let problem = of_call(path, answer, secrets, now);
    if problem.token_not_accepted {
        let hint = "the token is unknown, expired or revoked: put a new one where the login reads it";
        return Err(Problem::definite(Failure::new(Stage::Issue, Code::LoginRefused, problem.failure.text).hint(hint)));
    }
    if problem.failure.code == SEALED || problem.again.is_some() { Err(problem) } else { Ok(()) }
}

/// A refused call with a token.
pub(super) fn of_call(path: &str, answer: &Answer, secrets: &[&str], now: Time) -> Problem {
    let errors = errors(answer);
    let class = classify(answer.status, &errors);
    let text = format!("{path}: {}", said(answer, &errors, secrets));
    let failure = |code, hint: String| Failure::new(Stage::Issue, code, text.clone()).hint(hint);
    match class {
        Class::Denied => {
            // What revokes asks for one thing, and is no login of renewals.
            let more = if path.ends_with("/revoke") {
                "; it is the login of openbao.revoke_login"
            } else {
                " (or its allowed_parameters leave out csr, ttl or format); `omens check-config --online` lists what is missing"
            };
            let hint = format!("the token is good, but its policy lacks `update` on {path}{more}");
            Problem::definite(failure(Code::PermissionDenied, hint))
        }
        Class::TokenNotAccepted => {
            let hint =
                "the token is unknown, expired or revoked: check the login's token_ttl and token_num_uses, or the token file".to_owned();
            Problem { token_not_accepted: true, ..Problem::definite(failure(Code::PermissionDenied, hint)) }
        }
        // An engine that has no such certificate says that it has not, where no engine has no words for it.
        Class::NotFound if path.ends_with("/revoke") && errors.iter().any(|text| text.contains("serial")) => {
            Problem::definite(failure(Code::RoleRefused, agree(path, &errors)))
        }
        Class::NotFound => Problem::definite(failure(Code::RoleRefused, format!("check openbao.mount: nothing is mounted at {path}"))),
        Class::Refused => Problem::definite(failure(Code::RoleRefused, agree(path, &errors))),
        Class::RateLimited | Class::Sealed | Class::ServerError | Class::Unexpected => general(class, text, answer, now),
    }
}

/// What a role and a certificate disagree about, by the engine's own words ([Signing](crate::io::openbao#signing)): the field of the role
/// and the key of the settings that are to agree.
fn agree(path: &str, errors: &[String]) -> String {
    if let Some(mount) = path.strip_suffix("/revoke") {
        return no_such_serial(mount);
    }
    const SAID: [Disagreement; 9] = [
        Disagreement { says: "unknown role", field: "there is no such role", key: "role" },
        Disagreement { says: "uri subject alternative name", field: "allowed_uri_sans", key: "uri" },
        Disagreement { says: "email address", field: "allowed_domains and allow_bare_domains", key: "email" },
        Disagreement { says: "ip address", field: "allow_ip_sans and allowed_ip_sans_cidr", key: "ip" },
        Disagreement { says: "ip subject alternative name", field: "allow_ip_sans and allowed_ip_sans_cidr", key: "ip" },
        Disagreement { says: "common name", field: "allowed_domains, allow_bare_domains and cn_validations", key: "common_name" },
        Disagreement { says: "subject alternate name", field: "allowed_domains, allow_bare_domains and allow_subdomains", key: "dns" },
        Disagreement { says: "role requires", field: "key_type and key_bits", key: "key" },
        Disagreement {
            says: "expiration of the ca certificate",
            field: "ttl; the CA itself ends before, so that it is to be renewed",
            key: "ttl",
        },
    ];
    let says = |one: &&Disagreement| errors.iter().any(|text| text.to_ascii_lowercase().contains(one.says));
    match SAID.iter().find(says) {
        Some(Disagreement { field, key: "role", .. }) => {
            format!(
                "{field} behind {path}: correct `role` of the certificate in the settings; `omens check-config --online` names those that exist"
            )
        }
        Some(Disagreement { field, key, .. }) => {
            format!("compare `{key}` of the certificate in the settings with {field} of the role behind {path}, so that they agree")
        }
        None => format!("change the role behind {path} or the certificate's names, key and ttl so that they agree"),
    }
}

/// What a serial number that is not known may be.
fn no_such_serial(mount: &str) -> String {
    format!(
        "{mount} keeps no certificate of that serial number: compare it with `serial` in `omens status --json` and in the ledger; what another \
         mount signed is revoked there, and what a role with no_store signed cannot be revoked by its number"
    )
}

/// One thing that the engine refuses, and where it is put right.
struct Disagreement {
    says: &'static str,
    field: &'static str,
    key: &'static str,
}

/// What is the server's matter, whatever was asked.
fn general(class: Class, text: String, answer: &Answer, now: Time) -> Problem {
    let failure = |code, hint: &str| Failure::new(Stage::Issue, code, text.clone()).hint(hint);
    match class {
        Class::Sealed => Problem::definite(failure(
            SEALED,
            "an operator must unseal OpenBao (bao operator unseal); a certificate that is in use keeps serving",
        )),
        Class::RateLimited => {
            let again = Some(retry_after(answer.retry_after.as_deref(), now));
            let hint = "a rate limit quota of OpenBao holds; the next run tries again";
            Problem { again, ..Problem::definite(failure(Code::RateLimited, hint)) }
        }
        Class::ServerError => {
            let hint = "look into OpenBao's own log; the next run tries again";
            // A gateway that lost the answer or did not wait for it (RFC 9110 §15.6.3, §15.6.5) does not know whether OpenBao acted.
            let definite = !matches!(answer.status, 502 | 504);
            Problem { again: Some(WAIT), definite, ..Problem::definite(failure(Code::ServerError, hint)) }
        }
        _ => Problem::definite(failure(Code::ServerError, "check that openbao.address names OpenBao itself")),
    }
}

/// How long to wait by `Retry-After` (RFC 9110 §10.2.3: seconds or a date): up to 10 s; a second where it is absurd or absent.
fn retry_after(header: Option<&str>, now: Time) -> Duration {
    let seconds = header.map(str::trim).and_then(|text| {
        if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
            return text.parse().ok();
        }
        let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
        u64::try_from(Time::of(date).since(now)).ok()
    });
    seconds.filter(|seconds| *seconds <= LONGEST_WAIT).map_or(WAIT, Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    const DENIED: &str = "1 error occurred:\\n\\t* permission denied\\n\\n";

    fn answer(status: u16, body: &str) -> Answer {
        Answer { status, retry_after: None, body: Zeroizing::new(body.as_bytes().to_vec()) }
    }

    /// Expectations of one line: code, tried again, definite, token not accepted.
    type Expected = (&'static str, bool, bool, bool);

    #[test]
    fn a_refused_call_means_what_the_fact_sheet_says() {
        let now = Time::from_unix(0);
        let cases: [(u16, String, Expected); 19] = [
            (403, r#"{"errors":["permission denied"]}"#.into(), ("permission-denied", false, true, true)),
            (403, format!(r#"{{"errors":["{DENIED}"]}}"#), ("permission-denied", false, true, false)),
            (
                403,
                r#"{"errors":["2 errors occurred:\n\t* permission denied\n\t* invalid token\n\n"]}"#.into(),
                ("permission-denied", false, true, true),
            ),
            (403, "<html>".into(), ("permission-denied", false, true, false)),
            (401, String::new(), ("permission-denied", false, true, false)),
            (400, r#"{"errors":["unknown role: x"]}"#.into(), ("role-refused", false, true, false)),
            (400, "bad".into(), ("role-refused", false, true, false)),
            (404, r#"{"errors":["no handler for route \"x\""]}"#.into(), ("role-refused", false, true, false)),
            (404, r#"{"errors":[]}"#.into(), ("role-refused", false, true, false)),
            (405, String::new(), ("role-refused", false, true, false)),
            (413, String::new(), ("role-refused", false, true, false)),
            (429, r#"{"errors":["rate limit quota exceeded"]}"#.into(), ("rate-limited", true, true, false)),
            (500, r#"{"errors":["boom"]}"#.into(), ("server-error", true, true, false)),
            (502, "<html>".into(), ("server-error", true, false, false)),
            (503, r#"{"errors":["Vault is sealed"]}"#.into(), ("server-sealed", false, true, false)),
            (503, "<html>sealed".into(), ("server-error", true, true, false)),
            (504, String::new(), ("server-error", true, false, false)),
            (501, String::new(), ("server-sealed", false, true, false)),
            (599, String::new(), ("server-error", false, true, false)),
        ];
        for (status, body, (code, again, definite, token)) in cases {
            let problem = of_call("pki_int/sign/web", &answer(status, &body), &[], now);
            let found = (problem.failure.code.as_str(), problem.again.is_some(), problem.definite, problem.token_not_accepted);
            assert_eq!(found, (code, again, definite, token), "{status} {body}");
            assert!(problem.failure.hint.is_some(), "{status} {body}");
            assert!(problem.failure.text.starts_with("pki_int/sign/web: status "), "{}", problem.failure.text);
        }
    }

    #[test]
    fn a_refused_request_names_the_field_of_the_role_and_the_key_of_the_settings() {
        for (says, field, key) in [
            ("common name x.example not allowed by this role", "allowed_domains", "`common_name`"),
            ("subject alternate name x.example not allowed by this role", "allow_subdomains", "`dns`"),
            (r#"the IP address \"192.0.2.1\" is not allowed in this role"#, "allowed_ip_sans_cidr", "`ip`"),
            ("URI Subject Alternative Names are not allowed in this role, but were provided via CSR", "allowed_uri_sans", "`uri`"),
            ("email address ops@x.example not allowed by this role", "allow_bare_domains", "`email`"),
            ("role requires keys of type ec", "key_type", "`key`"),
            ("unknown role: x", "no such role", "`role`"),
        ] {
            let problem = of_call("pki_int/sign/web", &answer(400, &format!(r#"{{"errors":["{says}"]}}"#)), &[], Time::from_unix(0));
            let hint = problem.failure.hint.unwrap();
            assert!(hint.contains(field) && hint.contains(key) && hint.contains("pki_int/sign/web"), "{hint}");
        }
    }

    #[test]
    fn a_serial_number_that_is_not_known_is_no_matter_of_a_role() {
        for status in [400, 404] {
            let body = r#"{"errors":["certificate with serial 01:02 not found"]}"#;
            let hint = of_call("pki_int/revoke", &answer(status, body), &[], Time::from_unix(0)).failure.hint.unwrap();
            assert!(
                hint.starts_with("pki_int keeps no certificate of that serial number") && hint.contains("no_store"),
                "{status}: {hint}"
            );
        }
        let hint = of_call("pki_int/revoke", &answer(403, &format!(r#"{{"errors":["{DENIED}"]}}"#)), &[], Time::from_unix(0)).failure.hint;
        assert!(hint.is_some_and(|hint| hint.contains("lacks `update` on pki_int/revoke; it is the login of openbao.revoke_login")));
    }

    #[test]
    fn a_refused_login_leaves_room_for_the_next_one() {
        let now = Time::from_unix(0);
        for (status, body, code, again) in [
            (400, r#"{"errors":["invalid role or secret ID"]}"#, "login-refused", false),
            (403, r#"{"errors":["permission denied"]}"#, "login-refused", false),
            (404, r#"{"errors":[]}"#, "login-refused", false),
            (500, r#"{"errors":["failed to verify client's certificate: x509: certificate has expired"]}"#, "login-refused", false),
            (500, r#"{"errors":["internal error"]}"#, "server-error", true),
            (503, r#"{"errors":["Vault is sealed"]}"#, "server-sealed", false),
            (429, "", "rate-limited", true),
        ] {
            let problem = of_login("auth/approle/login", &answer(status, body), &[], now);
            assert_eq!((problem.failure.code.as_str(), problem.again.is_some()), (code, again), "{status} {body}");
        }
    }

    #[test]
    fn a_token_that_may_not_look_at_itself_is_good() {
        for (status, body, code) in [
            (403, r#"{"errors":["permission denied"]}"#.to_owned(), Some("login-refused")),
            (403, format!(r#"{{"errors":["{DENIED}"]}}"#), None),
            (404, String::new(), None),
            (503, r#"{"errors":["Vault is sealed"]}"#.to_owned(), Some("server-sealed")),
            (500, String::new(), Some("server-error")),
        ] {
            let got = of_own_token("auth/token/lookup-self", &answer(status, &body), &["t"], Time::from_unix(0));
            assert_eq!(got.err().map(|problem| problem.failure.code.as_str()), code, "{status} {body}");
        }
    }

    #[test]
    fn a_denied_path_is_named() {
        let problem = of_call("pki_int/sign/web", &answer(403, &format!(r#"{{"errors":["{DENIED}"]}}"#)), &[], Time::from_unix(0));
        assert!(problem.failure.hint.is_some_and(|hint| hint.contains("lacks `update` on pki_int/sign/web")));
    }

    #[test]
    fn what_a_server_says_is_one_short_line_without_our_secrets() {
        let long = format!(r#"{{"errors":["secret s3cr3t\u001b[2J\n{}"]}}"#, "1 ".repeat(9000));
        let text = of_call("p", &answer(400, &long), &["s3cr3t"], Time::from_unix(0)).failure.text;
        assert!(text.starts_with("p: status 400: secret [redacted]\\u{1b}[2J 1 1"), "{text}");
        assert!(text.chars().count() < 330 && !text.contains('\n'));
    }

    #[test]
    fn a_secret_that_comes_back_by_another_way_is_taken_out_as_well() {
        let problem = Problem::lost(Failure::new(Stage::Issue, Code::ServerError, "redirects to 'https://x/?t=s3cr3t'"));
        assert_eq!(problem.without(&["", "s3cr3t"]).failure.text, "redirects to 'https://x/?t=[redacted]'");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date_within_reason() {
        let now = Time::parse("2026-11-24T02:00:00Z").expect("a time");
        for (header, seconds) in [
            (None, 1),
            (Some("0"), 0),
            (Some(" 7 "), 7),
            (Some("10"), 10),
            (Some("11"), 1),
            (Some("-1"), 1),
            (Some("+3"), 1),
            (Some("1.5"), 1),
            (Some(""), 1),
            (Some("soon"), 1),
            (Some("99999999999999999999999999"), 1),
            (Some("Tue, 24 Nov 2026 02:00:04 GMT"), 4),
            (Some("Tue, 24 Nov 2026 02:00:00 GMT"), 0),
            (Some("Tue, 24 Nov 2026 01:59:59 GMT"), 1),
            (Some("Tue, 24 Nov 2026 03:00:00 GMT"), 1),
            (Some("Tue, 99 Nov 2026 03:00:00 GMT"), 1),
        ] {
            assert_eq!(retry_after(header, now), Duration::from_secs(seconds), "{header:?}");
        }
    }
}
